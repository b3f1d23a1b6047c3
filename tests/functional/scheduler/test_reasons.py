# SPDX-License-Identifier: Apache-2.0
"""Capable hosts exist, and none of them was a candidate."""

from tests.functional import landing

NESTED = {'hvfilter:nested': 'required'}
T_NESTED = {'trait:CUSTOM_HVFILTER_NESTED': 'required'}


class ReasonsTest(landing.LandingTestCase):
    def lines(self, *words: str) -> list[str]:
        found = self.log.output.splitlines()
        return [
            line
            for line in found
            if line.startswith('INFO') and all(word in line for word in words)
        ]

    def setUp(self) -> None:
        super().setUp()
        self.log = self.log_of('hvfilter')

    def fill(self) -> None:
        self.boot(self.flavor(memory_mb=60_000, **NESTED))
        self.boot(self.flavor(memory_mb=30_000, **NESTED))

    def test_capable_hosts_are_full(self) -> None:
        self.fill()
        self.boot(self.flavor(memory_mb=20_000, **NESTED), status='ERROR')
        (line,) = self.lines('lack', 'nested', '2 of 2 not among')
        self.assertIn('hvfilter:nested=required (flavor)', line)

    def test_trait_left_no_candidate(self) -> None:
        self.fill()
        self.boot(self.flavor(memory_mb=20_000, **T_NESTED), status='ERROR')
        (line,) = self.lines('no valid host', 'CUSTOM_HVFILTER_NESTED')
        self.assertIn('2 of 2 not among the candidates', line)

    def test_prefilter_left_no_candidate(self) -> None:
        self.flags(prefilter=True, group='hvfilter')
        self.prepare()
        self.restart_scheduler()
        self.boot(self.flavor(**{'hvfilter:tdx': 'required'}), status='ERROR')
        (line,) = self.lines('no valid host', 'CUSTOM_HVFILTER_TDX')
        self.assertIn('hosts reported tdx: 0', line)

    def prepare(self) -> None:
        from hvfilter.placement import client, fleet
        from hvfilter.placement.connect import transport_of

        conf = self.agent_conf('intel')
        fleet.create_names(client.PlacementClient(transport_of(conf)))
