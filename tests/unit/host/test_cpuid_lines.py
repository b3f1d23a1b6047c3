# SPDX-License-Identifier: Apache-2.0

import testtools
from hypothesis import given
from hypothesis import strategies as st

from hvfilter.host import cpuid_lines
from hvfilter.host.cpuid_lines import Line
from hvfilter.host.facts import CpuidRegs

REGS = CpuidRegs(0x000306F2, 0x00010800, 0x7FFEFBFF, 0xBFEBFBFF)
LISTED = '000306F2', '00010800', '7FFEFBFF', 'BFEBFBFF'

LEAF_1 = (
    # cpuid -r of today and of 2010
    '   0x00000001 0x00: eax=0x000306f2 ebx=0x00010800 ecx=0x7ffefbff '
    'edx=0xbfebfbff',
    # kcpuid -r
    '0x00000001: EAX=0x000306f2, EBX=0x00010800, ECX=0x7ffefbff, '
    'EDX=0xbfebfbff',
    # x86info -r
    'eax in: 0x00000001, eax = 000306f2 ebx = 00010800 ecx = 7ffefbff '
    'edx = bfebfbff',
    'CPUID(0x1, 0x0): eax=000306F2h ebx=00010800h ecx=7FFEFBFFh edx=BFEBFBFFh',
    'leaf 1 subleaf 0: EAX: 000306f2; EBX: 00010800; ECX: 7ffefbff; '
    'EDX: bfebfbff',
    'CPUID 00000001: ' + '-'.join(LISTED),
    'CPUID 00000001: ' + '-'.join(LISTED) + ' [SL 00]',
    'CPUID 00000001' + ' ' * 40 + '-'.join(LISTED),
    'CPUID 00000001: ' + ' '.join(LISTED),
    'CPUID 00000001 : ' + ' '.join(LISTED),
    'CPUID 00000001 : ' + '-'.join(LISTED),
    '\tCPUID\t00000001\t' + '\t'.join(LISTED),
    'CPUID 00000001 = ' + ', '.join(LISTED),
    'cpuid: 0x00000001: ' + ' '.join(f'0x{word}' for word in LISTED),
    'CPUID 00000001:00 = ' + ' '.join(LISTED).lower() + ' | .........',
    'CPUID 00000001 00000000 ' + ' '.join(LISTED),
    'CPUID 00000001h ' + ' '.join(f'{word}h' for word in LISTED),
    'CPUID 00000001 [SL 00] : ' + '-'.join(LISTED),
    '0x00000001\t' + '\t'.join(f'0x{word}' for word in LISTED),
    '0x00000001 0x00: ' + ' '.join(f'0x{word}' for word in LISTED),
    # FreeBSD's cpucontrol -i
    'cpuid level 0x1: ' + ' '.join(f'0x{word}' for word in LISTED).lower(),
    # libcpuid's cpuid_tool --raw
    'basic_cpuid[1]=' + ' '.join(LISTED).lower(),
    # xen-cpuid -p
    '  00000001:ffffffff -> ' + ':'.join(LISTED).lower(),
)

NO_LEAF = (
    '',
    'CPUID',
    'CPUID level : 13',
    'cpuid 1: 000306F2 00010800 7FFEFBFF BFEBFBFF',
    'CPUID 00000001: 000306F2 00010800 7FFEFBFF',
    'CPUID 00000001: 000306F2 00010800 7FFEFBFF nothing',
    # A hexdump.
    '00000000: 7f454c46 02010100 00000000 00000000  .ELF............',
    '0x00000000: 7f454c46 02010100 00000000 00000000',
    'MSR 0000003A: 0000-0000-0006-0005',
    'rax=0x0 eax=0x1 ebx=0x2 ecx=0x3 edx=0x4',
    'eax=0x1 ebx=0x2 ecx=0x3 edx=0x4',
    '7: eax=0x1 ebx=0x2 ecx=0x3 edx=0x4',
    '0x1 0x2 0x3: eax=0x1 ebx=0x2 ecx=0x3 edx=0x4',
    '0x00000007: subleafs:',
    'cpuid level 1: 0x000306f2 0x00010800 0x7ffefbff 0xbfebfbff',
    'cpuid level',
    'intel_fn4f[0]=000306f2 00010800 7ffefbff bfebfbff',
    'mce_cpuid[1]=000306f2 00010800 7ffefbff bfebfbff',
    '000000ce -> 0000000080000000',
)


class TestRead(testtools.TestCase):
    def test_same_leaf_whichever_tool_printed_it(self):
        for line in LEAF_1:
            found = cpuid_lines.read(line)
            self.assertIsNotNone(found, line)
            self.assertEqual((1, REGS), (found.leaf, found.regs), line)
            self.assertIn(found.subleaf, (0, None), line)

    def test_subleaf_where_the_line_names_it(self):
        listed = '-'.join(LISTED)
        blanks = ' '.join(LISTED)
        for line in (
            f'CPUID 00000007: {listed} [SL 01]',
            f'CPUID 00000007 [SL 01]: {listed}',
            f'CPUID 00000007:01 = {blanks} | ....',
            f'CPUID 00000007.1: {blanks}',
            f'CPUID 00000007 (1) {blanks}',
            f'CPUID 00000007 00000001 {blanks}',
            'leaf 0x7 subleaf 0x1: eax=0x000306f2 ebx=0x00010800 '
            'ecx=0x7ffefbff edx=0xbfebfbff',
        ):
            self.assertEqual(Line(7, 1, REGS), cpuid_lines.read(line), line)
        for line in (
            'cpuid level 0x7, level_type 0x1: 0x000306f2 0x00010800 '
            '0x7ffefbff 0xbfebfbff',
            f'intel_fn7[1]={blanks}',
            f'  00000007:00000001 -> {":".join(LISTED)}',
        ):
            self.assertEqual(Line(7, 1, REGS), cpuid_lines.read(line), line)
        odd = cpuid_lines.read(f'CPUID 00000007: {listed} [SL ??] sl no')
        self.assertIsNone(odd.subleaf)

    def test_leaf_of_libcpuids_tables(self):
        registers = ' '.join(LISTED)
        for table, leaf, row in (
            ('basic_cpuid[13]', 13, 0),
            ('ext_cpuid[10]', 0x8000000A, 0),
            ('intel_fn11[1]', 11, 1),
            ('intel_fn14h[0]', 0x14, 0),
            ('amd_fn8000001dh[2]', 0x8000001D, 2),
        ):
            found = cpuid_lines.read(f'{table}={registers}')
            self.assertEqual(Line(leaf, row, REGS), found, table)

    def test_subleaf_under_its_leafs_heading(self):
        self.assertEqual(7, cpuid_lines.heading('0x00000007: subleafs:\n'))
        self.assertIsNone(cpuid_lines.heading('0x00000007: leaves'))
        line = (
            '  1: EAX=0x000306f2, EBX=0x00010800, ECX=0x7ffefbff, '
            'EDX=0xbfebfbff'
        )
        self.assertEqual(Line(7, 1, REGS), cpuid_lines.read(line, 7))
        self.assertIsNone(cpuid_lines.read(line))
        self.assertIsNone(cpuid_lines.read(line.replace('1:', '12345:'), 7))

    def test_none_when_it_is_another_line(self):
        for line in NO_LEAF:
            self.assertIsNone(cpuid_lines.read(line), line)

    @given(st.text(max_size=80))
    def test_never_raises_whatever_the_line(self, text):
        for line in (text, f'cpuid {text}', f'0x00000001 {text}'):
            cpuid_lines.read(line, 7)
            cpuid_lines.heading(line)
