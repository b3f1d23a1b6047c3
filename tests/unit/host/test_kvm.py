# SPDX-License-Identifier: Apache-2.0
"""The expected numbers are what a C compiler makes of linux/kvm.h."""

import ctypes
import os

import testtools

from hvfilter.host import door, kvm

SIZES = {
    kvm.CpuidEntry2: 40,
    kvm.MemoryRegion: 32,
    kvm.OneReg: 16,
    kvm.Regs: 144,
    kvm.Segment: 24,
    kvm.Dtable: 16,
    kvm.Sregs: 312,
    kvm.VcpuInit: 32,
    # struct kvm_msrs and kvm_signal_mask end in arrays: one entry of 16
    # bytes, one set of 8
    kvm.Msrs: 8 + 16,
    kvm.SignalMask: 4 + 8,
}

OFFSETS = {
    (kvm.Regs, 'rsp'): 48,
    (kvm.Regs, 'rip'): 128,
    (kvm.Regs, 'rflags'): 136,
    (kvm.Segment, 'type'): 14,
    (kvm.Segment, 'l'): 19,
    (kvm.Segment, 'unusable'): 22,
    (kvm.Sregs, 'tr'): 144,
    (kvm.Sregs, 'gdt'): 192,
    (kvm.Sregs, 'cr0'): 224,
    (kvm.Sregs, 'cr3'): 240,
    (kvm.Sregs, 'efer'): 264,
    (kvm.Sregs, 'apic_base'): 272,
    (kvm.Run, 'immediate_exit'): 1,
    (kvm.Run, 'exit_reason'): 8,
    (kvm.Run, 'exits'): 32,
    (kvm.IoExit, 'port'): 2,
    (kvm.IoExit, 'count'): 4,
    (kvm.IoExit, 'data_offset'): 8,
    (kvm.MmioExit, 'data'): 8,
    (kvm.MmioExit, 'len'): 16,
    (kvm.MmioExit, 'is_write'): 20,
    (kvm.Msrs, 'index'): 8,
    (kvm.Msrs, 'data'): 16,
    (kvm.SignalMask, 'sigset'): 4,
}

NUMBERS = {
    'GET_API_VERSION': 0x0000AE00,
    'CREATE_VM': 0x0000AE01,
    'CHECK_EXTENSION': 0x0000AE03,
    'GET_VCPU_MMAP_SIZE': 0x0000AE04,
    'GET_SUPPORTED_CPUID': 0xC008AE05,
    'GET_MSR_FEATURE_INDEX_LIST': 0xC004AE0A,
    'CREATE_VCPU': 0x0000AE41,
    'SET_USER_MEMORY_REGION': 0x4020AE46,
    'SET_TSS_ADDR': 0x0000AE47,
    'RUN': 0x0000AE80,
    'SET_REGS': 0x4090AE82,
    'GET_SREGS': 0x8138AE83,
    'SET_SREGS': 0x4138AE84,
    'GET_MSRS': 0xC008AE88,
    'SET_SIGNAL_MASK': 0x4004AE8B,
    'SET_CPUID2': 0x4008AE90,
    'SET_ONE_REG': 0x4010AEAC,
    'ARM_VCPU_INIT': 0x4020AEAE,
    'ARM_PREFERRED_TARGET': 0x8020AEAF,
}


class LayoutTest(testtools.TestCase):
    def test_sizes_as_in_the_kernel_headers(self):
        for structure, size in SIZES.items():
            self.assertEqual(size, ctypes.sizeof(structure), structure)
        self.assertEqual(8 + 3 * 40, ctypes.sizeof(kvm.cpuid2(3)))

    def test_offsets_as_in_the_kernel_headers(self):
        for (structure, field), offset in OFFSETS.items():
            self.assertEqual(
                offset, getattr(structure, field).offset, (structure, field)
            )
        self.assertEqual(8, kvm.cpuid2(3).entries.offset)

    def test_numbers_as_in_the_kernel_headers(self):
        if os.uname().machine not in ('x86_64', 'aarch64', 'riscv64'):
            self.skipTest('the numbers are those of asm-generic/ioctl.h')
        for name, number in NUMBERS.items():
            self.assertEqual(number, getattr(kvm, name), name)

    def test_direction_bits_when_the_architecture_is_powerpc(self):
        powerpc = kvm._Encoding('ppc64le')
        self.assertEqual(0x2000AE00, powerpc.io(0))
        self.assertEqual(0x8020AE46, powerpc.iow(0x46, 32))
        self.assertEqual(0x4138AE83, powerpc.ior(0x83, 312))
        self.assertEqual(0xC004AE0A, powerpc.iowr(0x0A, 4))


class DeviceTest(testtools.TestCase):
    def test_denied_when_there_is_no_device(self):
        denial = self.assertRaises(door.Denied, kvm.Device, '/dev/no-kvm')
        self.assertEqual('ENOENT', denial.error)
        self.assertIn('/dev/no-kvm', denial.what)

    def test_denied_when_it_is_another_device(self):
        with kvm.Device('/dev/null') as device:
            denial = self.assertRaises(door.Denied, device.api_version)
        self.assertEqual('ENOTTY', denial.error)
        self.assertIn('KVM_GET_API_VERSION', denial.what)

    def test_closed_once_when_closed_twice(self):
        device = kvm.Device('/dev/null')
        device.close()
        other = os.open('/dev/null', os.O_RDONLY)
        self.addCleanup(os.close, other)
        device.close()
        os.fstat(other)
