# SPDX-License-Identifier: Apache-2.0
"""``openstack flavor capability set``, ``unset`` and ``show``."""

from typing import Any

import fixtures

from hvfilter.model.catalogue import BY_KEY
from hvfilter.osc import transport
from hvfilter.placement import errors
from tests.fakes.compute import ComputeHost
from tests.functional import findings
from tests.functional.osc import base

NESTED = frozenset({'nested', 'nested_slat'})
NESTED_TRAIT = f'trait:{BY_KEY["nested"].trait}'


class FlavorCapabilityTest(base.OpenStackTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.start_hosts(
            ComputeHost('intel'), ComputeHost.amd('amd'), ComputeHost('flat')
        )
        self.has('intel', findings.INTEL)
        self.has('amd', findings.AMD)
        self.has('flat', findings.INTEL - NESTED)

    def run_on(self, verb: str, *arguments: str, user: str = 'admin') -> Any:
        return self.openstack(
            'flavor', 'capability', verb, *arguments, user=user
        )

    def does(self, verb: str, *arguments: str, user: str = 'admin') -> Any:
        ran = self.run_on(verb, *arguments, user=user)
        self.assertEqual(0, ran.code, ran.err)
        return ran

    def refused(self, verb: str, *arguments: str, user: str = 'admin') -> str:
        ran = self.run_on(verb, *arguments, user=user)
        self.assertNotEqual(0, ran.code)
        self.assertEqual(1, len(ran.err.splitlines()), ran.err)
        return str(ran.err)

    def specs(self, flavor: str) -> dict[str, str]:
        return dict(self.admin_api.get_extra_specs(flavor))

    def writes(self, ran: Any) -> list[str]:
        return [each for each in ran.nova if not each.startswith('GET')]

    def fail_requests(self, count: int, method: str) -> None:
        """So many requests of that kind get no answer."""
        left = [count]
        send = transport.CloudTransport.request

        def request(way: Any, verb: str, path: str, **more: Any) -> Any:
            if verb == method and left[0]:
                left[0] -= 1
                raise errors.Unreachable('No answer from Nova', 'Try again.')
            return send(way, verb, path, **more)

        self.useFixture(
            fixtures.MonkeyPatch(
                'hvfilter.osc.transport.CloudTransport.request', request
            )
        )

    # set

    def test_set_writes_all_in_one_request_beside_what_is_there(self) -> None:
        flavor = self.flavor(**{'hw:cpu_policy': 'shared'})
        ran = self.does(
            'set',
            flavor,
            *('--require', 'nested', '--forbid', 'sev', '--prefer', 'apicv'),
        )
        self.assertEqual(
            {
                'hw:cpu_policy': 'shared',
                'hvfilter:nested': 'required',
                'hvfilter:sev': 'forbidden',
                'hvfilter:apicv': 'preferred',
            },
            self.specs(flavor),
        )
        self.assertEqual('', ran.out)
        self.assertEqual(1, len(self.writes(ran)), ran.nova)
        # A second time there is nothing to write.
        again = self.does('set', flavor, '--require', 'nested')
        self.assertEqual([], self.writes(again))

    def test_servers_land_where_the_flavor_now_asks(self) -> None:
        flavor = self.flavor()
        self.does('set', flavor, '--require', 'nested', '--forbid', 'amdv')
        self.set_filters(('HardwareVirtFilter',))
        self.restart_scheduler()
        self.assertEqual('intel', self.host_of(self.boot(flavor)))

    def test_set_brings_the_trait_of_the_capability_into_line(self) -> None:
        flavor = self.flavor(**{NESTED_TRAIT: 'required'})
        ran = self.does('set', flavor, '--forbid', 'nested')
        self.assertEqual(
            {NESTED_TRAIT: 'forbidden', 'hvfilter:nested': 'forbidden'},
            self.specs(flavor),
        )
        self.assertEqual(1, len(self.writes(ran)))
        self.does('set', flavor, '--prefer', 'nested')
        self.assertEqual({'hvfilter:nested': 'preferred'}, self.specs(flavor))

    def test_refused_when_no_host_could_serve_it(self) -> None:
        flavor = self.flavor()
        for options, why in (
            (('--require', 'sev'), '3 of 3 hosts rejected: 3 lack sev'),
            (
                ('--require', 'vtx', '--require', 'amdv'),
                'no host can have both amdv and vtx',
            ),
            (
                ('--require', 'nested_slat', '--forbid', 'nested'),
                'nested_slat includes nested',
            ),
            (
                ('--require', 'nested', '--forbid', 'vtx', '--forbid', 'amdv'),
                '3 of 3 hosts rejected',
            ),
        ):
            line = self.refused('set', flavor, *options)
            self.assertIn(why, line)
            self.assertIn('--force', line)
            self.assertEqual({}, self.specs(flavor), options)
        self.does('set', flavor, '--require', 'sev', '--force')
        self.assertEqual({'hvfilter:sev': 'required'}, self.specs(flavor))

    def test_force_does_not_need_placement(self) -> None:
        flavor = self.flavor()
        with self.gate.refusing(lambda request: True):
            self.refused('set', flavor, '--require', 'nested')
            self.does('set', flavor, '--require', 'nested', '--force')

    def test_refused_when_a_capability_is_named_twice_or_not_at_all(
        self,
    ) -> None:
        flavor = self.flavor()
        both = ('--require', 'nested', '--forbid', 'nested')
        self.assertIn('Name each', self.refused('set', flavor, *both))
        self.assertIn('No capability', self.refused('set', flavor))

    def test_one_line_when_a_user_may_not(self) -> None:
        flavor = self.flavor()
        self.reads_placement = True
        for user in ('reader', 'member'):
            line = self.refused(
                'set', flavor, '--require', 'nested', '--force', user=user
            )
            self.assertIn('role "admin"', line)
            self.assertEqual({}, self.specs(flavor))
        self.assertIn('flavor list', self.refused('show', 'nobody'))

    # what fails on the way

    def test_flavor_is_restored_when_a_removal_fails(self) -> None:
        before = {NESTED_TRAIT: 'required', 'hvfilter:sev': 'forbidden'}
        flavor = self.flavor(**before)
        self.fail_requests(1, 'DELETE')
        line = self.refused(
            'set', flavor, '--prefer', 'nested', '--prefer', 'sev'
        )
        self.assertIn('has the extra specs of before again', line)
        self.assertEqual(before, self.specs(flavor))

    def test_flavor_is_as_it_was_when_nothing_was_written(self) -> None:
        flavor = self.flavor()
        self.fail_requests(1, 'POST')
        line = self.refused('set', flavor, '--require', 'nested')
        self.assertIn('is as it was', line)
        self.assertEqual({}, self.specs(flavor))

    def test_error_names_what_was_there_when_restoring_fails_too(self) -> None:
        before = {NESTED_TRAIT: 'required'}
        flavor = self.flavor(**before)
        self.fail_requests(9, 'DELETE')
        line = self.refused('set', flavor, '--prefer', 'nested')
        self.assertIn('may be half changed', line)
        self.assertIn(f'{NESTED_TRAIT}=required', line)

    # unset

    def test_unset_removes_both_ways_of_asking(self) -> None:
        flavor = self.flavor(
            **{
                NESTED_TRAIT: 'required',
                'hvfilter:nested': 'required',
                'hvfilter:sev': 'forbidden',
                'hw:cpu_policy': 'shared',
            }
        )
        line = self.refused('unset', flavor, '--forbid', 'nested')
        self.assertIn('nested is not forbidden', line)
        self.does('unset', flavor, '--require', 'nested')
        self.assertEqual(
            {'hvfilter:sev': 'forbidden', 'hw:cpu_policy': 'shared'},
            self.specs(flavor),
        )
        both = ('--all', '--forbid', 'sev')
        self.assertIn('either', self.refused('unset', flavor, *both))
        self.does('unset', flavor, '--all')
        self.assertEqual({'hw:cpu_policy': 'shared'}, self.specs(flavor))

    # show

    def test_show_counts_the_hosts_of_each_and_of_all(self) -> None:
        flavor = self.flavor(
            **{
                'hvfilter:nested': 'required',
                'hvfilter:amdv': 'forbidden',
                'hvfilter:apicv': 'preferred',
            }
        )
        found = self.does('show', flavor, '-f', 'json').json
        self.assertEqual(
            {
                'nested': ('required', 2),
                'amdv': ('forbidden', 2),
                'apicv': ('preferred', 0),
                '(all of these)': ('', 1),
            },
            {
                each['Capability']: (each['Demand'], each['Hosts'])
                for each in found
            },
        )
        self.assertIn('must have it', found[2]['Meaning'])
        self.assertEqual([], self.does('show', '1', '-f', 'json').json)

    def test_show_names_what_it_does_not_understand(self) -> None:
        flavor = self.flavor()
        self.specs_unchecked(flavor, **{'hvfilter:nestd': 'required'})
        found = self.does('show', flavor, '-f', 'json').json
        self.assertEqual('not understood', found[0]['Demand'])
        self.assertEqual([0, 0], [each['Hosts'] for each in found])
        self.does('unset', flavor, '--all')
        self.assertEqual({}, self.specs(flavor))

    def test_show_to_a_member_says_what_is_missing(self) -> None:
        flavor = self.flavor(**{'hvfilter:nested': 'required'})
        ran = self.does('show', flavor, '-f', 'json', user='member')
        self.assertEqual({'n/a'}, {each['Hosts'] for each in ran.json})
        self.assertIn('Not shown: how many hosts', ran.err)
