# SPDX-License-Identifier: Apache-2.0

import csv
import dataclasses
import io
import json
from unittest import mock

from hvfilter.host.recorded import RecordedHost
from tests.recordings import KvmAnswers, changed, tables
from tests.unit.cli.base import CommandTestCase


class TestDiff(CommandTestCase):
    def diff(self, first, second, *argv):
        ran = self.run_command(
            'diff', self.host(first), self.host(second), '-f', 'csv', *argv
        )
        rows = csv.DictReader(io.StringIO(ran.out))
        return ran, {row['Subject']: row for row in rows}

    def test_status_0_when_nothing_differs(self):
        ran, rows = self.diff('intel-all-on', 'intel-all-on')
        self.assertEqual((0, {}), (ran.status, rows))

    def test_status_1_and_the_reason_when_something_differs(self):
        ran, rows = self.diff('intel-all-on', 'intel-nested-off')
        self.assertEqual(1, ran.status)
        self.assertEqual('present', rows['nested']['First'])
        self.assertEqual('absent at kvm', rows['nested']['Second'])
        self.assertTrue(rows['nested']['Why'].startswith('second: '))
        self.assertEqual('none', rows['nested features']['Second'])

    def test_everything_when_so_asked(self):
        ran, rows = self.diff('intel-all-on', 'intel-all-on', '--all')
        self.assertEqual(0, ran.status)
        self.assertEqual(
            'yes', rows['nested features: secondary: EPT']['First']
        )
        self.assertIn('machine', rows)

    def test_against_this_host_when_one_is_named(self):
        live = RecordedHost(self.load('intel-nested-off'))
        with mock.patch('hvfilter.host.live.LiveHost', return_value=live):
            ran = self.run_command('diff', self.host('intel-nested-off'))
            self.assertEqual(0, ran.status)
            ran = self.run_command('diff', 'live', self.host('intel-all-on'))
            self.assertEqual(1, ran.status)

    def test_set_is_named_when_it_is_amds(self):
        _, rows = self.diff('amd-everything', 'intel-all-on')
        features = rows['nested features']
        self.assertTrue(features['First'].startswith('SVM '))
        self.assertTrue(features['Second'].startswith('VMX '))
        self.assertIn('cannot migrate', features['Why'])

    def test_direction_when_one_host_offers_more(self):
        for first, second, direction in (
            ('intel-all-on', 'intel-ept-off', 'second to the first'),
            ('intel-ept-off', 'intel-all-on', 'first to the second'),
            ('amd-npt-off', 'amd-everything', 'first to the second'),
        ):
            ran, rows = self.diff(first, second)
            self.assertEqual(1, ran.status)
            self.assertEqual(
                'guests that use nested virtualization can migrate only from '
                f'the {direction}',
                rows['nested features']['Why'],
            )

    def test_direction_as_json(self):
        ran = self.run_command(
            'diff',
            self.host('intel-ept-off'),
            self.host('intel-all-on'),
            '-f',
            'json',
        )
        found = json.loads(ran.out)['nested_features']['migration']
        self.assertIs(True, found['to_second'])
        self.assertIs(False, found['to_first'])
        self.assertEqual([], found['second_lacks'])
        self.assertIn('secondary: EPT', found['first_lacks'])

    def test_both_directions_when_what_differs_is_not_restored(self):
        """KVM takes any number of VMCS fields (MSR 0x48A)."""
        one = self.load('intel-all-on')
        msrs = {**tables(one).kvm.feature_msrs, 0x48A: 0x2E}
        other = changed(
            one, kvm=dataclasses.replace(tables(one).kvm, feature_msrs=msrs)
        )
        ran = self.run_command(
            'diff', self.host('intel-all-on'), self.store(other), '-f', 'csv'
        )
        self.assertIn('can migrate in both directions', ran.out)

    def test_told_when_a_recording_does_not_hold_the_set(self):
        blind = changed(self.load('intel-all-on'), kvm=KvmAnswers())
        ran = self.run_command(
            'diff', self.host('intel-all-on'), self.store(blind), '-f', 'csv'
        )
        self.assertIn('unknown: KVM_GET_MSR_FEATURE_INDEX_LIST', ran.out)

    def test_trouble_when_a_file_is_no_snapshot(self):
        ran = self.run_command('diff', '/etc/hostname')
        self.assert_trouble('/etc/hostname is not a snapshot', ran)
