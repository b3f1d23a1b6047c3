# SPDX-License-Identifier: Apache-2.0
"""``openstack hypervisor capability list``."""

from hvfilter.model.catalogue import BY_KEY
from tests.functional.osc import base


class ListTest(base.CapabilityStatesTestCase):
    def names(self, *arguments: str, user: str = 'admin') -> list[str]:
        ran = self.capability('list', *arguments, '-f', 'json', user=user)
        return [each['Host'] for each in ran.json]

    def test_list_has_each_state_when_asked(self) -> None:
        for expected, arguments in (
            (['amd', 'intel'], ['--has', 'nested']),
            (['flat'], ['--lacks', 'nested']),
            (['doubt'], ['--unknown', 'nested']),
            (['old'], ['--stale']),
            (['silent'], ['--unreported']),
            (['intel'], ['--has', 'nested', '--has', 'ept']),
            (['amd'], ['--has', 'nested', '--lacks', 'vtx']),
            ([], ['--has', 'nested', '--lacks', 'nested']),
            (['old'], ['--stale', '--lacks', 'kvm', '--max-age-weeks', '9']),
        ):
            if '9' in arguments:
                expected = []
            self.assertEqual(expected, self.names(*arguments), arguments)

    def test_all_hosts_when_nothing_is_asked(self) -> None:
        self.assertEqual(sorted(self.machines), self.names())

    def test_has_costs_one_list_of_placement_and_none_of_nova(self) -> None:
        ran = self.capability('list', '--has', 'nested')
        lists = [each for each in ran.placement if 'required=' in each]
        self.assertEqual((), ran.nova)
        # One for who has it, one for whose report is too old, and which
        # weeks there are.
        self.assertEqual((3, 2), (len(ran.placement), len(lists)), ran)
        self.assertIn('1 of 3 hosts are not listed', ran.err)

    def test_has_costs_one_request_when_reports_never_expire(self) -> None:
        ran = self.capability(
            'list', '--has', 'nested', '--max-age-weeks', '0'
        )
        self.assertEqual(
            ('GET /resource_providers?required=' + BY_KEY['nested'].trait,),
            ran.placement,
        )
