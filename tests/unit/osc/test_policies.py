# SPDX-License-Identifier: Apache-2.0

import pathlib

import fixtures
import testtools

from hvfilter.osc import policies
from hvfilter.osc.compute import Aggregate


class PoliciesTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.warnings = []

    def load(self, *lines, weeks=None):
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        file = folder / 'nova.conf'
        file.write_text('\n'.join(['[hvfilter]', *lines, '']))
        return policies.load([str(file)], weeks, self.warnings.append)

    def test_the_user_is_warned_without_a_file(self):
        found = policies.load([], None, self.warnings.append)
        self.assertEqual(('kvm',), found.base.required)
        self.assertEqual(2, found.max_age_weeks)
        self.assertEqual([policies.DEFAULTS], self.warnings)

    def test_the_age_is_that_of_the_file_and_the_option_overrides_it(self):
        line = 'report_max_age_weeks = 7'
        self.assertEqual(7, self.load(line).max_age_weeks)
        self.assertEqual(0, self.load(line, weeks=0).max_age_weeks)
        self.assertEqual([], self.warnings)

    def test_the_user_is_warned_when_nova_does_not_enforce_it(self):
        self.load('mode = permissive')
        self.assertIn('all hosts pass', self.warnings[-1])
        self.load('[filter_scheduler]', 'enabled_filters = ComputeFilter')
        self.assertIn('does not name HardwareVirtFilter', self.warnings[-1])

    def test_aggregates_change_the_policy_as_in_the_filter(self):
        found = self.load('required = kvm')
        gold = Aggregate(
            'gold', 'g', '', frozenset(), {'hvfilter:required': 'nested'}
        )
        odd = Aggregate('odd', 'o', '', frozenset(), {'hvfilter:mode': 'lax'})
        self.assertIs(found.base, found.under(()))
        for _ in range(2):
            self.assertEqual(('nested',), found.under((gold, odd)).required)
            self.assertEqual(found.base, found.under((odd,)))
        (warning,) = set(self.warnings)
        self.assertIn('Aggregate odd', warning)
