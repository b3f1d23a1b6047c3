# SPDX-License-Identifier: Apache-2.0
"""Snapshots written down as tables, one for each kind of fact."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from hvfilter.host import question
from hvfilter.host.answers import Refusal
from hvfilter.host.facts import (
    CpuidEntry,
    CpuidRegs,
    FileStat,
    Machine,
    SmokeRun,
)
from hvfilter.host.question import Kind, Options, Question
from hvfilter.host.snapshot import Provenance, Snapshot


@dataclasses.dataclass(frozen=True)
class KvmAnswers:
    """What /dev/kvm answered; None where it was not asked."""

    api_version: int | Refusal | None = None
    extensions: Mapping[int, int | Refusal] = dataclasses.field(
        default_factory=dict
    )
    supported_cpuid: tuple[CpuidEntry, ...] | Refusal | None = None
    feature_msrs: Mapping[int, int] | Refusal | None = None


@dataclasses.dataclass(frozen=True)
class Tables:
    """The answers by kind; processors have a table each.

    :ivar options: path of an ini file to the options asked of it, () for one
        that is not set
    """

    files: Mapping[str, bytes | Refusal] = dataclasses.field(
        default_factory=dict
    )
    directories: Mapping[str, tuple[str, ...] | Refusal] = dataclasses.field(
        default_factory=dict
    )
    stats: Mapping[str, FileStat | Refusal] = dataclasses.field(
        default_factory=dict
    )
    options: Mapping[str, Options | Refusal] = dataclasses.field(
        default_factory=dict
    )
    versions: Mapping[str, tuple[str, ...] | Refusal] = dataclasses.field(
        default_factory=dict
    )
    groups: Mapping[str, tuple[str, ...] | Refusal] = dataclasses.field(
        default_factory=dict
    )
    cpuid: Mapping[int, Mapping[tuple[int, int], CpuidRegs | Refusal]] = (
        dataclasses.field(default_factory=dict)
    )
    msrs: Mapping[int, Mapping[int, int | Refusal]] = dataclasses.field(
        default_factory=dict
    )
    kvm: KvmAnswers = KvmAnswers()
    smoke: SmokeRun | Refusal | None = None
    nested_smoke: Mapping[str, SmokeRun | Refusal] = dataclasses.field(
        default_factory=dict
    )

    def answers(self) -> dict[Question[Any], Any]:
        """Question to answer."""
        kvm = self.kvm
        singles = {
            question.KVM_API_VERSION: kvm.api_version,
            question.KVM_SUPPORTED_CPUID: kvm.supported_cpuid,
            question.KVM_FEATURE_MSRS: kvm.feature_msrs,
            question.SMOKE: self.smoke,
        }
        return {
            **_of(Kind.FILE, self.files),
            **_of(Kind.DIRECTORY, self.directories),
            **_of(Kind.STAT, self.stats),
            **_of(Kind.OPTIONS, self.options),
            **_of(Kind.VERSIONS, self.versions),
            **_of(Kind.GROUPS, self.groups),
            **_of(Kind.KVM_EXTENSION, kvm.extensions),
            **_of(Kind.NESTED_SMOKE, self.nested_smoke),
            **{
                question.cpuid(cpu, *at): answer
                for cpu, table in self.cpuid.items()
                for at, answer in table.items()
            },
            **{
                question.msr(cpu, index): answer
                for cpu, table in self.msrs.items()
                for index, answer in table.items()
            },
            **{ask: one for ask, one in singles.items() if one is not None},
        }


def _of(kind: Kind, table: Mapping[Any, Any]) -> dict[Question[Any], Any]:
    return {Question(kind, (key,)): one for key, one in table.items()}


def a_snapshot(
    origin: Provenance, machine: Machine, **tables: Any
) -> Snapshot:
    """The snapshot of these tables."""
    return Snapshot(origin, machine, Tables(**tables).answers())


def tables(recorded: Snapshot) -> Tables:
    """The tables of a snapshot."""

    def plain(kind: Kind) -> dict[Any, Any]:
        return {key: one for (key,), one in recorded.facts(kind).items()}

    def single(kind: Kind) -> Any:
        return recorded.facts(kind).get(())

    cpuid: dict[int, dict[tuple[int, int], CpuidRegs | Refusal]] = {}
    for (cpu, *at), regs in recorded.facts(Kind.CPUID).items():
        cpuid.setdefault(cpu, {})[tuple(at)] = regs
    msrs: dict[int, dict[int, int | Refusal]] = {}
    for (cpu, index), value in recorded.facts(Kind.MSR).items():
        msrs.setdefault(cpu, {})[index] = value
    return Tables(
        files=plain(Kind.FILE),
        directories=plain(Kind.DIRECTORY),
        stats=plain(Kind.STAT),
        options=plain(Kind.OPTIONS),
        versions=plain(Kind.VERSIONS),
        groups=plain(Kind.GROUPS),
        cpuid=cpuid,
        msrs=msrs,
        kvm=KvmAnswers(
            single(Kind.KVM_API_VERSION),
            plain(Kind.KVM_EXTENSION),
            single(Kind.KVM_SUPPORTED_CPUID),
            single(Kind.KVM_FEATURE_MSRS),
        ),
        smoke=single(Kind.SMOKE),
        nested_smoke=plain(Kind.NESTED_SMOKE),
    )


def changed(recorded: Snapshot, **new: Any) -> Snapshot:
    """The same with other tables, or another origin or machine."""
    head = {
        name: new.pop(name) for name in ('origin', 'machine') if name in new
    }
    answers = dataclasses.replace(tables(recorded), **new).answers()
    return dataclasses.replace(recorded, answers=answers, **head)
