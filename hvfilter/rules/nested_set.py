# SPDX-License-Identifier: Apache-2.0
"""The virtualization features that KVM gives to guests, as one set.

A guest that uses nested virtualization carries these with it. KVM refuses to
restore it where a VMX feature is missing (Linux arch/x86/kvm/vmx/nested.c,
``vmx_set_vmx_msr``): :func:`missing` is KVM's rule. For SVM there is nothing
that KVM could refuse but nested paging; what is missing in CPUID 8000000A:EDX
is refused before, by libvirt and QEMU.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Iterable, Iterator, Mapping

from hvfilter.model import nested_registers
from hvfilter.model.nested_registers import (
    SVM_FEATURES,
    VMX_MSRS,
    Kind,
    Registers,
)

_BASIC = 0x480
_MISC = 0x485
_FIXED_0 = (0x486, 0x488)
_TRUE_PIN = 0x48D

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
    names = frozenset(f'SVM: {_svm_name(bit)}' for bit in _bits(features))
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


def of_trait(name: str) -> Registers | None:
    """The set that a trait name carries, None if it is no such name."""
    return nested_registers.parse_trait(name)


def of_traits(names: Iterable[str]) -> Registers | None:
    """The set of a provider with these traits; None if it is not known.

    nova-compute takes back no trait that it read from a provider.yaml, so a
    provider can have two: then which of them is true is not known.
    """
    sets = [each for each in map(of_trait, names) if each is not None]
    return sets[0] if len(sets) == 1 else None


@functools.lru_cache(maxsize=4096)
def missing(target: Registers, source: Registers) -> tuple[str, ...]:
    """Why a guest of one host cannot go on at another; () if it can.

    :param target: what its host-to-be offers
    :param source: what the guest has
    :returns: features, in words, in the order of the registers
    """
    if target.kind is not source.kind:
        return (f'{source.kind.value} (it offers {target.kind.value})',)
    if source.kind is Kind.SVM:
        lacking = source[SVM_FEATURES] & ~target[SVM_FEATURES]
        return tuple(f'SVM: {_svm_name(bit)}' for bit in _bits(lacking))
    numbers = {number for number, _ in (*source.values, *target.values)}
    return tuple(
        text
        for number in sorted(numbers)
        for text in _refused(number, target, source)
    )


def accepts(target: Registers, source: Registers) -> bool:
    """Whether a guest of a host with ``source`` can go on at ``target``."""
    return not missing(target, source)


def common(sets: Iterable[Registers]) -> Registers | None:
    """The greatest set that each of these accepts.

    None if there is none: without a set, of both kinds, or where a value
    differs that must be the same.
    """
    greatest: Registers | None = None
    for number, each in enumerate(sets):
        greatest = each if not number else _common(greatest, each)
    return greatest


_BASIC_FLAGS = 0x3FF << 54 | 1 << 49 | 7 << 45 | 1 << 31
"""All of it but the revision (30:0), the size (44:32), the width of addresses
(48) and the memory type (53:50)."""

_MISC_FLAGS = 0xF << 28 | 0xFFE0
"""All of it but the rate of the timer (4:0), the number of CR3 targets
(24:16), of MSRs (27:25) and the revision of the SMM monitor (63:32)."""

_NARROW_ADDRESSES = 1 << 48
_MEMORY_TYPE = 0xF << 50
_LOW = 0xFFFFFFFF
_REVISION = 0x7FFFFFFF
_RATE = 0x1F
_TIMER = 6
"""The preemption timer, a pin-based control."""


def _refused(
    number: int, target: Registers, source: Registers
) -> Iterator[str]:
    """KVM's rule for one register: ``vmx_restore_*`` in vmx/nested.c."""
    there, has = target[number], source[number]
    lacking, forced = has & ~there, there & ~has
    words: Iterable[str] = ()
    if number == _BASIC:
        lacking &= _BASIC_FLAGS
        words = _basic_refused(there, has)
    elif number == _MISC:
        lacking &= _MISC_FLAGS
        # QEMU restores the pin-based controls first (target/i386/kvm/kvm.c,
        # kvm_msr_entry_add_vmx): the guest's own, not all that KVM offers.
        timer = source[_TRUE_PIN] >> 32 + _TIMER & 1
        words = _misc_refused(there, has, timer=bool(timer))
    elif number in _FIXED_0:
        lacking = 0
        words = (f'bit {bit} may be 0' for bit in _bits(forced))
    elif number in _CONTROLS:
        lacking >>= 32
        words = (
            f'{_bit_name(number, bit)} can be off'
            for bit in _bits(forced & _LOW)
        )
    for bit in _bits(lacking):
        yield f'{_MSR_NAMES[number]}: {_bit_name(number, bit)}'
    for each in words:
        yield f'{_MSR_NAMES[number]}: {each}'


def _basic_refused(there: int, has: int) -> Iterator[str]:
    if (there ^ has) & _REVISION:
        yield f'revision {has & _REVISION:#x}'
    if _vmcs_size(there) > _vmcs_size(has):
        yield f'VMCS of {_vmcs_size(has)} bytes'
    if has & _NARROW_ADDRESSES:
        # KVM emulates no such VMX, and refuses it whatever it offers.
        yield 'structures below 4 GiB only'


def _misc_refused(there: int, has: int, *, timer: bool) -> Iterator[str]:
    if timer and (there ^ has) & _RATE:
        yield f'preemption timer rate {has & _RATE}'
    for title, shift, mask in _MISC_NUMBERS:
        if has >> shift & mask > there >> shift & mask:
            yield f'{has >> shift & mask} {title}'
    if (there ^ has) >> 32:
        yield f'SMM monitor revision {has >> 32:#x}'


_MISC_NUMBERS = (('CR3 targets', 16, 0x1FF), ('times 512 MSRs', 25, 7))


def _vmcs_size(basic: int) -> int:
    return basic >> 32 & 0x1FFF


def _common(one: Registers | None, other: Registers) -> Registers | None:
    """The greatest set that both accept."""
    if one is None or one.kind is not other.kind:
        return None
    if one.kind is Kind.SVM:
        return Registers.svm(one[SVM_FEATURES] & other[SVM_FEATURES])
    values = {}
    for number, _ in (*one.values, *other.values):
        ones, others = one[number], other[number]
        both, either = ones & others, ones | others
        if number in _CONTROLS:
            both = both & ~_LOW | either & _LOW
        values[number] = either if number in _FIXED_0 else both
    basic = _common_basic(one[_BASIC], other[_BASIC])
    misc = _common_misc(one[_MISC], other[_MISC])
    if basic is None or misc is None:
        return None
    values |= {_BASIC: basic, _MISC: misc}
    if (one[_MISC] ^ other[_MISC]) & _RATE:
        # Neither takes a timer of the other's rate.
        values[_TRUE_PIN] = values.get(_TRUE_PIN, 0) & ~(1 << 32 + _TIMER)
    return Registers.vmx(values)


def _common_basic(one: int, other: int) -> int | None:
    if (one ^ other) & _REVISION:
        return None
    return (
        one & other & _BASIC_FLAGS
        | min(one & _MEMORY_TYPE, other & _MEMORY_TYPE)
        | max(_vmcs_size(one), _vmcs_size(other)) << 32
        | one & _REVISION
    )


def _common_misc(one: int, other: int) -> int | None:
    if (one ^ other) >> 32:
        return None
    common_bits = one & other & _MISC_FLAGS | one & ~_LOW
    for _, shift, mask in _MISC_NUMBERS:
        common_bits |= min(one >> shift & mask, other >> shift & mask) << shift
    if not (one ^ other) & _RATE:
        common_bits |= one & _RATE
    return common_bits


def _svm_name(bit: int) -> str:
    return _SVM_NAMES.get(bit, f'bit {bit}')
