# SPDX-License-Identifier: Apache-2.0
"""``openstack hypervisor capability metrics``."""

import pathlib

import fixtures
from prometheus_client import parser

from hvfilter.osc import fleet_metrics
from tests.fakes.compute import ComputeHost
from tests.functional import findings
from tests.functional.osc import base

RATIO = 4
"""Nova's initial_cpu_allocation_ratio."""


class MetricsTest(base.CapabilityStatesTestCase):
    def samples(
        self, *arguments: str, user: str = 'admin'
    ) -> dict[tuple[str, ...], float]:
        """Values by name and labels, in the order of the table."""
        labels = {each.name: each.labels for each in fleet_metrics.FLEET}
        text = self.capability('metrics', *arguments, user=user).out
        return {
            (
                sample.name,
                *(sample.labels[label] for label in labels[sample.name]),
            ): sample.value
            for family in parser.text_string_to_metric_families(text)
            for sample in family.samples
        }

    def test_each_host_is_counted_once_with_what_is_free(self) -> None:
        found = self.samples()
        for report, number in (
            ('valid', 4),
            ('stale', 1),
            ('unreported', 1),
            ('none_expected', 0),
        ):
            self.assertEqual(number, found['hvfilter_fleet_hosts', report])
        name, zone = 'hvfilter_fleet_capability_hosts', 'nova'
        states = {
            state: found[name, zone, 'nested', state]
            for state in ('has', 'lacks', 'unknown', 'stale', 'unreported')
        }
        self.assertEqual([2, 1, 1, 1, 1], list(states.values()))
        self.assertEqual(0, found[name, zone, 'tdx', 'has'])
        name = 'hvfilter_fleet_free_cpus'
        self.assertEqual(RATIO * (8 + 16), found[name, zone, 'nested', 'VCPU'])
        self.assertEqual(0, found[name, zone, 'nested', 'PCPU'])
        summary = self.capability('summary', '-f', 'json').json
        (row,) = (each for each in summary if each['Capability'] == 'nested')
        self.assertEqual(
            row['Free Memory MiB'] << 20,
            found['hvfilter_fleet_free_memory_bytes', zone, 'nested'],
        )
        age_s = found['hvfilter_fleet_oldest_report_age_seconds',]
        self.assertEqual(3 * 7 * 86400, age_s)
        self.assertEqual(1, found['hvfilter_fleet_complete',])
        self.assertEqual(0, found['hvfilter_fleet_hosts_without_provider',])
        names = {key[0] for key in found}
        aggregate = {name for name in names if 'aggregate' in name}
        self.assertEqual(set(), aggregate)
        self.assertEqual(
            {each.name for each in fleet_metrics.FLEET},
            names
            | {
                fleet_metrics.AGGREGATE_HOSTS.name,
                fleet_metrics.AGGREGATE_FREE_CPUS.name,
            },
        )

    def test_zones_and_aggregates_are_apart(self) -> None:
        for name, zone in (('fast', 'az9'), ('gold', None)):
            made = self.admin_api.post_aggregate(
                {'aggregate': {'name': name, 'availability_zone': zone}}
            )
            self.admin_api.add_host_to_aggregate(made['id'], 'intel')
        found = self.samples()
        name = 'hvfilter_fleet_capability_hosts'
        self.assertEqual(1, found[name, 'az9', 'nested', 'has'])
        self.assertEqual(1, found[name, 'nova', 'nested', 'has'])
        for aggregate in ('fast', 'gold'):
            name = 'hvfilter_fleet_aggregate_capability_hosts'
            self.assertEqual(1, found[name, aggregate, 'nested', 'has'])
            self.assertNotIn((name, aggregate, 'sev', 'has'), found)
            name = 'hvfilter_fleet_aggregate_free_cpus'
            self.assertEqual(
                RATIO * 8, found[name, aggregate, 'nested', 'VCPU']
            )

    def test_disabled_host_has_nothing_free(self) -> None:
        (service,) = self.admin_api.get_services(
            binary='nova-compute', host='intel'
        )
        self.admin_api.put_service(service['id'], {'status': 'disabled'})
        name = 'hvfilter_fleet_free_cpus'
        self.assertEqual(
            RATIO * 16, self.samples()[name, 'nova', 'nested', 'VCPU']
        )

    def test_requests_are_few_and_as_many_for_more_hosts(self) -> None:
        ran = self.capability('metrics')
        few = len(ran.placement) + len(ran.nova)
        self.start_hosts(ComputeHost('more'), ComputeHost('most'))
        self.has('more', findings.INTEL)
        self.has('most', findings.INTEL)
        ran = self.capability('metrics')
        self.assertEqual(few, len(ran.placement) + len(ran.nova))
        self.assertLessEqual(few, 22)

    def test_age_of_a_valid_report_is_that_of_the_policy(self) -> None:
        found = self.samples('--max-age-weeks', '9')
        self.assertEqual(0, found['hvfilter_fleet_hosts', 'stale'])
        policy = self.policy_file('report_max_age_weeks = 9')
        found = self.samples('--policy', policy)
        self.assertEqual(5, found['hvfilter_fleet_hosts', 'valid'])

    def test_file_is_replaced_at_once_and_kept_after_an_error(self) -> None:
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        file = folder / 'fleet.prom'
        file.write_text('old')
        ran = self.capability('metrics', '--output', str(file))
        self.assertEqual('', ran.out)
        text = file.read_text()
        self.assertIn('hvfilter_fleet_hosts{report="valid"} 4.0', text)
        self.assertEqual(0o644, file.stat().st_mode & 0o777)
        line = self.fails('metrics', '--output', '/nowhere/fleet.prom')
        self.assertIn('/nowhere', line)
        self.endpoints['placement'] = 'http://127.0.0.1:1'
        self.fails('metrics', '--output', str(file))
        self.assertEqual(text, file.read_text())
        self.assertEqual([file], list(folder.iterdir()))

    def test_incomplete_when_this_user_may_not_see_hosts(self) -> None:
        self.reads_placement = True
        found = self.samples(user='member')
        self.assertEqual(0, found['hvfilter_fleet_complete',])
        name = 'hvfilter_fleet_capability_hosts'
        self.assertEqual(2, found[name, '', 'nested', 'has'])
