# SPDX-License-Identifier: Apache-2.0
"""What the operator decides, in nova.conf and in aggregates."""

from tests.fakes.compute import ComputeHost
from tests.functional import landing

NESTED = {'hvfilter:nested': 'required'}


class ModeTest(landing.LandingTestCase):
    def test_permissive_mode_lets_pass_and_tells(self) -> None:
        self.flags(mode='permissive', group='hvfilter')
        log = self.log_of()
        self.assertEqual('tcg', self.host_of(self.boot()))
        self.assertIn(
            '1 lacks kvm (host tcg); 1 of them passed anyway', log.output
        )

    def test_required_capabilities_are_the_policys(self) -> None:
        self.flags(required=['nested'], group='hvfilter')
        self.assertEqual('intel', self.host_of(self.boot()))
        self.flags(required=[], group='hvfilter')
        self.assertEqual('tcg', self.host_of(self.boot()))

    def test_reserved_hosts_are_kept(self) -> None:
        self.flags(reserved=['nested'], group='hvfilter')
        self.stop_compute('flat')
        self.boot(status='ERROR')
        self.assertEqual(
            'intel', self.host_of(self.boot(self.flavor(**NESTED)))
        )


class UnreportedTest(landing.LandingTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.start_hosts(landing.unreported())

    def test_host_passes_when_unreported_are_accepted(self) -> None:
        self.flags(unreported='accept', group='hvfilter')
        self.assertEqual(
            'mute', self.host_of(self.boot(self.flavor(**NESTED)))
        )

    def test_host_is_passed_over_when_unreported_are_rejected(self) -> None:
        self.flags(unreported='reject', group='hvfilter')
        self.assertEqual('flat', self.host_of(self.boot()))

    def test_host_without_kvm_at_all_is_left_alone(self) -> None:
        self.start_hosts(
            ComputeHost(
                'vcenter',
                memory_mb=1_048_576,
                hypervisor_type='VMware vCenter Server',
                supported=(('x86_64', 'vmware', 'hvm'),),
            )
        )
        self.flags(unreported='reject', group='hvfilter')
        image = self.image(img_hv_type='vmware')
        self.assertEqual('vcenter', self.host_of(self.boot(image=image)))
        self.assertEqual('vcenter', self.host_of(self.boot()))
        self.assertEqual(
            'intel', self.host_of(self.boot(self.flavor(**NESTED)))
        )


class AggregateTest(landing.LandingTestCase):
    def aggregate(self, host: str, **metadata: str) -> None:
        aggregate = self.admin_api.post_aggregate(
            {'aggregate': {'name': f'of-{host}'}}
        )
        self.admin_api.add_host_to_aggregate(aggregate['id'], host)
        self.admin_api.post_aggregate_action(
            aggregate['id'],
            {
                'set_metadata': {
                    'metadata': {
                        f'hvfilter:{key}': value
                        for key, value in metadata.items()
                    }
                }
            },
        )

    def test_aggregate_asks_for_less(self) -> None:
        self.aggregate('tcg', required='')
        self.assertEqual('tcg', self.host_of(self.boot()))
        self.assertEqual(
            'intel', self.host_of(self.boot(self.flavor(**NESTED)))
        )

    def test_aggregate_asks_for_more(self) -> None:
        self.aggregate('flat', required='kvm,nested')
        self.assertEqual('intel', self.host_of(self.boot()))

    def test_aggregate_reserves(self) -> None:
        self.aggregate('intel', reserved='nested', required='kvm')
        self.stop_compute('flat')
        self.assertEqual('amd', self.host_of(self.boot()))

    def test_aggregate_is_permissive(self) -> None:
        self.aggregate('tcg', mode='permissive')
        self.assertEqual('tcg', self.host_of(self.boot(self.flavor(**NESTED))))


class ForcedTest(landing.LandingTestCase):
    def test_nova_asks_no_filter_when_host_is_forced(self) -> None:
        server = self.boot(availability_zone='nova:tcg')
        self.assertEqual('tcg', self.host_of(server))

    def test_host_is_judged_when_it_is_requested(self) -> None:
        self.boot(host='tcg', status='ERROR')
        self.assertEqual('flat', self.host_of(self.boot(host='flat')))


class MultiCreateTest(landing.LandingTestCase):
    def test_every_guest_lands_where_it_can_run(self) -> None:
        flavor = self.flavor(memory_mb=20_000, **NESTED)
        first = self.boot(flavor, min_count=4, max_count=4, name='many')
        servers = [
            self.wait(server, 'ACTIVE')
            for server in self.admin_api.get_servers()
        ]
        self.assertEqual(4, len(servers))
        self.assertIn(first['id'], [server['id'] for server in servers])
        hosts = [self.host_of(server) for server in servers]
        self.assertEqual({'intel', 'amd'}, set(hosts))

    def test_none_lands_when_not_all_can(self) -> None:
        flavor = self.flavor(memory_mb=30_000, **NESTED)
        self.boot(flavor, min_count=4, max_count=4, status='ERROR')
        for server in self.admin_api.get_servers():
            self.assertEqual('ERROR', self.wait(server, 'ERROR')['status'])
