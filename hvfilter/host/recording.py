# SPDX-License-Identifier: Apache-2.0
"""A host that remembers what it was asked, to be kept as a snapshot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
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
from hvfilter.host.redact import Redaction
from hvfilter.host.snapshot import (
    KvmAnswers,
    Leaf,
    OptionValues,
    Provenance,
    Refusal,
    Snapshot,
)

FactT = TypeVar('FactT')
KeyT = TypeVar('KeyT')


class RecordingHost(Host):
    """Passes every question on to another host and keeps the answers.

    The asker gets the answers as they are; the snapshot gets them redacted.
    A fact that a recording does not hold is not held by its copy either.

    :param host: who really answers
    :param redaction: what to hide in the snapshot; None hides nothing
    """

    def __init__(self, host: Host, redaction: Redaction | None) -> None:
        self.origin = host.origin
        self._host = host
        self._redaction = redaction
        self._files: dict[str, bytes | Refusal] = {}
        self._directories: dict[str, tuple[str, ...] | Refusal] = {}
        self._links: dict[str, str | Refusal] = {}
        self._stats: dict[str, FileStat | Refusal] = {}
        self._options: dict[str, OptionValues | Refusal] = {}
        self._versions: dict[str, tuple[str, ...] | Refusal] = {}
        self._groups: dict[str, tuple[str, ...] | Refusal] = {}
        self._cpuid: dict[int, dict[Leaf, CpuidRegs | Refusal]] = {}
        self._msrs: dict[int, dict[int, int | Refusal]] = {}
        self._extensions: dict[int, int | Refusal] = {}
        self._api_version: dict[None, int | Refusal] = {}
        self._supported: dict[None, tuple[CpuidEntry, ...] | Refusal] = {}
        self._feature_msrs: dict[None, Mapping[int, int] | Refusal] = {}
        self._smoke: dict[None, SmokeRun | Refusal] = {}

    def snapshot(self, origin: Provenance) -> Snapshot:
        """All answers so far."""
        recorded = Snapshot(
            origin=origin,
            machine=self._host.machine(),
            files=dict(self._files),
            directories=dict(self._directories),
            links=dict(self._links),
            stats=dict(self._stats),
            options=dict(self._options),
            versions=dict(self._versions),
            groups=dict(self._groups),
            # A processor of which nothing was recorded leaves an empty table.
            cpuid={cpu: dict(t) for cpu, t in self._cpuid.items() if t},
            msrs={cpu: dict(t) for cpu, t in self._msrs.items() if t},
            kvm=KvmAnswers(
                self._api_version.get(None),
                dict(self._extensions),
                self._supported.get(None),
                self._feature_msrs.get(None),
            ),
            smoke=self._smoke.get(None),
        )
        if self._redaction is None:
            return recorded
        return self._redaction.snapshot(recorded)

    def machine(self) -> Machine:
        return self._host.machine()

    def read(self, path: str) -> bytes:
        return _kept(
            self._files,
            path,
            words.read(path),
            lambda: self._host.read(path),
        )

    def listdir(self, path: str) -> tuple[str, ...]:
        return _kept(
            self._directories,
            path,
            words.listdir(path),
            lambda: self._host.listdir(path),
        )

    def readlink(self, path: str) -> str:
        return _kept(
            self._links,
            path,
            words.readlink(path),
            lambda: self._host.readlink(path),
        )

    def stat(self, path: str) -> FileStat:
        return _kept(
            self._stats,
            path,
            words.stat(path),
            lambda: self._host.stat(path),
        )

    def options(
        self, path: str, wanted: Mapping[str, Sequence[str]]
    ) -> Options:
        try:
            answer = self._host.options(path, wanted)
        except Denied as denied:
            if denied.error != NOT_RECORDED:
                refusal = Refusal.of(denied, words.options(path))
                self._options[path] = refusal
            raise
        before = self._options.get(path)
        known: Mapping[str, Mapping[str, tuple[str, ...]]] = (
            {} if before is None or isinstance(before, Refusal) else before
        )
        self._options[path] = {
            section: {
                **known.get(section, {}),
                **{
                    name: tuple(answer.get(section, {}).get(name, ()))
                    for name in wanted.get(section, ())
                },
            }
            for section in dict.fromkeys([*known, *wanted])
        }
        return answer

    def versions(self, package: str) -> tuple[str, ...]:
        return _kept(
            self._versions,
            package,
            words.versions(package),
            lambda: self._host.versions(package),
        )

    def state_versions(self, package: str, versions: tuple[str, ...]) -> None:
        """Keep what a person stated instead of what the host answered."""
        self._versions[package] = versions

    def groups(self, user: str) -> tuple[str, ...]:
        return _kept(
            self._groups,
            user,
            words.groups(user),
            lambda: self._host.groups(user),
        )

    def cpuid(self, cpu: int, leaf: int, subleaf: int = 0) -> CpuidRegs:
        return _kept(
            self._cpuid.setdefault(cpu, {}),
            (leaf, subleaf),
            words.cpuid(cpu, leaf, subleaf),
            lambda: self._host.cpuid(cpu, leaf, subleaf),
        )

    def msr(self, cpu: int, index: int) -> int:
        return _kept(
            self._msrs.setdefault(cpu, {}),
            index,
            words.msr(cpu, index),
            lambda: self._host.msr(cpu, index),
        )

    def kvm_api_version(self) -> int:
        return _kept(
            self._api_version,
            None,
            words.KVM_API_VERSION,
            self._host.kvm_api_version,
        )

    def kvm_extension(self, capability: int) -> int:
        return _kept(
            self._extensions,
            capability,
            words.kvm_extension(capability),
            lambda: self._host.kvm_extension(capability),
        )

    def kvm_supported_cpuid(self) -> tuple[CpuidEntry, ...]:
        return _kept(
            self._supported,
            None,
            words.KVM_SUPPORTED_CPUID,
            self._host.kvm_supported_cpuid,
        )

    def kvm_feature_msrs(self) -> Mapping[int, int]:
        return _kept(
            self._feature_msrs,
            None,
            words.KVM_FEATURE_MSRS,
            self._host.kvm_feature_msrs,
        )

    def smoke(self) -> SmokeRun:
        return _kept(self._smoke, None, words.SMOKE, self._host.smoke)


def _kept(
    kept: MutableMapping[KeyT, FactT | Refusal],
    key: KeyT,
    what: str,
    ask: Callable[[], FactT],
) -> FactT:
    """Ask, and keep the answer or the denial; the last one counts."""
    try:
        answer = ask()
    except Denied as denied:
        if denied.error != NOT_RECORDED:
            kept[key] = Refusal.of(denied, what)
        raise
    kept[key] = answer
    return answer
