# SPDX-License-Identifier: Apache-2.0
"""What machines of every architecture have in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TypeVar, cast

from hvfilter.host import base
from hvfilter.host.answers import Refusal
from hvfilter.host.facts import (
    CpuidEntry,
    CpuidRegs,
    FileKind,
    FileStat,
    Machine,
    Sample,
    SmokeRun,
)
from hvfilter.host.question import Kind, Question
from hvfilter.host.recorded import RecordedHost
from hvfilter.host.recording import RecordingHost
from hvfilter.host.snapshot import Making, Provenance, Snapshot
from hvfilter.probes.host_report import probe_host
from hvfilter.probes.nova_options import WANTED
from tests.recordings import KvmAnswers, a_snapshot, tables

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
        self.nested_smoke: dict[str, SmokeRun | Refusal] = {}
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
        answers = {**recording.snapshot(given.origin).answers}
        # What nobody asks a processor for would only make it longer.
        answers.update(
            (question, answer)
            for question, answer in given.answers.items()
            if question.kind not in (Kind.CPUID, Kind.MSR)
        )
        return dataclasses.replace(given, answers=answers)

    def _given(self) -> Snapshot:
        return a_snapshot(
            origin=Provenance(Making.MADE, by='hand', note=self.note),
            machine=self.machine,
            files=self.files,
            directories=self.directories,
            stats=self.stats,
            options=self.options,
            versions=self.versions,
            groups=self.groups,
            cpuid=self.cpuid,
            msrs=self.msrs,
            kvm=self.kvm,
            smoke=self.smoke,
            nested_smoke=self.nested_smoke,
        )


_ERRORS: Mapping[Kind, str] = {
    Kind.KVM_SUPPORTED_CPUID: 'ENOTTY',
    Kind.KVM_FEATURE_MSRS: 'ENOTTY',
}
"""What denies a fact of a kind that was not given; ENOENT denies others."""


class _ClosedWorld(RecordedHost):
    """What was not given is not there, as on a machine."""

    def ask(self, question: Question[T]) -> T:
        if question.kind is Kind.KVM_EXTENSION:
            return cast(T, self._extension(*question.key))
        try:
            return super().ask(question)
        except base.Denied as denied:
            error = self._error(question.kind)
            if denied.error == base.NOT_RECORDED and error:
                raise base.Denied(denied.what, error) from None
            raise

    def _extension(self, number: int) -> int:
        known = tables(self.snapshot).kvm.extensions.get(number, 0)
        if isinstance(known, Refusal):
            raise known.denied('open /dev/kvm')
        self.kvm_api_version()
        return known

    def _error(self, kind: Kind) -> str:
        given = tables(self.snapshot)
        if kind in (Kind.KVM_API_VERSION, Kind.SMOKE, Kind.NESTED_SMOKE):
            return ''
        if kind is Kind.CPUID:
            return 'ENXIO' if given.cpuid else 'EOPNOTSUPP'
        if kind is Kind.MSR:
            return 'EIO' if given.msrs else 'ENOENT'
        return _ERRORS.get(kind, 'ENOENT')


class _Refusing(_ClosedWorld):
    """What was not given may not be looked at."""

    def _error(self, kind: Kind) -> str:
        return 'EACCES'


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
