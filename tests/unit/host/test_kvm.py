# SPDX-License-Identifier: Apache-2.0
"""The expected numbers are what a C compiler makes of linux/kvm.h."""

import ctypes
import errno
import os
import pathlib
from unittest import mock

import testtools

from hvfilter.host import base, facts, kvm, live
from tests.fakes.kvm import RUN_SIZE, FakeKvm
from tests.fakes.processors import X86, Arm64

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
        denial = self.assertRaises(base.Denied, kvm.Device, '/dev/no-kvm')
        self.assertEqual('ENOENT', denial.error)
        self.assertIn('/dev/no-kvm', denial.what)

    def test_denied_when_it_is_another_device(self):
        with kvm.Device('/dev/null') as device:
            denial = self.assertRaises(base.Denied, device.api_version)
        self.assertEqual('ENOTTY', denial.error)
        self.assertIn('KVM_GET_API_VERSION', denial.what)

    def test_closed_once_when_closed_twice(self):
        device = kvm.Device('/dev/null')
        device.close()
        other = os.open('/dev/null', os.O_RDONLY)
        self.addCleanup(os.close, other)
        device.close()
        os.fstat(other)


def open_files():
    return len(list(pathlib.Path('/proc/self/fd').iterdir()))


class AnswersTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.kvm = self.useFixture(FakeKvm())
        self.host = live.LiveHost(devices=self.kvm.devices)

    def test_version_and_extensions_when_asked(self):
        self.kvm.extensions = {235: 9}
        self.assertEqual(12, self.host.kvm_api_version())
        self.assertEqual(9, self.host.kvm_extension(235))
        self.assertEqual(0, self.host.kvm_extension(236))

    def test_name_of_the_question_when_refused(self):
        self.kvm.refused = {kvm.CHECK_EXTENSION: errno.EPERM}
        denial = self.assertRaises(base.Denied, self.host.kvm_extension, 235)
        self.assertEqual(
            ('ioctl KVM_CHECK_EXTENSION 235', 'EPERM'),
            (denial.what, denial.error),
        )

    def test_table_when_it_fits(self):
        self.kvm.cpuid = [
            (0, 0, 0x20, 1, 2, 3),
            (7, 1, 4, 5, 6, 0xFFFFFFFF),
        ]
        self.assertEqual(
            (
                facts.CpuidEntry(0, 0, facts.CpuidRegs(0x20, 1, 2, 3)),
                facts.CpuidEntry(7, 1, facts.CpuidRegs(4, 5, 6, 0xFFFFFFFF)),
            ),
            self.host.kvm_supported_cpuid(),
        )

    def test_whole_table_when_it_is_longer_than_thought(self):
        self.kvm.cpuid = [(leaf, 0, leaf, 0, 0, 0) for leaf in range(1000)]
        self.assertEqual(
            list(range(1000)),
            [entry.leaf for entry in self.host.kvm_supported_cpuid()],
        )

    def test_denied_when_no_table_is_long_enough(self):
        for request, ask in (
            (kvm.GET_SUPPORTED_CPUID, self.host.kvm_supported_cpuid),
            (kvm.GET_MSR_FEATURE_INDEX_LIST, self.host.kvm_feature_msrs),
        ):
            self.kvm.refused = {request: errno.E2BIG}
            self.kvm.asked.clear()
            denial = self.assertRaises(base.Denied, ask)
            self.assertEqual('E2BIG', denial.error)
            self.assertLess(len(self.kvm.asked), 10)

    def test_denied_at_once_when_the_architecture_has_no_table(self):
        for request, ask in (
            (kvm.GET_SUPPORTED_CPUID, self.host.kvm_supported_cpuid),
            (kvm.GET_MSR_FEATURE_INDEX_LIST, self.host.kvm_feature_msrs),
        ):
            self.kvm.refused = {request: errno.EINVAL}
            self.kvm.asked.clear()
            self.assertEqual(
                'EINVAL', self.assertRaises(base.Denied, ask).error
            )
            self.assertEqual([request], self.kvm.asked)

    def test_registers_when_some_cannot_be_read(self):
        self.kvm.msrs = {0x480: 2**63 + 5, 0x48B: None, 0xC0010015: 0}
        self.assertEqual(
            {0x480: 2**63 + 5, 0xC0010015: 0}, self.host.kvm_feature_msrs()
        )

    def test_none_when_every_register_is_refused(self):
        self.kvm.msrs = {0x480: 1}
        self.kvm.refused = {kvm.GET_MSRS: errno.EPERM}
        self.assertEqual({}, self.host.kvm_feature_msrs())

    def test_all_registers_when_there_are_more_than_thought(self):
        self.kvm.msrs = {index: index << 32 for index in range(300)}
        self.assertEqual(self.kvm.msrs, self.host.kvm_feature_msrs())


class VmTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.kvm = self.useFixture(FakeKvm(X86()))
        self.device = kvm.Device(self.kvm.path)
        self.addCleanup(self.device.close)

    def test_memory_shared_when_added(self):
        with self.device.create_vm() as vm:
            first = vm.add_memory(0, 0x2000)
            second = vm.add_memory(0x80000000, 0x1000)
            first[0x1FFE:0x2000] = b'ab'
            second[:2] = b'cd'
            self.assertEqual(b'ab', self.kvm.load(0x1FFE, 2))
            self.assertEqual(b'cd', self.kvm.load(0x80000000, 2))
            self.assertEqual(
                [0, 1], [region.slot for region in self.kvm.memory]
            )

    def test_nothing_left_when_closed_twice(self):
        before = open_files()
        vm = self.device.create_vm()
        memory = vm.add_memory(0, 0x1000)
        vcpus = vm.add_vcpu(), vm.add_vcpu()
        # Each mapping of a processor keeps a descriptor of Python's own.
        self.assertEqual(before + 1 + 2 * len(vcpus), open_files())
        vm.close()
        vm.close()
        for vcpu in vcpus:
            vcpu.close()
        self.assertEqual(before, open_files())
        self.assertTrue(memory.closed)

    def test_denied_and_closed_when_the_processor_cannot_be_mapped(self):
        with self.device.create_vm() as vm:
            before = open_files()
            error = OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
            with mock.patch('mmap.mmap', side_effect=error):
                denial = self.assertRaises(base.Denied, vm.add_vcpu)
            self.assertEqual(before, open_files())
        self.assertEqual(
            ('map the virtual CPU', 'ENOMEM'), (denial.what, denial.error)
        )

    def test_number_told_when_a_processor_is_refused(self):
        with self.device.create_vm() as vm:
            vm.add_vcpu()
            self.kvm.refused = {kvm.CREATE_VCPU: errno.EINVAL}
            denial = self.assertRaises(base.Denied, vm.add_vcpu)
        self.assertEqual('ioctl KVM_CREATE_VCPU 1', denial.what)

    def test_one_signal_unblocked_when_let_through(self):
        with self.device.create_vm() as vm:
            vm.add_vcpu().let_through(23)
        self.assertEqual(8, self.kvm.mask.len)
        self.assertEqual(2**64 - 1 - (1 << 22), self.kvm.mask.sigset)

    def test_cpuid_of_the_processor_when_it_is_given_all(self):
        self.kvm.cpuid = [(0, 0, 1, 2, 3, 4), (7, 0, 5, 6, 7, 8)]
        with self.device.create_vm() as vm:
            self.device.give_cpuid(vm.add_vcpu())
        self.assertEqual(self.kvm.cpuid, self.kvm.given_cpuid)

    def test_content_of_the_port_when_the_guest_wrote_to_it(self):
        with self.device.create_vm() as vm:
            vcpu = vm.add_vcpu()
            vcpu.state.exits.io = kvm.IoExit(size=2, count=3, data_offset=512)
            vcpu._memory[512:520] = b'abcdefgh'
            self.assertEqual(b'abcdef', vcpu.data())
            self.assertEqual(RUN_SIZE, len(vcpu._memory))


class Arm64VmTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.kvm = self.useFixture(FakeKvm(Arm64()))
        names = mock.Mock(machine='aarch64', release='6.12')
        patch = mock.patch('os.uname', return_value=names)
        patch.start()
        self.addCleanup(patch.stop)

    def _kind(self, address_bits):
        self.kvm.extensions = {kvm.CAP_ARM_VM_IPA_SIZE: address_bits}
        with kvm.Device(self.kvm.path) as device, device.create_vm():
            return self.kvm.kind

    def test_fewer_bits_when_the_processor_has_not_the_usual_40(self):
        self.assertEqual(36, self._kind(36))
        self.assertEqual(39, self._kind(39))

    def test_usual_bits_when_the_processor_has_them_or_does_not_tell(self):
        for address_bits in (0, 40, 48, 52):
            self.assertEqual(0, self._kind(address_bits), address_bits)


class ThisKvmTest(testtools.TestCase):
    """The kernel's own KVM, where there is one that we may use."""

    def setUp(self):
        super().setUp()
        self.host = live.LiveHost()
        try:
            self.version = self.host.kvm_api_version()
        except base.Denied as denial:
            self.version = None
            self.denial = denial

    def test_version_or_why_not_when_asked(self):
        if self.version is not None:
            self.assertEqual(12, self.version)
            return
        self.assertEqual('open /dev/kvm', self.denial.what)
        error = self.assertRaises(OSError, os.open, kvm.DEVICE, os.O_RDWR)
        self.assertEqual(errno.errorcode[error.errno], self.denial.error)

    def test_as_the_processor_has_it_when_on_x86(self):
        if self.version is None or os.uname().machine != 'x86_64':
            return
        given = {
            (entry.leaf, entry.subleaf): entry.regs
            for entry in self.host.kvm_supported_cpuid()
        }
        own = self.host.cpuid(min(os.sched_getaffinity(0)), 0)
        told = given[0, 0]
        self.assertEqual(
            (own.ebx, own.ecx, own.edx), (told.ebx, told.ecx, told.edx)
        )
        # KVM_CAP_USER_MEMORY, without which no guest has memory.
        self.assertEqual(1, self.host.kvm_extension(3))
        for index, value in self.host.kvm_feature_msrs().items():
            self.assertTrue(0 <= index < 2**32 and 0 <= value < 2**64)
