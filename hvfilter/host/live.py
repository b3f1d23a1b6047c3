# SPDX-License-Identifier: Apache-2.0
"""This very machine, right now."""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pathlib
import pwd
import stat as modes
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, cast

from hvfilter.host import (
    accounts,
    acl,
    base,
    cpuid,
    facts,
    ini,
    installed,
    kvm,
    msr,
    nested_guest,
    nested_svm,
    nested_vmx,
    smoke,
    smoke_arm64,
    smoke_riscv64,
    smoke_x86,
)
from hvfilter.host import question as questions
from hvfilter.host.question import Kind, Options, Question, Wanted

FactT = TypeVar('FactT')

SMOKE_GUESTS: Mapping[str, type[smoke.Guest]] = {
    'x86_64': smoke_x86.Guest,
    'aarch64': smoke_arm64.Guest,
    'riscv64': smoke_riscv64.Guest,
}
"""By ``uname -m``."""

_SVM, _VMX = 'svm', 'vmx'

NESTED_GUESTS: Mapping[tuple[str, str], type[nested_guest.NestedGuest]] = {
    (_SVM, 'nested'): nested_svm.SvmGuest,
    (_SVM, 'nested_slat'): nested_svm.NptGuest,
    (_VMX, 'nested'): nested_vmx.VmxGuest,
    (_VMX, 'nested_slat'): nested_vmx.EptGuest,
}
"""By what KVM offers to guests, and the capability that is to be shown."""

DEVICES = '/dev'


class LiveHost(base.Host):
    """Looks at the machine and changes nothing on it.

    No answer is kept: what is asked twice is looked up twice.

    :param smoke: False: never run a guest
    :param devices: where KVM's device and those of the processors lie
    """

    origin = 'live'

    def __init__(self, *, smoke: bool = True, devices: str = DEVICES) -> None:
        self._run_guests = smoke
        self._kvm = f'{devices}/kvm'
        self._cpus = f'{devices}/cpu'
        self._how: Mapping[Kind, Callable[..., Any]] = {
            Kind.FILE: _read,
            Kind.DIRECTORY: _list,
            Kind.STAT: _stat,
            Kind.OPTIONS: _options,
            Kind.VERSIONS: self._versions,
            Kind.GROUPS: lambda user: accounts.groups(user, self.read),
            Kind.CPUID: lambda cpu, leaf, sub: cpuid.read(
                cpu, leaf, sub, self._cpus
            ),
            Kind.MSR: lambda cpu, index: msr.read(cpu, index, self._cpus),
            Kind.KVM_API_VERSION: self._of_kvm(kvm.Device.api_version),
            Kind.KVM_EXTENSION: self._of_kvm(kvm.Device.extension),
            Kind.KVM_SUPPORTED_CPUID: self._of_kvm(kvm.Device.supported_cpuid),
            Kind.KVM_FEATURE_MSRS: self._of_kvm(kvm.Device.feature_msrs),
            Kind.SMOKE: self._smoke,
            Kind.NESTED_SMOKE: self._nested_smoke,
        }

    def machine(self) -> facts.Machine:
        """As of ``uname``."""
        names = os.uname()
        return facts.Machine(names.machine, names.release)

    def ask(self, question: Question[FactT]) -> FactT:
        """See each kind's function below for what denies it."""
        return cast(FactT, self._how[question.kind](*question.key))

    def _versions(self, package: str) -> tuple[str, ...]:
        """Of the whole host; a program may have its own environment."""
        return installed.versions(package, self.listdir, self.read)

    def _of_kvm(self, ask: Callable[..., FactT]) -> Callable[..., FactT]:
        """Opens /dev/kvm for one question; ENOTTY or EINVAL where KVM has
        no such."""

        def asked(*key: int) -> FactT:
            with kvm.Device(self._kvm) as device:
                return ask(device, *key)

        return asked

    def _smoke(self) -> facts.SmokeRun:
        """Milliseconds; at most ``smoke.WHOLE_NS``, unless KVM itself hangs.

        :raises Denied: ECANCELED when switched off, EOPNOTSUPP when
            there is no guest for this architecture, and what opening
            /dev/kvm met
        """
        what = str(questions.SMOKE)
        if not self._run_guests:
            raise base.Denied(what, 'ECANCELED', 'switched off by --no-smoke')
        arch = self.machine().arch
        guest = SMOKE_GUESTS.get(arch)
        if guest is None:
            raise base.Denied(what, 'EOPNOTSUPP', f'no guest for {arch}')
        with kvm.Device(self._kvm) as device:
            return smoke.run(device, guest)

    def _nested_smoke(self, capability: str) -> facts.SmokeRun:
        """As :meth:`_smoke`, at most ``nested_guest.WHOLE_NS``; whether it is
        to be tried, the probe decides.

        :raises Denied: ECANCELED when switched off, EOPNOTSUPP when KVM
            offers guests neither SVM nor VMX, and what opening /dev/kvm met
        """
        what = str(questions.nested_smoke(capability))
        if not self._run_guests:
            raise base.Denied(what, 'ECANCELED', 'switched off by --no-smoke')
        with kvm.Device(self._kvm) as device:
            guest = NESTED_GUESTS.get((_extension(device), capability))
            if guest is None:
                text = 'KVM offers guests neither SVM nor VMX'
                raise base.Denied(what, 'EOPNOTSUPP', text)
            return smoke.run(device, guest, nested_guest.WHOLE_NS)


def _extension(device: kvm.Device) -> str:
    """The extension that guests are offered: CPUID 80000001:ECX[2] (APM
    volume 3, appendix E) or 1:ECX[5] (SDM volume 2, CPUID)."""
    for entry in device.supported_cpuid():
        if entry.leaf == 0x80000001 and entry.regs.ecx >> 2 & 1:
            return _SVM
        if entry.leaf == 1 and entry.regs.ecx >> 5 & 1:
            return _VMX
    return ''


def _read(path: str) -> bytes:
    """Regular files only.

    :raises Denied: EINVAL for a device, as reading one may block or change
        something
    """
    # Opening a FIFO would wait for a writer.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    with _denying(questions.file(path)):
        _refuse_devices(path)
        descriptor = os.open(path, flags)
        try:
            return _content(descriptor)
        finally:
            os.close(descriptor)


def _list(path: str) -> tuple[str, ...]:
    with _denying(questions.directory(path)):
        names = sorted(entry.name for entry in pathlib.Path(path).iterdir())
    return tuple(names[: base.LIST_LIMIT])


def _stat(path: str) -> facts.FileStat:
    """Links followed; the path is not opened."""
    with _denying(questions.stat(path)):
        status = pathlib.Path(path).stat()
    return facts.FileStat(
        kind=_kind(status.st_mode),
        mode=modes.S_IMODE(status.st_mode),
        owner=_user(status.st_uid),
        group=_group(status.st_gid),
        acl=acl.entries(path, _user, _group),
    )


def _options(path: str, wanted: Wanted) -> Options:
    """Read as oslo.config reads; what is not wanted is dropped."""
    return ini.options(path, _read(path), dict(wanted))


@contextlib.contextmanager
def _denying(question: Question[Any]) -> Iterator[None]:
    what = str(question)
    try:
        yield
    except OSError as error:
        raise base.Denied.from_os_error(what, error) from error
    except ValueError as error:  # a NUL in a path
        raise base.Denied(what, 'EINVAL', str(error)) from error


def _refuse_devices(path: str) -> None:
    """Before opening, since opening alone may do something."""
    mode = pathlib.Path(path).stat().st_mode
    if modes.S_ISDIR(mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not modes.S_ISREG(mode):
        raise OSError(errno.EINVAL, 'not a regular file')


def _content(descriptor: int) -> bytes:
    parts = []
    left = base.READ_LIMIT
    while left > 0:
        part = os.read(descriptor, min(left, 1 << 20))
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b''.join(parts)


def _kind(mode: int) -> facts.FileKind:
    if modes.S_ISREG(mode):
        return facts.FileKind.FILE
    if modes.S_ISDIR(mode):
        return facts.FileKind.DIRECTORY
    if modes.S_ISCHR(mode):
        return facts.FileKind.CHAR
    return facts.FileKind.OTHER


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
