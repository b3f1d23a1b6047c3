# SPDX-License-Identifier: Apache-2.0
"""Everything that can be asked of a machine, as values.

A new kind of fact is a member of :class:`Kind` and a function here, a row in
:mod:`hvfilter.host.rows`, and how :class:`~hvfilter.host.live.LiveHost` asks
it.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

from hvfilter.host.facts import CpuidEntry, CpuidRegs, FileStat, SmokeRun

FactT = TypeVar('FactT')

Options = Mapping[str, Mapping[str, tuple[str, ...]]]
"""Section to option name to its values, in the order of the file."""

Wanted = tuple[tuple[str, tuple[str, ...]], ...]
"""Sections with the names of the options that are wanted of them."""


class Kind(enum.Enum):
    """Kinds of facts. The value is what was tried, for messages: the same
    for a live host and a recorded one."""

    FILE = 'read {}'
    DIRECTORY = 'list {}'
    STAT = 'stat {}'
    # Two members may not have the same value.
    OPTIONS = 'read {0}'
    VERSIONS = 'find the installed package {}'
    GROUPS = 'look up the groups of the account {}'
    CPUID = 'execute CPUID leaf {1:#x} subleaf {2} on CPU {0}'
    MSR = 'read MSR {1:#x} from /dev/cpu/{0}/msr'
    KVM_API_VERSION = 'KVM_GET_API_VERSION'
    KVM_EXTENSION = 'KVM_CHECK_EXTENSION {}'
    KVM_SUPPORTED_CPUID = 'KVM_GET_SUPPORTED_CPUID'
    KVM_FEATURE_MSRS = 'KVM_GET_MSR_FEATURE_INDEX_LIST'
    SMOKE = 'run a small guest'
    NESTED_SMOKE = 'run a guest in a small guest ({})'


@dataclasses.dataclass(frozen=True)
class Question(Generic[FactT]):
    """One question; as text, what was tried.

    :ivar kind: what kind of fact is asked for
    :ivar key: which one of its kind
    """

    kind: Kind
    key: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return self.kind.value.format(*self.key)


def file(path: str) -> Question[bytes]:
    """The content of a file."""
    return Question(Kind.FILE, (path,))


def directory(path: str) -> Question[tuple[str, ...]]:
    """The names in a directory, sorted."""
    return Question(Kind.DIRECTORY, (path,))


def stat(path: str) -> Question[FileStat]:
    """Kind, permissions and owners of a path."""
    return Question(Kind.STAT, (path,))


def options(
    path: str, wanted: Mapping[str, Sequence[str]]
) -> Question[Options]:
    """The wanted options of an ini file.

    :param wanted: section to option names
    """
    names: Wanted = tuple((key, tuple(of)) for key, of in wanted.items())
    return Question(Kind.OPTIONS, (path, names))


def versions(package: str) -> Question[tuple[str, ...]]:
    """The installed versions of a Python package."""
    return Question(Kind.VERSIONS, (package,))


def groups(user: str) -> Question[tuple[str, ...]]:
    """The names of the groups of a local account."""
    return Question(Kind.GROUPS, (user,))


def cpuid(cpu: int, leaf: int, subleaf: int) -> Question[CpuidRegs]:
    """One CPUID leaf of one logical processor."""
    return Question(Kind.CPUID, (cpu, leaf, subleaf))


def msr(cpu: int, index: int) -> Question[int]:
    """One model-specific register of one logical processor."""
    return Question(Kind.MSR, (cpu, index))


def kvm_extension(capability: int) -> Question[int]:
    """KVM_CHECK_EXTENSION on /dev/kvm."""
    return Question(Kind.KVM_EXTENSION, (capability,))


KVM_API_VERSION: Question[int] = Question(Kind.KVM_API_VERSION)
KVM_SUPPORTED_CPUID: Question[tuple[CpuidEntry, ...]]
KVM_SUPPORTED_CPUID = Question(Kind.KVM_SUPPORTED_CPUID)
KVM_FEATURE_MSRS: Question[Mapping[int, int]]
KVM_FEATURE_MSRS = Question(Kind.KVM_FEATURE_MSRS)
SMOKE: Question[SmokeRun] = Question(Kind.SMOKE)


def nested_smoke(capability: str) -> Question[SmokeRun]:
    """A small guest that runs a guest of its own.

    :param capability: what that needs: ``nested``, or ``nested_slat`` for
        one whose memory is mapped by nested paging
    """
    return Question(Kind.NESTED_SMOKE, (capability,))
