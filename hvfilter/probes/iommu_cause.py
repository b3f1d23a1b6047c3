# SPDX-License-Identifier: Apache-2.0
"""Why the kernel uses no IOMMU, or remaps no interrupts; and what helps.

Kernel drivers/iommu/intel/iommu.c (intel_iommu_setup, detect_intel_iommu),
amd/init.c (parse_amd_iommu_options, iommu_go_to_state), irq_remapping.c
(setup_intremap), arch/x86/kernel/pci-dma.c (iommu_setup), apic/apic.c
(enable_IR_x2apic). A word of one maker's driver does nothing on the other's
machine, so it is no cause there.
"""

from __future__ import annotations

import enum

from hvfilter.host.base import Denied, unless_denied
from hvfilter.host.cmdline import Parameter
from hvfilter.model.catalogue import Arch
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.machine_kind import Kind, kind
from hvfilter.probes.remedies import Advice, Remedy, first
from hvfilter.probes.x86_readings import AMD_VENDORS, vendor

TABLES = '/sys/firmware/acpi/tables'


class Driver(enum.Enum):
    """Whose IOMMU it is; the value is the ACPI table that describes it."""

    INTEL = 'DMAR'
    AMD = 'IVRS'
    VIRTIO = 'VIOT'


NAMES = {
    Driver.INTEL: 'Intel VT-d',
    Driver.AMD: 'AMD-Vi',
    Driver.VIRTIO: 'a virtual IOMMU',
}

_INTEL_OR_ZHAOXIN = 'Intel, Zhaoxin'
_AMD = 'AMD, Hygon'
_PARAMETERS = 'kernel Documentation/admin-guide/kernel-parameters.txt'

WORD = Remedy(
    'iommu_off_on_command_line',
    'remove {word} from the kernel command line and reboot',
    'a word on the kernel command line switches the IOMMU or interrupt '
    'remapping off',
    source=_PARAMETERS,
)
XEN = Remedy(
    'iommu_held_by_xen',
    'boot this kernel without Xen, which keeps the IOMMU for itself; with '
    'Xen, guests need another driver of Nova than libvirt with KVM',
    'Xen runs under this kernel and uses the IOMMU',
    machine=Kind.XEN_CONTROL.value,
    source='Xen docs/misc/xen-command-line (iommu, dom0-iommu)',
)
VTD = Remedy(
    'iommu_vtd_in_firmware',
    'switch VT-d (Intel Virtualization Technology for Directed I/O) on in the '
    'firmware setup and power-cycle the host',
    'the firmware has no DMAR table',
    _INTEL_OR_ZHAOXIN,
    machine=Kind.BARE_METAL.value,
    source='VT-d specification sec. 8.1',
)
AMD_VI = Remedy(
    'iommu_amd_vi_in_firmware',
    'switch the IOMMU (AMD-Vi) on in the firmware setup, to Enabled and not '
    'to Auto, and power-cycle the host',
    'the firmware has no IVRS table',
    _AMD,
    machine=Kind.BARE_METAL.value,
    source='AMD I/O Virtualization Technology specification sec. 5.2',
)
VIRTUAL = Remedy(
    'iommu_virtual',
    'give this virtual machine a virtual IOMMU on the host under it (libvirt '
    "iommu model='intel' or 'virtio', Nova hw:viommu_model)",
    'a guest has no virtual IOMMU',
    'Intel, AMD and the other x86 makers',
    machine=Kind.GUEST.value,
    source='libvirt formatdomain, IOMMU devices; Nova 28 and later',
)
VIRTUAL_ARM = Remedy(
    'iommu_virtual_arm',
    'give this virtual machine a virtual IOMMU on the host under it (libvirt '
    "iommu model='smmuv3' or 'virtio', Nova hw:viommu_model)",
    'a guest has no virtual IOMMU',
    'Arm',
    machine=Kind.GUEST.value,
    source='libvirt formatdomain, IOMMU devices; Nova 28 and later',
)
INTEL_ON = Remedy(
    'iommu_intel_iommu_on',
    'put intel_iommu=on on the kernel command line and reboot; it needs a '
    'kernel with CONFIG_INTEL_IOMMU',
    'a DMAR table, and VT-d is not in use',
    _INTEL_OR_ZHAOXIN,
    source='kernel drivers/iommu/intel/Kconfig, INTEL_IOMMU_DEFAULT_ON',
)
INTEL_FAILED = Remedy(
    'iommu_intel_failed',
    'read what the kernel says of DMAR in dmesg, and update the firmware; '
    '{word} is on the kernel command line already',
    'a DMAR table and intel_iommu=on, and VT-d is not in use',
    _INTEL_OR_ZHAOXIN,
    source='kernel drivers/iommu/intel/iommu.c, dmar.c',
)
AMD_FAILED = Remedy(
    'iommu_amd_failed',
    'check the IOMMU setting in the firmware setup and update the firmware; '
    'the driver needs no word to start, and says in dmesg (AMD-Vi) why it '
    'did not; it needs a kernel with CONFIG_AMD_IOMMU',
    'an IVRS table, and AMD-Vi is not in use',
    _AMD,
    source='kernel drivers/iommu/amd/init.c',
)
AMD_FORCE = Remedy(
    'iommu_amd_force_enable',
    'put amd_iommu=force_enable on the kernel command line, for machines '
    'whose IOMMU the kernel distrusts',
    'an IVRS table, and AMD-Vi is not in use',
    _AMD,
    '5.13 and later',
    source='kernel drivers/iommu/amd/init.c, parse_amd_iommu_options',
)
VIRTIO_DRIVER = Remedy(
    'iommu_virtio_driver',
    'load virtio_iommu, or run a kernel with CONFIG_VIRTIO_IOMMU',
    'a VIOT table, and the virtual IOMMU is not in use',
    kernel='5.14 and later',
    machine=Kind.GUEST.value,
    source='kernel drivers/acpi/viot.c, drivers/iommu/virtio-iommu.c',
)
SMMU = Remedy(
    'iommu_smmu_in_firmware',
    'switch the SMMU on in the firmware setup; it needs a kernel with '
    'CONFIG_ARM_SMMU_V3 or CONFIG_ARM_SMMU',
    'no SMMU is in use',
    'Arm',
    machine=Kind.BARE_METAL.value,
    source='kernel drivers/acpi/arm64/iort.c, drivers/iommu/arm',
)
PCI_FUNCTION = Remedy(
    'iommu_s390_pci_function',
    'give this partition or guest a PCI function: each has its own address '
    'translation, and there is nothing else to switch on',
    'no PCI function, so no IOMMU group',
    'IBM Z',
    source='kernel drivers/iommu/s390-iommu.c',
)
OTHER_DRIVER = Remedy(
    'iommu_other_driver',
    "run a kernel with a driver for this machine's IOMMU, if it has one",
    'no IOMMU is in use',
    'other architectures; Arm by device tree',
    source='kernel drivers/iommu/Kconfig',
)
VIRTUAL_INTREMAP = Remedy(
    'intremap_virtual',
    'on the host under this virtual machine, switch interrupt remapping of '
    "its virtual IOMMU on (libvirt iommu model='intel', driver intremap='on', "
    "ioapic driver='qemu')",
    "a guest's virtual IOMMU remaps no interrupts",
    machine=Kind.GUEST.value,
    source='libvirt formatdomain, IOMMU devices',
)
DMAR_TABLE = Remedy(
    'intremap_dmar_table',
    'update the firmware: VT-d is there, and the DMAR table does not let the '
    'kernel remap interrupts (dmesg: DMAR-IR); look for interrupt remapping '
    'and x2APIC in the firmware setup; intremap=no_x2apic_optout overrides a '
    'firmware that opts out; it needs a kernel with CONFIG_IRQ_REMAP',
    'a DMAR table, and interrupts are not remapped',
    _INTEL_OR_ZHAOXIN,
    machine=Kind.BARE_METAL.value,
    source='kernel drivers/iommu/intel/irq_remapping.c',
)
IVRS_TABLE = Remedy(
    'intremap_ivrs_table',
    'update the firmware: the IVRS table does not describe every I/O APIC '
    '(dmesg: AMD-Vi); until then ivrs_ioapic= and ivrs_hpet= on the kernel '
    'command line describe them',
    'an IVRS table, and interrupts are not remapped',
    _AMD,
    machine=Kind.BARE_METAL.value,
    source='kernel drivers/iommu/amd/init.c, check_ioapic_information',
)


def driver(host: ProbeContext) -> Driver | None:
    """Whose IOMMU the firmware describes; raises Denied."""
    names = host.names(TABLES)
    return next((one for one in Driver if one.value in names), None)


def no_iommu(host: ProbeContext) -> tuple[str, Advice]:
    """Why the kernel uses no IOMMU: the reason, and what helps."""
    if host.arch is not Arch.X86:
        reason = 'no IOMMU is in use'
        off = _pci_off(host)
        if off is not None:
            return f'{reason}: {off.text}', WORD(word=off.text)
        return reason, _elsewhere(host)
    machine = kind(host)
    if machine is Kind.XEN_CONTROL:
        return 'Xen runs under this kernel and keeps the IOMMU', XEN()
    described = _described(host)
    off = _iommu_off(host, described or _maker(host))
    if off is not None:
        reason = f'the kernel command line switches the IOMMU off: {off.text}'
        return reason, WORD(word=off.text)
    if described is None:
        return _nothing_described(machine), missing_table(host)
    reason = (
        f'the firmware describes {NAMES[described]} ({described.value}), '
        'the kernel does not use it'
    )
    return reason, _unused(host, described)


def no_remapping(host: ProbeContext) -> tuple[str, Advice]:
    """Why interrupts are not remapped on x86, and what helps."""
    machine = kind(host)
    reason = 'interrupts are not remapped'
    if machine is Kind.XEN_CONTROL:
        return f'{reason} by this kernel: Xen does that', XEN()
    described = _described(host)
    off = _remapping_off(host, described or _maker(host))
    if off is not None:
        return f'{reason}: {off.text}', WORD(word=off.text)
    if described is None:
        return f'{reason}: no IOMMU', missing_table(host)
    if machine is Kind.GUEST or described is Driver.VIRTIO:
        return reason, VIRTUAL_INTREMAP()
    if described is Driver.AMD:
        return f'{reason} although there is an IVRS table', IVRS_TABLE()
    return f'{reason} although there is a DMAR table', DMAR_TABLE()


def missing_table(host: ProbeContext) -> Advice:
    """What helps where the firmware describes no IOMMU."""
    if host.arch is not Arch.X86:
        return _elsewhere(host)
    machine = kind(host)
    if machine is Kind.XEN_CONTROL:
        return XEN()
    if machine is Kind.GUEST:
        return VIRTUAL()
    maker = _maker(host)
    return first(
        *(() if maker is Driver.AMD else (VTD(),)),
        *(() if maker is Driver.INTEL else (AMD_VI(),)),
        *(() if machine is Kind.BARE_METAL else (VIRTUAL(),)),
    )


def _nothing_described(machine: Kind) -> str:
    if machine is Kind.GUEST:
        return 'this virtual machine has no virtual IOMMU'
    return 'the firmware describes no IOMMU, and none is in use'


def _described(host: ProbeContext) -> Driver | None:
    """The table decides between causes only; that it cannot be listed is
    observed at stage firmware."""
    return unless_denied(lambda: driver(host), None)


def _maker(host: ProbeContext) -> Driver | None:
    """Whose IOMMU a machine with this processor would have."""
    name = vendor(host)
    if not name:
        return None
    return Driver.AMD if name in AMD_VENDORS else Driver.INTEL


def _unused(host: ProbeContext, described: Driver) -> Advice:
    if described is Driver.VIRTIO:
        return VIRTIO_DRIVER()
    if described is Driver.INTEL:
        word = _last(host, 'intel_iommu', 'on', 'off')
        return INTEL_FAILED(word=word.text) if word else INTEL_ON()
    forced = _any(host, 'amd_iommu', 'force_enable')
    return first(AMD_FAILED(), *(() if forced else (AMD_FORCE(),)))


def _elsewhere(host: ProbeContext) -> Advice:
    if host.arch is Arch.S390X:
        return PCI_FUNCTION()
    if host.arch is not Arch.ARM64:
        # Nor does libvirt have a virtual IOMMU for guests of these.
        return OTHER_DRIVER()
    machine = kind(host)
    if machine is Kind.GUEST:
        return VIRTUAL_ARM()
    return first(
        OTHER_DRIVER() if _by_device_tree(host) else SMMU(),
        *(() if machine is Kind.BARE_METAL else (VIRTUAL_ARM(),)),
    )


def _by_device_tree(host: ProbeContext) -> bool:
    """A board, so without a firmware setup, and often without an SMMU."""
    try:
        host.names(TABLES)
    except Denied as denied:
        # What may not be listed is there; the likelier advice is given.
        return denied.not_found
    return False


def _pci_off(host: ProbeContext) -> Parameter | None:
    """Without PCI functions there is no IOMMU on s390x.

    Kernel arch/s390/pci/pci.c, pcibios_setup.
    """
    words = host.boot_words('pci') if host.arch is Arch.S390X else ()
    return next((word for word in words if 'off' in word.options), None)


def _iommu_off(host: ProbeContext, made: Driver | None) -> Parameter | None:
    """The word that keeps this driver from starting, None where none does.

    ``iommu=off`` and ``amd_iommu=off`` cannot be taken back by a later word;
    of ``intel_iommu=on`` and ``off`` the last wins.
    """
    word = _acpi_off(host)
    if word is None and made is not Driver.VIRTIO:
        word = _any(host, 'iommu', 'off')
    if word is None and made in (Driver.INTEL, None):
        last = _last(host, 'intel_iommu', 'on', 'off')
        word = last if last and _decides(last, 'on', 'off') == 'off' else None
    if word is None and made in (Driver.AMD, None):
        word = _any(host, 'amd_iommu', 'off')
    return word


def _remapping_off(
    host: ProbeContext, made: Driver | None
) -> Parameter | None:
    """The word that keeps interrupts from being remapped.

    ``iommu=off`` and ``intel_iommu=off`` do not: remapping of interrupts is
    set up apart from the translation of addresses.
    """
    word = _acpi_off(host)
    for name in ('noapic', 'nolapic', 'disableapic'):
        word = word or host.boot_word(name)
    if word is None:
        for one in host.boot_words('intremap', 'nointremap'):
            decides = _decides(one, 'on', 'off')
            if one.name == 'nointremap' or decides == 'off':
                word = one
            elif decides == 'on':
                word = None
    if word is None and made in (Driver.AMD, None):
        word = _any(host, 'amd_iommu', 'off')
    return word


def _acpi_off(host: ProbeContext) -> Parameter | None:
    """Without ACPI no table is read (kernel arch/x86/kernel/acpi/boot.c)."""
    word = host.boot_word('acpi')
    return word if word is not None and word.value == 'off' else None


def _any(host: ProbeContext, name: str, option: str) -> Parameter | None:
    """A word whose list holds an option: one that only ever switches."""
    for word in host.boot_words(name):
        if any(one.startswith(option) for one in word.options):
            return word
    return None


def _last(host: ProbeContext, name: str, *options: str) -> Parameter | None:
    """The last word whose list holds one of the options."""
    words = [w for w in host.boot_words(name) if _decides(w, *options)]
    return words[-1] if words else None


def _decides(word: Parameter, *options: str) -> str:
    """The last of the options in a word's list, '' when none is."""
    last = ''
    for one in word.options:
        for option in options:
            if one.startswith(option):
                last = option
    return last
