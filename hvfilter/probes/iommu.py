# SPDX-License-Identifier: Apache-2.0
"""IOMMU and interrupt remapping: the tables, the drivers, the groups.

The firmware tells of IOMMUs in the ACPI tables DMAR (Intel VT-d) and IVRS
(AMD-Vi); elsewhere only the kernel does. A driver that started one shows it in
/sys/class/iommu; what is translated is in /sys/kernel/iommu_groups
(kernel drivers/iommu/iommu.c, iommu-sysfs.c). Interrupts that are remapped
go through a chip whose name says so: ``IR-`` on x86, the ITS on Arm (kernel
drivers/iommu/intel/irq_remapping.c, amd/iommu.c, irq-gic-v3-its-*.c).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hvfilter.host.door import Denied
from hvfilter.model.catalogue import Arch, Stage
from hvfilter.model.finding import Observation, Strength
from hvfilter.probes.asking import Question
from hvfilter.probes.base import Probe
from hvfilter.probes.context import Look, number

_TABLES = '/sys/firmware/acpi/tables'
_IOMMU_TABLES = {'DMAR': 'Intel VT-d', 'IVRS': 'AMD-Vi'}
_CLASS = '/sys/class/iommu'
_GROUPS = '/sys/kernel/iommu_groups'
_IRQS = '/sys/kernel/irq'
_IRQ_LIMIT = 64

_DMAR_FLAGS = 37
"""Offset of the flags in the DMAR table; bit 0 is interrupt remapping
(VT-d specification sec. 8.1)."""

_ECAP_IR = 3
"""Bit of the VT-d extended capability register (VT-d spec. sec. 11.4.3)."""

_SWITCHED_OFF = re.compile(
    r'(?:^|\s)((?:intel_iommu|amd_iommu|iommu)=(?:[^\s]*,)?off(?:,[^\s]*)?)'
)
_REMAPPING_OFF = re.compile(r'(?:^|\s)(intremap=off|nointremap)(?:\s|$)')

_SETUP = (
    'switch the IOMMU (VT-d, AMD-Vi, SMMU) on in the firmware setup; on a '
    'virtual machine, give it a virtual IOMMU'
)


class Iommu(Probe):
    """What translates the addresses and interrupts of devices."""

    def observe(self, look: Look) -> Iterator[Observation]:
        yield from _tables(look)
        yield from _groups(look)
        yield from _chips(look)
        if look.arch is Arch.X86:
            yield from _dmar(look)
            yield from _ecap(look)


def _table(look: Look) -> str:
    """The table that describes IOMMUs, '' for none; raises Denied."""
    names = look.names(_TABLES)
    return next((name for name in _IOMMU_TABLES if name in names), '')


def _tables(look: Look) -> Iterator[Observation]:
    """Stages cpu and firmware."""
    asked = ', '.join(_IOMMU_TABLES)
    firmware = Question(Stage.FIRMWARE, Strength.FLAGS, _TABLES, asked)
    keys = ('iommu', 'interrupt_remapping')
    elsewhere = look.arch not in (Arch.X86, Arch.IA64)
    try:
        table = _table(look)
    except Denied as denied:
        for key in () if elsewhere else keys:
            reason = "the firmware's tables cannot be seen"
            yield firmware.denied(key, denied, reason)
        return
    if table:
        cpu = Question(Stage.CPU, Strength.FLAGS, _TABLES, asked)
        kind = _IOMMU_TABLES[table]
        yield cpu.present('iommu', table, f'the machine has {kind}')
        yield firmware.present('iommu', table, f'the firmware offers {kind}')
    else:
        for key in () if elsewhere else keys:
            yield firmware.absent(
                key, 'none of them', 'the firmware offers no IOMMU', _SETUP
            )


def _cmdline(look: Look, pattern: re.Pattern[str]) -> str:
    """The kernel parameter that switches it off, '' when none does."""
    try:
        found = pattern.search(look.text('/proc/cmdline'))
    except Denied:
        return ''
    return found[1] if found else ''


def _groups(look: Look) -> Iterator[Observation]:
    question = Question(
        Stage.KVM, Strength.PARAMETER, _GROUPS, 'groups of devices'
    )
    try:
        groups = look.names(_GROUPS)
    except Denied as denied:
        groups = ()
        if not denied.missing or not _sysfs_shown(look):
            yield question.denied(
                'iommu', denied, 'the IOMMU groups cannot be seen'
            )
            return
    if groups:
        value = f'{len(groups)} groups; drivers: {_drivers(look)}'
        yield question.present(
            'iommu', value, 'an IOMMU is active and has groups'
        )
        return
    try:
        table = _table(look)
    except Denied:
        table = ''
    off = _cmdline(look, _SWITCHED_OFF)
    if off:
        reason = f'the IOMMU is switched off on the kernel command line: {off}'
        remedy = f'take {off} off the kernel command line and reboot'
    elif table:
        reason = (
            f'the firmware offers an IOMMU ({table}), the kernel uses none'
        )
        remedy = (
            'put intel_iommu=on (Intel) or amd_iommu=on (AMD) on the kernel '
            'command line, or run a kernel with its driver, and reboot'
        )
    else:
        reason = 'no IOMMU is active'
        remedy = _SETUP
    yield question.absent('iommu', 'no groups', reason, remedy)


def _sysfs_shown(look: Look) -> bool:
    """Whether /sys is the kernel's own, not masked or empty."""
    try:
        return bool(look.names('/sys/kernel'))
    except Denied:
        return False


def _drivers(look: Look) -> str:
    try:
        names = look.names(_CLASS)
    except Denied:
        names = ()
    shown = ', '.join(names[:4])
    return f'{shown}, ...' if len(names) > 4 else shown or 'none named'


def _chips(look: Look) -> Iterator[Observation]:
    question = Question(
        Stage.KVM, Strength.PARAMETER, f'{_IRQS}/*/chip_name', 'chip names'
    )
    key = 'interrupt_remapping'
    if look.arch is Arch.S390X:
        # arch/s390/pci/pci_irq.c: a function's interrupts are its own.
        yield question.present(
            key, 's390x', 'adapter interrupts are isolated by the hardware'
        )
        return
    try:
        chips = _chip_names(look)
    except Denied as denied:
        yield question.denied(
            key, denied, 'the interrupt chips cannot be seen'
        )
        return
    value = ', '.join(chips) or 'none named'
    if any(chip.startswith(('IR-', 'ITS')) for chip in chips):
        yield question.present(key, value, 'interrupts are remapped')
    elif look.arch is Arch.X86 and chips:
        off = _cmdline(look, _REMAPPING_OFF)
        yield question.absent(
            key,
            value,
            f'interrupts are not remapped{f": {off}" if off else ""}',
            f'take {off} off the kernel command line and reboot'
            if off
            else _SETUP,
        )
    else:
        yield question.unknown(
            key, value, 'the interrupt chips do not tell of remapping'
        )


def _chip_names(look: Look) -> tuple[str, ...]:
    """The first few interrupts' chips, the first that remaps being last."""
    numbers = [
        found for found in map(number, look.names(_IRQS)) if found is not None
    ]
    chips: dict[str, None] = {}
    for interrupt in sorted(numbers)[:_IRQ_LIMIT]:
        try:
            chip = look.text(f'{_IRQS}/{interrupt}/chip_name')
        except Denied:
            continue
        if chip:
            chips[chip] = None
        if chip.startswith(('IR-', 'ITS')):
            break
    return tuple(chips)


def _dmar(look: Look) -> Iterator[Observation]:
    """The DMAR table's flags, which root may read."""
    path = f'{_TABLES}/DMAR'
    question = Question(
        Stage.FIRMWARE, Strength.REGISTER, path, 'flags bit 0 INTR_REMAP'
    )
    try:
        table = look.host.read(path)
    except Denied:
        return
    if len(table) <= _DMAR_FLAGS:
        return
    flags = table[_DMAR_FLAGS]
    key = 'interrupt_remapping'
    if flags & 1:
        reason = 'the firmware offers interrupt remapping'
        yield question.present(key, f'{flags:#x}', reason)
    else:
        yield question.absent(
            key,
            f'{flags:#x}',
            'the firmware offers no interrupt remapping',
            'switch interrupt remapping or x2APIC on in the firmware setup',
        )


def _ecap(look: Look) -> Iterator[Observation]:
    try:
        units = [n for n in look.names(_CLASS) if n.startswith('dmar')]
    except Denied:
        return
    values: dict[str, int] = {}
    for unit in units:
        try:
            text = look.text(f'{_CLASS}/{unit}/intel-iommu/ecap')
            values[unit] = int(text, 16)
        except (Denied, ValueError):
            return
    if not values:
        return
    question = Question(
        Stage.CPU,
        Strength.REGISTER,
        f'{_CLASS}/dmar*/intel-iommu/ecap',
        f'bit {_ECAP_IR} IR',
    )
    lacking = [u for u, value in values.items() if not value >> _ECAP_IR & 1]
    key = 'interrupt_remapping'
    if lacking:
        yield question.absent(
            key,
            f'not {", ".join(lacking)}',
            'not every IOMMU can remap interrupts',
            'other hardware',
        )
    else:
        reason = 'every IOMMU can remap interrupts'
        yield question.present(key, f'{len(values)} units', reason)
