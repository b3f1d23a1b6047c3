# SPDX-License-Identifier: Apache-2.0
"""The hosts, and what is true of each.

``says`` and ``parameters`` are the kernel's own words about a host, and
``runs`` is whether a guest ran when it was started without hvfilter. What
hvfilter must say follows from those alone, and the lab also checks that the
kernel really says so. ``silent`` is what its messages must not hold.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from tests.lab import emulators
from tests.lab.emulators import Bochs, QemuArm, QemuPower, QemuRiscv, QemuX86

P, A, U = 'present', 'absent', 'unknown'

NOVA_CONF = """\
[libvirt]
virt_type = kvm
cpu_mode = host-passthrough
"""


@dataclasses.dataclass(frozen=True)
class LabHost:
    """A host of the lab.

    :ivar kernel: version of the Debian kernel
    :ivar says: patterns that the kernel's messages must match
    :ivar parameters: values the modules must have
    :ivar runs: whether a guest runs on it
    :ivar expected: capability to state
    :ivar module: loaded besides ``kvm``
    :ivar load: parameters given to that module
    :ivar set_msrs: index and bits to set before the modules are loaded, as
        a firmware would have
    :ivar broken: function of that module to what it always returns
    :ivar disproved: capabilities that KVM offers all the same
    :ivar quick: one of those that run everywhere, also where time is short
    """

    name: str
    emulator: emulators.Emulator
    kernel: str
    says: tuple[str, ...]
    runs: bool
    expected: Mapping[str, str]
    parameters: Mapping[str, str] = dataclasses.field(default_factory=dict)
    module: str = ''
    load: tuple[str, ...] = ()
    set_msrs: tuple[tuple[int, int], ...] = ()
    command_line: str = ''
    silent: tuple[str, ...] = ()
    broken: Mapping[str, int] = dataclasses.field(default_factory=dict)
    disproved: tuple[str, ...] = ()
    quick: bool = False


def _same(state: str, keys: str) -> dict[str, str]:
    return dict.fromkeys(keys.split(), state)


_NONE = _same(
    A,
    'kvm hvm vtx amdv slat ept npt nested nested_slat unrestricted_guest '
    'vpid bare_metal',
)
_AMD = {
    **_NONE,
    **_same(P, 'kvm hvm amdv slat npt nested nested_slat'),
}
# Bochs shows no hypervisor, but calls itself Bochs: a guest.
_INTEL = {
    **_NONE,
    **_same(P, 'kvm hvm vtx slat ept nested nested_slat'),
    **_same(P, 'unrestricted_guest vpid'),
}

_SERVER = (
    'type=0,vendor=American Megatrends',
    'type=1,manufacturer=Supermicro,product=AS-1114S',
    'type=2,manufacturer=Supermicro',
    'type=3,manufacturer=Supermicro',
)

_EPYC = QemuX86('EPYC,+svm,+npt')
_CLOUD_VM = QemuX86('EPYC,+svm,+npt', around=('nested=1',))
_HASWELL = Bochs('corei7_haswell_4770')
_ARM_MAX = QemuArm('max')

_NESTED = 'Nested Virtualization enabled'
_PAGING = 'Nested Paging enabled'
_NO_PAGING = 'Nested Paging disabled'


def _amd(
    name: str,
    *,
    cpu: emulators.Emulator = _EPYC,
    kernel: str = '6.1',
    says: tuple[str, ...] = (_NESTED, _PAGING),
    runs: bool = True,
    changed: Mapping[str, str] | None = None,
    parameters: Mapping[str, str] | None = None,
    load: tuple[str, ...] = (),
    set_msrs: tuple[tuple[int, int], ...] = (),
    silent: tuple[str, ...] = (),
    quick: bool = False,
) -> LabHost:
    return LabHost(
        name=name,
        emulator=cpu,
        kernel=kernel,
        set_msrs=set_msrs,
        says=says,
        runs=runs,
        expected={**_AMD, **(changed or {})},
        parameters=parameters or {},
        module='kvm-amd',
        load=load,
        silent=silent,
        quick=quick,
    )


def _lying(
    host: LabHost, name: str, broken: Mapping[str, int], disproved: str
) -> LabHost:
    """A host like another one, but KVM fails what it goes on to offer."""
    keys = disproved.split()
    return dataclasses.replace(
        host,
        name=name,
        broken=broken,
        disproved=tuple(keys),
        expected={**host.expected, **dict.fromkeys(keys, A)},
        quick=False,
    )


def _intel(
    name: str,
    *,
    cpu: emulators.Emulator = _HASWELL,
    kernel: str = '6.1',
    says: tuple[str, ...] = (),
    runs: bool = True,
    changed: Mapping[str, str] | None = None,
    parameters: Mapping[str, str] | None = None,
    load: tuple[str, ...] = (),
    quick: bool = False,
) -> LabHost:
    return LabHost(
        name=name,
        emulator=cpu,
        kernel=kernel,
        says=says,
        runs=runs,
        expected={**_INTEL, **(changed or {})},
        parameters=parameters or {},
        module='kvm-intel',
        load=load,
        silent=(r'SVM', 'kvm_amd'),
        quick=quick,
    )


_NO_EPT = _same(A, 'slat ept unrestricted_guest nested_slat')

_NO_KVM = _same(A, 'kvm hvm slat nested bare_metal')


def _arm(
    name: str,
    *,
    cpu: emulators.Emulator = _ARM_MAX,
    kernel: str = '6.1',
    says: tuple[str, ...],
    runs: bool = True,
    expected: Mapping[str, str] = _NO_KVM | _same(P, 'kvm hvm slat'),
    command_line: str = '',
    silent: tuple[str, ...] = (),
) -> LabHost:
    return LabHost(
        name=name,
        emulator=cpu,
        kernel=kernel,
        says=says,
        runs=runs,
        expected=expected,
        command_line=command_line,
        silent=silent,
    )


HOSTS: tuple[LabHost, ...] = (
    _amd(
        'amd-nested-on',
        parameters={'kvm_amd/nested': '1', 'kvm_amd/npt': 'Y'},
        quick=True,
    ),
    _amd(
        'amd-nested-off',
        load=('nested=0',),
        says=(_PAGING,),
        silent=(_NESTED,),
        parameters={'kvm_amd/nested': '0'},
        changed=_same(A, 'nested nested_slat'),
        quick=True,
    ),
    _amd(
        'amd-npt-off',
        load=('npt=0',),
        says=(_NESTED, _NO_PAGING),
        parameters={'kvm_amd/npt': 'N'},
        changed=_same(A, 'slat npt nested_slat'),
        quick=True,
    ),
    _amd(
        'amd-npt-off-6.12',
        kernel='6.12',
        load=('npt=0',),
        says=(_NESTED, _NO_PAGING),
        parameters={'kvm_amd/npt': 'N'},
        changed=_same(A, 'slat npt nested_slat'),
    ),
    _amd(
        'amd-without-npt',
        cpu=QemuX86('EPYC,+svm,-npt'),
        says=(_NESTED, _NO_PAGING),
        parameters={'kvm_amd/npt': 'N'},
        changed=_same(A, 'slat npt nested_slat'),
    ),
    _amd(
        'amd-without-svm',
        cpu=QemuX86('EPYC,-svm'),
        says=('has_svm: svm not available',),
        runs=False,
        changed=_NONE,
    ),
    _amd(
        'amd-bare-metal',
        cpu=QemuX86('EPYC-Milan,-hypervisor', firmware=_SERVER),
        changed=_same(P, 'bare_metal'),
    ),
    _amd(
        'amd-hidden-hypervisor',
        cpu=QemuX86('EPYC-Milan,-hypervisor'),
    ),
    _amd('amd-nested-on-6.12', kernel='6.12'),
    _amd(
        'amd-nested-off-6.12',
        kernel='6.12',
        load=('nested=0',),
        says=(_PAGING,),
        silent=(_NESTED,),
        parameters={'kvm_amd/nested': '0'},
        changed=_same(A, 'nested nested_slat'),
    ),
    _amd(
        'amd-without-svm-6.12',
        kernel='6.12',
        cpu=QemuX86('EPYC,-svm'),
        says=(r'SVM not supported by CPU \d',),
        runs=False,
        changed=_NONE,
    ),
    _amd('amd-nested-on-testing', kernel='testing'),
    _amd(
        'amd-nested-off-testing',
        kernel='testing',
        load=('nested=0',),
        says=(_PAGING,),
        silent=(_NESTED,),
        changed=_same(A, 'nested nested_slat'),
    ),
    _amd(
        'amd-bochs',
        cpu=Bochs('trinity_apu'),
        says=(_NESTED, _PAGING, 'LBR virtualization supported'),
    ),
    _amd('amd-cloud-vm', cpu=_CLOUD_VM),
    _amd('amd-cloud-vm-6.12', cpu=_CLOUD_VM, kernel='6.12'),
    # Kernel arch/x86/kvm/svm/nested.c: no VMRUN of a guest passes the check
    # of its controls; the nested page tables are looked for at address 0.
    _lying(
        _amd('amd-nested-on'),
        'amd-nested-fails',
        {'__nested_vmcb_check_controls': 0},
        'nested nested_slat',
    ),
    _lying(
        _amd('amd-nested-on'),
        'amd-nested-paging-fails',
        {'nested_svm_get_tdp_cr3': 0},
        'nested_slat',
    ),
    _amd(
        'amd-cloud-vm-nested-off',
        cpu=QemuX86('EPYC,+svm,+npt', around=('nested=0',)),
        says=('has_svm: svm not available',),
        runs=False,
        changed=_NONE,
    ),
    _amd(
        'amd-cloud-vm-svm-disabled',
        cpu=_CLOUD_VM,
        set_msrs=((0xC0010114, 1 << 4),),
        says=("support for 'kvm_amd' disabled by bios",),
        runs=False,
        changed=_NONE,
    ),
    _intel(
        'intel-all-on',
        parameters={
            'kvm_intel/nested': 'Y',
            'kvm_intel/ept': 'Y',
            'kvm_intel/unrestricted_guest': 'Y',
            'kvm_intel/vpid': 'Y',
        },
    ),
    _intel(
        'intel-all-on-6.12',
        kernel='6.12',
        parameters={'kvm_intel/nested': 'Y', 'kvm_intel/ept': 'Y'},
    ),
    _intel(
        'intel-nested-off',
        load=('nested=0',),
        parameters={'kvm_intel/nested': 'N', 'kvm_intel/ept': 'Y'},
        changed=_same(A, 'nested nested_slat'),
    ),
    _intel(
        'intel-ept-off',
        load=('ept=0',),
        parameters={
            'kvm_intel/nested': 'Y',
            'kvm_intel/ept': 'N',
            'kvm_intel/unrestricted_guest': 'N',
        },
        changed=_NO_EPT,
    ),
    _intel(
        'intel-ept-off-6.12',
        kernel='6.12',
        load=('ept=0',),
        parameters={'kvm_intel/nested': 'Y', 'kvm_intel/ept': 'N'},
        changed=_NO_EPT,
    ),
    # Kernel arch/x86/kvm/vmx/nested.c: no VMLAUNCH passes that check.
    _lying(
        _intel('intel-all-on'),
        'intel-nested-fails',
        {'nested_vmx_check_controls': 1},
        'nested nested_slat',
    ),
    _intel(
        'intel-unrestricted-guest-off',
        load=('unrestricted_guest=0',),
        parameters={
            'kvm_intel/ept': 'Y',
            'kvm_intel/unrestricted_guest': 'N',
        },
        changed=_same(A, 'unrestricted_guest'),
    ),
    _intel(
        'intel-without-ept',
        cpu=Bochs('core2_penryn_t9600'),
        parameters={
            'kvm_intel/nested': 'Y',
            'kvm_intel/ept': 'N',
            'kvm_intel/vpid': 'N',
        },
        changed={**_NO_EPT, 'vpid': A},
    ),
    _intel(
        'intel-firmware-lock',
        cpu=Bochs('corei7_haswell_4770', locked=True),
        says=(r'VMX \(outside TXT\) disabled by BIOS',),
        runs=False,
        changed=_NONE,
        quick=True,
    ),
    _intel(
        'intel-firmware-lock-6.12',
        kernel='6.12',
        cpu=Bochs('corei7_haswell_4770', locked=True),
        says=(r'VMX not enabled \(by BIOS\) in MSR_IA32_FEAT_CTL on CPU \d',),
        runs=False,
        changed=_NONE,
    ),
    _intel(
        'intel-without-vtx',
        cpu=QemuX86('Skylake-Client'),
        says=('no hardware support',),
        runs=False,
        changed=_NONE,
    ),
    _arm('arm64-vhe', says=('VHE mode initialized successfully',)),
    _arm(
        'arm64-vhe-6.12',
        kernel='6.12',
        says=('VHE mode initialized successfully',),
    ),
    _arm(
        'arm64-vhe-testing',
        kernel='testing',
        says=('VHE mode initialized successfully',),
    ),
    _arm(
        'arm64-without-vhe',
        cpu=QemuArm('cortex-a72'),
        says=('Hyp mode initialized successfully',),
        silent=('VHE mode',),
    ),
    _arm(
        'arm64-protected',
        command_line='kvm-arm.mode=protected',
        says=('Protected n?VHE mode initialized successfully',),
    ),
    _arm(
        'arm64-without-el2',
        cpu=QemuArm('max', el2=False),
        says=('HYP mode not available',),
        runs=False,
        expected=_NO_KVM,
    ),
    _arm(
        'arm64-told-not-to',
        command_line='kvm-arm.mode=none',
        says=('KVM disabled from command line',),
        runs=False,
        # Only a boot message tells that the processors started at EL2, and
        # such messages do not last: hvfilter must not guess either way.
        expected={**_NO_KVM, 'hvm': U},
    ),
    LabHost(
        name='riscv64-h',
        emulator=QemuRiscv('rv64,h=true'),
        kernel='testing',
        says=('hypervisor extension available',),
        runs=True,
        expected=_NO_KVM | _same(P, 'kvm hvm slat'),
        module='kvm',
    ),
    LabHost(
        name='riscv64-without-h',
        emulator=QemuRiscv('rv64,h=false'),
        kernel='testing',
        says=('hypervisor extension not available',),
        runs=False,
        expected=_NO_KVM,
        module='kvm',
    ),
    LabHost(
        name='ppc64-powernv9',
        emulator=QemuPower('powernv9'),
        kernel='testing',
        says=(),
        runs=True,
        expected=_same(P, 'kvm hvm slat'),
        module='kvm-hv',
    ),
)

BY_NAME = {host.name: host for host in HOSTS}
