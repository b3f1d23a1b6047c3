# SPDX-License-Identifier: Apache-2.0
"""x86 hosts on which something is off for a cause that can be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.hosts.made.machine import Made
from tests.hosts.made.x86 import Amd, Intel

QEMU = ('QEMU', 'Standard PC (Q35 + ICH9, 2009)', 'SeaBIOS')
HYPERV = (
    'Microsoft Corporation',
    'Virtual Machine',
    'Microsoft Corporation',
)
_CMDLINE = '/proc/cmdline'


def amd_iommu_unused() -> Made:
    made = Amd('AMD server whose kernel does not use the IOMMU').make()
    made.iommu(table='IVRS')
    made.chips('IR-IO-APIC', 'IR-PCI-MSI-0000:00:1c.0')
    return made


def amd_iommu_off() -> Made:
    made = Amd('AMD server with amd_iommu=off on the command line').make()
    made.iommu(table='IVRS')
    made.text(_CMDLINE, 'ro quiet amd_iommu=off amd_iommu=fullflush')
    return made


def amd_no_iommu_table() -> Made:
    return Amd('AMD server whose firmware has the IOMMU switched off').make()


def intel_iommu_unused() -> Made:
    made = Intel(
        'Intel server whose kernel was not asked to use VT-d; amd_iommu=off '
        'does nothing here'
    ).make()
    made.iommu(table='DMAR')
    made.text(_CMDLINE, 'ro amd_iommu=off quiet')
    return made


def intel_iommu_failed() -> Made:
    made = Intel('Intel server whose VT-d does not start').make()
    made.iommu(table='DMAR')
    made.text(_CMDLINE, 'ro intel_iommu=off intel_iommu=on quiet')
    return made


def intel_groups_without_iommu() -> Made:
    made = Intel('VFIO made a group for a device without an IOMMU').make()
    made.iommu(table='DMAR', groups=1)
    made.text('/sys/kernel/iommu_groups/0/name', 'vfio-noiommu')
    made.text(_CMDLINE, 'ro intel_iommu=off quiet')
    return made


def intel_no_iommu_table() -> Made:
    return Intel('Intel server with VT-d off in the firmware').make()


def intel_intremap_firmware() -> Made:
    made = Intel(
        'VT-d is in use; the firmware describes no unit for the I/O APIC, so '
        'interrupts are not remapped'
    ).make()
    made.iommu('dmar0', 'dmar1', table='DMAR', groups=24)
    return made


def amd_intremap_firmware() -> Made:
    made = Amd('AMD-Vi is in use; the IVRS table lacks an I/O APIC').make()
    made.iommu('ivhd0', table='IVRS', groups=24)
    return made


def intel_nointremap() -> Made:
    made = intel_intremap_firmware()
    made.note = 'Interrupt remapping is off on the command line'
    made.text(_CMDLINE, 'ro intremap=on nointremap quiet')
    return made


def vm_virtio_iommu() -> Made:
    made = Intel(
        'A virtual machine with a virtio IOMMU, which VIOT describes',
        kernel='6.12.63+deb13-cloud-amd64',
        hypervisor='KVMKVMKVM',
        dmi=QEMU,
    ).make()
    made.iommu('virtio0', table='VIOT', groups=4)
    return made


def vm_virtio_iommu_unused() -> Made:
    made = vm_virtio_iommu()
    made.note = 'The same, its kernel without the driver'
    made.iommu(table='VIOT')
    return made


def vm_hyperv_redirects() -> Made:
    made = Intel(
        'A virtual machine of Hyper-V, which redirects interrupts to '
        'processors of high numbers',
        kernel='6.12.63+deb13-cloud-amd64',
        hypervisor='Microsoft Hv',
        dmi=HYPERV,
    ).make()
    made.chips('IR-IO-APIC', 'PCI-MSI-0000:00:08.1')
    return made


CAUSES: tuple[Callable[[], Made], ...] = (
    amd_iommu_unused,
    amd_iommu_off,
    amd_no_iommu_table,
    amd_intremap_firmware,
    intel_iommu_unused,
    intel_iommu_failed,
    intel_groups_without_iommu,
    intel_no_iommu_table,
    intel_intremap_firmware,
    intel_nointremap,
    vm_virtio_iommu,
    vm_virtio_iommu_unused,
    vm_hyperv_redirects,
)

HOSTS: Mapping[str, Callable[[], Made]] = {
    make.__name__.replace('_', '-'): make for make in CAUSES
}
