# SPDX-License-Identifier: Apache-2.0

from hvfilter.cli import check
from hvfilter.host.facts import Machine
from hvfilter.host.snapshot import Making, Provenance
from hvfilter.model.problem import Problem
from tests.recordings import a_snapshot
from tests.unit.cli.base import CommandTestCase

BLANK = a_snapshot(Provenance(Making.MADE), Machine('x86_64', '6.1'))
"""A host of which nothing was recorded."""


class TestCheck(CommandTestCase):
    def check(self, name, *argv):
        path = name if '/' in str(name) else self.host(name)
        return self.run_command('check', '--snapshot', path, *argv)

    def test_status_0_and_silence_when_able(self):
        ran = self.check('intel-all-on', '--require', 'kvm,nested')
        self.assertEqual((0, '', ''), (ran.status, ran.out, ran.err))

    def test_kvm_is_required_when_nothing_is_named(self):
        self.assertEqual(0, self.check('intel-all-on').status)
        ran = self.check('intel-firmware-lock')
        self.assertEqual(1, ran.status)
        self.assertTrue(ran.out.startswith('kvm: absent at stage firmware: '))

    def test_status_1_and_one_line_each_when_unable(self):
        ran = self.check(
            'intel-nested-off',
            '--require',
            'kvm,nested',
            '--require',
            'nested_slat',
        )
        self.assertEqual(1, ran.status)
        lines = ran.out.splitlines()
        self.assertEqual(
            ['nested', 'nested_slat'],
            [line.partition(':')[0] for line in lines],
        )
        self.assertIn('; to fix this: ', lines[0])

    def test_status_1_when_a_forbidden_one_is_there(self):
        ran = self.check('intel-all-on', '--forbid', 'nested')
        self.assertEqual(1, ran.status)
        self.assertTrue(ran.out.startswith('nested: present: '), ran.out)
        ran = self.check('intel-nested-off', '--forbid', 'nested')
        self.assertEqual((0, ''), (ran.status, ran.out))

    def test_status_2_when_it_cannot_be_found_out(self):
        ran = self.check(self.store(BLANK), '--require', 'kvm')
        self.assertEqual(2, ran.status)
        self.assertTrue(ran.out.startswith('kvm: unknown at stage '), ran.out)

    def test_status_1_when_one_is_absent_and_one_unknown(self):
        path = self.store(BLANK)
        for order in ('kvm,vti', 'vti,kvm'):
            ran = self.check(path, '--require', order)
            self.assertEqual(1, ran.status, ran)
            self.assertEqual(2, len(ran.out.splitlines()))

    def test_status_64_when_used_wrongly(self):
        garbage = self.folder / 'garbage.json'
        garbage.write_text('{')
        for argv in (
            ('intel-all-on', '--require', 'kvm,warp'),
            ('intel-all-on', '--requir', 'kvm', '--forb', 'sev', '--x'),
            (str(garbage), '--require', 'kvm'),
            (str(self.folder / 'missing.json'),),
        ):
            self.assertEqual(64, self.check(*argv).status, argv)
            ran = self.check(*argv, '--condition')
            self.assertEqual(255, ran.status, argv)
        ran = self.check('intel-all-on', '--require', 'kvm,warp')
        self.assertIn('Unknown capability: "warp". Use one of: ', ran.err)
        self.assertEqual('', ran.out)

    def test_status_255_when_a_unit_asks_and_nothing_is_known(self):
        for path, status in (
            ('intel-all-on', 0),
            ('intel-firmware-lock', 1),
            (self.store(BLANK), 255),
        ):
            ran = self.check(path, '--require', 'kvm', '--condition')
            self.assertEqual(status, ran.status)

    def test_status_2_when_another_command_is_used_wrongly(self):
        self.assertEqual(2, self.run_command('probe', '--x').status)
        self.assertEqual(0, self.run_command('check', '--help').status)

    def test_each_once_when_named_twice(self):
        self.assertEqual(('kvm', 'ept'), check.parse_keys(['kvm, ept', 'kvm']))
        self.assertRaises(Problem, check.parse_keys, [''])
