# SPDX-License-Identifier: Apache-2.0
"""Few hosts that will do, among more than Placement is asked to tell."""

from nova import exception

from tests.functional.scheduler import crowd

MANY = 3_000
FEW = 20
NESTED = {'hvfilter:nested': 'required'}
KVM = 'CUSTOM_HVFILTER_KVM'
FULL = 'CUSTOM_HVFILTER_NESTED'


class PrefilterTest(crowd.CrowdTestCase):
    """Placement tells of 1,000 hosts, and would come to the few last."""

    def setUp(self) -> None:
        super().setUp()
        nodes = [
            crowd.node(f'host-{number:04}', {'kvm'}) for number in range(MANY)
        ]
        self.crowd(nodes)
        last = frozenset(self.in_placements_order()[-FEW:])
        self.give(last, 'nested')
        self.few = {node.name for node in nodes if node.uuid in last}

    def test_capable_hosts_are_hidden_without_it_and_found_with_it(
        self,
    ) -> None:
        log = self.log_of()
        self.assertRaises(exception.NoValidHost, self.schedule, NESTED)
        self.assertIn(
            '1000 of 1000 hosts rejected: 1000 lack nested', log.output
        )
        self.flags(prefilter=True, group='hvfilter')
        self.restart_scheduler()
        self.assertIn(self.schedule(NESTED), self.few)
        self.assertNotIn(self.schedule(), self.few)
        # What the policy wants counts too, since all of them reported.
        self.flags(required=['nested'], group='hvfilter')
        self.assertIn(self.schedule(), self.few)


class SmallCloudTest(crowd.CrowdTestCase):
    """Hosts are few enough for Placement to tell of all."""

    def setUp(self) -> None:
        super().setUp()
        self.flags(prefilter=True, group='hvfilter')
        self.restart_scheduler()
        self.log = self.log_of()

    def refuse(self, specs: dict[str, str]) -> None:
        self.assertRaises(exception.NoValidHost, self.schedule, specs)

    def test_trait_unknown_to_placement_is_not_named(self) -> None:
        self.crowd([crowd.node('flat', {'kvm'})])
        self.placement.delete('/traits/CUSTOM_HVFILTER_TDX', version='1.6')
        self.refuse({'hvfilter:tdx': 'required'})
        self.assertIn('1 lacks tdx (host flat)', self.log.output)
        self.schedule({'hvfilter:tdx': 'forbidden'})

    def test_guest_lands_on_the_first_day(self) -> None:
        self.crowd([crowd.node('new', None)], known=False)
        self.assertEqual('new', self.schedule())
        self.refuse(NESTED)

    def test_policy_is_not_asked_for_while_some_never_reported(self) -> None:
        self.crowd([crowd.node('tcg', ()), crowd.node('new', None)])
        self.assertEqual('new', self.schedule())

    def test_forbidden_and_reserved_hosts_are_left_out(self) -> None:
        self.crowd(
            [
                crowd.node('flat', {'kvm'}),
                crowd.node('full', {'kvm', 'nested'}),
            ]
        )
        self.assertEqual(
            'flat', self.schedule({'hvfilter:nested': 'forbidden'})
        )
        self.flags(reserved=['nested'], group='hvfilter')
        self.assertEqual('flat', self.schedule())
        self.assertEqual('full', self.schedule(NESTED))
        # Placement left them out: the filter had nothing to reject.
        lines = self.log.output.splitlines()
        self.assertEqual(3, len(lines))
        for line, limits in zip(
            lines,
            (
                f'with {KVM} and without {FULL}',
                f'with {KVM} and without {FULL}',
                f'with {KVM}, {FULL}; ',
            ),
            strict=True,
        ):
            self.assertIn('the Placement query was limited to hosts', line)
            self.assertIn(limits, line)
