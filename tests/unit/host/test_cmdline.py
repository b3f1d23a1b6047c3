# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.host import cmdline
from hvfilter.host.cmdline import CommandLine


class TestParsing(testtools.TestCase):
    def pairs(self, text):
        return [(p.name, p.value) for p in CommandLine(text).parameters]

    def test_words_when_parted_by_any_white_space(self):
        self.assertEqual(
            [('ro', None), ('quiet', None), ('a', '1'), ('b', '')],
            self.pairs('  ro\tquiet\n a=1\r\f\vb=\n'),
        )
        self.assertEqual([], self.pairs(''))
        self.assertEqual([], self.pairs(' \n'))

    def test_name_when_written_with_dashes(self):
        self.assertEqual(
            [('kvm_intel.nested', '0-1'), ('kvm_arm.mode', 'none')],
            self.pairs('kvm-intel.nested=0-1 kvm-arm.mode=none'),
        )

    def test_value_when_it_holds_another_equals_sign(self):
        self.assertEqual([('root', 'UUID=x-y')], self.pairs('root=UUID=x-y'))

    def test_quotes(self):
        for text, pairs in (
            ('a="b c" d', [('a', 'b c'), ('d', None)]),
            ('"a=b c" d', [('a', 'b c'), ('d', None)]),
            ('"a b" c', [('a b', None), ('c', None)]),
            ('a="b', [('a', 'b')]),
            ('a=b"c d"e', [('a', 'b"c d"e')]),
            ('"a', [('a', None)]),
            ('a"', [('a"', None)]),
            ('a="" b', [('a', ''), ('b', None)]),
            ('a="x iommu=off" b', [('a', 'x iommu=off'), ('b', None)]),
        ):
            self.assertEqual(pairs, self.pairs(text), text)

    def test_end_when_two_dashes_stand_alone(self):
        self.assertEqual(
            [('ro', None), ('__x', None), ('y', '--')],
            self.pairs('ro --x y=-- -- iommu=off'),
        )

    def test_text_is_as_written(self):
        (found,) = CommandLine('"kvm-amd.npt=0"').parameters
        self.assertEqual('"kvm-amd.npt=0"', found.text)


class TestLookUp(testtools.TestCase):
    def test_every_word_in_order(self):
        line = CommandLine('kvm_intel.ept=0 ro kvm-intel.ept=1')
        for name in ('kvm_intel.ept', 'kvm-intel.ept'):
            self.assertEqual(['0', '1'], [p.value for p in line.all(name)])

    def test_none_when_not_there(self):
        line = CommandLine('ro xiommu=off iommux=off')
        self.assertEqual((), line.all('iommu'))

    def test_error_when_a_recording_would_not_keep_it(self):
        for name in ('root', 'kvm_x.y', 'kvm_intel'):
            error = self.assertRaises(ValueError, CommandLine('ro').all, name)
            self.assertIn(name, str(error))

    def test_options(self):
        options = {
            text: p.options
            for text in ('iommu=pt,off', 'iommu=', 'iommu', 'iommu=,off,')
            for p in CommandLine(text).parameters
        }
        self.assertEqual(
            {
                'iommu=pt,off': ('pt', 'off'),
                'iommu=': (),
                'iommu': (),
                'iommu=,off,': ('off',),
            },
            options,
        )


class TestKept(testtools.TestCase):
    def test_names_that_concern_virtualization(self):
        for name in (
            'nointremap',
            'nohibernate',
            'clearcpuid',
            'kvm_intel.nested',
            'kvm-intel.nested',
            'kvm.enable_virt_at_boot',
            'kvm-arm.mode',
            'intel_iommu',
            'iommu.passthrough',
            'id_aa64mmfr2.nv',
            'ivrs_ioapic[4]',
            'module_blacklist',
            'modprobe.blacklist',
            'smt-enabled',
        ):
            self.assertTrue(cmdline.is_kept(name), name)

    def test_names_that_do_not(self):
        for name in ('root', 'ip', 'kvmx.y', 'luks.key', 'resume', 'x.kvm'):
            self.assertFalse(cmdline.is_kept(name), name)

    def test_tables_are_written_as_names_are_compared(self):
        for name in (*cmdline.KEPT, *cmdline.KEPT_MODULES):
            self.assertEqual(name.replace('-', '_').lower(), name)
