# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.model.nested_registers import parse_trait
from tests.lab import nested_checks

MUTATED = {
    'endings': {'TIMEOUT': 2, 'IO': 1},
    'longest_ns': 210_000_000,
    'limit_ns': 200_000_000,
    'after': ['native'],
}
RESTORED = {
    'own': 'set',
    'bits': 832,
    'bits_that_differ': [],
    'sets': [['one', True, True, []], ['other', False, False, ['EPT']]],
}


class NestedChecksTest(testtools.TestCase):
    def wrong(self, **results):
        return list(nested_checks.wrong(results))

    def test_nothing_wrong(self):
        self.assertEqual([], self.wrong(mutated=MUTATED, vmx_restore=RESTORED))
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
        (problem,) = self.wrong(
            vmx_restore={
                **RESTORED,
                'sets': [['x', False, True, []]],
            }
        )
        self.assertIn('KVM refuses it, the rule accepts it', problem)
        (problem,) = self.wrong(
            vmx_restore={
                **RESTORED,
                'bits_that_differ': [['0x48b bit 33', True, False]],
            }
        )
        self.assertIn('KVM accepts it, the rule refuses it', problem)

    def test_wrong_when_kvm_could_not_be_asked(self):
        (problem,) = self.wrong(vmx_restore={'error': 'OSError'})
        self.assertIn('OSError', problem)

    def test_summary(self):
        lines = list(
            nested_checks.summary(
                {'mutated': MUTATED, 'vmx_restore': RESTORED}
            )
        )
        self.assertIn('832 bits tried, 2 sets, 1 accepted', lines[0])
        self.assertIn('3 mutated guests, the longest 210 ms', lines[1])

    def test_sets_of_the_recorded_hosts(self):
        sets = nested_checks.vmx_sets()
        self.assertGreater(len(sets), 2)
        for trait in sets:
            self.assertIsNotNone(parse_trait(trait))
