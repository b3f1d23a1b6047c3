# SPDX-License-Identifier: Apache-2.0
"""Does a guest run here at all? Asked without any of hvfilter's code."""

import contextlib
import ctypes
import fcntl
import mmap
import os
import struct

IO, IOW, IOR = 0xAE00, 0x4000AE00, 0x8000AE00


def real_mode_guest(device, stack):
    """The exit reason of a guest that says ``hlt`` (x86): 5."""
    machine = fcntl.ioctl(device, IO | 0x01, 0)
    stack.callback(os.close, machine)
    fcntl.ioctl(machine, IO | 0x47, 0x20000000)  # KVM_SET_TSS_ADDR
    memory = mmap.mmap(-1, 0x2000)
    memory[0x1000] = 0xF4
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    region = struct.pack('IIQQQ', 0, 0, 0, 0x2000, address)
    fcntl.ioctl(machine, IOW | 32 << 16 | 0x46, region)
    processor = fcntl.ioctl(machine, IO | 0x41, 0)
    stack.callback(os.close, processor)
    run = mmap.mmap(processor, fcntl.ioctl(device, IO | 0x04, 0))
    system = bytearray(312)
    fcntl.ioctl(processor, IOR | 312 << 16 | 0x83, system, True)
    system[0:8] = bytes(8)  # cs.base
    system[12:14] = bytes(2)  # cs.selector
    fcntl.ioctl(processor, IOW | 312 << 16 | 0x84, bytes(system))
    registers = bytearray(144)
    struct.pack_into('<QQ', registers, 128, 0x1000, 2)  # rip, rflags
    fcntl.ioctl(processor, IOW | 144 << 16 | 0x82, bytes(registers))
    fcntl.ioctl(processor, IO | 0x80, 0)  # KVM_RUN
    return struct.unpack_from('I', run, 8)[0]


def ran():
    """Words for what happened. What is open is closed again, or the module
    could not be unloaded."""
    try:
        with contextlib.ExitStack() as stack:
            device = os.open('/dev/kvm', os.O_RDWR)
            stack.callback(os.close, device)
            if os.uname().machine != 'x86_64':
                power = os.uname().machine.startswith('ppc')
                kind = 0x20000000 if power else 0
                machine = fcntl.ioctl(device, kind | IO | 0x01, 0)
                stack.callback(os.close, machine)
                return 'created'
            reason = real_mode_guest(device, stack)
    except OSError as error:
        return f'failed: {error.strerror}'
    return 'ran' if reason == 5 else f'exit {reason}'
