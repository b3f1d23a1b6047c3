# SPDX-License-Identifier: Apache-2.0
"""The abstract host: everything that can be asked of a machine.

Every fact passes through here, so a recorded host answers exactly as the
live one did, refusals included.
"""

from __future__ import annotations

import abc
import enum
import errno
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from hvfilter.host import question as questions
from hvfilter.host.facts import (
    CpuidEntry,
    CpuidRegs,
    FileStat,
    Machine,
    SmokeRun,
)
from hvfilter.host.question import Options, Question

FactT = TypeVar('FactT')
OtherT = TypeVar('OtherT')

READ_LIMIT = 16 * 1024 * 1024
"""Bytes of one file that are looked at; the rest is cut off. A cpuinfo of
4,096 processors is about 8 MiB."""

SMALL_LIMIT = 1024 * 1024
"""Bytes of any other file in a copy or a recording of a host. The kernel shows
no more than a page of most."""

LINES_LIMIT = 300_000
"""Lines of one file in a copy or a recording of a host. The cpuinfo of 4,096
processors has some 120,000."""

LIST_LIMIT = 65536
"""Entries of one directory that are looked at."""


class Holder(enum.Enum):
    """What is known of a host that is not asked itself; for messages."""

    RECORDING = 'recording'
    """What "hvfilter record" wrote."""

    COPY = 'copy'
    """Some of its files, in a directory."""

    DUMP = 'dump'
    """CPUID leaves and MSRs, printed by another tool."""


class Denied(Exception):
    """A fact could not be had.

    :ivar what: what was tried, such as ``read /dev/kvm``
    :ivar error: the errno's name, such as ``EACCES``; ``NOTRECORDED`` when
        a recording does not hold the fact
    :ivar text: the errno's text
    :ivar question: what a cached host was asked when it was denied
    :ivar holder: what does not hold the fact, with ``NOTRECORDED``
    """

    question: Question[Any] | None = None
    holder: Holder = Holder.RECORDING

    def __init__(self, what: str, error: str, text: str = '') -> None:
        self.what = what
        self.error = error
        self.text = text or error_text(error)
        super().__init__(f'{what}: {self.error} ({self.text})')

    @classmethod
    def from_os_error(cls, what: str, error: OSError) -> Denied:
        """The denial that an OSError means."""
        name = errno.errorcode.get(error.errno or 0, 'EIO')
        return cls(what, name, error.strerror or '')

    @classmethod
    def not_held(cls, what: str, holder: Holder) -> Denied:
        """The denial of a fact that was never kept."""
        denied = cls(
            what, NOT_RECORDED, f'the {holder.value} does not hold it'
        )
        denied.holder = holder
        return denied

    @property
    def not_found(self) -> bool:
        """The thing is not there, as opposed to: was refused."""
        return self.error in ('ENOENT', 'ENOTDIR', 'ENODEV', 'ENXIO')

    @property
    def forbidden(self) -> bool:
        """The thing is there and we may not have it."""
        return self.error in ('EACCES', 'EPERM')


def unless_denied(
    ask: Callable[[], FactT], otherwise: OtherT
) -> FactT | OtherT:
    """A fact; what to take for it where it cannot be had."""
    try:
        return ask()
    except Denied:
        return otherwise


NOT_RECORDED = 'NOTRECORDED'

UNKNOWN = 'unknown'
"""What a recording says of a machine that it does not know."""


def error_text(error: str) -> str:
    """The text of an errno's name; our own for a fact never recorded."""
    if error == NOT_RECORDED:
        return 'the recording does not hold it'
    number = getattr(errno, error, None)
    return os.strerror(number) if isinstance(number, int) else error


class Host(abc.ABC):
    """One machine: answers questions, or raises :class:`Denied`.

    Nothing on the machine is changed by any question. The methods beside
    :meth:`ask` are its questions by name.
    """

    origin: str
    """'live', or what recording this is."""

    @abc.abstractmethod
    def machine(self) -> Machine:
        """What kind of machine and kernel it is."""

    @abc.abstractmethod
    def ask(self, question: Question[FactT]) -> FactT:
        """The fact; NOT_RECORDED denies what this host has no way to know."""

    def read(self, path: str) -> bytes:
        """The content of a file, at most READ_LIMIT bytes."""
        return self.ask(questions.file(path))

    def listdir(self, path: str) -> tuple[str, ...]:
        """The names in a directory, sorted, at most LIST_LIMIT."""
        return self.ask(questions.directory(path))

    def stat(self, path: str) -> FileStat:
        """Kind, permissions and owners of a path."""
        return self.ask(questions.stat(path))

    def options(
        self, path: str, wanted: Mapping[str, Sequence[str]]
    ) -> Options:
        """The wanted options of an ini file, and never any other.

        :param wanted: section to option names; what the file does not set
            is left out of the answer
        """
        return self.ask(questions.options(path, wanted))

    def versions(self, package: str) -> tuple[str, ...]:
        """The installed versions of a Python package; sorted as text.

        :raises Denied: ENOENT when none is installed where packages usually
            lie, which proves nothing where it may run in a container
        """
        return self.ask(questions.versions(package))

    def groups(self, user: str) -> tuple[str, ...]:
        """The names of the groups of a local account, the first its own.

        :raises Denied: ENOENT when there is no such account
        """
        return self.ask(questions.groups(user))

    def cpuid(self, cpu: int, leaf: int, subleaf: int = 0) -> CpuidRegs:
        """One CPUID leaf of one logical processor, as it is."""
        return self.ask(questions.cpuid(cpu, leaf, subleaf))

    def msr(self, cpu: int, index: int) -> int:
        """One model-specific register of one logical processor."""
        return self.ask(questions.msr(cpu, index))

    def kvm_api_version(self) -> int:
        """KVM_GET_API_VERSION: proves that /dev/kvm opens."""
        return self.ask(questions.KVM_API_VERSION)

    def kvm_extension(self, capability: int) -> int:
        """KVM_CHECK_EXTENSION on /dev/kvm; 0 means not there."""
        return self.ask(questions.kvm_extension(capability))

    def kvm_supported_cpuid(self) -> tuple[CpuidEntry, ...]:
        """KVM_GET_SUPPORTED_CPUID: what guests can be given."""
        return self.ask(questions.KVM_SUPPORTED_CPUID)

    def kvm_feature_msrs(self) -> Mapping[int, int]:
        """KVM_GET_MSR_FEATURE_INDEX_LIST and KVM_GET_MSRS on /dev/kvm.

        An index that is listed but cannot be read is left out.
        """
        return self.ask(questions.KVM_FEATURE_MSRS)

    def smoke(self) -> SmokeRun:
        """Run a tiny guest, bounded in time, and leave nothing behind."""
        return self.ask(questions.SMOKE)

    def nested_smoke(self, capability: str) -> SmokeRun:
        """Run a tiny guest that runs one of its own; likewise bounded.

        :param capability: ``nested`` or ``nested_slat``
        """
        return self.ask(questions.nested_smoke(capability))
