# SPDX-License-Identifier: Apache-2.0
"""Give KVM the VMX capability MSRs of another host's guest, as QEMU does when
a guest arrives, and compare what it refuses with hvfilter's rule.

Sources: Linux Documentation/virt/kvm/api.rst (KVM_SET_MSRS) and
arch/x86/kvm/vmx/nested.c (vmx_set_vmx_msr).
"""

import ctypes
import fcntl
import struct

from hvfilter.host import kvm
from hvfilter.model.nested_registers import (
    RESTORED_MSRS,
    Registers,
    parse_trait,
)
from hvfilter.rules import nested_set

SET_MSRS = 0x4008AE89


class Guest:
    """A virtual CPU whose MSRs are set before it ever ran."""

    def __init__(self, device, vm):
        self.vcpu = vm.add_vcpu()
        device.give_cpuid(self.vcpu)

    def takes(self, index, value):
        """Whether KVM sets one MSR."""
        message = struct.pack('<IIIIQ', 1, 0, index, 0, value)
        buffer = ctypes.create_string_buffer(message)
        try:
            return fcntl.ioctl(self.vcpu._fd, SET_MSRS, buffer) == 1
        except OSError:
            return False


def flipped(device, own):
    """Each bit of each register on its own: [what, KVM, rule] where they
    differ, and how many were tried."""
    differ, tried = [], 0
    with device.create_vm() as vm:
        guest = Guest(device, vm)
        for index, value in own.values:
            for bit in range(64):
                other = value ^ 1 << bit
                source = Registers.vmx({**dict(own.values), index: other})
                taken = guest.takes(index, other)
                allowed = nested_set.accepts(own, source)
                tried += 1
                if taken != allowed:
                    differ.append([f'{index:#x} bit {bit}', taken, allowed])
                if not guest.takes(index, value):
                    differ.append([f'{index:#x} as it is', False, True])
    return differ, tried


def arriving(device, own, trait):
    """A whole set: [trait, KVM, rule, what the rule says is missing]."""
    source = parse_trait(trait)
    known = {index for index, _ in (*own.values, *source.values)}
    with device.create_vm() as vm:
        guest = Guest(device, vm)
        # The pin-based controls first, as QEMU's kvm_msr_entry_add_vmx.
        order = sorted(known, key=lambda index: (index != 0x48D, index))
        taken = all(guest.takes(index, source[index]) for index in order)
    lacking = nested_set.missing(own, source)
    return [trait, taken, not lacking, list(lacking)]


def compare(traits):
    """What came of all; None where KVM offers guests no VMX."""
    with kvm.Device() as device:
        own = Registers.vmx(device.feature_msrs())
        if own is None:
            return None
        own = Registers.vmx(
            {index: own[index] for index in RESTORED_MSRS if own[index]}
        )
        differ, tried = flipped(device, own)
        return {
            'own': own.trait,
            'bits': tried,
            'bits_that_differ': differ,
            'sets': [arriving(device, own, trait) for trait in traits],
        }
