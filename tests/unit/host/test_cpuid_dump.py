# SPDX-License-Identifier: Apache-2.0

from unittest import mock

import testtools
from hypothesis import given
from hypothesis import strategies as st

from hvfilter.host import base, cpuid_dump, facts
from hvfilter.host.answers import Refusal
from hvfilter.host.cpuid_dump import DumpHost, NoDump

TOOL = """\
Disclaimer: cpuid may not support decoding of all cpuid registers.
CPU 0:
   0x00000000 0x00: eax=0x00000007 ebx=0x756e6547 ecx=0x6c65746e edx=0x49656e69
   0x00000001 0x00: eax=0x000306f2 ebx=0x00010800 ecx=0x7ffefbff edx=0xbfebfbff
   0x00000007 0x00: eax=0x00000001 ebx=0x000037ab ecx=0x00000000 edx=0x00000000
   0x00000007 0x01: eax=0x00000400 ebx=0x00000000 ecx=0x00000000 edx=0x00000000
   0x80000000 0x00: eax=0x80000008 ebx=0x00000000 ecx=0x00000000 edx=0x00000000
   0x80000001 0x00: eax=0x00000000 ebx=0x00000000 ecx=0x00000021 edx=0x2c100800
CPU 1:
   0x00000000 0x00: eax=0x00000007 ebx=0x756e6547 ecx=0x6c65746e edx=0x49656e69
   0x00000001 0x00: eax=0x000306f2 ebx=0x01010800 ecx=0x7ffefbff edx=0xbfebfbff
"""

COLLECTED = """\
------[ Versions ]------

Program Version : AIDA64

------[ Logical CPU #0 ]------

allcpu: Package 0 / Core 0 / Thread 0: Valid, Virtual Id #0

CPUID 00000000: 00000016-756E6547-6C65746E-49656E69 [GenuineIntel]
CPUID 00000001: 000806EC-00100800-7FFAFBBF-BFEBFBFF
CPUID 00000004: 1C004121-01C0003F-0000003F-00000000 [SL 00]
CPUID 00000004: 1C004122-01C0003F-0000003F-00000000 [SL 01]
CPUID 0000000B: 00000001-00000002-00000100-00000000
CPUID 0000000B: 00000004-00000008-00000201-00000000
CPUID 80000001: 00000000-00000000-00000121-2C100800

------[ Logical CPU #1 ]------

CPUID 00000000: 00000016-756E6547-6C65746E-49656E69 [GenuineIntel]

------[ MSR Registers ]------

CPU Clock (Normal): 1996 MHz
MSR 0000003A: 0000-0000-0006-0005
MSR 00000480: 00DA-0400-0000-0004
MSR 00000491: < FAILED >
MSR 00000492: 0000-0000-0000-0007 [S200]
MSR 0000003A: 0000-0000-0000-0000
"""


def hybrid_text():
    """Two processors of each of two core types (CPUID.1AH:EAX)."""
    return ''.join(
        f'------[ CPUID Registers / Logical CPU #{cpu} ]------\n'
        'CPUID 00000000: 00000020-756E6547-6C65746E-49656E69\n'
        f'CPUID 00000001: 00090672-0{cpu}200800-7FFAFBBF-BFEBFBFF\n'
        f'CPUID 0000001A: {kind}000001-00000000-00000000-00000000\n'
        for cpu, kind in enumerate(('40', '40', '20', '20'))
    )


class TestParse(testtools.TestCase):
    def test_each_processor_when_the_tool_printed_it(self):
        dump = cpuid_dump.parse(TOOL)
        self.assertEqual([0, 1], list(dump.cpus))
        self.assertEqual(6, len(dump.cpus[0]))
        self.assertEqual(facts.CpuidRegs(0x400, 0, 0, 0), dump.cpus[0][7, 1])
        self.assertEqual(0x01010800, dump.cpus[1][1, 0].ebx)
        self.assertEqual({}, dump.msrs_by_cpu()[0])

    def test_processor_0_when_the_tool_names_none(self):
        for head in ('CPU:\n', ''):
            text = head + '\n'.join(TOOL.splitlines()[2:4])
            self.assertEqual([0], list(cpuid_dump.parse(text).cpus))

    def test_subleaf_0_when_an_old_tool_printed_none(self):
        text = '   0x00000000: eax=0x1 ebx=0x2 ecx=0x3 edx=0x4\n'
        self.assertEqual(
            {0: {(0, 0): facts.CpuidRegs(1, 2, 3, 4)}},
            cpuid_dump.parse(text).cpus,
        )

    def test_registers_and_msrs_when_it_is_of_a_collection(self):
        dump = cpuid_dump.parse(COLLECTED)
        self.assertEqual([0, 1], list(dump.cpus))
        self.assertEqual(
            facts.CpuidRegs(0x806EC, 0x100800, 0x7FFAFBBF, 0xBFEBFBFF),
            dump.cpus[0][1, 0],
        )
        self.assertEqual(0x1C004122, dump.cpus[0][4, 1].eax)
        self.assertEqual(4, dump.cpus[0][0xB, 1].eax)
        self.assertEqual(
            {
                0x3A: 0x60005,
                0x480: 0x00DA040000000004,
                0x491: Refusal('EIO'),
                0x492: 7,
            },
            dump.msrs_by_cpu()[1],
        )

    def test_msrs_are_their_processors_when_headings_tell(self):
        text = (
            hybrid_text()
            + """
------[ MSR Registers / Logical CPU #0 ]------

MSR 0000048B: 075F-7FFF-0000-0000

------[ MSR Registers / Logical CPU #2 ]------

MSR 0000048B: 0000-0000-0000-0000
"""
        )
        dump = cpuid_dump.parse(text)
        values = [msrs[0x48B] for msrs in dump.msrs_by_cpu().values()]
        # CPU 1 is of the kind of CPU 0, CPU 3 of that of CPU 2.
        self.assertEqual([0x075F7FFF00000000] * 2 + [0] * 2, values)

    def test_no_msrs_of_another_core_type_when_its_own_are_missing(self):
        text = hybrid_text() + (
            'MSR Registers (CPU #0):\nMSR 0000048B: 075F-7FFF-0000-0000\n'
        )
        dump = cpuid_dump.parse(text)
        self.assertEqual({}, dump.msrs_by_cpu()[3])
        self.assertEqual([0x48B], list(dump.msrs_by_cpu()[1]))

    def test_common_msrs_are_kept_when_some_have_their_own(self):
        text = hybrid_text() + (
            'MSR Registers:\nMSR 0000003A: 0000-0000-0000-0005\n'
            'MSR 0000048B: 0000-0000-0000-0000\n'
            'MSR Registers (CPU #0):\nMSR 0000048B: 075F-7FFF-0000-0000\n'
        )
        dump = cpuid_dump.parse(text)
        self.assertEqual(
            {0x3A: 5, 0x48B: 0x075F7FFF00000000}, dump.msrs_by_cpu()[1]
        )
        self.assertEqual({0x3A: 5, 0x48B: 0}, dump.msrs_by_cpu()[2])

    def test_next_processor_when_leaf_0_comes_again(self):
        for leader in ('', 'Group: 0x00 Affinity mask: 0x{mask:016X}\n'):
            text = ''.join(
                leader.format(mask=1 << cpu)
                + 'CPUID 00000000: 00000016-756E6547-6C65746E-49656E69\n'
                + f'CPUID 00000001: 000806EC-{cpu:02X}100800-7FFAFBBF-0\n'
                + f'CPUID 0000000B: 00000001-00000002-00000100-{cpu:08X}\n'
                for cpu in range(3)
            ).replace('-0\n', '-BFEBFBFF\n')
            dump = cpuid_dump.parse(text)
            self.assertEqual([0, 1, 2], list(dump.cpus))
            self.assertEqual(0x02100800, dump.cpus[2][1, 0].ebx)
            self.assertNotIn((0xB, 1), dump.cpus[0])

    def test_quick_when_leaf_0_comes_very_often(self):
        line = 'CPUID 00000000: 00000016-756E6547-6C65746E-49656E69\n'
        dump = cpuid_dump.parse(line * 70_000)
        self.assertEqual(65536, len(dump.cpus))

    def test_summary_is_no_processor_when_each_was_printed(self):
        line = 'CPUID 00000001: 00000001-00000002-00000003-00000004\n'
        for before, cpus in ((COLLECTED, [0, 1]), ('', [0])):
            text = f'{before}\n------[ All CPUs ]------\n{line}'
            dump = cpuid_dump.parse(text)
            self.assertEqual(cpus, list(dump.cpus))
            self.assertNotIn((1, 0), dump.cpus.get(1, {}))

    def test_only_what_the_processor_says_when_xen_printed_more(self):
        policy = (
            '{} policy: 2 leaves, 1 MSRs\n CPUID:\n'
            '  leaf     subleaf  -> eax      ebx      ecx      edx\n'
            '  00000000:ffffffff -> 00000016:756e6547:6c65746e:49656e69\n'
            '  00000001:ffffffff -> 000506e3:00100800:{}:bfebfbff\n'
            ' MSRs:\n  index    -> value\n'
            '  000000ce -> 0000000080000000\n'
        )
        raw = policy.format('Raw', '7ffafbff')
        text = raw + policy.format('PV Max', '7ffafbdf')
        dump = cpuid_dump.parse(text)
        self.assertEqual([0], list(dump.cpus))
        self.assertEqual(0x7FFAFBFF, dump.cpus[0][1, 0].ecx)
        self.assertEqual({}, dump.msrs)
        domain = policy.format('Domain 3', '7ffafbdf')
        self.assertRaises(cpuid_dump.NoDump, cpuid_dump.parse, domain)

    def test_first_line_counts_when_marked_as_utf_8(self):
        line = 'CPUID 00000000: 00000016-756E6547-6C65746E-49656E69'
        text = cpuid_dump.text_of(line.encode('utf-8-sig'))
        self.assertIn((0, 0), cpuid_dump.parse(text).cpus[0])

    def test_same_when_the_collection_is_older(self):
        older = COLLECTED.replace(': ', ' ' * 40)
        self.assertNotEqual(COLLECTED, older)
        self.assertEqual(cpuid_dump.parse(COLLECTED), cpuid_dump.parse(older))

    def test_same_when_windows_wrote_it(self):
        text = COLLECTED.replace('\n', '\r\n')
        for encoding in ('utf-8', 'utf-16', 'utf-8-sig'):
            again = cpuid_dump.text_of(text.encode(encoding))
            self.assertEqual(
                cpuid_dump.parse(COLLECTED), cpuid_dump.parse(again)
            )

    def test_same_when_utf_16_is_not_marked(self):
        for encoding in ('utf-16-le', 'utf-16-be'):
            again = cpuid_dump.text_of(COLLECTED.encode(encoding))
            self.assertEqual(
                cpuid_dump.parse(COLLECTED), cpuid_dump.parse(again)
            )
        for data in (b'', b'\0', b'a'):
            cpuid_dump.text_of(data)

    def test_same_when_registers_are_parted_otherwise(self):
        for old, new in ((': ', ' : '), ('-', ' '), ('-', ', ')):
            other = '\n'.join(
                line.replace(old, new) if line.startswith('CPUID') else line
                for line in COLLECTED.splitlines()
            )
            self.assertEqual(
                cpuid_dump.parse(COLLECTED), cpuid_dump.parse(other)
            )
        self.assertEqual(
            cpuid_dump.parse(COLLECTED),
            cpuid_dump.parse(COLLECTED.replace('\n', '\r')),
        )

    def test_subleaves_when_kcpuid_printed_them(self):
        text = """\
0x00000001: EAX=0x000306f2, EBX=0x00010800, ECX=0x7ffefbff, EDX=0xbfebfbff
0x00000007: subleafs:
  0: EAX=0x00000001, EBX=0x000037ab, ECX=0x00000000, EDX=0x00000000
  1: EAX=0x00000400, EBX=0x00000000, ECX=0x00000000, EDX=0x00000000
"""
        leaves = cpuid_dump.parse(text).cpus[0]
        self.assertEqual([(1, 0), (7, 0), (7, 1)], list(leaves))

    def test_numbers_are_kept_when_headings_differ(self):
        line = 'CPUID 00000000: 00000016-756E6547-6C65746E-49656E69\n'
        for head, cpu in (
            ('CPUID Registers (CPU #3):', 3),
            ('CPU#007 AffMask: 0x0000000000000080', 7),
            ('------[ CPUID Registers / Logical CPU #12 ]------', 12),
            ('CPU 4:', 4),
            ('Processor 5:', 5),
            ('CPU Thread 6', 6),
        ):
            text = f'{head}\n{line}'
            self.assertEqual([cpu], list(cpuid_dump.parse(text).cpus))

    def test_first_counts_when_a_leaf_comes_twice(self):
        text = (
            '0x00000001 0x00: eax=0x1 ebx=0x0 ecx=0x0 edx=0x0\n'
            '0x00000001 0x00: eax=0x2 ebx=0x0 ecx=0x0 edx=0x0\n'
        )
        self.assertEqual(1, cpuid_dump.parse(text).cpus[0][1, 0].eax)

    def test_bounded_when_subleaves_repeat_forever(self):
        line = 'CPUID 00000004: 00000000-00000000-00000000-00000000\n'
        dump = cpuid_dump.parse(line * 1000)
        self.assertTrue(len(dump.cpus[0]) <= 65)

    def test_refused_when_there_are_endless_leaves(self):
        with mock.patch.object(cpuid_dump, '_LEAVES_LIMIT', 3):
            error = self.assertRaises(NoDump, cpuid_dump.parse, TOOL)
        self.assertIn('more than 3 leaves', str(error))

    def test_refused_when_there_is_no_leaf(self):
        for text in ('', 'CPU 0:\n', 'MSR 0000003A: 0000-0000-0000-0005\n'):
            error = self.assertRaises(NoDump, cpuid_dump.parse, text)
            self.assertIn('no line of CPUID registers', str(error))

    @given(st.text(max_size=200))
    def test_no_dump_and_no_other_whatever_the_text(self, text):
        try:
            cpuid_dump.parse(text)
        except NoDump:
            pass

    @given(
        st.lists(
            st.sampled_from(
                [
                    *TOOL.splitlines(),
                    *COLLECTED.splitlines(),
                    'CPU 99999:',
                    'CPU #',
                ]
            ),
            max_size=30,
        )
    )
    def test_no_dump_and_no_other_whatever_the_lines(self, lines):
        try:
            dump = cpuid_dump.parse('\n'.join(lines))
        except NoDump:
            return
        self.assertTrue(all(dump.cpus.values()))


class TestDumpHost(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.host = DumpHost(TOOL, 'x')

    def denied(self, method, *args):
        return self.assertRaises(base.Denied, method, *args).error

    def test_registers_when_the_text_holds_them(self):
        self.assertEqual(0x37AB, self.host.cpuid(0, 7).ebx)
        self.assertEqual(0x21, self.host.cpuid(0, 0x80000001).ecx)

    def test_no_such_leaf_when_above_the_highest(self):
        self.assertEqual('ENXIO', self.denied(self.host.cpuid, 0, 8))
        self.assertEqual('ENXIO', self.denied(self.host.cpuid, 0, 0x8000000A))
        self.assertEqual('ENXIO', self.denied(self.host.cpuid, 0, 0x40000000))

    def test_not_recorded_when_the_text_left_it_out(self):
        for args in ((0, 4), (2, 0), (1, 0x80000001)):
            self.assertEqual(
                base.NOT_RECORDED, self.denied(self.host.cpuid, *args)
            )
        self.assertEqual(
            base.NOT_RECORDED, self.denied(self.host.msr, 0, 0x3A)
        )
        self.assertEqual(
            base.NOT_RECORDED, self.denied(self.host.read, '/proc/cpuinfo')
        )

    def test_processors_are_those_of_the_text(self):
        self.assertEqual(b'0-1\n', self.host.read(cpuid_dump.ONLINE))

    def test_msrs_are_every_processors_when_collected(self):
        host = DumpHost(COLLECTED, 'x')
        self.assertEqual(0x60005, host.msr(0, 0x3A))
        self.assertEqual(0x60005, host.msr(1, 0x3A))
        self.assertEqual('EIO', self.denied(host.msr, 1, 0x491))

    def test_machine_follows_from_long_mode(self):
        self.assertEqual('x86_64', self.host.machine().arch)
        self.assertEqual('unknown', self.host.machine().kernel)
        short = '\n'.join(TOOL.splitlines()[:4])
        self.assertEqual('i686', DumpHost(short, 'x').machine().arch)
        self.assertEqual('x', self.host.origin)
