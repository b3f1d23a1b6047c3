# SPDX-License-Identifier: Apache-2.0
"""``openstack hypervisor capability summary``."""

from typing import Any

from tests.fakes.compute import ComputeHost
from tests.functional import findings
from tests.functional.osc import base

NESTED = frozenset({'nested'})


class SummaryTest(base.OpenStackTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.start_hosts(
            ComputeHost('intel', vcpus=8),
            ComputeHost.amd('amd'),
            ComputeHost('flat'),
            ComputeHost('doubt'),
            ComputeHost('old'),
            ComputeHost('silent'),
        )
        self.has('intel', findings.INTEL)
        self.has('amd', findings.AMD)
        self.has('flat', findings.INTEL - NESTED)
        self.has('doubt', findings.INTEL - NESTED, unknown=NESTED)
        self.has('old', findings.INTEL, weeks_ago=3)

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

    def test_one_line_when_the_flavor_or_aggregate_is_unknown(self) -> None:
        for arguments in (['--flavor', 'nope'], ['--aggregate', 'nope']):
            line = self.fails('summary', *arguments)
            self.assertEqual(1, len(line.splitlines()), line)
            self.assertIn("'nope'", line)
