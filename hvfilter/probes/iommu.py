# SPDX-License-Identifier: Apache-2.0
"""IOMMU and interrupt remapping: the tables, the drivers, the groups.

The firmware describes IOMMUs in the ACPI tables DMAR (Intel VT-d), IVRS
(AMD-Vi) and VIOT (virtual ones); elsewhere only the kernel shows them. A
driver that started one shows it in /sys/class/iommu; what is translated is in
/sys/kernel/iommu_groups (kernel drivers/iommu/iommu.c, iommu-sysfs.c).
Interrupts that are remapped go through a chip whose name says so: ``IR-`` on
x86, the ITS on Arm (kernel drivers/iommu/intel/irq_remapping.c, amd/iommu.c,
irq-gic-v3-its-*.c). What the kernel uses outranks what a table lacks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from hvfilter.host.base import NOT_RECORDED, Denied, unless_denied
from hvfilter.model.catalogue import Arch, Stage
from hvfilter.model.finding import Observation, Strength
from hvfilter.probes import iommu_cause
from hvfilter.probes.base import Probe
from hvfilter.probes.context import ProbeContext, number
from hvfilter.probes.evidence import Source
from hvfilter.probes.iommu_cause import NAMES, TABLES, Driver
from hvfilter.probes.machine_kind import Kind, kind
from hvfilter.probes.remedies import OTHER_HARDWARE

_CLASS = '/sys/class/iommu'
_GROUPS = '/sys/kernel/iommu_groups'
_IRQS = '/sys/kernel/irq'
_IRQ_LIMIT = 64
_ITS_IRQ_LIMIT = 1024
"""Interrupts whose chip is looked at; on Arm the ITS has the last ones."""

_GROUP_LIMIT = 4096

_DMAR_FLAGS = 37
"""Offset of the flags in the DMAR table; bit 0 is interrupt remapping
(VT-d specification sec. 8.1)."""

_ECAP_IR = 3
"""Bit of the VT-d extended capability register (VT-d spec. sec. 11.4.3)."""

_NOT_AN_IOMMU = 'vfio-noiommu'
"""The name of a group that VFIO makes for a device without an IOMMU."""

_REMAPPING_CHIPS = ('IR-', 'ITS')

_SHOWN_IN_CLASS = frozenset({Arch.X86, Arch.ARM64, Arch.RISCV64})
"""Where every driver shows its IOMMU in /sys/class/iommu."""

_HYPERV = (0x7263694D, 0x666F736F, 0x76482074)
"""CPUID.40000000 of Hyper-V: "Microsoft Hv" in EBX, ECX, EDX (kernel
arch/x86/kernel/cpu/mshyperv.c)."""


class Iommu(Probe):
    """What translates the addresses and interrupts of devices."""

    def observe(self, host: ProbeContext) -> Iterator[Observation]:
        yield from _tables(host)
        yield from _groups(host)
        yield from _chips(host)
        if host.arch is Arch.X86:
            yield from _dmar(host)
            yield from _ecap(host)


def _tables(host: ProbeContext) -> Iterator[Observation]:
    """Stages cpu and firmware: what the firmware describes."""
    asked = ', '.join(one.value for one in Driver)
    firmware = Source(Stage.FIRMWARE, Strength.FLAGS, TABLES, asked)
    keys = ('iommu', 'interrupt_remapping')
    elsewhere = host.arch not in (Arch.X86, Arch.IA64)
    try:
        names = host.names(TABLES)
        described = iommu_cause.driver(host)
    except Denied as denied:
        for key in () if elsewhere else keys:
            reason = "the firmware's tables cannot be listed"
            yield firmware.denied(key, denied, reason)
        return
    if described:
        cpu = Source(Stage.CPU, Strength.FLAGS, TABLES, asked)
        name, table = NAMES[described], described.value
        yield cpu.present('iommu', table, f'the machine has {name}')
        yield firmware.present(
            'iommu', table, f'the firmware describes {name}'
        )
    elif not elsewhere:
        for key in keys:
            yield _no_table(host, firmware, key, names)


def _no_table(
    host: ProbeContext, firmware: Source, key: str, names: tuple[str, ...]
) -> Observation:
    """A missing table says something only if others are there, and nothing
    under the kernel keeps it back."""
    remedy = iommu_cause.missing_table(host)
    if not names:
        reason = "the firmware's tables are not shown here"
        return firmware.unknown(key, 'no tables at all', reason)
    if kind(host) is Kind.XEN_CONTROL:
        reason = 'Xen keeps the IOMMU and hides its table'
        return firmware.unknown(key, 'none of them', reason, remedy)
    reason = 'the firmware describes no IOMMU'
    return firmware.absent(key, 'none of them', reason, remedy)


def _groups(host: ProbeContext) -> Iterator[Observation]:
    source = Source(
        Stage.KVM, Strength.PARAMETER, _GROUPS, 'groups of devices'
    )
    try:
        groups = host.names(_GROUPS)
    except Denied as denied:
        groups = ()
        if not denied.not_found or not _sysfs_shown(host):
            yield source.denied(
                'iommu', denied, 'the IOMMU groups cannot be listed'
            )
            return
    try:
        translated = _translated(host, groups)
    except Denied as denied:
        reason = 'whether an IOMMU made the groups is not known'
        yield source.denied('iommu', denied, reason)
        return
    if translated:
        yield from _in_use(host, source, translated)
        return
    value = f'{len(groups)}, all {_NOT_AN_IOMMU}' if groups else 'no groups'
    reason, remedy = iommu_cause.no_iommu(host)
    yield source.absent('iommu', value, reason, remedy)


def _in_use(
    host: ProbeContext, source: Source, groups: int
) -> Iterator[Observation]:
    """What the kernel uses is there, whatever a table lacks."""
    value = f'{groups} groups; drivers: {_drivers(host)}'
    reason = 'an IOMMU is in use and has groups'
    for stage in (Stage.CPU, Stage.FIRMWARE, Stage.KVM):
        used = dataclasses.replace(source, stage=stage)
        yield used.present('iommu', value, reason)


def _translated(host: ProbeContext, groups: tuple[str, ...]) -> int:
    """How many groups an IOMMU is behind.

    VFIO makes groups for devices without one (kernel drivers/vfio/group.c,
    vfio_noiommu_group_alloc), but only where no driver shows an IOMMU in
    /sys/class/iommu. Most other groups have no name.

    :raises Denied: where only names could show it, and one cannot be read
    """
    # None: then the names of the groups decide.
    listed = unless_denied(lambda: bool(host.names(_CLASS)), None)
    if listed:
        return len(groups)
    for at, group in enumerate(groups[:_GROUP_LIMIT]):
        try:
            name = host.text(f'{_GROUPS}/{group}/name')
        except Denied as denied:
            if denied.not_found or (
                # POWER and S/390 have drivers that show nothing there, and
                # recordings of earlier releases hold no names.
                denied.error == NOT_RECORDED
                and (listed is None or host.arch not in _SHOWN_IN_CLASS)
            ):
                return len(groups) - at
            raise
        if name != _NOT_AN_IOMMU:
            return len(groups) - at
    return 0


def _sysfs_shown(host: ProbeContext) -> bool:
    """Whether /sys is the kernel's own, not masked or empty."""
    return bool(unless_denied(lambda: host.names('/sys/kernel'), ()))


def _drivers(host: ProbeContext) -> str:
    names = unless_denied(lambda: host.names(_CLASS), ())
    shown = ', '.join(names[:4])
    return f'{shown}, ...' if len(names) > 4 else shown or 'none named'


def _chips(host: ProbeContext) -> Iterator[Observation]:
    source = Source(
        Stage.KVM, Strength.PARAMETER, f'{_IRQS}/*/chip_name', 'chip names'
    )
    key = 'interrupt_remapping'
    if host.arch is Arch.S390X:
        # arch/s390/pci/pci_irq.c: a function's interrupts are its own.
        yield source.present(
            key, 's390x', 'adapter interrupts are isolated by the hardware'
        )
        return
    try:
        chips = _chip_names(host)
    except Denied as denied:
        yield source.denied(key, denied, 'the interrupt chips cannot be seen')
        return
    value = ', '.join(chips) or 'none named'
    if any(chip.startswith(_REMAPPING_CHIPS) for chip in chips):
        yield from _remapped(host, source, value)
    elif host.arch is Arch.X86 and chips:
        reason, remedy = iommu_cause.no_remapping(host)
        yield source.absent(key, value, reason, remedy)
    else:
        yield source.unknown(
            key, value, 'the interrupt chips do not show whether they remap'
        )


def _remapped(
    host: ProbeContext, source: Source, value: str
) -> Iterator[Observation]:
    """What the kernel uses is there, whatever a table lacks.

    Except under Hyper-V, which redirects interrupts of I/O APICs to
    processors of high numbers by a chip of that name too, and isolates none
    (kernel drivers/iommu/hyperv-iommu.c: no isolated MSIs).
    """
    key = 'interrupt_remapping'
    only_hyperv = host.arch is Arch.X86 and _only_hyperv(host)
    if only_hyperv is None:
        reason = 'it cannot be seen whether only Hyper-V redirects interrupts'
        yield source.unknown(key, value, reason)
        return
    if only_hyperv:
        reason = 'Hyper-V redirects interrupts, and isolates none'
        remedy = iommu_cause.missing_table(host)
        yield source.absent(key, value, reason, remedy)
        return
    for stage in (Stage.CPU, Stage.FIRMWARE, Stage.KVM):
        used = dataclasses.replace(source, stage=stage)
        yield used.present(key, value, 'interrupts are remapped')


def _only_hyperv(host: ProbeContext) -> bool | None:
    """Whether the only remapping there can be is Hyper-V's; None when
    what is missing could have shown it."""
    # None: without the tables the processor may still name another.
    described = unless_denied(
        lambda: iommu_cause.driver(host) is not None, None
    )
    if described:
        return False
    hyperv = _hyperv(host)
    if hyperv and described is None:
        return None
    return hyperv


def _hyperv(host: ProbeContext) -> bool | None:
    """Whether Hyper-V runs this kernel; None when it may."""
    try:
        regs = host.cpuid(host.cpus[0], 0x40000000)
    except Denied:
        # Without CPUID a word of the flags shows that nothing does.
        pass
    else:
        return (regs.ebx, regs.ecx, regs.edx) == _HYPERV
    try:
        words = host.cpuinfo.words_anywhere('flags')
    except Denied:
        # Chips that remap are the stronger sign.
        return False
    return None if 'hypervisor' in words else False


def _in_order(host: ProbeContext, numbers: list[int]) -> list[int]:
    """The interrupts to look at, those that may be remapped first.

    On Arm the timer, the PMU and the platform's devices come first, often
    more than a hundred, and message-signalled interrupts after them.
    """
    if host.arch is Arch.ARM64:
        return sorted(numbers, reverse=True)[:_ITS_IRQ_LIMIT]
    return sorted(numbers)[:_IRQ_LIMIT]


def _chip_names(host: ProbeContext) -> tuple[str, ...]:
    """Chips of interrupts, the first that remaps being the last named."""
    numbers = [
        interrupt_number
        for interrupt_number in map(number, host.names(_IRQS))
        if interrupt_number is not None
    ]
    chips: dict[str, None] = {}
    for interrupt in _in_order(host, numbers):
        try:
            chip = host.text(f'{_IRQS}/{interrupt}/chip_name')
        except Denied:
            continue
        if chip:
            chips[chip] = None
        if chip.startswith(_REMAPPING_CHIPS):
            break
    return tuple(chips)


def _dmar(host: ProbeContext) -> Iterator[Observation]:
    """The DMAR table's flags, which root may read."""
    path = f'{TABLES}/DMAR'
    source = Source(
        Stage.FIRMWARE, Strength.REGISTER, path, 'flags bit 0 INTR_REMAP'
    )
    table = unless_denied(lambda: host.read(path), b'')
    if len(table) <= _DMAR_FLAGS:
        return
    flags = table[_DMAR_FLAGS]
    key = 'interrupt_remapping'
    if flags & 1:
        reason = 'the firmware offers interrupt remapping'
        yield source.present(key, f'{flags:#x}', reason)
    else:
        yield source.absent(
            key,
            f'{flags:#x}',
            'the DMAR table does not offer interrupt remapping',
            iommu_cause.DMAR_TABLE(),
        )


def _ecap(host: ProbeContext) -> Iterator[Observation]:
    names = unless_denied(lambda: host.names(_CLASS), ())
    units = [name for name in names if name.startswith('dmar')]
    values: dict[str, int] = {}
    for unit in units:
        try:
            text = host.text(f'{_CLASS}/{unit}/intel-iommu/ecap')
            values[unit] = int(text, 16)
        except (Denied, ValueError):
            return
    if not values:
        return
    source = Source(
        Stage.CPU,
        Strength.REGISTER,
        f'{_CLASS}/dmar*/intel-iommu/ecap',
        f'bit {_ECAP_IR} IR',
    )
    lacking = [u for u, value in values.items() if not value >> _ECAP_IR & 1]
    key = 'interrupt_remapping'
    if lacking:
        yield source.absent(
            key,
            f'not {", ".join(lacking)}',
            'not every IOMMU can remap interrupts',
            OTHER_HARDWARE(),
        )
    else:
        reason = 'every IOMMU can remap interrupts'
        yield source.present(key, f'{len(values)} units', reason)
