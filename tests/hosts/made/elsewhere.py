# SPDX-License-Identifier: Apache-2.0
"""Hosts of other architectures, as their users reported them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hvfilter.host.answers import Refusal
from tests.hosts.made import others
from tests.hosts.made.machine import FORBIDDEN, Made, failed

_DEBIAN = '6.12.63+deb13-arm64'
_HV = {'kvm': {}, 'kvm_hv': {'nested': 'Y'}}


def power8_threads_online() -> Made:
    return others.ppc64(
        'POWER8, PowerNV: all threads are online, so KVM gives EBUSY',
        'PowerNV',
        cpu='POWER8E (raw), altivec supported',
        threads='0-15',
        extensions={160: 0},
        modules=_HV,
    )


def power8_threads_offline() -> Made:
    return others.ppc64(
        'POWER8, PowerNV, ppc64_cpu --smt=off; kvm_hv.nested is on by default',
        'PowerNV',
        cpu='POWER8E (raw), altivec supported',
        threads='0,8',
        extensions={160: 0},
        modules=_HV,
    )


def power8_partition() -> Made:
    return others.ppc64(
        'A partition on POWER8 with kvm_pr: no hypervisor state for it',
        'pSeries',
        cpu='POWER8 (architected), altivec supported',
        extensions={160: 0},
        modules={'kvm': {}, 'kvm_pr': {}},
    )


def power9_hash() -> Made:
    return others.ppc64(
        'POWER9, PowerNV, in hash mode by the kernel command line',
        'PowerNV',
        mmu='Hash',
        cmdline='ro disable_radix',
        extensions={160: 0},
        modules=_HV,
    )


def power9_nested_off() -> Made:
    return others.ppc64(
        'POWER9, PowerNV, radix, kvm_hv loaded with nested=0',
        'PowerNV',
        mmu='Radix',
        extensions={160: 0},
        modules={'kvm': {}, 'kvm_hv': {'nested': 'N'}},
    )


def power9_partition_hash() -> Made:
    return others.ppc64(
        'POWER9, a KVM guest in hash mode that was given no choice',
        'pSeries',
        mmu='Hash',
        extensions={160: 0},
        modules={'kvm': {}, 'kvm_pr': {}},
    )


def power9_nested_refused() -> Made:
    return others.ppc64(
        'POWER9, PowerNV, radix, nested on; KVM offers no nesting',
        'PowerNV',
        mmu='Radix',
        extensions={160: 0},
        modules=_HV,
    )


def power10_partition() -> Made:
    return others.ppc64(
        'A partition on POWER10 whose PowerVM offers KVM (nested API v2)',
        'pSeries',
        cpu='POWER10 (architected), altivec supported',
        mmu='Radix',
        extensions={160: 0},
        modules=_HV,
    )


def power10_partition_refused() -> Made:
    made = power10_partition()
    made.note = 'The same; the user who looks may not open /dev/kvm'
    made.no_kvm(FORBIDDEN)
    made.smoke = Refusal('EOPNOTSUPP', what='run a guest')
    return made


def power9_partition_hv_built_in() -> Made:
    return others.ppc64(
        'A partition on POWER9 whose kernel has kvm_hv built in, and KVM is '
        'kvm_pr: kvm_hv did not start',
        'pSeries',
        mmu='Hash',
        extensions={80: 0, 160: 0},
        modules={'kvm': {}, 'kvm_hv': {'nested': 'Y'}, 'kvm_pr': {}},
    )


def power9_guest() -> Made:
    made = others.ppc64(
        'A guest of KVM on POWER9 without KVM of its own',
        'pSeries',
        cpu='POWER9 (architected), altivec supported',
        mmu='Radix',
        extensions=None,
        modules={},
    )
    cpuinfo = made.files['/proc/cpuinfo']
    assert isinstance(cpuinfo, bytes)
    made.raw(
        '/proc/cpuinfo',
        cpuinfo.replace(b'IBM,9009-42A', b'IBM pSeries (emulated by qemu)'),
    )
    return made


def power11_partition() -> Made:
    return others.ppc64(
        'A partition on Power11 without KVM, as the kernel writes the name',
        'pSeries',
        cpu='Power11 (architected), altivec supported',
        mmu='Radix',
        extensions=None,
        modules={},
    )


def s390x_hpage() -> Made:
    return others.s390x(
        'z15 partition, kvm loaded with hpage=1 and without nested',
        sie=True,
        nested='0',
        hpage='1',
    )


def s390x_nested_off_at_boot() -> Made:
    return others.s390x(
        'z15 partition, kvm.nested=0 on the kernel command line',
        sie=True,
        nested='0',
        cmdline='ro kvm.nested=0',
    )


def s390x_nested_and_hpage() -> Made:
    return others.s390x(
        'z15 partition, nested and hpage both asked for: kvm did not load',
        sie=True,
        cmdline='ro kvm.nested=1 kvm.hpage=1',
    )


def s390x_kvm_not_loaded() -> Made:
    return others.s390x('z15 partition, kvm not loaded', sie=True)


def s390x_without_pci() -> Made:
    return others.s390x(
        'z15 partition without PCI functions', sie=True, nested='1', pci=False
    )


def s390x_pci_off() -> Made:
    return others.s390x(
        'z15 partition with pci=off on the kernel command line',
        sie=True,
        nested='1',
        pci=False,
        cmdline='ro pci=off',
    )


def s390x_without_sie() -> Made:
    return others.s390x('z15 partition in a mode without SIE', sie=False)


def s390x_zvm() -> Made:
    return others.s390x(
        'Guest of z/VM without SIE',
        sie=False,
        control_program='z/VM    7.3.0',
    )


def s390x_other_hypervisor() -> Made:
    return others.s390x(
        'Guest of a hypervisor of another name, without SIE',
        sie=False,
        control_program='Other',
    )


def arm64_without_config_kvm() -> Made:
    return others.arm64(
        'arm64 server, a kernel without CONFIG_KVM',
        _DEBIAN,
        extensions=None,
        has_kvm=False,
    )


def arm64_without_vgic() -> Made:
    made = others.arm64(
        'Raspberry Pi 5 with Linux 6.12: KVM found no interrupt controller '
        'for guests',
        _DEBIAN,
        extensions={0: 0},
    )
    _board(made, 'raspberrypi,5-model-b\0brcm,bcm2712\0')
    return made


def arm64_entered_at_el1() -> Made:
    made = others.arm64(
        'arm64 server whose boot loader starts the kernel at EL1',
        _DEBIAN,
        extensions=None,
    )
    made.iommu('smmu3.0x0000000100', table='IORT', groups=12)
    return made


def arm64_nested_without_nv2() -> Made:
    return others.arm64(
        'arm64 server, kvm-arm.mode=nested, processor without FEAT_NV2',
        '6.18.2-arm64',
        extensions={},
        cmdline='ro kvm-arm.mode=nested',
    )


def arm64_mode_nvhe() -> Made:
    return others.arm64(
        'arm64 server with FEAT_NV2 and kvm-arm.mode=nvhe',
        '6.18.2-arm64',
        extensions={},
        cmdline='ro kvm_arm.mode=nvhe',
    )


def arm64_mode_none_underscore() -> Made:
    return others.arm64(
        'arm64 server, KVM switched off as kvm_arm.mode=none',
        _DEBIAN,
        extensions=None,
        cmdline='ro kvm_arm.mode=none',
    )


def arm64_xen_dom0() -> Made:
    made = others.arm64("Xen's dom0 on arm64", _DEBIAN, extensions=None)
    _board(made, 'xen,xenvm-4.17\0xen,xenvm\0')
    tree = '/proc/device-tree'
    made.raw(f'{tree}/hypervisor/compatible', b'xen,xen-4.17\0xen,xen\0')
    made.raw(f'{tree}/psci/method', b'hvc\0')
    made.text('/sys/hypervisor/type', 'xen')
    return made


def arm64_gunyah() -> Made:
    made = others.arm64(
        'Snapdragon laptop: Gunyah keeps EL2', _DEBIAN, extensions=None
    )
    _board(made, 'lenovo,yoga-slim7x\0qcom,x1e80100\0')
    tree = '/proc/device-tree'
    made.raw(f'{tree}/hypervisor/compatible', b'gunyah-hypervisor\0')
    made.raw(f'{tree}/psci/method', b'smc\0')
    return made


def arm64_its_after_many() -> Made:
    made = others.arm64(
        'arm64 server: the ITS comes after a hundred other interrupts',
        _DEBIAN,
        extensions={},
    )
    made.chips(*['GICv3'] * 100, 'ITS-PCI-MSIX-0000:01:00.0', 'pl061')
    return made


def riscv64_device_without_h() -> Made:
    made = others.riscv64(
        'TH1520 board: a kernel of the maker offers /dev/kvm, and the '
        'processor has no H',
        'rv64imafdcvsu',
        {},
        'thead,light\0thead,light-val\0',
    )
    made.smoke = failed('real_mode', 'FAIL_ENTRY')
    return made


def riscv64_kvm_not_loaded() -> Made:
    return others.riscv64(
        'Board with H whose module kvm is not loaded',
        'rv64imafdch_zicsr_zifencei',
        None,
        'sifive,hifive-premier-p550\0',
    )


def riscv64_kvm_barred() -> Made:
    made = riscv64_kvm_not_loaded()
    made.note = 'Board with H, and module_blacklist=kvm'
    made.text('/proc/cmdline', 'ro module_blacklist=kvm')
    return made


def loongarch64_of_qemu() -> Made:
    made = others.loongarch64('QEMU, booted by a device tree', lvz=False)
    _board(made, 'linux,dummy-loongson3\0')
    made.directories['/proc/device-tree'] = (
        'chosen',
        'cpus',
        'fw_cfg@1e020000',
    )
    return made


def loongarch64_without_lvz() -> Made:
    return others.loongarch64('Loongson board without LVZ', lvz=False)


def _board(made: Made, compatible: str) -> None:
    """Described by a device tree, without ACPI and DMI."""
    for path in list(made.files):
        if path.startswith('/sys/class/dmi/'):
            del made.files[path]
    del made.directories['/sys/firmware/acpi/tables']
    made.raw('/proc/device-tree/compatible', compatible.encode())


HOSTS: Mapping[str, Callable[[], Made]] = {
    make.__name__.replace('_', '-'): make
    for make in (
        power8_threads_online,
        power8_threads_offline,
        power8_partition,
        power9_hash,
        power9_nested_off,
        power9_nested_refused,
        power9_partition_hash,
        power9_partition_hv_built_in,
        power10_partition,
        power10_partition_refused,
        power9_guest,
        power11_partition,
        s390x_hpage,
        s390x_nested_off_at_boot,
        s390x_nested_and_hpage,
        s390x_kvm_not_loaded,
        s390x_without_pci,
        s390x_pci_off,
        s390x_without_sie,
        s390x_zvm,
        s390x_other_hypervisor,
        arm64_without_config_kvm,
        arm64_without_vgic,
        arm64_entered_at_el1,
        arm64_nested_without_nv2,
        arm64_mode_nvhe,
        arm64_mode_none_underscore,
        arm64_xen_dom0,
        arm64_gunyah,
        arm64_its_after_many,
        riscv64_device_without_h,
        riscv64_kvm_not_loaded,
        riscv64_kvm_barred,
        loongarch64_of_qemu,
        loongarch64_without_lvz,
    )
}
