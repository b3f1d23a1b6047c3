# SPDX-License-Identifier: Apache-2.0
"""Hosts whose agent died: Placement keeps their traits, and nobody else."""

from __future__ import annotations

import datetime
import time

from hvfilter.model.week import Week
from hvfilter.scheduler import worker_state
from tests.fakes import placement
from tests.functional import findings, landing

NESTED = {'hvfilter:nested': 'required'}
TRAIT = {'trait:CUSTOM_HVFILTER_NESTED': 'required'}


def week(ago: int) -> Week:
    """So many weeks ago; negative: to come."""
    now = Week.at(time.time())
    assert now is not None
    return Week(now.monday - datetime.timedelta(weeks=ago))


class StaleTest(landing.LandingTestCase):
    """All four hosts were published to by a release without weeks."""

    def report(self, host: str, present: frozenset[str], ago: int) -> None:
        self.publish(host, findings.report(present), week(ago))

    def look_again(self) -> None:
        """As after [hvfilter] refresh_s."""
        self.restart_scheduler()
        worker_state.renew()
        self.gate.requests.clear()

    def lands(self, specs: dict[str, str], on: str | None) -> None:
        self.look_again()
        status = 'ACTIVE' if on else 'ERROR'
        server = self.boot(self.flavor(**specs), status=status)
        self.assertEqual(on, self.host_of(server))

    def test_guest_when_agents_died(self) -> None:
        self.lands(NESTED, 'intel')
        self.report('intel', findings.INTEL, 3)
        log = self.log_of()
        for specs in (NESTED, TRAIT):
            self.lands(specs, 'amd')
        self.report('amd', findings.AMD, 3)
        for specs in (NESTED, TRAIT):
            self.lands(specs, None)
        self.assertIn(f'report is stale (week {week(3)})', log.output)
        # One of them lives: it reports again.
        self.report('intel', findings.INTEL, 0)
        self.lands(NESTED, 'intel')
        # A plain guest lands as on a host that never reported.
        self.report('tcg', findings.EMULATED, 50)
        self.lands({}, 'tcg')

    def test_guest_when_prefilter_forbids_what_is_stale(self) -> None:
        self.flags(prefilter=True, unreported='accept', group='hvfilter')
        for host in ('amd', 'flat', 'tcg'):
            self.report(host, findings.INTEL, 0)
        without = {'hvfilter:nested': 'forbidden'}
        self.lands(without, None)
        self.report('intel', findings.INTEL, 3)
        self.lands(without, 'intel')

    def test_guest_when_age_is_configured(self) -> None:
        for host in ('intel', 'amd'):
            self.report(host, findings.INTEL, 3)
        for most, on in ((0, 'intel'), (3, 'intel'), (2, None), (1, None)):
            self.flags(report_max_age_weeks=most, group='hvfilter')
            self.lands(NESTED, on)

    def test_guest_when_clocks_are_off(self) -> None:
        for ago, on in ((-1, 'intel'), (-2, 'intel'), (-3, 'amd')):
            self.report('intel', findings.INTEL, ago)
            self.lands(NESTED, on)

    def test_requests_when_reports_are_fresh_and_stale(self) -> None:
        """At most two more a refresh, and none in between."""

        def others() -> int:
            return sum(
                'REPORTED_2' in request.query
                for request in self.gate.requests
                if request.method == 'GET'
            )

        for host in ('intel', 'amd', 'flat'):
            self.report(host, findings.INTEL, 0)
        self.lands(NESTED, 'flat')
        self.assertEqual(1, others())
        self.report('flat', findings.INTEL, 5)
        self.lands(NESTED, 'intel')
        self.assertEqual(2, others())
        self.boot(self.flavor(**NESTED))
        self.boot(self.flavor(**{'hvfilter:vtx': 'required'}))
        self.assertEqual(2, others())

    def test_guest_when_placement_does_not_tell_the_weeks(self) -> None:
        """As with any other question: not known, and never a wrong yes."""

        def weeks(request: placement.Request) -> bool:
            return 'REPORTED_2' in request.query

        with self.gate.refusing(weeks):
            self.lands(NESTED, None)
