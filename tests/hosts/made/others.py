# SPDX-License-Identifier: Apache-2.0
"""Hosts of other architectures than x86.

Sources: the kernel's arch/{arm64,s390,powerpc,riscv,loongarch,ia64}/kernel
(cpuinfo), drivers/of (device tree) and arch/*/kvm (what KVM answers).
"""

from __future__ import annotations

from collections.abc import Sequence

from hvfilter.host import cpulist
from hvfilter.host.answers import Refusal
from tests.hosts.made.machine import Made, timed
from tests.recordings import KvmAnswers

NO_GUEST = Refusal('EOPNOTSUPP', what='run a guest')


def machine(
    arch: str,
    kernel: str,
    note: str,
    cpuinfo: Sequence[str],
    *,
    processors: int = 0,
    extensions: dict[int, int] | None = None,
    modules: dict[str, dict[str, str]] | None = None,
    cmdline: str = 'ro quiet',
) -> Made:
    """A machine of any architecture.

    :param cpuinfo: its lines; of each processor where processors is given
    :param extensions: KVM's answers; None where there is no /dev/kvm
    """
    made = Made(arch, kernel, note)
    if processors:
        lines = []
        for number in range(processors):
            lines += [f'processor\t: {number}', *cpuinfo, '']
    else:
        lines = list(cpuinfo)
    made.text('/proc/cpuinfo', *lines)
    made.text('/proc/cmdline', cmdline)
    made.modules(modules or {})
    made.misc(kvm=extensions is not None)
    made.directories['/sys/kernel'] = ('debug', 'irq')
    if extensions is None:
        made.no_kvm()
    else:
        made.kvm = KvmAnswers(12, extensions)
        made.smoke = NO_GUEST
    return made


def arm64(
    note: str,
    kernel: str,
    *,
    extensions: dict[int, int] | None,
    cmdline: str = 'ro quiet',
    has_kvm: bool = True,
) -> Made:
    """A server of the Neoverse kind, described by ACPI.

    :param has_kvm: the kernel was built with KVM
    """
    if extensions is not None:
        extensions = {0: 1, **extensions}
    made = machine(
        'aarch64',
        kernel,
        note,
        [
            'BogoMIPS\t: 50.00',
            'Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics',
            'CPU implementer\t: 0x41',
            'CPU architecture: 8',
            'CPU variant\t: 0x3',
            'CPU part\t: 0xd0c',
            'CPU revision\t: 1',
        ],
        processors=4,
        extensions=extensions,
        modules={'kvm': {'halt_poll_ns': '500000'}} if has_kvm else {},
        cmdline=cmdline,
    )
    made.text('/sys/devices/system/cpu/online', '0-3')
    for name, value in (
        ('sys_vendor', 'HPE'),
        ('product_name', 'ProLiant RL300 Gen11'),
        ('bios_vendor', 'HPE'),
    ):
        made.text(f'/sys/class/dmi/id/{name}', value)
    if extensions is not None:
        made.smoke = timed(0.34, 0.33, fixed_ns=4_000, step='MMIO')
    made.iommu('smmu3.0x0000000100', table='IORT', groups=12)
    made.chips('GICv3', 'GICv3', 'ITS-PCI-MSI-0000:01:00.0')
    return made


def s390x(
    note: str,
    *,
    sie: bool,
    control_program: str = '',
    nested: str = '',
    hpage: str = '0',
    cmdline: str = 'ro quiet',
    pci: bool = True,
    protected: bool | None = None,
) -> Made:
    """A partition of an IBM z15; nested is empty where kvm is not loaded.

    :param protected: whether the kernel is a host of Secure Execution guests;
        None where the machine has no ultravisor
    """
    features = 'esan3 zarch stfle msa ldisp eimm dfp edat etf3eh highgprs te'
    made = machine(
        's390x',
        '6.12.63+deb13-s390x',
        note,
        [
            'vendor_id       : IBM/S390',
            '# processors    : 2',
            'bogomips per cpu: 20325.00',
            'max thread id   : 0',
            f'features\t: {features} vx{" sie" if sie else ""}',
            'facilities      : 0 1 2 3 4 6 7 8 9 10 11 12 13 14 15 16 17 18'
            f'{" 158" if protected is not None else ""}',
            'processor 0: version = 00,  identification = 000000, '
            'machine = 8561',
            'processor 1: version = 00,  identification = 000000, '
            'machine = 8561',
        ],
        extensions={180: int(bool(protected))} if nested else None,
        modules={'kvm': {'nested': nested, 'hpage': hpage}} if nested else {},
        cmdline=cmdline,
    )
    made.text('/sys/devices/system/cpu/online', '0-1')
    if protected is not None:
        made.text('/sys/firmware/uv/prot_virt_host', str(int(protected)))
        if 'prot_virt' not in cmdline:
            cmdline = f'{cmdline} prot_virt={protected:d}'
        made.text('/proc/cmdline', cmdline)
    lines = ['Manufacturer:         IBM', 'Type:                 8561', '']
    lines.append('LPAR Characteristics: Shared ')
    if control_program:
        lines += ['', f'VM00 Control Program: {control_program}']
    made.text('/proc/sysinfo', *lines)
    units = ('s390-iommu.0000:00:00.0',) if pci else ()
    made.directories['/sys/class/iommu'] = units
    made.directories['/sys/kernel/iommu_groups'] = ('0',) if pci else ()
    return made


def ppc64(
    note: str,
    platform: str,
    *,
    extensions: dict[int, int] | None,
    modules: dict[str, dict[str, str]],
    cpu: str = 'POWER9, altivec supported',
    mmu: str = '',
    threads: str = '0-3',
    cmdline: str = 'ro quiet',
) -> Made:
    """A POWER machine.

    :param cpu: as cpuinfo names it
    :param mmu: Hash or Radix; kernels before 4.15 do not print it
    :param threads: the numbers of those that are online
    """
    if extensions is not None and 'kvm_hv' in modules:
        extensions = {80: 1, **extensions}
    model = '9006-22P' if platform == 'PowerNV' else 'IBM,9009-42A'
    made = machine(
        'ppc64le',
        '6.12.63+deb13-powerpc64le',
        note,
        [
            *(
                line
                for number in cpulist.parse(threads)
                for line in (
                    f'processor\t: {number}',
                    f'cpu\t\t: {cpu}',
                    'clock\t\t: 3800.000000MHz',
                    'revision\t: 2.3 (pvr 004e 1203)',
                    '',
                )
            ),
            'timebase\t: 512000000',
            f'platform\t: {platform}',
            f'model\t\t: {model}',
            f'machine\t\t: {platform} {model}',
            *([f'MMU\t\t: {mmu}'] if mmu else []),
        ],
        extensions=extensions,
        modules=modules,
        cmdline=cmdline,
    )
    made.text('/sys/devices/system/cpu/online', threads)
    made.directories['/sys/kernel/iommu_groups'] = ('0', '1', '2')
    return made


def riscv64(
    note: str, isa: str, extensions: dict[int, int] | None, tree: str
) -> Made:
    """A machine described by a device tree."""
    made = machine(
        'riscv64',
        '6.12.63+deb13-riscv64',
        note,
        ['hart\t\t: 0', f'isa\t\t: {isa}', 'mmu\t\t: sv57'],
        processors=2,
        extensions=extensions,
    )
    made.text('/sys/devices/system/cpu/online', '0-1')
    made.raw('/proc/device-tree/compatible', tree.encode() + b'\0')
    if extensions is not None:
        made.smoke = timed(1.1, 1.1, fixed_ns=30_000, step='MMIO')
    return made


def loongarch64(note: str, *, lvz: bool) -> Made:
    """A Loongson 3C5000 server."""
    made = machine(
        'loongarch64',
        '6.12.63+deb13-loong64',
        note,
        [
            'package\t\t\t: 0',
            'core\t\t\t: 0',
            'CPU Family\t\t: Loongson-64bit',
            'Model Name\t\t: Loongson-3C5000',
            'ISA\t\t\t: loongarch32 loongarch64',
            'Features\t\t: cpucfg lam ual fpu lsx lasx crc32 complex crypto'
            f'{" lvz" if lvz else ""} lbt_x86 lbt_arm lbt_mips',
        ],
        processors=2,
        extensions={} if lvz else None,
        modules={'kvm': {}} if lvz else {},
    )
    made.text('/sys/devices/system/cpu/online', '0-1')
    made.text('/sys/class/dmi/id/sys_vendor', 'Loongson')
    made.text('/sys/class/dmi/id/product_name', 'Loongson-LS2C50C2')
    made.iommu()
    return made


def ia64(note: str, family: str) -> Made:
    """An Itanium, of the kernel's last years with it."""
    made = machine(
        'ia64',
        '5.19.0-1-mckinley',
        note,
        [
            'vendor     : GenuineIntel',
            'arch       : IA-64',
            f'family     : {family}',
            'model      : 0',
            'features   : branchlong, 16-byte atomic ops',
        ],
        processors=2,
    )
    made.text('/sys/devices/system/cpu/online', '0-1')
    made.iommu()
    return made
