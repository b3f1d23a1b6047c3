# SPDX-License-Identifier: Apache-2.0
"""``openstack hypervisor capability show``."""

from tests.fakes.compute import ComputeHost
from tests.functional import findings
from tests.functional.osc import base

NESTED = frozenset({'nested'})


class ShowTest(base.OpenStackTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.start_hosts(ComputeHost('intel'), ComputeHost.amd('amd'))

    def rows(
        self, *arguments: str, user: str = 'admin'
    ) -> dict[str, dict[str, str]]:
        ran = self.capability('show', *arguments, '-f', 'json', user=user)
        return {each['Capability']: each for each in ran.json}

    def test_every_state_is_shown_beside_what_nova_says(self) -> None:
        present = findings.INTEL - NESTED - {'vtx'}
        self.has('intel', present, frozenset({'vpid'}))
        rows = self.rows('intel')
        states = {key: row['State'] for key, row in rows.items()}
        self.assertEqual(
            ('has', 'lacks', 'lacks', 'unknown'),
            tuple(states[key] for key in ('kvm', 'nested', 'vtx', 'vpid')),
        )
        # An Intel processor has no AMD-V: not worth a row.
        self.assertNotIn('amdv', rows)
        self.assertIn('amdv', self.rows('intel', '--long'))
        self.assertEqual(str(base.THIS_WEEK), rows['kvm']['Report Week'])
        self.assertEqual('cpu_info: vmx', rows['vtx']['Nova'])
        self.assertIn('firmware', rows['vtx']['Contradiction'])
        self.assertEqual('HW_CPU_X86_VMX', rows['nested']['Nova'])
        self.assertIn('guests cannot use it', rows['nested']['Contradiction'])
        self.assertEqual('', rows['kvm']['Contradiction'])

    def test_contradiction_when_nova_rules_a_trait_out(self) -> None:
        self.has('amd', findings.INTEL)
        row = self.rows('amd')['vtx']
        self.assertEqual('has', row['State'])
        self.assertEqual('ruled out (AMD)', row['Nova'])
        self.assertIn('counts it as missing', row['Contradiction'])

    def test_stale_and_unreported_hosts_have_nothing(self) -> None:
        self.has('intel', findings.INTEL, weeks_ago=3)
        states = {row['State'] for row in self.rows('intel').values()}
        self.assertEqual({'stale'}, states)
        states = {row['State'] for row in self.rows('amd').values()}
        self.assertEqual({'unreported'}, states)

    def test_two_requests_when_one_host_is_shown(self) -> None:
        ran = self.capability('show', 'intel')
        self.assertEqual((1, 1), (len(ran.placement), len(ran.nova)), ran)

    def test_one_line_when_the_host_is_unknown(self) -> None:
        line = self.fails('show', 'intell')
        self.assertEqual(1, len(line.splitlines()), line)
        self.assertIn("no hypervisor 'intell'", line)
        self.assertIn('openstack hypervisor list', line)
