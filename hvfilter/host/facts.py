# SPDX-License-Identifier: Apache-2.0
"""The values that questions are answered with."""

from __future__ import annotations

import dataclasses
import enum


@dataclasses.dataclass(frozen=True)
class Machine:
    """``uname``: arch as of ``uname -m``, kernel as of ``uname -r``."""

    arch: str
    kernel: str


class FileKind(enum.Enum):
    """What a path is."""

    FILE = 'file'
    DIRECTORY = 'directory'
    CHAR = 'char'
    OTHER = 'other'


@dataclasses.dataclass(frozen=True)
class FileStat:
    """What ``stat`` shows, links followed.

    :ivar mode: permission bits
    :ivar owner: the owner's name, its number as text when it has none
    :ivar group: the group's name, its number as text when it has none
    :ivar acl: the entries of its access control list beyond the mode, as
        ``getfacl`` prints them: ``user:<name>:rw-``, ``group:<name>:rw-``,
        ``mask::rw-``; () when there are none
    """

    kind: FileKind
    mode: int
    owner: str
    group: str
    acl: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class CpuidRegs:
    """One CPUID answer: four 32-bit registers."""

    eax: int
    ebx: int
    ecx: int
    edx: int


@dataclasses.dataclass(frozen=True)
class CpuidEntry:
    """One line of a CPUID table, ``struct kvm_cpuid_entry2``."""

    leaf: int
    subleaf: int
    regs: CpuidRegs


@dataclasses.dataclass(frozen=True)
class Sample:
    """One timed loop in the guest beside the same loop on the host.

    :ivar iterations: passes of the two-instruction loop
    :ivar guest_ns: wall time of the KVM_RUN, its fixed cost included
    :ivar host_ns: wall time of the same loop run natively
    """

    iterations: int
    guest_ns: int
    host_ns: int


@dataclasses.dataclass(frozen=True)
class SmokeRun:
    """What happened when a tiny guest was run; judged elsewhere.

    :ivar steps: step name to outcome, in order: ``('create_vm', 'ok')``,
        ``('real_mode', 'IO')``, ``('long_mode', 'IO')``; the outcome is
        'ok', a KVM exit reason's name, an errno's name or 'TIMEOUT'; of a
        guest in a guest see ``NestedGuest.refined``
    :ivar samples: of the long-mode loop, as measured
    :ivar elapsed_ns: wall time of the whole run, all attempts included
    :ivar attempts: how many times a guest was started; steps and samples
        are those of the last attempt
    """

    steps: tuple[tuple[str, str], ...]
    samples: tuple[Sample, ...]
    elapsed_ns: int
    attempts: int = 1
