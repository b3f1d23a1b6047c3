# SPDX-License-Identifier: Apache-2.0
"""What machines of every architecture have in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from hvfilter.host import door
from hvfilter.host.door import (
    CpuidEntry,
    CpuidRegs,
    FileKind,
    FileStat,
    Machine,
    Sample,
    SmokeRun,
)
from hvfilter.host.recorded import RecordedHost
from hvfilter.host.recording import RecordingHost
from hvfilter.host.snapshot import (
    KvmAnswers,
    Making,
    Provenance,
    Refusal,
    Snapshot,
)
from hvfilter.probes.host_report import probe_host
from hvfilter.probes.nova_options import WANTED

T = TypeVar('T')

MISSING = Refusal('ENOENT')
FORBIDDEN = Refusal('EACCES')

LIBVIRT = 'libvirt.LibvirtDriver'


class Made:
    """A snapshot in the making; every table may be changed at will."""

    def __init__(self, arch: str, kernel: str, note: str) -> None:
        self.note = note
        self.refusing = False
        self.machine = Machine(arch, kernel)
        self.files: dict[str, bytes | Refusal] = {}
        self.directories: dict[str, tuple[str, ...] | Refusal] = {}
        self.links: dict[str, str | Refusal] = {}
        self.stats: dict[str, FileStat | Refusal] = {}
        self.options: dict[
            str, dict[str, dict[str, tuple[str, ...]]] | Refusal
        ] = {}
        self.cpuid: dict[int, dict[tuple[int, int], CpuidRegs | Refusal]] = {}
        self.msrs: dict[int, dict[int, int | Refusal]] = {}
        self.kvm = KvmAnswers()
        self.smoke: SmokeRun | Refusal | None = Refusal(
            'ENOENT', what='/dev/kvm'
        )
        self.versions: dict[str, tuple[str, ...] | Refusal] = {
            'nova': ('34.0.0',)
        }
        self.groups: dict[str, tuple[str, ...] | Refusal] = {
            'libvirt-qemu': ('libvirt-qemu', 'kvm')
        }
        self.nova()

    def text(self, path: str, *lines: str) -> None:
        """A file of these lines."""
        self.files[path] = ''.join(f'{line}\n' for line in lines).encode()

    def raw(self, path: str, data: bytes) -> None:
        """A file of these bytes."""
        self.files[path] = data

    def nova(self, path: str = '/etc/nova/nova.conf', **given: str) -> None:
        """nova-compute's configuration: one file, these options set."""
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
        self.kvm = KvmAnswers(named, {}, named, named)
        self.smoke = named

    def iommu(self, *units: str, table: str = '', groups: int = 0) -> None:
        """ACPI tables, IOMMUs of these names and their groups."""
        tables = ['APIC', 'DSDT', 'FACP', 'MCFG', 'SSDT1']
        self.directories['/sys/firmware/acpi/tables'] = tuple(
            sorted([*tables, table] if table else tables)
        )
        self.directories['/sys/class/iommu'] = units
        self.directories['/sys/kernel/iommu_groups'] = tuple(
            sorted(map(str, range(groups)))
        )
        self.directories['/sys/kernel'] = ('debug', 'iommu_groups', 'irq')

    def chips(self, *names: str) -> None:
        """The chips of the first interrupts."""
        self.directories['/sys/kernel/irq'] = tuple(
            sorted(map(str, range(len(names))))
        )
        for number, name in enumerate(names):
            self.text(f'/sys/kernel/irq/{number}/chip_name', name)

    def snapshot(self) -> Snapshot:
        """As it stands; what is asked and is not there answers so."""
        given = self._given()
        world = _Refusing if self.refusing else _ClosedWorld
        recording = RecordingHost(world(given), None)
        probe_host(recording)
        asked = recording.snapshot(given.origin)
        return dataclasses.replace(
            given,
            files={**asked.files, **given.files},
            directories={**asked.directories, **given.directories},
            links={**asked.links, **given.links},
            stats={**asked.stats, **given.stats},
            options={**asked.options, **given.options},
            versions={**asked.versions, **given.versions},
            groups={**asked.groups, **given.groups},
            cpuid=asked.cpuid,
            msrs=asked.msrs,
            smoke=_first(given.smoke, asked.smoke),
            kvm=dataclasses.replace(
                given.kvm,
                api_version=_first(
                    given.kvm.api_version, asked.kvm.api_version
                ),
                extensions={**asked.kvm.extensions, **given.kvm.extensions},
                supported_cpuid=_first(
                    given.kvm.supported_cpuid, asked.kvm.supported_cpuid
                ),
                feature_msrs=_first(
                    given.kvm.feature_msrs, asked.kvm.feature_msrs
                ),
            ),
        )

    def _given(self) -> Snapshot:
        return Snapshot(
            origin=Provenance(Making.MADE, by='hand', note=self.note),
            machine=self.machine,
            files=self.files,
            directories=self.directories,
            links=self.links,
            stats=self.stats,
            options=self.options,
            versions=self.versions,
            groups=self.groups,
            cpuid=self.cpuid,
            msrs=self.msrs,
            kvm=self.kvm,
            smoke=self.smoke,
        )


def _first(given: Any, asked: Any) -> Any:
    return asked if given is None else given


class _ClosedWorld(RecordedHost):
    """What was not given is not there, as on a machine."""

    def read(self, path: str) -> bytes:
        return self._or(super().read, 'ENOENT', path)

    def listdir(self, path: str) -> tuple[str, ...]:
        return self._or(super().listdir, 'ENOENT', path)

    def readlink(self, path: str) -> str:
        return self._or(super().readlink, 'ENOENT', path)

    def stat(self, path: str) -> door.FileStat:
        return self._or(super().stat, 'ENOENT', path)

    def options(
        self, path: str, wanted: Mapping[str, Sequence[str]]
    ) -> door.Options:
        return self._or(super().options, 'ENOENT', path, wanted)

    def versions(self, package: str) -> tuple[str, ...]:
        return self._or(super().versions, 'ENOENT', package)

    def groups(self, user: str) -> tuple[str, ...]:
        return self._or(super().groups, 'ENOENT', user)

    def cpuid(self, cpu: int, leaf: int, subleaf: int = 0) -> CpuidRegs:
        error = 'ENXIO' if self.snapshot.cpuid else 'EOPNOTSUPP'
        return self._or(super().cpuid, error, cpu, leaf, subleaf)

    def msr(self, cpu: int, index: int) -> int:
        error = 'EIO' if self.snapshot.msrs else 'ENOENT'
        return self._or(super().msr, error, cpu, index)

    def kvm_extension(self, capability: int) -> int:
        known = self.snapshot.kvm.extensions.get(capability, 0)
        if isinstance(known, Refusal):
            raise known.denied('open /dev/kvm')
        self.kvm_api_version()
        return known

    def kvm_supported_cpuid(self) -> tuple[CpuidEntry, ...]:
        return self._or(super().kvm_supported_cpuid, 'ENOTTY')

    def kvm_feature_msrs(self) -> Mapping[int, int]:
        return self._or(super().kvm_feature_msrs, 'ENOTTY')

    def _or(self, ask: Callable[..., T], error: str, *question: Any) -> T:
        try:
            return ask(*question)
        except door.Denied as denied:
            if denied.error == door.NOT_RECORDED:
                raise door.Denied(denied.what, self._error(error)) from None
            raise

    def _error(self, error: str) -> str:
        return error


class _Refusing(_ClosedWorld):
    """What was not given may not be looked at."""

    def _error(self, error: str) -> str:
        return 'EACCES'

    def smoke(self) -> SmokeRun:
        return self._or(super().smoke, '')

    def kvm_api_version(self) -> int:
        return self._or(super().kvm_api_version, '')


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
