# SPDX-License-Identifier: Apache-2.0

import os
import pathlib
import struct
from unittest import mock

import fixtures
import testtools
from hypothesis import given
from hypothesis import strategies as st

from hvfilter.host import base, cpuid, facts, live

LAST_BASIC = facts.CpuidRegs(0x1111, 0x2222, 0x3333, 0x4444)


def processor(leaves, vendor=b'GenuineIntel', hypervisor=False):
    """Executes CPUID as the SDM says, the trap included."""
    ebx, edx, ecx = struct.unpack('<3I', vendor)
    table = {
        0: facts.CpuidRegs(0x16, ebx, ecx, edx),
        1: facts.CpuidRegs(0, 0, hypervisor << 31, 0),
        **{leaf: facts.CpuidRegs(eax, 0, 0, 0) for leaf, eax in leaves},
    }
    return lambda leaf, subleaf: table.get(leaf, LAST_BASIC)


class CheckedTest(testtools.TestCase):
    def _denied(self, execute, leaf):
        denial = self.assertRaises(
            base.Denied, cpuid.checked, execute, leaf, 0, 'execute'
        )
        self.assertEqual('ENXIO', denial.error)
        self.assertTrue(denial.not_found)

    def test_denied_when_beyond_the_highest_leaf(self):
        execute = processor([(0x80000000, 0x80000008)])
        for leaf in (0x17, 0x3FFFFFFF, 0x80000009, 0x8000000A, 0x8000001F):
            self._denied(execute, leaf)

    def test_answered_when_it_is_the_highest_leaf(self):
        execute = processor([(0x80000000, 0x80000008), (0x80000008, 48)])
        answer = cpuid.checked(execute, 0x80000008, 0, 'execute')
        self.assertEqual(48, answer.eax)

    def test_no_extended_leaves_when_the_answer_is_the_last_basic_one(self):
        self._denied(processor([]), 0x80000001)

    def test_no_hypervisor_leaves_when_there_is_no_hypervisor(self):
        self._denied(processor([(0x40000000, 0x40000001)]), 0x40000000)

    def test_hypervisor_leaf_when_there_is_one(self):
        execute = processor([(0x40000000, 0x40000001)], hypervisor=True)
        answer = cpuid.checked(execute, 0x40000000, 0, 'execute')
        self.assertEqual(0x40000001, answer.eax)
        self._denied(execute, 0x40000002)
        self._denied(execute, 0x40000100)

    def test_two_hypervisor_leaves_when_an_old_kvm_says_none(self):
        execute = processor([(0x40000000, 0), (0x40000001, 7)], hypervisor=1)
        answer = cpuid.checked(execute, 0x40000001, 0, 'execute')
        self.assertEqual(7, answer.eax)

    def test_centaur_leaves_only_when_the_vendor_has_them(self):
        leaves = [(0xC0000000, 0xC0000004), (0xC0000001, 9)]
        self._denied(processor(leaves), 0xC0000001)
        for vendor in (b'CentaurHauls', b'  Shanghai  '):
            answer = cpuid.checked(
                processor(leaves, vendor), 0xC0000001, 0, 'execute'
            )
            self.assertEqual(9, answer.eax)

    def test_no_hypervisor_leaves_when_the_block_is_not_there(self):
        execute = processor([(0x40000000, 0x40000001)], hypervisor=True)
        self._denied(execute, 0x40000200)

    @given(st.integers(0, 2**32 - 1), st.booleans())
    def test_never_the_last_basic_leaf_when_not_asked_for(self, leaf, guest):
        execute = processor([(0x80000000, 0x80000008)], hypervisor=guest)
        try:
            answer = cpuid.checked(execute, leaf, 0, 'execute')
        except base.Denied:
            return
        if answer == LAST_BASIC:
            self.assertTrue(leaf <= 0x16 or leaf >> 16 == 0x8000)


class ReadTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        if os.uname().machine != 'x86_64':
            self.skipTest('CPUID is an instruction of x86')

    def test_vendor_as_in_cpuinfo_when_executed(self):
        cpu = min(os.sched_getaffinity(0))
        regs = cpuid.read(cpu, 0)
        vendor = struct.pack('<3I', regs.ebx, regs.edx, regs.ecx).decode()
        with open('/proc/cpuinfo') as file:
            self.assertIn(vendor, file.read())

    def test_affinity_restored_when_done(self):
        before = os.sched_getaffinity(0)
        for cpu in before:
            cpuid.read(cpu, 1)
        self.assertEqual(before, os.sched_getaffinity(0))

    def test_denied_when_the_processor_has_no_such_leaf(self):
        """Nor is the device asked for it, which would answer nonsense."""
        cpu = min(os.sched_getaffinity(0))
        denial = self.assertRaises(base.Denied, cpuid.read, cpu, 0x3FFFFFFF)
        self.assertEqual('ENXIO', denial.error)
        highest = cpuid.read(cpu, 0).eax
        self.assertIn(f'{highest:#x}', denial.text)

    def test_denied_when_the_processor_does_not_exist(self):
        self.assertRaises(base.Denied, cpuid.read, 4095, 0)


class DeviceTest(testtools.TestCase):
    """A file with the leaves where the ``cpuid`` module has them.

    Where a processor does not exist, the instruction cannot be executed.
    """

    CPU = 4095

    def setUp(self):
        super().setUp()
        self.devices = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.place = self.devices / 'cpu' / str(self.CPU) / 'cpuid'
        self.place.parent.mkdir(parents=True)
        self.host = live.LiveHost(devices=str(self.devices))

    def _put(self, leaves):
        with self.place.open('wb') as file:
            for (leaf, subleaf), data in leaves.items():
                file.seek(leaf | subleaf << 32)
                file.write(data)

    def test_registers_when_the_module_has_them(self):
        self._put(
            {
                (0, 0): struct.pack('<I', 0x20) + b'GenuntelineI',
                (0x14, 1): struct.pack('<4I', 1, 2, 3, 0xFFFFFFFF),
                (0x80000000, 0): struct.pack('<4I', 0x80000020, 0, 0, 0),
                (0x80000020, 0): struct.pack('<4I', 4, 5, 6, 7),
            }
        )
        self.assertEqual(
            facts.CpuidRegs(1, 2, 3, 0xFFFFFFFF),
            self.host.cpuid(self.CPU, 0x14, 1),
        )
        self.assertEqual(
            facts.CpuidRegs(4, 5, 6, 7), self.host.cpuid(self.CPU, 0x80000020)
        )

    def test_denied_when_the_leaf_is_beyond_the_highest(self):
        self._put({(0, 0): struct.pack('<4I', 0x20, 0, 0, 0)})
        denial = self.assertRaises(
            base.Denied, self.host.cpuid, self.CPU, 0x21
        )
        self.assertEqual('ENXIO', denial.error)
        self.assertIn('0x20', denial.text)

    def test_denied_when_less_than_a_leaf_comes_back(self):
        self._put({(0, 0): b'short'})
        denial = self.assertRaises(base.Denied, self.host.cpuid, self.CPU, 0)
        self.assertEqual(
            ('EIO', '5 bytes came back'), (denial.error, denial.text)
        )

    def test_denied_when_it_cannot_be_read(self):
        self.place.mkdir()
        denial = self.assertRaises(base.Denied, self.host.cpuid, self.CPU, 0)
        self.assertEqual('EISDIR', denial.error)

    def test_missing_when_there_is_no_module(self):
        denial = self.assertRaises(base.Denied, self.host.cpuid, self.CPU, 0)
        self.assertTrue(denial.not_found)
        self.assertIn(f'leaf 0x0 subleaf 0 on CPU {self.CPU}', denial.what)

    def test_asked_when_the_process_is_not_one_of_x86_64(self):
        cpu = min(os.sched_getaffinity(0))
        place = self.devices / 'cpu' / str(cpu)
        place.mkdir()
        (place / 'cpuid').write_bytes(struct.pack('<4I', 0, 1, 2, 3))
        names = mock.Mock(machine='i686')
        with mock.patch('os.uname', return_value=names):
            answer = self.host.cpuid(cpu, 0)
        self.assertEqual(facts.CpuidRegs(0, 1, 2, 3), answer)
