# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.model.nested_registers import parse_trait
from tests.lab import nested_checks, table

MUTATED = {
    'endings': {'TIMEOUT': 2, 'IO': 1},
    'longest_ns': 210_000_000,
    'limit_ns': 200_000_000,
    'after': ['native'],
}
VMX = {
    'own': 'set',
    'bits': 832,
    'bits_that_differ': [],
    'sets': [['one', True, True, []], ['other', False, False, ['EPT']]],
}


SVM = {
    'own': 'set',
    'sets': [
        ['one', [['SVM', True, True], ['NPT', False, False]]],
        ['other', [['SVM', True, True], ['vGIF', True, False]]],
    ],
}


class NestedChecksTest(testtools.TestCase):
    def wrong(self, **results):
        return list(nested_checks.wrong(results))

    def test_nothing_wrong(self):
        restored = {'VMX': VMX, 'SVM': SVM}
        self.assertEqual([], self.wrong(mutated=MUTATED, restored=restored))
        self.assertEqual([], self.wrong(mutated=None))

    def test_wrong_when_a_guest_outlived_its_timer(self):
        late = {**MUTATED, 'longest_ns': 9_200_000_000}
        self.assertEqual(
            ['a mutated guest took 9000 ms too long'], self.wrong(mutated=late)
        )

    def test_wrong_when_the_next_guest_does_not_run(self):
        (problem,) = self.wrong(mutated={**MUTATED, 'after': ['failed']})
        self.assertIn("['failed']", problem)

    def test_wrong_when_kvm_and_the_rule_differ(self):
        sets = {**VMX, 'sets': [['x', False, True, []]]}
        (problem,) = self.wrong(restored={'VMX': sets})
        self.assertIn('KVM refuses it, the rule accepts it', problem)
        bits = {**VMX, 'bits_that_differ': [['0x48b bit 33', True, False]]}
        (problem,) = self.wrong(restored={'VMX': bits})
        self.assertIn('KVM accepts it, the rule refuses it', problem)

    def test_wrong_when_kvm_refuses_svm_state_that_the_rule_accepts(self):
        for uses in ('SVM', 'NPT', 'vGIF'):
            found = {**SVM, 'sets': [['x', [[uses, False, True]]]]}
            (problem,) = self.wrong(restored={'SVM': found})
            self.assertIn(f'uses {uses}: KVM refuses it', problem)

    def test_wrong_when_kvm_accepts_what_it_is_said_to_refuse(self):
        for uses, wrong in (('SVM', 1), ('NPT', 1), ('vGIF', 0)):
            found = {**SVM, 'sets': [['x', [[uses, True, False]]]]}
            problems = self.wrong(restored={'SVM': found})
            self.assertEqual(wrong, len(problems), uses)

    def test_wrong_when_kvm_could_not_be_asked(self):
        for kind in ('VMX', 'SVM'):
            failed = {kind: {'error': 'OSError'}}
            (problem,) = self.wrong(restored=failed)
            self.assertIn('OSError', problem)
            (problem,) = self.wrong(restored={kind: None})
            self.assertIn(f'no {kind}', problem)

    def test_summary(self):
        lines = list(
            nested_checks.summary(
                {'mutated': MUTATED, 'restored': {'VMX': VMX, 'SVM': SVM}}
            )
        )
        self.assertIn('832 bits tried, 2 sets, 1 accepted', lines[0])
        self.assertIn(
            '2 sets, 4 guests; refused: NPT; accepted, though not offered: '
            'vGIF',
            lines[1],
        )
        self.assertIn('3 mutated guests, the longest 210 ms', lines[2])

    def test_sets_of_the_recorded_hosts_for_each_host(self):
        for name, kind in (
            ('intel-all-on', 'VMX'),
            ('amd-npt-off', 'SVM'),
            ('amd-nested-off', 'SVM'),
        ):
            sets = nested_checks.sets_for(table.BY_NAME[name])
            self.assertEqual([kind], list(sets))
            self.assertGreater(len(sets[kind]), 2)
            for trait in sets[kind]:
                registers = parse_trait(trait)
                self.assertEqual(kind, registers.kind.value)
        for name in ('intel-nested-off', 'amd-without-svm', 'arm64-vhe'):
            self.assertEqual(
                {}, nested_checks.sets_for(table.BY_NAME[name]), name
            )
