# SPDX-License-Identifier: Apache-2.0
"""x86 hosts on which something is off for a cause that can be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hvfilter.host.answers import Refusal
from hvfilter.host.facts import CpuidRegs, FileKind, FileStat
from tests.hosts.made import others
from tests.hosts.made.machine import FORBIDDEN, MISSING, Made, failed
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


def intel_txt_only() -> Made:
    return Intel(
        'Intel server whose firmware permits VT-x only inside Intel TXT',
        feature_control=0x3,
    ).make()


def intel_clearcpuid() -> Made:
    made = Intel(
        'Intel server with clearcpuid=vmx on the command line',
        feature_control=0x1,
    ).make()
    for table in made.msrs.values():
        table[0x3A] = 0x5
    made.text(_CMDLINE, 'ro clearcpuid=smap,vmx quiet')
    return made


def amd_clearcpuid() -> Made:
    made = Amd(
        'AMD server with AMD-V hidden by its number, looked at without the '
        'right to execute CPUID or to read MSRs',
        vm_cr=0x18,
    ).make()
    made.cpuid = {}
    for table in made.msrs.values():
        table.update(dict.fromkeys(table, FORBIDDEN))
    made.text(_CMDLINE, 'ro clearcpuid=194 quiet')
    return made


def intel_module_blacklisted() -> Made:
    made = Intel('Intel server with kvm_intel on the blacklist').make()
    made.modules({'kvm': {}})
    made.misc(kvm=False)
    made.no_kvm()
    made.text(_CMDLINE, 'ro module_blacklist=nouveau,kvm_intel quiet')
    return made


def amd_initcall_blacklisted() -> Made:
    made = Amd(
        'AMD server with the start of kvm_amd on a blacklist, and kvm_amd '
        'built into its kernel'
    ).make()
    made.misc(kvm=False)
    made.no_kvm()
    made.text(_CMDLINE, 'ro initcall_blacklist=acpi_cpufreq_init,svm_init')
    return made


def amd_not_loaded_at_boot() -> Made:
    made = Amd('AMD server with kvm_amd on the list of modprobe').make()
    made.modules({'ccp': {}})
    made.misc(kvm=False)
    made.no_kvm()
    made.text(_CMDLINE, 'ro modprobe.blacklist=nouveau,kvm-amd quiet')
    return made


def intel_eptad_off() -> Made:
    return Intel(
        'Intel server whose kvm_intel was loaded with eptad=0, so pml is off',
        parameters={'eptad': 'N', 'pml': 'N'},
    ).make()


def intel_ept_off_at_boot() -> Made:
    made = Intel(
        'Intel server with EPT off on the command line',
        parameters={'ept': 'N'},
    ).make()
    made.text(_CMDLINE, 'ro kvm-intel.ept=1 kvm_intel.ept=0 quiet')
    return made


def intel_nested_off_at_boot() -> Made:
    made = Intel(
        'Intel server with nested off on the command line, whatever '
        '/etc/modprobe.d says',
        parameters={'nested': 'N'},
    ).make()
    made.text(_CMDLINE, 'ro quiet kvm-intel.nested=0')
    return made


def amd_nested_off_built_in() -> Made:
    made = Amd(
        'AMD server whose kvm_amd is built into the kernel',
        parameters={'nested': '0'},
    ).make()
    made.directories['/sys/module/kvm_amd'] = ('parameters', 'uevent')
    return made


def amd_vgif_off() -> Made:
    return Amd(
        'AMD server whose kvm_amd was loaded with vgif=0, so vnmi is off',
        parameters={'vgif': '0', 'vnmi': 'N'},
    ).make()


def amd_avic_refused() -> Made:
    made = Amd('AMD server whose kvm_amd switched avic off itself').make()
    made.text(_CMDLINE, 'ro kvm_amd.avic=1')
    return made


def amd_nested_not_offered() -> Made:
    made = Amd('KVM offers no nesting although nested is on').make()
    off = Amd('', parameters={'nested': '0'}).make()
    made.kvm = off.kvm
    return made


def centaur_c5a() -> Made:
    made = Intel(
        'A Centaur processor that returns garbage in 80000001:ECX',
        vendor='CentaurHauls',
        model_name='VIA Samuel 2',
        vtx=False,
        more_words=('svm',),
        dmi=('VIA Technologies', 'EPIA-CL', 'Award Software'),
    ).make()
    for leaves in made.cpuid.values():
        leaves[0x80000000, 0] = CpuidRegs(0x80000006, 0, 0, 0)
        leaves[0x80000001, 0] = CpuidRegs(0x5F5, 0x1234, 0x4D5, 0x80803035)
    made.modules({'kvm': {}})
    return made


def _under_xen(made: Made) -> Made:
    made.text('/sys/hypervisor/type', 'xen')
    made.modules({'kvm': {}})
    made.misc(kvm=False)
    made.no_kvm()
    return made


def xen_dom0() -> Made:
    made = Intel('Dom0 of Xen on an Intel server', vtx=False).make()
    made.text('/proc/xen/capabilities', 'control_d')
    for leaves in made.cpuid.values():
        signature = b'XenVMMXenVMM'
        parts = (signature[at : at + 4] for at in (0, 4, 8))
        leaves[0x40000000, 0] = CpuidRegs(
            0x40000005, *(int.from_bytes(part, 'little') for part in parts)
        )
    return _under_xen(made)


def xen_dom0_amd() -> Made:
    made = Amd(
        'Dom0 of Xen on an AMD server; xenfs is not mounted',
        svm=False,
        more_words=('hypervisor',),
    ).make()
    made.cpuid = {}
    return _under_xen(made)


def xen_dom0_pv() -> Made:
    made = Intel(
        'Paravirtualized dom0 of Xen: no registers of VT-x', vtx=False
    ).make()
    made.text('/proc/xen/capabilities', 'control_d')
    for table in made.msrs.values():
        table.update(dict.fromkeys((0x3A, 0x480, 0x482), Refusal('EIO')))
    return _under_xen(made)


def amd_sev_no_device_old_kernel() -> Made:
    made = Amd(
        'SEV is on in kvm_amd of 6.1, and ccp is not loaded: no /dev/sev',
        kernel='6.1.0-28-amd64',
        memory_encryption=0xB,
        parameters={'sev': 'Y', 'sev_es': 'Y'},
    ).make()
    made.text('/proc/misc', '232 kvm', '126 tun')
    return made


def kvm_of_root_alone() -> Made:
    made = Intel('Root looks; /dev/kvm is open to root and nobody else').make()
    made.stats['/dev/kvm'] = FileStat(FileKind.CHAR, 0o600, 'root', 'root')
    return made


def kvm_of_root_refused() -> Made:
    made = Intel('/dev/kvm is root:root, and another user looks').make()
    made.no_kvm(FORBIDDEN)
    made.stats['/dev/kvm'] = FileStat(FileKind.CHAR, 0o660, 'root', 'root')
    return made


def kvm_not_to_be_run() -> Made:
    made = Intel('Intel server, looked at with --no-smoke').make()
    made.smoke = Refusal('ECANCELED', what='run a small guest')
    return made


def kvm_guest_refused() -> Made:
    made = Intel('A container that may open KVM and run no guest').make()
    made.smoke = failed('create_vm', 'EPERM')
    return made


def kvm_without_device() -> Made:
    made = Amd('KVM whose module is about to go').make()
    made.smoke = failed('create_vm', 'ENODEV')
    return made


def x86_of_unknown_maker() -> Made:
    made = Intel('A host that names neither maker nor model').make()
    for leaves in made.cpuid.values():
        del leaves[0, 0]
        leaves[1, 0] = CpuidRegs(0x5F5, 0, 0, 0x80803035)
    made.misc(kvm=False)
    made.no_kvm()
    made.modules({'kvm': {}})
    for path in list(made.files):
        if path.startswith('/sys/class/dmi/'):
            made.files[path] = MISSING
    made.text('/proc/cpuinfo', 'processor\t: 0', 'flags\t\t: fpu de pse tsc')
    return made


def arm64_without_iommu() -> Made:
    made = others.arm64(
        'arm64 server whose SMMU is not in use',
        '6.12.63+deb13-arm64',
        extensions={},
    )
    made.iommu(table='IORT')
    return made


def arm64_guest_fails() -> Made:
    made = others.arm64(
        'arm64 server whose KVM runs no guest',
        '6.12.63+deb13-arm64',
        extensions={},
    )
    made.smoke = failed('create_vm', 'EIO')
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
    intel_txt_only,
    intel_clearcpuid,
    amd_clearcpuid,
    intel_module_blacklisted,
    amd_initcall_blacklisted,
    amd_not_loaded_at_boot,
    intel_eptad_off,
    intel_ept_off_at_boot,
    intel_nested_off_at_boot,
    amd_nested_off_built_in,
    amd_vgif_off,
    amd_avic_refused,
    amd_nested_not_offered,
    centaur_c5a,
    xen_dom0,
    xen_dom0_amd,
    xen_dom0_pv,
    amd_sev_no_device_old_kernel,
    kvm_of_root_alone,
    kvm_of_root_refused,
    kvm_not_to_be_run,
    kvm_guest_refused,
    kvm_without_device,
    x86_of_unknown_maker,
    arm64_without_iommu,
    arm64_guest_fails,
)

HOSTS: Mapping[str, Callable[[], Made]] = {
    make.__name__.replace('_', '-'): make for make in CAUSES
}
