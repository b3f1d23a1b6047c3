# SPDX-License-Identifier: Apache-2.0
"""The hosts made up by hand, by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from hvfilter.host.answers import Refusal
from hvfilter.host.facts import FileKind, FileStat
from tests.hosts.made import (
    causes,
    clouds,
    elsewhere,
    nested_runs,
    nova_conf,
    others,
)
from tests.hosts.made.machine import (
    FORBIDDEN,
    MISSING,
    Made,
    bits,
    failed,
    timed,
)
from tests.hosts.made.x86 import SECONDARY, SVM_ALL, Amd, Intel
from tests.recordings import KvmAnswers

NO_EPT = (0, 3, 4, 6)
NO_TSC_SCALING = tuple(bit for bit in SECONDARY if bit != 25)
QEMU = ('QEMU', 'Standard PC (Q35 + ICH9, 2009)', 'SeaBIOS')
KVM = 'KVMKVMKVM'
SEV = bits(0, 1, 2, 3, 4)
BOTH = bits(0, 1)


def _server(made: Made, table: str, *units: str) -> Made:
    """With an active IOMMU that remaps interrupts."""
    made.iommu(*units, table=table, groups=24)
    made.chips('IR-IO-APIC', 'IR-PCI-MSI-0000:00:1c.0')
    if table == 'DMAR':
        for unit in units:
            made.text(f'/sys/class/iommu/{unit}/intel-iommu/ecap', 'f020df')
        made.raw(
            '/sys/firmware/acpi/tables/DMAR', b'DMAR' + bytes(33) + b'\1' * 11
        )
    return made


SVM_FOR_GUESTS = {'cpu_model_extra_flags': 'svm'}
"""What nova.conf must say on AMD processors for guests to see SVM."""


def _intel(note: str, **facts: object) -> Made:
    made = Intel(note, **facts).make()
    return _server(made, 'DMAR', 'dmar0', 'dmar1')


def _amd(note: str, **facts: object) -> Made:
    made = Amd(note, **facts).make()
    made.nova(**SVM_FOR_GUESTS)
    return _server(made, 'IVRS', 'ivhd0', 'ivhd1')


def intel_all_on() -> Made:
    return _intel('Intel server with everything on, as it should be')


def intel_nested_off() -> Made:
    return _intel(
        'Intel server whose kvm_intel was loaded with nested=0',
        parameters={'nested': 'N'},
    )


def intel_firmware_lock() -> Made:
    return _intel(
        'Intel server whose firmware locked VMX off after a board swap',
        feature_control=0x1,
    )


def intel_firmware_lock_unprivileged() -> Made:
    made = _intel(
        'The same on kernel 6.12, looked at without the right to read MSRs',
        kernel='6.12.63+deb13-amd64',
        feature_control=0x1,
    )
    for table in made.msrs.values():
        table.update(dict.fromkeys(table, FORBIDDEN))
    return made


def intel_virt_type_qemu() -> Made:
    made = _intel('Intel server in order, but Nova is told to use TCG')
    made.nova(virt_type='qemu')
    return made


def intel_custom_model() -> Made:
    made = _intel('Nova gives guests a CPU model, which has no VMX')
    made.nova(cpu_mode='custom', cpu_models='Cascadelake-Server-noTSX')
    return made


def intel_custom_model_with_vmx() -> Made:
    made = _intel('Nova gives guests a CPU model, and VMX with it')
    made.nova(
        cpu_mode='custom',
        cpu_models='Cascadelake-Server-noTSX',
        cpu_model_extra_flags='+VMX, pcid',
    )
    return made


def intel_svm_required() -> Made:
    made = _intel(
        'Nova requires SVM for guests, by the nova.conf of AMD hosts'
    )
    made.nova(cpu_model_extra_flags='svm')
    return made


def intel_vmx_taken() -> Made:
    made = _intel("Nova takes VMX out of the host's CPU model")
    made.nova(cpu_mode='host-passthrough', cpu_model_extra_flags='-vmx')
    return made


def intel_no_nova() -> Made:
    made = _intel('Intel server without any configuration of Nova')
    made.no_nova()
    return made


def intel_no_ept() -> Made:
    return Intel(
        'An old Intel processor, of the time before EPT',
        model_name='Intel(R) Core(TM)2 Duo CPU     T9600  @ 2.80GHz',
        model=23,
        secondary=NO_EPT,
        pin=(0, 3, 5),
        dmi=('LENOVO', '2055W2T', 'LENOVO'),
    ).make()


def intel_ept_off() -> Made:
    return _intel(
        'Intel server whose kvm_intel was loaded with ept=0',
        parameters={'ept': 'N'},
    )


def intel_no_vtx() -> Made:
    made = Intel('An Intel processor without VT-x', vtx=False).make()
    made.modules({'kvm': {}})
    return made


def intel_hybrid() -> Made:
    made = Intel(
        'Hybrid processor whose efficient cores lack some of VT-x',
        model_name='12th Gen Intel(R) Core(TM) i9-12900K',
        model=151,
    ).make()
    lesser = Intel('', secondary=NO_TSC_SCALING, pin=(0, 3, 5, 6)).msrs
    for cpu in (2, 3):
        made.msrs[cpu] = {**lesser, 0x3A: 0x5}
    text = made.files['/proc/cpuinfo'].decode()
    blocks = text.split('\n\n')
    for cpu in (2, 3):
        blocks[cpu] = (
            blocks[cpu].replace(' tsc_scaling', '').replace(' posted_intr', '')
        )
    made.raw('/proc/cpuinfo', '\n\n'.join(blocks).encode())
    return made


def zhaoxin() -> Made:
    return Intel(
        'A Zhaoxin processor: VT-x by another maker',
        vendor='CentaurHauls',
        model_name='ZHAOXIN KaiSheng KH-37800D@2.7GHz',
        model=59,
        kernel='6.12.63+deb13-amd64',
        secondary=NO_TSC_SCALING,
        dmi=('Zhaoxin', 'ZX-KH-37800D', 'Byosoft'),
    ).make()


def intel_tdx() -> Made:
    return _intel(
        'Intel server that can start TDX guests',
        kernel='6.18.2-generic',
        model_name='INTEL(R) XEON(R) PLATINUM 8592+',
        model=207,
        parameters={'tdx': 'Y'},
        more_words=('tdx_host_platform',),
        more_msrs={0xFE: 0x8D0A, 0x87: 0x40 << 32 | 0x3F},
    )


def intel_tdx_host_passthrough() -> Made:
    made = intel_tdx()
    made.note = 'The same, and Nova 34 gives guests the processor itself'
    made.nova(cpu_mode='host-passthrough')
    made.text('/sys/fs/cgroup/misc.capacity', 'tdx 63')
    return made


def intel_tdx_no_guests_counted() -> Made:
    made = intel_tdx()
    made.note = 'The same, on a kernel that counts no TDX guests'
    made.nova(cpu_mode='host-passthrough')
    return made


def intel_tdx_nova_31() -> Made:
    made = intel_tdx_host_passthrough()
    made.note = 'The same, with a Nova that knows nothing of TDX'
    made.versions = {'nova': ('31.0.0',)}
    return made


def intel_tdx_off_in_kvm() -> Made:
    return _intel(
        'Intel server permitted to use TDX, whose kvm_intel does not',
        kernel='6.18.2-generic',
        model_name='INTEL(R) XEON(R) PLATINUM 8592+',
        model=207,
        parameters={'tdx': 'N'},
        more_words=('tdx_host_platform',),
        more_msrs={0xFE: 0x8D0A, 0x87: 0x40 << 32 | 0x3F},
    )


def intel_tdx_hibernation() -> Made:
    return _intel(
        'TDX switched on in kvm_intel; the kernel could hibernate',
        kernel='6.18.2-generic',
        model_name='INTEL(R) XEON(R) PLATINUM 8592+',
        model=207,
        parameters={'tdx': 'N'},
        more_msrs={0xFE: 0x8D0A, 0x87: 0x40 << 32 | 0x3F},
    )


def intel_tdx_firmware_off() -> Made:
    return _intel(
        'Intel server with TDX, switched off in the firmware',
        kernel='6.18.2-generic',
        model_name='INTEL(R) XEON(R) PLATINUM 8592+',
        model=207,
        parameters={'tdx': 'N'},
        more_msrs={0xFE: 0x8D0A, 0x87: 0x7F},
    )


def intel_iommu_off() -> Made:
    made = Intel('Intel server whose kernel was told to use no IOMMU').make()
    made.iommu(table='DMAR')
    made.text('/proc/cmdline', 'ro intel_iommu=off quiet')
    return made


def no_kvm_node() -> Made:
    made = _intel('A container on an Intel server, without /dev/kvm')
    made.no_kvm()
    made.stats['/dev/kvm'] = MISSING
    return made


def kvm_refused() -> Made:
    made = _intel('/dev/kvm is there, but not for the user who looks')
    made.no_kvm(FORBIDDEN)
    for table in made.msrs.values():
        table.update(dict.fromkeys(table, FORBIDDEN))
    return made


def kvm_of_root() -> Made:
    made = _intel('Root looks; /dev/kvm is closed to the account of QEMU')
    made.stats['/dev/kvm'] = FileStat(FileKind.CHAR, 0o660, 'root', 'root')
    return made


def kvm_refused_by_cgroup() -> Made:
    made = _intel('In a container whose device rules lack /dev/kvm')
    made.no_kvm(Refusal('EPERM'))
    return made


def kvm_refused_by_module() -> Made:
    made = _intel('/dev/kvm is open by its mode, and refused all the same')
    made.no_kvm(FORBIDDEN)
    made.stats['/dev/kvm'] = FileStat(FileKind.CHAR, 0o666, 'root', 'kvm')
    return made


def kvm_busy() -> Made:
    made = _intel('/dev/kvm opens; VirtualBox holds VT-x')
    made.smoke = failed('create_vm', 'EBUSY')
    return made


def kvm_entry_fails() -> Made:
    made = _intel('/dev/kvm opens; the first guest does not enter')
    made.smoke = failed('real_mode', 'FAIL_ENTRY')
    return made


def kvm_timeout() -> Made:
    made = _intel('/dev/kvm opens; the guest was interrupted three times')
    run = failed('real_mode', 'TIMEOUT')
    made.smoke = dataclasses.replace(run, attempts=3)
    return made


def kvm_doubtful_speed() -> Made:
    made = _amd('/dev/kvm opens; the guest is 20 times as slow as the host')
    made.smoke = dataclasses.replace(timed(10, 0.5), attempts=3)
    return made


def masked_sys() -> Made:
    made = _amd('A container whose /sys is empty; /dev/kvm was given to it')
    for path in list(made.files):
        if path.startswith('/sys/'):
            made.files[path] = MISSING
    for path in list(made.directories):
        if path.startswith('/sys'):
            made.directories[path] = MISSING
    return clouds.pci(made, '10221480', '10221481', '15b3101d')


def vm_with_nested() -> Made:
    return Intel(
        'A cloud VM whose host gives it VMX',
        kernel='6.12.63+deb13-cloud-amd64',
        hypervisor=KVM,
        dmi=QEMU,
        parameters={'nested': 'Y'},
    ).make()


def vm_without_nested() -> Made:
    made = Intel(
        'A cloud VM whose host gives it no VMX',
        kernel='6.12.63+deb13-cloud-amd64',
        vtx=False,
        hypervisor=KVM,
        dmi=QEMU,
    ).make()
    made.modules({'kvm': {}})
    return made


def amd_everything() -> Made:
    return _amd(
        'AMD server with everything on, AVIC too',
        parameters={'avic': 'Y'},
    )


def amd_host_model() -> Made:
    made = _amd("Nova's default, cpu_mode = host-model: guests see no SVM")
    made.nova()
    made.text('/etc/os-release', 'ID=debian', 'VERSION_ID="13"')
    return made


def amd_host_model_ubuntu() -> Made:
    made = amd_host_model()
    made.note = 'The same with the QEMU of Ubuntu, which leaves SVM in'
    made.text('/etc/os-release', 'ID=ubuntu', 'VERSION_ID="24.04"')
    return made


def amd_nested_off() -> Made:
    return _amd(
        'AMD server whose kvm_amd was loaded with nested=0',
        parameters={'nested': '0'},
    )


def amd_npt_off() -> Made:
    return _amd(
        'AMD server whose kvm_amd was loaded with npt=0',
        kernel='6.1.0-28-amd64',
        parameters={'npt': 'N', 'avic': 'N'},
    )


def amd_firmware_off_old_kernel() -> Made:
    return _amd(
        'SVM switched off in the firmware; kernel 6.1 still shows the flag',
        kernel='6.1.0-28-amd64',
        vm_cr=0x18,
    )


def amd_firmware_off() -> Made:
    return _amd(
        'SVM switched off in the firmware; kernel 6.12 hides the flag',
        vm_cr=0x18,
    )


def npt_without_svm() -> Made:
    made = Amd(
        'A VM whose processor shows npt but no svm',
        svm=False,
        hypervisor=KVM,
        dmi=QEMU,
        more_words=('npt', 'nrip_save'),
    ).make()
    made.modules({'kvm': {}})
    return made


def hygon() -> Made:
    made = Amd(
        'A Hygon processor: AMD-V by another maker',
        vendor='HygonGenuine',
        family=24,
        model=1,
        model_name='Hygon C86 7185 32-core Processor',
        features=tuple(b for b in SVM_ALL if b < 17),
        memory_encryption=BOTH,
        encrypts=False,
        dmi=('Sugon', 'H620-G30', 'Insyde'),
    ).make()
    made.nova(**SVM_FOR_GUESTS)
    return made


def amd_sev_snp() -> Made:
    made = _amd(
        'AMD server that can start SEV, SEV-ES and SEV-SNP guests',
        memory_encryption=SEV,
        parameters={'sev': 'Y', 'sev_es': 'Y', 'sev_snp': 'Y'},
        more_msrs={0xC0010010: bits(23, 18)},
    )
    made.text('/proc/misc', '232 kvm', '124 sev', '126 tun')
    return made


def amd_sev_all_es() -> Made:
    made = amd_sev_snp()
    again = _amd(
        'The firmware gave all identifiers to SEV-ES; kernel 6.12',
        memory_encryption=SEV,
        parameters={'sev': 'Y', 'sev_es': 'Y', 'sev_snp': 'Y'},
        more_msrs={0xC0010010: bits(23, 18)},
        first_sev_asid=510,
    )
    again.files['/proc/misc'] = made.files['/proc/misc']
    again.kvm = dataclasses.replace(
        again.kvm, extensions={**again.kvm.extensions, 235: 0b11101}
    )
    return again


def amd_sev_no_es() -> Made:
    made = _amd(
        'The firmware set no identifiers aside for SEV-ES',
        memory_encryption=SEV,
        parameters={'sev': 'Y', 'sev_es': 'N', 'sev_snp': 'N'},
        more_msrs={0xC0010010: bits(23, 18)},
        first_sev_asid=1,
    )
    made.text('/proc/misc', '232 kvm', '124 sev', '126 tun')
    return made


def amd_sev_no_rmp() -> Made:
    made = _amd(
        'The firmware set no memory aside for the RMP table',
        memory_encryption=SEV,
        parameters={'sev': 'Y', 'sev_es': 'Y', 'sev_snp': 'N'},
        more_msrs={0xC0010010: bits(23, 18), 0xC0010132: 0, 0xC0010133: 0},
    )
    made.text('/proc/misc', '232 kvm', '124 sev', '126 tun')
    return made


def amd_sev_no_device() -> Made:
    made = amd_sev_snp()
    made.note = 'SEV is on in kvm_amd, and ccp is not loaded: no /dev/sev'
    made.text('/proc/misc', '232 kvm', '126 tun')
    return made


def amd_sev_snp_iommu_pt() -> Made:
    made = _amd(
        'SEV-SNP lost to iommu=pt on the kernel command line',
        memory_encryption=SEV,
        parameters={'sev': 'Y', 'sev_es': 'Y', 'sev_snp': 'N'},
        more_msrs={0xC0010010: bits(23, 18)},
    )
    made.text('/proc/misc', '232 kvm', '124 sev', '126 tun')
    made.text('/proc/cmdline', 'ro quiet iommu=pt')
    return made


def amd_sev_word_off() -> Made:
    made = amd_sev_off_in_kvm()
    made.note = 'SEV switched off on the kernel command line'
    for name in ('sev', 'sev_es', 'sev_snp'):
        made.text(f'/sys/module/kvm_amd/parameters/{name}', 'N')
    made.text('/proc/cmdline', 'ro quiet kvm-amd.sev=0')
    return made


def amd_sev_snp_nova_31() -> Made:
    made = amd_sev_snp()
    made.note = 'The same, with a Nova that starts plain SEV guests only'
    made.versions = {'nova': ('31.0.0',)}
    return made


def amd_sev_snp_kolla() -> Made:
    made = amd_sev_snp()
    made.note = 'The same, with nova-compute in a container of Kolla'
    made.options = {}
    made.nova('/etc/kolla/nova-compute/nova.conf', **SVM_FOR_GUESTS)
    return made


def amd_sev_es_nova_33() -> Made:
    made = _amd(
        'AMD server that can start SEV and SEV-ES guests, by Nova 33',
        memory_encryption=bits(0, 1, 2, 3),
        parameters={'sev': 'Y', 'sev_es': 'Y'},
        more_msrs={0xC0010010: bits(23, 18)},
    )
    made.text('/proc/misc', '232 kvm', '124 sev', '126 tun')
    made.versions = {'nova': ('33.0.2',)}
    return made


def amd_sev_off_in_kvm() -> Made:
    made = _amd(
        'SEV permitted by the firmware, and off in kvm_amd',
        memory_encryption=SEV,
        more_msrs={0xC0010010: bits(23, 18)},
    )
    made.text('/proc/misc', '232 kvm', '124 sev', '126 tun')
    return made


def amd_sev_firmware_off() -> Made:
    return _amd(
        'AMD server with SEV, switched off in the firmware',
        memory_encryption=SEV,
        encrypts=False,
        more_msrs={0xC0010010: bits(18)},
    )


def amd_no_encrypted_guests() -> Made:
    made = amd_sev_snp()
    made.note = 'SEV is there, and Nova is told to start no such guest'
    made.nova(num_memory_encrypted_guests='0', **SVM_FOR_GUESTS)
    made.versions = {'nova': ('33.0.2',)}
    return made


def sysfs_only() -> Made:
    """As much as ``--sysroot`` of a small tarball shows."""
    made = _intel('Only files were kept of this host: no ioctls, no CPUID')
    made.cpuid = {}
    made.msrs = {}
    made.kvm = KvmAnswers(*[Refusal('EOPNOTSUPP', what='ask KVM')] * 1)
    made.kvm = dataclasses.replace(
        made.kvm,
        supported_cpuid=made.kvm.api_version,
        feature_msrs=made.kvm.api_version,
    )
    made.smoke = Refusal('EOPNOTSUPP', what='run a guest')
    return made


def arm64_vhe() -> Made:
    return others.arm64(
        'arm64 server, KVM in VHE mode', '6.12.63+deb13-arm64', extensions={}
    )


def arm64_nested() -> Made:
    return others.arm64(
        'arm64 server with FEAT_NV2 and kvm-arm.mode=nested',
        '6.18.2-arm64',
        extensions={240: 1},
        cmdline='ro kvm-arm.mode=nested',
    )


def arm64_mode_none() -> Made:
    return others.arm64(
        'arm64 server whose KVM is switched off on the command line',
        '6.12.63+deb13-arm64',
        extensions=None,
        cmdline='ro kvm-arm.mode=none',
    )


def arm64_guest() -> Made:
    made = others.arm64(
        'arm64 VM: the kernel runs at EL1',
        '6.12.63+deb13-cloud-arm64',
        extensions=None,
    )
    made.text('/sys/class/dmi/id/sys_vendor', 'QEMU')
    made.text('/sys/class/dmi/id/product_name', 'KVM Virtual Machine')
    made.raw('/proc/device-tree/psci/method', b'hvc\0')
    made.raw('/proc/device-tree/compatible', b'linux,dummy-virt\0')
    made.iommu()
    made.chips('GICv3', 'GICv3')
    return made


def s390x_lpar() -> Made:
    return others.s390x(
        'Partition of an IBM z15, nesting on', sie=True, nested='1'
    )


def s390x_secure_execution() -> Made:
    return others.s390x(
        'Partition of an IBM z15 that hosts Secure Execution guests',
        sie=True,
        nested='1',
        protected=True,
    )


def s390x_prot_virt_off() -> Made:
    return others.s390x(
        'The same, booted without prot_virt=1',
        sie=True,
        nested='1',
        protected=False,
    )


def s390x_prot_virt_refused() -> Made:
    return others.s390x(
        'The same, booted with prot_virt=1, which the ultravisor refused',
        sie=True,
        nested='1',
        cmdline='ro quiet prot_virt=1',
        protected=False,
    )


def s390x_nested_off() -> Made:
    return others.s390x(
        "Partition of an IBM z15, kvm's default: nesting off",
        sie=True,
        nested='0',
    )


def s390x_guest() -> Made:
    return others.s390x(
        'Guest of KVM on an IBM z15, without SIE',
        sie=False,
        control_program='KVM/Linux',
    )


def ppc64_powernv() -> Made:
    return others.ppc64(
        'POWER9 without a hypervisor under it',
        'PowerNV',
        extensions={160: 1},
        modules={'kvm': {}, 'kvm_hv': {'nested': 'Y'}},
    )


def ppc64_pr() -> Made:
    return others.ppc64(
        'POWER9 partition with kvm_pr, which does without the hardware',
        'pSeries',
        extensions={160: 0},
        modules={'kvm': {}, 'kvm_pr': {}},
    )


def riscv64_h() -> Made:
    return others.riscv64(
        'RISC-V board with the H extension',
        'rv64imafdch_zicbom_zicboz_zicntr_zicsr_zifencei_zba_zbb_sstc',
        {},
        'sophgo,sg2044',
    )


def riscv64_without_h() -> Made:
    return others.riscv64(
        'RISC-V board without the H extension',
        'rv64imafdc_zicntr_zicsr_zifencei_zhinx_zba',
        None,
        'starfive,visionfive-2',
    )


def loongarch64_lvz() -> Made:
    return others.loongarch64('Loongson server with LVZ', lvz=True)


def ia64_montecito() -> Made:
    return others.ia64('Itanium with VT-i', '32')


def ia64_madison() -> Made:
    return others.ia64('Itanium older than VT-i', '31')


def unknown_machine() -> Made:
    return others.machine(
        'sw_64',
        '6.6.0-sw',
        'A machine that hvfilter does not know',
        ['cpu family\t: 6B', 'model name\t: sw3231'],
        processors=2,
    )


def refusing(arch: str) -> Callable[[], Made]:
    """A machine of which nothing but the name may be looked at."""

    def make() -> Made:
        made = Made(
            arch, '6.12.63', f'{arch}, looked at without any permission'
        )
        made.refusing = True
        made.smoke = None
        made.no_nova()
        return made

    return make


REFUSING = ('x86_64', 's390x', 'ppc64le', 'aarch64', 'riscv64', 'loongarch64')

HOSTS: Mapping[str, Callable[[], Made]] = {
    **causes.HOSTS,
    **clouds.HOSTS,
    **elsewhere.HOSTS,
    **nested_runs.HOSTS,
    **nova_conf.HOSTS,
    **{
        f'refusing-{arch}'.replace('_', '-'): refusing(arch)
        for arch in REFUSING
    },
    **{
        make.__name__.replace('_', '-'): make
        for make in (
            intel_all_on,
            intel_nested_off,
            intel_firmware_lock,
            intel_firmware_lock_unprivileged,
            intel_virt_type_qemu,
            intel_custom_model,
            intel_custom_model_with_vmx,
            intel_svm_required,
            intel_vmx_taken,
            intel_no_nova,
            intel_no_ept,
            intel_ept_off,
            intel_no_vtx,
            intel_hybrid,
            zhaoxin,
            intel_tdx,
            intel_tdx_host_passthrough,
            intel_tdx_no_guests_counted,
            intel_tdx_nova_31,
            intel_tdx_off_in_kvm,
            intel_tdx_hibernation,
            intel_tdx_firmware_off,
            intel_iommu_off,
            no_kvm_node,
            kvm_refused,
            kvm_of_root,
            kvm_refused_by_cgroup,
            kvm_refused_by_module,
            kvm_busy,
            kvm_entry_fails,
            kvm_timeout,
            kvm_doubtful_speed,
            masked_sys,
            vm_with_nested,
            vm_without_nested,
            amd_everything,
            amd_host_model,
            amd_host_model_ubuntu,
            amd_nested_off,
            amd_npt_off,
            amd_firmware_off_old_kernel,
            amd_firmware_off,
            npt_without_svm,
            hygon,
            amd_sev_snp,
            amd_sev_all_es,
            amd_sev_no_es,
            amd_sev_no_rmp,
            amd_sev_no_device,
            amd_sev_snp_iommu_pt,
            amd_sev_word_off,
            amd_sev_snp_nova_31,
            amd_sev_snp_kolla,
            amd_sev_es_nova_33,
            amd_sev_off_in_kvm,
            amd_sev_firmware_off,
            amd_no_encrypted_guests,
            sysfs_only,
            arm64_vhe,
            arm64_nested,
            arm64_mode_none,
            arm64_guest,
            s390x_lpar,
            s390x_secure_execution,
            s390x_prot_virt_off,
            s390x_prot_virt_refused,
            s390x_nested_off,
            s390x_guest,
            ppc64_powernv,
            ppc64_pr,
            riscv64_h,
            riscv64_without_h,
            loongarch64_lvz,
            ia64_montecito,
            ia64_madison,
            unknown_machine,
        )
    },
}
