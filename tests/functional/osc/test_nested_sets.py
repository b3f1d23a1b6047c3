# SPDX-License-Identifier: Apache-2.0
"""What explain and audit say of hosts that offer different features."""

from typing import Any

from hvfilter.model.nested_registers import Registers
from tests.fakes.compute import ComputeHost
from tests.functional import findings
from tests.functional.osc import base

ALL, NO_NPT = Registers.svm(0x10000021), Registers.svm(0x10000020)


class NestedSetsTest(base.OpenStackTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.start_hosts(
            ComputeHost.amd('home', memory_mb=262_144),
            *map(ComputeHost.amd, ('same', 'less', 'mute')),
        )
        for host, registers in (
            ('home', ALL),
            ('same', ALL),
            ('less', NO_NPT),
            ('mute', None),
        ):
            self.has(host, findings.AMD, nested_set=registers)

    def explain(self, *arguments: str) -> dict[str, dict[str, Any]]:
        ran = self.capability('explain', *arguments, '--long', '-f', 'json')
        self.err = ran.err
        return {row['Host']: row for row in ran.json}

    def test_hosts_that_can_take_a_running_server_now(self) -> None:
        server = self.boot(self.flavor(), name='lab-7')
        self.assertEqual('home', self.host_of(server))
        found = self.explain('--server', 'lab-7', '--live-migration')
        self.assertEqual(
            {
                'home': 'rejected',
                'same': 'fits',
                'less': 'rejected',
                'mute': 'fits',
            },
            {name: row['Verdict'] for name, row in found.items()},
        )
        self.assertEqual(
            ['KVM: lacks SVM: NPT (--live-migration)'],
            found['less']['Reasons'],
        )
        self.assertEqual(
            ['Nova: the server is on this host (--live-migration)'],
            found['home']['Reasons'],
        )
        self.assertIn('nested set of 1 hosts is unknown', self.err)
        (only,) = self.explain(
            '--server', 'lab-7', '--live-migration', '--host', 'less'
        ).values()
        self.assertEqual('rejected', only['Verdict'])
        others = self.explain('--server', 'lab-7')
        self.assertEqual({'fits'}, {r['Verdict'] for r in others.values()})

    def test_nothing_is_compared_when_the_host_has_no_known_set(self) -> None:
        self.has('home', findings.AMD)
        self.boot(self.flavor(), name='lab-7')
        found = self.explain('--server', 'lab-7', '--live-migration')
        self.assertEqual('fits', found['less']['Verdict'])
        self.assertIn('the nested set of its host is unknown', self.err)
        self.has('home', findings.AMD - {'nested', 'nested_slat'})
        found = self.explain('--server', 'lab-7', '--live-migration')
        self.assertEqual('fits', found['less']['Verdict'])
        self.assertNotIn('nested set', self.err)

    def test_option_needs_a_server(self) -> None:
        error = self.fails(
            'explain', '--flavor', self.flavor(), '--live-migration'
        )
        self.assertIn('--server', error)

    def test_aggregate_whose_hosts_cannot_exchange_guests_is_found(
        self,
    ) -> None:
        for name, hosts in (
            ('mixed', ('same', 'less', 'mute')),
            ('alike', ('home', 'same')),
        ):
            made = self.admin_api.post_aggregate({'aggregate': {'name': name}})
            for host in hosts:
                self.admin_api.add_host_to_aggregate(made['id'], host)
        ran = self.openstack('hypervisor', 'capability', 'audit', '-f', 'json')
        self.assertEqual(1, ran.code, ran.err)
        (row,) = (
            row for row in ran.json if row['Problem'] == 'nested sets differ'
        )
        self.assertEqual('mixed', row['Object'])
        self.assertIn(
            'SVM-1 (same) has all of its kind; SVM-2 (less) lacks SVM: NPT',
            row['Finding'],
        )
        self.assertIn('classes --aggregate mixed', row['Remedy'])
