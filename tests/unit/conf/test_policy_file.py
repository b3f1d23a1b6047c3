# SPDX-License-Identifier: Apache-2.0
"""A nova.conf means the same to a command as to nova-scheduler."""

import pathlib

import fixtures
import testtools

from hvfilter.conf import policy_file, scheduler
from hvfilter.conf import scheduler_values as values
from hvfilter.model.policy import Mode, NestedSetOnMove, Policy, WhenUnknown
from hvfilter.model.problem import Problem


class PolicyFileTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)

    def write(self, *lines, name='nova.conf'):
        file = self.folder / name
        file.write_text('\n'.join(['[hvfilter]', *lines, '']))
        return str(file)

    def problem(self, *lines):
        file = self.write(*lines)
        text = str(self.assertRaises(Problem, policy_file.load, [file]))
        self.assertIn(file, text)
        self.assertEqual(1, len(text.splitlines()), text)
        return text

    def test_values_are_those_of_the_file(self):
        found = policy_file.load(
            [
                self.write(
                    'required = kvm,nested',
                    'reserved = sev',
                    'mode = permissive',
                    'unreported = reject',
                    'placement_unreachable = accept',
                    'report_max_age_weeks = 5',
                    'nested_set_on_move = require',
                    'unheard_of = 1',
                )
            ]
        )
        expected = Policy(
            ('kvm', 'nested'),
            WhenUnknown.REJECT,
            WhenUnknown.ACCEPT,
            frozenset({'sev'}),
            Mode.PERMISSIVE,
        )
        self.assertEqual(expected, found.policy)
        self.assertEqual(5, found.max_age_weeks)
        self.assertIs(NestedSetOnMove.REQUIRE, found.nested_set_on_move)

    def test_an_empty_file_has_the_defaults(self):
        self.assertEqual(
            policy_file.SchedulerPolicy(), policy_file.load([self.write()])
        )

    def test_later_files_override_earlier_ones(self):
        files = [
            self.write('required = nested', 'mode = permissive'),
            self.write('required = sev', name='override.conf'),
        ]
        found = policy_file.load(files).policy
        self.assertEqual(('sev',), found.required)
        self.assertEqual(Mode.PERMISSIVE, found.mode)

    def test_a_bad_value_names_option_value_and_what_is_allowed(self):
        for line, *words in (
            ('required = kvm,nestd', 'required', "'nestd'", 'nested_slat'),
            ('required = vtx,amdv', 'required = vtx,amdv', 'allowed'),
            ('mode = lax', 'mode', 'lax', 'enforcing, permissive'),
            ('refresh_s = nan', 'refresh_s', "'nan'", 'at least 0'),
            ('trust_s = 3', 'trust_s = 3', 'at least refresh_s'),
            ('report_max_age_weeks = -1', 'report_max_age_weeks', '-1', '0'),
        ):
            text = self.problem(line)
            for word in ('[hvfilter]', *words):
                self.assertIn(word, text)

    def test_a_bad_file_is_named(self):
        self.problem('x y')
        for path in (self.folder / 'missing', self.folder):
            error = self.assertRaises(Problem, policy_file.load, [str(path)])
            self.assertIn(str(path), str(error))

    def test_whether_the_filter_is_enabled(self):
        for filters, expected in (
            ('ComputeFilter', False),
            ('ComputeFilter,HardwareVirtFilter', True),
        ):
            file = self.write(
                '[filter_scheduler]', f'enabled_filters = {filters}'
            )
            self.assertIs(expected, policy_file.load([file]).enabled)

    def test_every_mutable_option_is_read(self):
        mutable = {each.name for each in scheduler.OPTS if each.mutable}
        self.assertEqual(mutable, set(values.NAMES))
