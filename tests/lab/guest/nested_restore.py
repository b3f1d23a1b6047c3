# SPDX-License-Identifier: Apache-2.0
"""Give KVM the SVM state of another host's guest; print what it refuses.

By hand, in "make lab-shell HOST=amd-npt-off": python3 /lab/nested_restore.py
Sources: Linux Documentation/virt/kvm/api.rst; arch/x86/kvm/svm/nested.c,
svm_set_nested_state.
"""

import ctypes
import fcntl
import os
import struct

CREATE_VM, CREATE_VCPU = 0xAE01, 0xAE41
GET_SUPPORTED_CPUID, SET_CPUID2, GET_CPUID2 = (
    0xC008AE05,
    0x4008AE90,
    0xC008AE91,
)
GET_SREGS, SET_SREGS = 0x8138AE83, 0x4138AE84
SET_NESTED_STATE = 0x4080AEBF
SVM, SVM_LEAF = 0x80000001, 0x8000000A
SVME, EFER_AT = 0x1000, 264
ENTRIES = 256


def cpuid_buffer():
    buffer = ctypes.create_string_buffer(8 + 40 * ENTRIES)
    struct.pack_into('I', buffer, 0, ENTRIES)
    return buffer


def features(buffer, change=None):
    """EDX of the leaf of SVM's features; changed if asked."""
    for number in range(struct.unpack_from('I', buffer)[0]):
        at = 8 + 40 * number
        if struct.unpack_from('I', buffer, at)[0] == SVM_LEAF:
            if change is not None:
                struct.pack_into('I', buffer, at + 24, change)
            return struct.unpack_from('I', buffer, at + 24)[0]
    return None


def state(nested_paging, int_ctl=0):
    """A guest that is in a guest of its own."""
    data = bytearray(128 + 4096)
    # In guest mode, GIF set; format SVM.
    struct.pack_into('=HHIQ', data, 0, 0x101, 1, len(data), 0x1000)
    vmcb = 128
    struct.pack_into('I', data, vmcb + 0x10, 1)
    struct.pack_into('I', data, vmcb + 0x58, 1)
    struct.pack_into('Q', data, vmcb + 0x60, int_ctl)
    struct.pack_into('Q', data, vmcb + 0x90, int(nested_paging))
    save = vmcb + 0x400
    struct.pack_into('Q', data, save + 0xD0, SVME)
    struct.pack_into('Q', data, save + 0x158, 0x80000011)
    struct.pack_into('QQQ', data, save + 0x160, 0x400, 0xFFFF0FF0, 2)
    return data


def tried(name, call):
    try:
        call()
    except OSError as error:
        print(f'RESTORE {name}: refused, {error.strerror}')
        return False
    print(f'RESTORE {name}: accepted')
    return True


def main():
    kvm = os.open('/dev/kvm', os.O_RDWR)
    supported = cpuid_buffer()
    fcntl.ioctl(kvm, GET_SUPPORTED_CPUID, supported)
    print(f'RESTORE offered: {features(supported) or 0:#x}')

    def vcpu(edx=None):
        machine = fcntl.ioctl(kvm, CREATE_VM, 0)
        made = fcntl.ioctl(machine, CREATE_VCPU, 0)
        table = ctypes.create_string_buffer(supported.raw)
        features(table, edx)
        fcntl.ioctl(made, SET_CPUID2, table)
        return made

    def all_features():
        made = vcpu(0xFFFFFFFF)
        shown = cpuid_buffer()
        fcntl.ioctl(made, GET_CPUID2, shown)
        print(f'RESTORE guest sees: {features(shown):#x}')

    def svme(made):
        sregs = ctypes.create_string_buffer(312)
        fcntl.ioctl(made, GET_SREGS, sregs)
        struct.pack_into('Q', sregs, EFER_AT, SVME)
        fcntl.ioctl(made, SET_SREGS, sregs)

    tried('all features in CPUID', all_features)
    tried('EFER.SVME', lambda: svme(vcpu()))
    for name, arguments in (
        ('nested guest without nested paging', (False,)),
        ('nested guest with nested paging', (True,)),
        ('nested guest with vGIF', (False, 1 << 25)),
        ('nested guest with AVIC', (False, 1 << 31)),
    ):
        made = vcpu(0xFFFFFFFF)
        try:
            svme(made)
        except OSError:
            continue
        tried(
            name,
            lambda made=made, arguments=arguments: fcntl.ioctl(
                made, SET_NESTED_STATE, state(*arguments)
            ),
        )


if __name__ == '__main__':
    main()
