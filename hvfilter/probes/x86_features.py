# SPDX-License-Identifier: Apache-2.0
"""The x86 features: where the registers and cpuinfo show each one.

Bit positions are of the SDM vol. 3 app. A and vol. 4 (VMX capability MSRs)
and the APM vol. 3 app. E (CPUID 8000000Ah); the words of cpuinfo are of the
kernel's arch/x86/include/asm/{cpufeatures,vmxfeatures}.h.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping

VMX_BASIC = 0x480
VMX_PINBASED = 0x481
VMX_PROCBASED = 0x482
VMX_PROCBASED2 = 0x48B

SVM_LEAF = 0x8000000A


@dataclasses.dataclass(frozen=True)
class VmxFeature:
    """A feature of VT-x.

    :ivar controls: (VMX capability MSR, bit of its high half) that must all
        be allowed to be 1
    :ivar words: words of cpuinfo that must all be there
    :ivar words_line: the line they stand in, 'vmx flags' or 'flags'
    """

    controls: tuple[tuple[int, int], ...]
    words: tuple[str, ...]
    words_line: str = 'vmx flags'


@dataclasses.dataclass(frozen=True)
class SvmFeature:
    """A feature of AMD-V.

    :ivar bit: of CPUID 8000000A:EDX
    :ivar word: the word in the 'flags' line of cpuinfo
    """

    bit: int
    word: str


_TPR_SHADOW = (VMX_PROCBASED, 21)

VMX_FEATURES: Mapping[str, VmxFeature] = types.MappingProxyType(
    {
        'ept': VmxFeature(((VMX_PROCBASED2, 1),), ('ept',), 'flags'),
        'vpid': VmxFeature(((VMX_PROCBASED2, 5),), ('vpid',), 'flags'),
        'unrestricted_guest': VmxFeature(
            ((VMX_PROCBASED2, 7),), ('unrestricted_guest',)
        ),
        'apicv': VmxFeature(
            (_TPR_SHADOW, (VMX_PROCBASED2, 8), (VMX_PROCBASED2, 9)),
            ('vapic_reg', 'vid'),
        ),
        'posted_interrupts': VmxFeature(
            ((VMX_PINBASED, 7),), ('posted_intr',)
        ),
        'shadow_vmcs': VmxFeature(((VMX_PROCBASED2, 14),), ('shadow_vmcs',)),
        'pml': VmxFeature(((VMX_PROCBASED2, 17),), ('pml',)),
        'tsc_scaling': VmxFeature(((VMX_PROCBASED2, 25),), ('tsc_scaling',)),
        'mbec': VmxFeature(((VMX_PROCBASED2, 22),), ('ept_mode_based_exec',)),
    }
)

SVM_FEATURES: Mapping[str, SvmFeature] = types.MappingProxyType(
    {
        'npt': SvmFeature(0, 'npt'),
        'lbrv': SvmFeature(1, 'lbrv'),
        'nrips': SvmFeature(3, 'nrip_save'),
        'avic': SvmFeature(13, 'avic'),
        'vls': SvmFeature(15, 'v_vmsave_vmload'),
        'vgif': SvmFeature(16, 'vgif'),
        'x2avic': SvmFeature(18, 'x2avic'),
        'vnmi': SvmFeature(25, 'vnmi'),
    }
)

NAMES: Mapping[str, str] = types.MappingProxyType(
    {
        'vtx': 'VT-x',
        'amdv': 'AMD-V',
        'hvm': 'VT-x or AMD-V',
        'kvm': 'VT-x or AMD-V',
        'nested': 'VT-x or AMD-V',
        'slat': 'EPT or NPT',
        'nested_slat': 'EPT or NPT',
        'ept': 'EPT',
        'vpid': 'VPID',
        'unrestricted_guest': 'unrestricted guest',
        'apicv': 'APICv',
        'posted_interrupts': 'posted interrupts',
        'shadow_vmcs': 'VMCS shadowing',
        'pml': 'PML',
        'tsc_scaling': 'TSC scaling',
        'mbec': 'MBEC',
        'npt': 'NPT',
        'lbrv': 'LBR virtualization',
        'nrips': 'next-RIP saving',
        'avic': 'AVIC',
        'vls': 'virtual VMLOAD and VMSAVE',
        'vgif': 'vGIF',
        'x2avic': 'x2AVIC',
        'vnmi': 'vNMI',
    }
)
"""What each is called in a sentence."""

EITHER: Mapping[str, tuple[str, ...]] = types.MappingProxyType(
    {
        'hvm': ('vtx', 'amdv'),
        'kvm': ('vtx', 'amdv'),
        'nested': ('vtx', 'amdv'),
        'slat': ('ept', 'npt'),
        'nested_slat': ('ept', 'npt'),
    }
)
"""Vendor-neutral words: what the processor must have one of."""

_FORMS: Mapping[str, Mapping[str, str]] = {
    'kvm_intel': {'hvm': 'VT-x', 'kvm': 'VT-x', 'nested': 'VT-x'}
    | {'slat': 'EPT', 'nested_slat': 'EPT'},
    'kvm_amd': {'hvm': 'AMD-V', 'kvm': 'AMD-V', 'nested': 'AMD-V'}
    | {'slat': 'NPT', 'nested_slat': 'NPT'},
}


def name_of(module: str, key: str) -> str:
    """What the makers call it whose KVM module it is; '' for any module."""
    return _FORMS.get(module, {}).get(key, NAMES[key])
