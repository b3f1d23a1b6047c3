# SPDX-License-Identifier: Apache-2.0
"""A host that answers from a snapshot, denials included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from hvfilter.host import words
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
from hvfilter.host.snapshot import Refusal, Snapshot

FactT = TypeVar('FactT')


class RecordedHost(Host):
    """Answers exactly as the recorded machine did.

    What was never asked of it raises :class:`Denied` with NOT_RECORDED: the
    recording cannot tell, which is not the same as "is not there".

    :param origin: what to call the recording, such as its file; the
        snapshot's own words unless given
    """

    def __init__(self, snapshot: Snapshot, origin: str = '') -> None:
        self.snapshot = snapshot
        self.origin = origin or str(snapshot.origin)

    def machine(self) -> Machine:
        return self.snapshot.machine

    def read(self, path: str) -> bytes:
        return _fact(self.snapshot.files.get(path), words.read(path))

    def listdir(self, path: str) -> tuple[str, ...]:
        what = words.listdir(path)
        return _fact(self.snapshot.directories.get(path), what)

    def readlink(self, path: str) -> str:
        return _fact(self.snapshot.links.get(path), words.readlink(path))

    def stat(self, path: str) -> FileStat:
        return _fact(self.snapshot.stats.get(path), words.stat(path))

    def options(
        self, path: str, wanted: Mapping[str, Sequence[str]]
    ) -> Options:
        what = words.options(path)
        recorded = _fact(self.snapshot.options.get(path), what)
        answer: dict[str, dict[str, tuple[str, ...]]] = {}
        for section, names in wanted.items():
            for name in names:
                values = recorded.get(section, {}).get(name)
                if values is None:
                    raise Denied(f'{what} [{section}]{name}', NOT_RECORDED)
                if values:
                    answer.setdefault(section, {})[name] = values
        return answer

    def versions(self, package: str) -> tuple[str, ...]:
        what = words.versions(package)
        return _fact(self.snapshot.versions.get(package), what)

    def groups(self, user: str) -> tuple[str, ...]:
        return _fact(self.snapshot.groups.get(user), words.groups(user))

    def cpuid(self, cpu: int, leaf: int, subleaf: int = 0) -> CpuidRegs:
        table = self.snapshot.cpuid.get(cpu, {})
        what = words.cpuid(cpu, leaf, subleaf)
        return _fact(table.get((leaf, subleaf)), what)

    def msr(self, cpu: int, index: int) -> int:
        table = self.snapshot.msrs.get(cpu, {})
        return _fact(table.get(index), words.msr(cpu, index))

    def kvm_api_version(self) -> int:
        return _fact(self.snapshot.kvm.api_version, words.KVM_API_VERSION)

    def kvm_extension(self, capability: int) -> int:
        return _fact(
            self.snapshot.kvm.extensions.get(capability),
            words.kvm_extension(capability),
        )

    def kvm_supported_cpuid(self) -> tuple[CpuidEntry, ...]:
        return _fact(
            self.snapshot.kvm.supported_cpuid, words.KVM_SUPPORTED_CPUID
        )

    def kvm_feature_msrs(self) -> Mapping[int, int]:
        return _fact(self.snapshot.kvm.feature_msrs, words.KVM_FEATURE_MSRS)

    def smoke(self) -> SmokeRun:
        return _fact(self.snapshot.smoke, words.SMOKE)


def _fact(answer: FactT | Refusal | None, what: str) -> FactT:
    if answer is None:
        raise Denied(what, NOT_RECORDED)
    if isinstance(answer, Refusal):
        raise answer.denied(what)
    return answer
