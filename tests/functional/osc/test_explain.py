# SPDX-License-Identifier: Apache-2.0
"""``openstack hypervisor capability explain``."""

from __future__ import annotations

from typing import Any

from tests.functional.osc import base


class ExplainTest(base.CapabilityStatesTestCase):
    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        ran = self.capability('explain', *arguments, '-f', 'json')
        self.err = ran.err
        return ran.json

    def reasons(self, *arguments: str) -> dict[str, dict[str, Any]]:
        return {row['Reason']: row for row in self.rows(*arguments)}

    def hosts(self, *arguments: str) -> dict[str, dict[str, Any]]:
        rows = self.rows(*arguments, '--long')
        return {row['Host']: row for row in rows}

    def fitting(self, *arguments: str) -> set[str]:
        found = self.hosts(*arguments)
        return {
            name for name, row in found.items() if row['Verdict'] == 'fits'
        }

    def test_each_reason_with_the_hosts_and_what_to_change(self) -> None:
        flavor = self.flavor(**{'hvfilter:nested': 'required'})
        found = self.reasons('--flavor', flavor)
        self.assertEqual(2, found['']['Hosts'])
        self.assertEqual('fits', found['']['Verdict'])
        self.assertEqual(['amd', 'intel'], found['']['Names'])
        lacks = found['lacks nested']
        self.assertEqual(
            ('rejected', 1, 'hvfilter', 'hvfilter:nested=required', 1),
            tuple(
                lacks[key]
                for key in (
                    'Verdict',
                    'Hosts',
                    'Stage',
                    'Requirement',
                    'Hosts Back',
                )
            ),
        )
        self.assertEqual(['flat'], lacks['Names'])
        self.assertIn('hvfilter check nested', lacks['To Change'])
        self.assertEqual(
            {
                '',
                'lacks nested',
                'reported nested as unknown',
                'unreported',
                f'report is stale (week {base.week(3)})',
            },
            set(found),
        )
        self.assertIn('hvfilter publish', found['unreported']['To Change'])
        self.assertRegex(self.err, r'Hosts that fit flavor \S+: 2 of 6\.')
        self.assertIn('Without hvfilter:nested=required: 4 more', self.err)
        self.assertIn('No --policy', self.err)

    def test_all_reasons_of_a_host_placements_too(self) -> None:
        self.add_traits('amd', 'CUSTOM_GOLD')
        flavor = self.flavor(
            memory_mb=10**6,
            **{
                'hvfilter:nested': 'required',
                'trait:CUSTOM_GOLD': 'required',
                'trait:CUSTOM_UNHEARD_OF': 'forbidden',
                'hvfilter:sev': 'forbidden',
            },
        )
        (row,) = self.rows('--flavor', flavor, '--host', 'flat')
        self.assertEqual(
            [
                'Placement: does not have 1000000 MEMORY_MB free '
                '(MEMORY_MB:1000000)',
                'Placement: does not have the trait CUSTOM_GOLD '
                '(trait:CUSTOM_GOLD=required)',
                'Placement: Placement does not know the trait '
                'CUSTOM_UNHEARD_OF (trait:CUSTOM_UNHEARD_OF=forbidden)',
                'hvfilter: lacks nested (hvfilter:nested=required)',
            ],
            row['Reasons'],
        )
        self.assertEqual('rejected', row['Verdict'])
        self.assertIn('No single requirement', self.err)

    def test_what_one_requirement_less_gives_back(self) -> None:
        self.add_traits('amd', 'CUSTOM_GOLD')
        flavor = self.flavor(
            **{
                'hvfilter:nested': 'required',
                'trait:CUSTOM_GOLD': 'required',
            }
        )
        found = self.reasons('--flavor', flavor)
        gold = found['does not have the trait CUSTOM_GOLD']
        self.assertEqual((5, 1), (gold['Hosts'], gold['Hosts Back']))
        self.assertEqual(0, found['lacks nested']['Hosts Back'])
        self.assertEqual({'amd'}, self.fitting('--flavor', flavor))
        self.assertEqual(
            {'amd'}, self.fitting('--flavor', flavor, '--image', self.image())
        )

    def test_resources_are_those_that_are_free(self) -> None:
        flavor = self.flavor(memory_mb=10_000)
        self.boot(flavor, host='intel')
        self.assertNotIn('intel', self.fitting('--flavor', flavor))
        found = self.reasons('--flavor', flavor)
        row = found['does not have 10000 MEMORY_MB free']
        self.assertEqual((1, 1), (row['Hosts'], row['Hosts Back']))

    def test_nova_computes_that_nova_does_not_use(self) -> None:
        service = self.admin_api.get_services(
            binary='nova-compute', host='amd'
        )
        self.admin_api.put_service(service[0]['id'], {'status': 'disabled'})
        self.stop_compute('intel')
        found = self.hosts('--flavor', self.flavor())
        self.assertEqual(
            ['Nova: nova-compute is disabled'], found['amd']['Reasons']
        )
        self.assertEqual(
            ['Nova: nova-compute is down'], found['intel']['Reasons']
        )

    def test_images_and_zones_count(self) -> None:
        flavor = self.flavor()
        for image, expected in (
            ({'trait:CUSTOM_HVFILTER_NESTED': 'required'}, {'amd', 'intel'}),
            ({'hw_architecture': 'aarch64'}, set()),
            ({'img_hv_type': 'vmware'}, set()),
        ):
            found = self.fitting(
                '--flavor', flavor, '--image', self.image(**image)
            )
            self.assertEqual(expected, found - {'old', 'silent'}, image)
        zone = self.admin_api.post_aggregate(
            {'aggregate': {'name': 'east', 'availability_zone': 'east'}}
        )
        self.admin_api.add_host_to_aggregate(zone['id'], 'amd')
        self.assertEqual(
            {'amd'},
            self.fitting('--flavor', flavor, '--availability-zone', 'east'),
        )

    def test_novas_default_zone_restricts_nothing(self) -> None:
        zone = self.admin_api.post_aggregate(
            {'aggregate': {'name': 'east', 'availability_zone': 'east'}}
        )
        self.admin_api.add_host_to_aggregate(zone['id'], 'amd')
        flavor = self.flavor(**{'trait:CUSTOM_HVFILTER_NPT': 'required'})
        found = self.fitting('--flavor', flavor, '--availability-zone', 'nova')
        self.assertEqual({'amd'}, found)
        self.assertIn('Not counted: the availability zone nova', self.err)
        server = self.boot(flavor, availability_zone='nova')
        self.assertEqual('amd', self.host_of(server))
        line = self.fails(
            'explain', '--flavor', flavor, '--availability-zone', 'west'
        )
        self.assertIn("'west'", line)

    def test_the_policy_counts_and_permissive_hosts_pass(self) -> None:
        flavor = self.flavor()
        policy = self.policy_file('required = nested', 'unreported = reject')
        self.assertEqual(
            {'amd', 'intel'},
            self.fitting('--flavor', flavor, '--policy', policy),
        )
        aggregate = self.admin_api.post_aggregate(
            {'aggregate': {'name': 'lax', 'availability_zone': None}}
        )
        self.admin_api.add_host_to_aggregate(aggregate['id'], 'flat')
        self.admin_api.post_aggregate_action(
            aggregate['id'],
            {'set_metadata': {'metadata': {'hvfilter:mode': 'permissive'}}},
        )
        found = self.hosts('--flavor', flavor, '--policy', policy)
        self.assertEqual('passes', found['flat']['Verdict'])
        self.assertEqual('rejected', found['doubt']['Verdict'])

    def test_a_server_is_explained_with_its_own_flavor_and_image(
        self,
    ) -> None:
        flavor = self.flavor(memory_mb=10_000)
        image = self.image(**{'trait:CUSTOM_HVFILTER_NESTED': 'required'})
        server = self.boot(flavor, image, host='amd', name='web')
        self.admin_api.post_extra_spec(
            flavor, {'extra_specs': {'hvfilter:sev': 'required'}}
        )
        for name in (server['id'], 'web'):
            # Its own host has no room for another one.
            self.assertEqual({'amd', 'intel'}, self.fitting('--server', name))
        self.assertIn('Hosts that fit server web', self.err)
        policy = self.policy_file('nested_set_on_move = require')
        self.rows('--server', 'web', '--policy', policy)
        self.assertIn('Not counted: [hvfilter] nested_set_on', self.err)

    def test_a_user_whom_nova_refuses_gets_what_placement_shows(self) -> None:
        """Nova shows no hosts and no aggregates to this user."""
        flavor = self.flavor(**{'hvfilter:nested': 'required'})
        line = self.fails('explain', '--flavor', flavor, user='reader')
        self.assertIn('HTTP 403', line)
        self.reads_placement = True
        ran = self.capability(
            'explain', '--flavor', flavor, '-f', 'json', user='reader'
        )
        self.assertEqual(2, ran.json[0]['Hosts'])
        for lost in ('host aggregates', 'state, status'):
            self.assertIn(f'Not shown: {lost}', ran.err)

    def test_one_line_when_something_is_unknown(self) -> None:
        flavor = self.flavor()
        for arguments in (
            ('--flavor', 'nope'),
            ('--server', 'nope'),
            ('--flavor', flavor, '--image', 'nope'),
            ('--flavor', flavor, '--host', 'nope'),
            ('--flavor', flavor, '--policy', '/nope'),
        ):
            line = self.fails('explain', *arguments)
            self.assertEqual(1, len(line.splitlines()), line)
            self.assertIn('nope', line)

    def test_requests_do_not_grow_with_the_hosts(self) -> None:
        flavor = self.flavor(**{'trait:CUSTOM_HVFILTER_NESTED': 'required'})
        ran = self.capability('explain', '--flavor', flavor)
        self.assertLessEqual(len(ran.placement) + len(ran.nova), 30)
