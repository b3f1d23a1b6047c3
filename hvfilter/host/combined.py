# SPDX-License-Identifier: Apache-2.0
"""One host, told of by several partial recordings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from hvfilter.host.door import (
    NOT_RECORDED,
    CpuidEntry,
    CpuidRegs,
    Denied,
    FileStat,
    Host,
    Machine,
    Options,
    SmokeRun,
)

FactT = TypeVar('FactT')

UNKNOWN = 'unknown'
"""What a recording says of a machine that it cannot tell."""


class CombinedHost(Host):
    """Each fact comes from the first recording that holds it.

    A denial is held like any fact; only what was not recorded is looked for
    in the next.

    :param hosts: at least one
    """

    def __init__(self, hosts: Sequence[Host]) -> None:
        self._hosts = tuple(hosts)
        self.origin = ' and '.join(host.origin for host in hosts)

    def _first(self, ask: Callable[[Host], FactT]) -> FactT:
        for host in self._hosts[:-1]:
            try:
                return ask(host)
            except Denied as denied:
                if denied.error != NOT_RECORDED:
                    raise
        return ask(self._hosts[-1])

    def machine(self) -> Machine:
        """Architecture and kernel, each from the first that knows it."""
        told = [host.machine() for host in self._hosts]
        archs = [one.arch for one in told if one.arch != UNKNOWN]
        kernels = [one.kernel for one in told if one.kernel != UNKNOWN]
        return Machine(
            next(iter(archs), UNKNOWN), next(iter(kernels), UNKNOWN)
        )

    def read(self, path: str) -> bytes:
        return self._first(lambda host: host.read(path))

    def listdir(self, path: str) -> tuple[str, ...]:
        return self._first(lambda host: host.listdir(path))

    def readlink(self, path: str) -> str:
        return self._first(lambda host: host.readlink(path))

    def stat(self, path: str) -> FileStat:
        return self._first(lambda host: host.stat(path))

    def options(
        self, path: str, wanted: Mapping[str, Sequence[str]]
    ) -> Options:
        return self._first(lambda host: host.options(path, wanted))

    def versions(self, package: str) -> tuple[str, ...]:
        return self._first(lambda host: host.versions(package))

    def groups(self, user: str) -> tuple[str, ...]:
        return self._first(lambda host: host.groups(user))

    def cpuid(self, cpu: int, leaf: int, subleaf: int = 0) -> CpuidRegs:
        return self._first(lambda host: host.cpuid(cpu, leaf, subleaf))

    def msr(self, cpu: int, index: int) -> int:
        return self._first(lambda host: host.msr(cpu, index))

    def kvm_api_version(self) -> int:
        return self._first(lambda host: host.kvm_api_version())

    def kvm_extension(self, capability: int) -> int:
        return self._first(lambda host: host.kvm_extension(capability))

    def kvm_supported_cpuid(self) -> tuple[CpuidEntry, ...]:
        return self._first(lambda host: host.kvm_supported_cpuid())

    def kvm_feature_msrs(self) -> Mapping[int, int]:
        return self._first(lambda host: host.kvm_feature_msrs())

    def smoke(self) -> SmokeRun:
        return self._first(lambda host: host.smoke())
