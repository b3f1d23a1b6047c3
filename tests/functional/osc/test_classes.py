# SPDX-License-Identifier: Apache-2.0
"""``openstack hypervisor capability classes``."""

import pathlib
from typing import Any

from hvfilter.model.nested_registers import Registers
from tests.fakes.compute import ComputeHost
from tests.functional import findings
from tests.functional.osc import base
from tests.hosts import make

HOSTS = pathlib.Path(make.__file__).parent
ALL, NO_NPT = Registers.svm(0x10000021), Registers.svm(0x10000020)


class ClassesTest(base.OpenStackTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.start_hosts(
            *map(ComputeHost.amd, ('a1', 'a2', 'b1', 'flat', 'mute', 'old'))
        )
        self.has('a1', findings.AMD, nested_set=ALL)
        self.has('a2', findings.AMD, nested_set=ALL)
        self.has('b1', findings.AMD, nested_set=NO_NPT)
        self.has('flat', findings.AMD - {'nested', 'nested_slat'})
        self.has('mute', findings.AMD)
        self.has('old', findings.AMD, weeks_ago=3, nested_set=ALL)

    def classes(self, *arguments: str) -> dict[str, dict[str, Any]]:
        ran = self.capability('classes', *arguments, '-f', 'json')
        return {row['Class']: row for row in ran.json}

    def test_hosts_are_grouped_by_their_sets(self) -> None:
        found = self.classes()
        self.assertEqual(
            {
                'SVM-1': ['a1', 'a2'],
                'SVM-2': ['b1'],
                'SVM common': [],
                'unknown': ['mute', 'old'],
                'without nested': ['flat'],
            },
            {label: row['Names'] for label, row in found.items()},
        )
        self.assertEqual(['SVM-2'], found['SVM-1']['Accepts'])
        self.assertEqual(['-npt'], found['SVM-1']['Flags To Common'])
        self.assertEqual(['SVM: NPT'], found['SVM-2']['Lacks'])
        self.assertEqual(
            ['kvm_amd npt=1'], found['SVM-2']['Module Parameters']
        )
        self.assertEqual(NO_NPT.trait, found['SVM common']['Set'])
        self.assertEqual(3, found['SVM common']['Hosts'])

    def test_aggregate_restricts_the_hosts(self) -> None:
        made = self.admin_api.post_aggregate({'aggregate': {'name': 'lab'}})
        for host in ('a1', 'mute'):
            self.admin_api.add_host_to_aggregate(made['id'], host)
        found = self.classes('--aggregate', 'lab')
        self.assertEqual({'SVM-1', 'SVM common', 'unknown'}, set(found))

    def test_recording_is_checked_before_the_host_is_added(self) -> None:
        for name, words in (
            (
                'lab-amd-nested-on',
                'would join a class, SVM-1. The greatest common set would '
                'not change.',
            ),
            (
                'amd-npt-off',
                'would be a class of its own, SVM-3. The greatest common set '
                'would lose: SVM: VMCB clean bits, SVM: bit 28.',
            ),
        ):
            path = str(HOSTS / f'{name}.json')
            ran = self.capability('classes', '--check', path)
            self.assertIn(f'{name}.json {words}', ran.err)
            self.assertIn(f'{name}.json', ran.out)

    def test_recording_without_a_set_is_refused(self) -> None:
        path = str(HOSTS / 'amd-nested-off.json')
        found = self.fails('classes', '--check', path)
        self.assertIn('has no known nested set', found)
        found = self.fails('classes', '--check', '/nowhere.json')
        self.assertIn('hvfilter record', found)
        found = self.fails('classes', '--check', __file__)
        self.assertIn('Cannot use', found)

    def test_one_request_more_for_each_set(self) -> None:
        few = len(self.capability('classes').placement)
        self.has('mute', findings.AMD, nested_set=Registers.svm(9))
        self.assertEqual(few + 1, len(self.capability('classes').placement))
