# SPDX-License-Identifier: Apache-2.0
"""``openstack hypervisor capability summary``."""

from typing import Any

from tests.fakes.compute import ComputeHost
from tests.functional import findings
from tests.functional.osc import base


class SummaryTest(base.CapabilityStatesTestCase):
    def row(self, *arguments: str, **which: str) -> dict[str, Any]:
        ran = self.capability('summary', *arguments, '-f', 'json')
        found = [
            row
            for row in ran.json
            if all(row[key] == value for key, value in which.items())
        ]
        self.assertEqual(1, len(found), ran.out)
        return found[0]

    def disable(self, host: str) -> None:
        service = self.admin_api.get_services(binary='nova-compute', host=host)
        self.admin_api.put_service(service[0]['id'], {'status': 'disabled'})

    def test_each_host_is_counted_once_with_what_is_free(self) -> None:
        row = self.row(Capability='nested')
        counted = [row[key] for key in list(row)[2:7]]
        self.assertEqual([2, 1, 1, 1, 1], counted)
        # Nova's initial_cpu_allocation_ratio.
        self.assertEqual(4 * (8 + 16), row['Free vCPUs'])

    def test_at_most_twenty_requests_however_many_hosts(self) -> None:
        ran = self.capability('summary')
        few = len(ran.placement) + len(ran.nova)
        self.start_hosts(ComputeHost('more'), ComputeHost('most'))
        self.has('more', findings.INTEL)
        self.has('most', findings.INTEL)
        ran = self.capability('summary')
        self.assertEqual(few, len(ran.placement) + len(ran.nova))
        self.assertLessEqual(few, 20)

    def test_scopes_when_counted_by_aggregate_and_zone(self) -> None:
        aggregate = self.admin_api.post_aggregate(
            {'aggregate': {'name': 'fast', 'availability_zone': 'az9'}}
        )
        self.admin_api.add_host_to_aggregate(aggregate['id'], 'intel')
        for by, scope in (('aggregate', 'fast'), ('availability-zone', 'az9')):
            row = self.row('--by', by, Capability='nested', Scope=scope)
            self.assertEqual((1, 0), (row['Has'], row['Lacks']))
            row = self.row(f'--{by}', scope, Capability='nested')
            self.assertEqual(1, row['Has'])

    def test_flavor_fits_as_often_as_servers_land(self) -> None:
        flavor = self.flavor(memory_mb=4096, **{'hvfilter:nested': 'required'})
        row = self.row('--flavor', flavor)
        self.assertEqual(2, row['Hosts That Fit'])
        self.assertIn('NUMA', row['Not Counted'])
        before = row['More Servers']
        self.boot(flavor, host='intel')
        self.assertEqual(
            before - 1, self.row('--flavor', flavor)['More Servers']
        )
        self.disable('amd')
        self.assertEqual(1, self.row('--flavor', flavor)['Hosts That Fit'])

    def test_hosts_are_counted_by_the_policy_of_nova_scheduler(self) -> None:
        flavor = self.flavor()
        ran = self.capability('summary', '--flavor', flavor, '-f', 'json')
        self.assertEqual(6, ran.json[0]['Hosts That Fit'])
        self.assertIn('No --policy', ran.err)
        policy = self.policy_file('required = nested', 'unreported = reject')
        row = self.row('--flavor', flavor, '--policy', policy)
        self.assertEqual(2, row['Hosts That Fit'])
        # By the same file the old report is valid, and doubt is no reason.
        policy = self.policy_file(
            'required = nested', 'report_max_age_weeks = 9'
        )
        row = self.row('--flavor', flavor, '--policy', policy)
        self.assertEqual(5, row['Hosts That Fit'])

    def test_policies_of_aggregates_count_as_in_the_filter(self) -> None:
        aggregate = self.admin_api.post_aggregate(
            {'aggregate': {'name': 'gold', 'availability_zone': None}}
        )
        for host in ('intel', 'flat'):
            self.admin_api.add_host_to_aggregate(aggregate['id'], host)
        self.admin_api.post_aggregate_action(
            aggregate['id'],
            {'set_metadata': {'metadata': {'hvfilter:required': 'nested'}}},
        )
        row = self.row('--flavor', self.flavor())
        self.assertEqual(5, row['Hosts That Fit'])

    def test_one_line_when_a_policy_is_not_valid(self) -> None:
        for policy, word in (
            (self.policy_file('required = nestd'), 'nestd'),
            (self.policy_file('nonsense'), 'nova.conf'),
            ('/nowhere/nova.conf', '/nowhere/nova.conf'),
        ):
            line = self.fails('summary', '--policy', policy)
            self.assertEqual(1, len(line.splitlines()), line)
            self.assertIn(word, line)

    def test_one_line_when_the_flavor_or_aggregate_is_unknown(self) -> None:
        for arguments in (['--flavor', 'nope'], ['--aggregate', 'nope']):
            line = self.fails('summary', *arguments)
            self.assertEqual(1, len(line.splitlines()), line)
            self.assertIn("'nope'", line)
