# SPDX-License-Identifier: Apache-2.0
"""The virtualization features that KVM gives to guests, as one set.

A guest that uses nested virtualization carries these with it: KVM refuses to
restore it where a feature is missing (Linux arch/x86/kvm/vmx/nested.c,
``vmx_set_vmx_msr``). Two hosts may exchange such guests only if their digests
are equal; a guest may move to a host that has all its features and more.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping

VMX_MSRS = range(0x480, 0x494)
"""The VMX capability MSRs, SDM vol. 3 app. A."""

_BASIC = 0x480

_CONTROLS = frozenset({*range(0x481, 0x485), 0x48B, *range(0x48D, 0x491)})
"""Low half: settings that must be 1; high half: settings that may be 1
(SDM vol. 3 app. A.3 to A.5)."""

_MSR_NAMES = {
    0x480: 'basic',
    0x481: 'pin',
    0x482: 'primary',
    0x483: 'exit',
    0x484: 'entry',
    0x485: 'misc',
    0x486: 'cr0 fixed 1',
    0x487: 'cr0 allowed 1',
    0x488: 'cr4 fixed 1',
    0x489: 'cr4 allowed 1',
    0x48A: 'vmcs fields',
    0x48B: 'secondary',
    0x48C: 'ept and vpid',
    0x48D: 'true pin',
    0x48E: 'true primary',
    0x48F: 'true exit',
    0x490: 'true entry',
    0x491: 'vm functions',
    0x492: 'tertiary',
    0x493: 'secondary exit',
}

_BIT_NAMES: Mapping[tuple[int, int], str] = {
    (0x481, 0): 'external-interrupt exiting',
    (0x481, 3): 'NMI exiting',
    (0x481, 5): 'virtual NMIs',
    (0x481, 6): 'preemption timer',
    (0x481, 7): 'posted interrupts',
    (0x482, 21): 'TPR shadow',
    (0x482, 25): 'I/O bitmaps',
    (0x482, 27): 'monitor trap flag',
    (0x482, 28): 'MSR bitmaps',
    (0x482, 31): 'secondary controls',
    (0x48B, 0): 'virtualize APIC accesses',
    (0x48B, 1): 'EPT',
    (0x48B, 2): 'descriptor-table exiting',
    (0x48B, 3): 'RDTSCP',
    (0x48B, 4): 'virtualize x2APIC mode',
    (0x48B, 5): 'VPID',
    (0x48B, 6): 'WBINVD exiting',
    (0x48B, 7): 'unrestricted guest',
    (0x48B, 8): 'APIC-register virtualization',
    (0x48B, 9): 'virtual-interrupt delivery',
    (0x48B, 10): 'PAUSE-loop exiting',
    (0x48B, 11): 'RDRAND exiting',
    (0x48B, 12): 'INVPCID',
    (0x48B, 13): 'VM functions',
    (0x48B, 14): 'VMCS shadowing',
    (0x48B, 15): 'ENCLS exiting',
    (0x48B, 16): 'RDSEED exiting',
    (0x48B, 17): 'PML',
    (0x48B, 18): 'EPT violation #VE',
    (0x48B, 20): 'XSAVES/XRSTORS',
    (0x48B, 22): 'mode-based execute control',
    (0x48B, 25): 'TSC scaling',
    (0x48B, 26): 'user wait and pause',
    (0x48C, 0): 'execute-only EPT',
    (0x48C, 6): '4-level EPT',
    (0x48C, 7): '5-level EPT',
    (0x48C, 16): '2 MiB EPT pages',
    (0x48C, 17): '1 GiB EPT pages',
    (0x48C, 20): 'INVEPT',
    (0x48C, 21): 'EPT accessed and dirty flags',
    (0x48C, 32): 'INVVPID',
    (0x491, 0): 'EPTP switching',
}

_SVM_NAMES = {
    0: 'NPT',
    1: 'LBRV',
    2: 'SVM lock',
    3: 'NRIPS',
    4: 'TSC rate MSR',
    5: 'VMCB clean bits',
    6: 'flush by ASID',
    7: 'decode assists',
    10: 'pause filter',
    12: 'pause-filter threshold',
    13: 'AVIC',
    15: 'V_VMSAVE_VMLOAD',
    16: 'vGIF',
    18: 'x2AVIC',
    25: 'vNMI',
}
"""CPUID 8000000A:EDX, APM vol. 3 app. E.4.9."""


@dataclasses.dataclass(frozen=True)
class NestedSet:
    """What guests get.

    :ivar kind: 'VMX' or 'SVM'
    :ivar values: the registers that say so, in order: name and value
    :ivar features: the settings in them, one by one, in words
    """

    kind: str
    values: tuple[tuple[str, int], ...]
    features: frozenset[str]

    @property
    def digest(self) -> str:
        """16 hexadecimal digits: equal exactly when the registers are."""
        lines = [f'{name}={value:#x}' for name, value in self.values]
        text = '\n'.join([self.kind, *lines])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        return f'{self.kind} {self.digest} ({len(self.features)} features)'


def vmx(feature_msrs: Mapping[int, int]) -> NestedSet | None:
    """From KVM's feature MSRs; None when guests get no VMX."""
    values = {
        index: feature_msrs[index]
        for index in sorted(feature_msrs)
        if index in VMX_MSRS
    }
    if not values:
        return None
    features = frozenset(
        feature
        for index, value in values.items()
        for feature in _vmx_features(index, value)
    )
    named = tuple((f'MSR {i:#x}', value) for i, value in values.items())
    return NestedSet('VMX', named, features)


def svm(revision: int, features: int) -> NestedSet | None:
    """From CPUID 8000000A as KVM gives it to guests.

    :param revision: its EAX
    :param features: its EDX
    :returns: None when guests get no SVM
    """
    if not revision and not features:
        return None
    names = frozenset(
        f'SVM: {_SVM_NAMES.get(bit, f"bit {bit}")}' for bit in _bits(features)
    )
    values = (
        ('CPUID 8000000A:EAX', revision),
        ('CPUID 8000000A:EDX', features),
    )
    return NestedSet('SVM', values, names)


def _vmx_features(index: int, value: int) -> Iterator[str]:
    name = _MSR_NAMES[index]
    if index in _CONTROLS:
        for bit in _bits(value >> 32):
            yield f'{name}: {_bit_name(index, bit)}'
        for bit in _bits(value & 0xFFFFFFFF):
            yield f'{name}: {_bit_name(index, bit)} is always on'
        return
    if index == _BASIC:
        yield f'{name}: revision {value & 0x7FFFFFFF:#x}'
        value &= ~0xFFFFFFFF
    for bit in _bits(value):
        yield f'{name}: {_bit_name(index, bit)}'


def _bit_name(index: int, bit: int) -> str:
    # The "true" controls repeat those of 0x481 to 0x484.
    twin = index - 0x48D + 0x481 if 0x48D <= index <= 0x490 else index
    return _BIT_NAMES.get((twin, bit), f'bit {bit}')


def _bits(value: int) -> Iterator[int]:
    return (bit for bit in range(value.bit_length()) if value >> bit & 1)
