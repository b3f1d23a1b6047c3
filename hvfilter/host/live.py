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
from collections.abc import Iterator, Mapping, Sequence

from hvfilter.host import (
    accounts,
    acl,
    cpuid,
    door,
    ini,
    installed,
    kvm,
    msr,
    smoke,
    smoke_arm64,
    smoke_riscv64,
    smoke_x86,
)

SMOKE_GUESTS: Mapping[str, type[smoke.Guest]] = {
    'x86_64': smoke_x86.Guest,
    'aarch64': smoke_arm64.Guest,
    'riscv64': smoke_riscv64.Guest,
}
"""By ``uname -m``."""

DEVICES = '/dev'


class LiveHost(door.Host):
    """Looks at the machine and changes nothing on it.

    No answer is kept: what is asked twice is looked up twice.

    :param smoke: False tells it never to run a guest
    :param devices: where KVM's device and those of the processors lie
    """

    origin = 'live'

    def __init__(self, *, smoke: bool = True, devices: str = DEVICES) -> None:
        self._smoke = smoke
        self._kvm = f'{devices}/kvm'
        self._cpus = f'{devices}/cpu'

    def machine(self) -> door.Machine:
        """As of ``uname``."""
        names = os.uname()
        return door.Machine(names.machine, names.release)

    def read(self, path: str) -> bytes:
        """Regular files only.

        :raises Denied: EINVAL for a device, as reading one may block or
            change something
        """
        # Opening a FIFO would wait for a writer.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        with _denying(f'read {path}'):
            _refuse_devices(path)
            descriptor = os.open(path, flags)
            try:
                return _content(descriptor)
            finally:
                os.close(descriptor)

    def listdir(self, path: str) -> tuple[str, ...]:
        """Sorted by name."""
        with _denying(f'list {path}'):
            names = sorted(
                entry.name for entry in pathlib.Path(path).iterdir()
            )
        return tuple(names[: door.LIST_LIMIT])

    def readlink(self, path: str) -> str:
        """As the link says, which may be relative."""
        with _denying(f'read the link {path}'):
            return str(pathlib.Path(path).readlink())

    def stat(self, path: str) -> door.FileStat:
        """Links followed; the path is not opened."""
        with _denying(f'stat {path}'):
            status = pathlib.Path(path).stat()
        return door.FileStat(
            kind=_kind(status.st_mode),
            mode=modes.S_IMODE(status.st_mode),
            owner=_user(status.st_uid),
            group=_group(status.st_gid),
            acl=acl.entries(path, _user, _group),
        )

    def options(
        self, path: str, wanted: Mapping[str, Sequence[str]]
    ) -> door.Options:
        """Read as oslo.config reads; what is not wanted is dropped."""
        return ini.options(path, self.read(path), wanted)

    def versions(self, package: str) -> tuple[str, ...]:
        """Of the whole host; a program may have its own environment."""
        return installed.versions(package, self.listdir, self.read)

    def groups(self, user: str) -> tuple[str, ...]:
        """Local accounts only: services have such, and nobody is asked
        over the network."""
        return accounts.groups(user, self.read)

    def cpuid(self, cpu: int, leaf: int, subleaf: int = 0) -> door.CpuidRegs:
        """Executed here, or else read from the ``cpuid`` module.

        :raises Denied: ENXIO for a leaf the processor does not have
        """
        return cpuid.read(cpu, leaf, subleaf, self._cpus)

    def msr(self, cpu: int, index: int) -> int:
        """From the ``msr`` module.

        :raises Denied: EIO when the processor refuses the register
        """
        return msr.read(cpu, index, self._cpus)

    def kvm_api_version(self) -> int:
        """12 since 2007."""
        with kvm.Device(self._kvm) as device:
            return device.api_version()

    def kvm_extension(self, capability: int) -> int:
        """0 when KVM does not have it."""
        with kvm.Device(self._kvm) as device:
            return device.extension(capability)

    def kvm_supported_cpuid(self) -> tuple[door.CpuidEntry, ...]:
        """On x86; elsewhere denied with ENOTTY or EINVAL."""
        with kvm.Device(self._kvm) as device:
            return device.supported_cpuid()

    def kvm_feature_msrs(self) -> dict[int, int]:
        """On x86; elsewhere denied with ENOTTY or EINVAL."""
        with kvm.Device(self._kvm) as device:
            return device.feature_msrs()

    def smoke(self) -> door.SmokeRun:
        """Milliseconds; at most ``smoke.LIMIT_NS``, unless KVM itself hangs.

        :raises Denied: ECANCELED when told not to run, EOPNOTSUPP when
            there is no guest for this architecture, and what opening
            /dev/kvm met
        """
        what = 'run a small guest'
        if not self._smoke:
            raise door.Denied(what, 'ECANCELED', 'told not to run')
        arch = self.machine().arch
        guest = SMOKE_GUESTS.get(arch)
        if guest is None:
            raise door.Denied(what, 'EOPNOTSUPP', f'no guest for {arch}')
        with kvm.Device(self._kvm) as device:
            return smoke.run(device, guest)


@contextlib.contextmanager
def _denying(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise door.Denied.from_os_error(what, error) from error
    except ValueError as error:  # a NUL in a path
        raise door.Denied(what, 'EINVAL', str(error)) from error


def _refuse_devices(path: str) -> None:
    """Before opening, since opening alone may do something."""
    mode = pathlib.Path(path).stat().st_mode
    if modes.S_ISDIR(mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not modes.S_ISREG(mode):
        raise OSError(errno.EINVAL, 'not a regular file')


def _content(descriptor: int) -> bytes:
    parts = []
    left = door.READ_LIMIT
    while left > 0:
        part = os.read(descriptor, min(left, 1 << 20))
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b''.join(parts)


def _kind(mode: int) -> door.FileKind:
    if modes.S_ISREG(mode):
        return door.FileKind.FILE
    if modes.S_ISDIR(mode):
        return door.FileKind.DIRECTORY
    if modes.S_ISCHR(mode):
        return door.FileKind.CHAR
    return door.FileKind.OTHER


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
