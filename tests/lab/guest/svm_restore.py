# SPDX-License-Identifier: Apache-2.0
"""Give KVM the SVM state of another host's guest, as QEMU does when a guest
arrives, and compare what it refuses with hvfilter's rule.

The state is that of a guest which is just running a guest of its own: one
with nothing beside, and one for each feature of the other host that such a
state can use.

Sources: Linux Documentation/virt/kvm/api.rst (KVM_SET_NESTED_STATE) and
arch/x86/kvm/svm/nested.c (svm_set_nested_state); AMD64 Architecture
Programmer's Manual volume 2, appendix B (the VMCB's layout).
"""

import fcntl
import struct

from hvfilter.host import base, kvm
from hvfilter.model.nested_registers import (
    SVM_FEATURES,
    Registers,
    parse_trait,
)
from hvfilter.rules import nested_set

SET_NESTED_STATE = 0x4080AEBF
_FORMAT_SVM = 1
_RUNS_A_GUEST, _GIF_SET = 0x1, 0x100
_SVME = 0x1000
_SVM_OFFERED = 0x80000001, 1 << 2  # ECX

_VMCB, _SAVE = 128, 128 + 0x400
_INTERCEPTS_3, _INTERCEPTS_4, _ASID = 0x0C, 0x10, 0x58
_INT_CTL, _NESTED_CTL, _VIRT_EXT = 0x60, 0x90, 0xB8
_EFER, _CR0, _DR7 = 0xD0, 0x158, 0x160

ALONE = 'SVM'
"""The guest that uses nothing beside."""

USES = {
    'NPT': (0, _NESTED_CTL, 1 << 0),
    'LBRV': (1, _VIRT_EXT, 1 << 0),
    'AVIC': (13, _INT_CTL, 1 << 31),
    'V_VMSAVE_VMLOAD': (15, _VIRT_EXT, 1 << 1),
    'vGIF': (16, _INT_CTL, 1 << 25),
    'vNMI': (25, _INT_CTL, 1 << 26),
}
"""Name to the bit of CPUID 8000000A:EDX, and the field and bit of the VMCB
that uses it."""


def state(field=0, bits=0):
    """``struct kvm_nested_state`` of a guest that is in a guest."""
    data = bytearray(_VMCB + 4096)
    flags = _RUNS_A_GUEST | _GIF_SET
    struct.pack_into('=HHIQ', data, 0, flags, _FORMAT_SVM, len(data), 0x1000)
    # KVM insists on VMRUN, and with vNMI on NMIs.
    struct.pack_into('I', data, _VMCB + _INTERCEPTS_3, 1 << 1)
    struct.pack_into('I', data, _VMCB + _INTERCEPTS_4, 1 << 0)
    struct.pack_into('I', data, _VMCB + _ASID, 1)
    struct.pack_into('Q', data, _SAVE + _EFER, _SVME)
    struct.pack_into('Q', data, _SAVE + _CR0, 0x80000011)
    # DR7, DR6, RFLAGS
    struct.pack_into('QQQ', data, _SAVE + _DR7, 0x400, 0xFFFF0FF0, 2)
    if bits:
        struct.pack_into('Q', data, _VMCB + field, bits)
    return data


def offered(device):
    """The own set; None where KVM offers guests no SVM."""
    entries = {each.leaf: each.regs for each in device.supported_cpuid()}
    leaf, bit = _SVM_OFFERED
    if leaf not in entries or not entries[leaf].ecx & bit:
        return None
    return Registers.svm(entries[SVM_FEATURES].edx)


def takes(device, source, field=0, bits=0):
    """Whether KVM takes a guest of a host with this set, in this state."""
    with device.create_vm() as vm:
        vcpu = vm.add_vcpu()
        try:
            table = device._supported_cpuid()
            for entry in table.entries[: table.nent]:
                if entry.function == SVM_FEATURES:
                    entry.edx = source[SVM_FEATURES]
            vcpu.ioctl(kvm.SET_CPUID2, 'KVM_SET_CPUID2', table)
            registers = kvm.Sregs()
            vcpu.ioctl(kvm.GET_SREGS, 'KVM_GET_SREGS', registers)
            registers.efer = _SVME
            vcpu.ioctl(kvm.SET_SREGS, 'KVM_SET_SREGS', registers)
            fcntl.ioctl(vcpu._fd, SET_NESTED_STATE, state(field, bits))
        except (base.Denied, OSError):
            return False
    return True


def arriving(device, own, trait):
    """A host's guests: [trait, [[what it uses, KVM, rule] ...]]."""
    source = parse_trait(trait)
    lacking = ('SVM',) if own is None else nested_set.missing(own, source)
    tries = [[ALONE, takes(device, source), own is not None]]
    for name, (bit, field, bits) in USES.items():
        if source[SVM_FEATURES] >> bit & 1:
            allowed = own is not None and f'SVM: {name}' not in lacking
            taken = takes(device, source, field, bits)
            tries.append([name, taken, allowed])
    return [trait, tries]


def compare(traits):
    """What came of all."""
    with kvm.Device() as device:
        own = offered(device)
        return {
            'own': own.trait if own is not None else None,
            'sets': [arriving(device, own, trait) for trait in traits],
        }
