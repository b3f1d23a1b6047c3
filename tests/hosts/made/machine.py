# SPDX-License-Identifier: Apache-2.0
"""What machines of every architecture have in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from hvfilter.host.door import (
    CpuidEntry,
    CpuidRegs,
    FileKind,
    FileStat,
    Machine,
    Sample,
    SmokeRun,
)
from hvfilter.host.snapshot import (
    KvmAnswers,
    Making,
    Provenance,
    Refusal,
    Snapshot,
)
from hvfilter.probes.nova_options import WANTED

MISSING = Refusal('ENOENT')
FORBIDDEN = Refusal('EACCES')

_NOVA_FILES = (
    '/etc/nova/nova.conf',
    '/etc/nova/nova-compute.conf',
    '/etc/kolla/nova-compute/nova.conf',
)
_NOVA_DIRECTORIES = ('/etc/nova/nova.conf.d', '/etc/nova/nova-compute.conf.d')

LIBVIRT = 'libvirt.LibvirtDriver'


class Made:
    """A snapshot in the making; every table may be changed at will."""

    def __init__(self, arch: str, kernel: str, note: str) -> None:
        self.note = note
        self.machine = Machine(arch, kernel)
        self.files: dict[str, bytes | Refusal] = {}
        self.directories: dict[str, tuple[str, ...] | Refusal] = {}
        self.links: dict[str, str | Refusal] = {}
        self.stats: dict[str, FileStat | Refusal] = {}
        self.options: dict[str, dict[str, dict[str, tuple[str, ...]]]] = {}
        self.no_options: dict[str, Refusal] = {}
        self.cpuid: dict[int, dict[tuple[int, int], CpuidRegs | Refusal]] = {}
        self.msrs: dict[int, dict[int, int | Refusal]] = {}
        self.kvm = KvmAnswers()
        self.smoke: SmokeRun | Refusal = Refusal('ENOENT', what='/dev/kvm')
        self.nova()

    def text(self, path: str, *lines: str) -> None:
        """A file of these lines."""
        self.files[path] = ''.join(f'{line}\n' for line in lines).encode()

    def missing(self, *paths: str) -> None:
        """Files and directories that are not there."""
        for path in paths:
            self.files[path] = MISSING
            self.directories[path] = MISSING

    def nova(self, path: str = _NOVA_FILES[0], **given: str) -> None:
        """nova-compute's configuration: one file, these options set."""
        for other in _NOVA_FILES:
            self.no_options.setdefault(other, MISSING)
        for directory in _NOVA_DIRECTORIES:
            self.directories.setdefault(directory, MISSING)
        self.no_options.pop(path, None)
        values = {'compute_driver': LIBVIRT, **given}
        self.options[path] = {
            section: {
                name: (values[name],) if name in values else ()
                for name in names
            }
            for section, names in WANTED.items()
        }

    def no_nova(self) -> None:
        """No configuration of Nova at all."""
        self.options = {}
        self.no_options = dict.fromkeys(_NOVA_FILES, MISSING)

    def modules(self, loaded: Mapping[str, Mapping[str, str]]) -> None:
        """Modules to their parameters."""
        base = ('8250', 'ahci', 'bridge', 'kernel', 'loop', 'printk', 'tun')
        self.directories['/sys/module'] = tuple(sorted({*base, *loaded}))
        for module, parameters in loaded.items():
            folder = f'/sys/module/{module}/parameters'
            if parameters:
                self.directories[folder] = tuple(sorted(parameters))
            for name, value in parameters.items():
                self.text(f'{folder}/{name}', value)

    def misc(self, kvm: bool) -> None:
        """/proc/misc, and /dev/kvm as udev makes it."""
        self.text(
            '/proc/misc',
            *(['232 kvm'] if kvm else []),
            '125 vhost-net',
            '126 tun',
            '  1 psaux',
        )
        self.stats['/dev/kvm'] = (
            FileStat(FileKind.CHAR, 0o660, 'root', 'kvm') if kvm else MISSING
        )

    def no_kvm(self, refusal: Refusal = MISSING) -> None:
        """/dev/kvm does not open."""
        named = dataclasses.replace(refusal, what='open /dev/kvm')
        known = self.kvm.extensions or {60: 0}
        self.kvm = KvmAnswers(named, dict.fromkeys(known, named), named, named)
        self.smoke = named

    def snapshot(self) -> Snapshot:
        """As it stands."""
        return Snapshot(
            origin=Provenance(Making.MADE, by='hand', note=self.note),
            machine=self.machine,
            files=self.files,
            directories=self.directories,
            links=self.links,
            stats=self.stats,
            options={**self.options, **self.no_options},
            cpuid=self.cpuid,
            msrs=self.msrs,
            kvm=self.kvm,
            smoke=self.smoke,
        )


def entries(
    table: Mapping[tuple[int, int], CpuidRegs],
) -> tuple[CpuidEntry, ...]:
    """A CPUID table as KVM returns it."""
    return tuple(
        CpuidEntry(leaf, subleaf, regs)
        for (leaf, subleaf), regs in sorted(table.items())
    )


def bits(*numbers: int) -> int:
    """A word with these bits set."""
    return sum(1 << number for number in numbers)


def timed(
    guest_ns: float,
    host_ns: float = 0.5,
    fixed_ns: int = 9_000,
    lengths: Sequence[int] = (1, 512, 8192, 131072),
    step: str = 'IO',
) -> SmokeRun:
    """A run to the end, timed; each length three times, with some noise.

    :param guest_ns: time of an iteration in the guest
    :param host_ns: time of an iteration on the host
    :param fixed_ns: time of a KVM_RUN without any iteration
    """
    samples = tuple(
        Sample(
            length,
            int(fixed_ns + guest_ns * length + 13 * noise),
            int(35 + host_ns * length + noise),
        )
        for length in lengths
        for noise in (17, 0, 5)
    )
    return SmokeRun(
        (('create_vm', 'ok'), ('real_mode', step), ('long_mode', step)),
        samples,
        sum(sample.guest_ns + sample.host_ns for sample in samples) + 900_000,
    )


def failed(step: str, error: str) -> SmokeRun:
    """A run that broke off at a step."""
    order = ['create_vm', 'real_mode', 'long_mode']
    before = order[: order.index(step)]
    steps = [(s, 'ok' if s == 'create_vm' else 'IO') for s in before]
    return SmokeRun((*steps, (step, error)), (), 700_000)
