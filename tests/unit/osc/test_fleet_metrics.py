# SPDX-License-Identifier: Apache-2.0
"""The metrics of a fleet, where no cloud is needed."""

import subprocess
import sys

import testtools

from hvfilter.model.week import Week
from hvfilter.osc import fleet, fleet_metrics
from hvfilter.placement import census
from hvfilter.publish import exposition

WITHOUT_LIBRARY = """
import sys
sys.modules['prometheus_client'] = None
from hvfilter.model.problem import Problem
from hvfilter.osc import capability_metrics
try:
    capability_metrics.render([])
except Problem as problem:
    print(problem)
"""


class FleetMetricsTest(testtools.TestCase):
    def samples(self, names=(), now='2026W48'):
        everything = fleet.Fleet((), census.Census({}, {}, frozenset(names)))
        text = exposition.render(
            fleet_metrics.families(
                everything,
                {},
                Week.parse(now),
                read_s=1.0,
                complete=True,
            )
        )
        return exposition.samples(text)

    def test_age_is_that_of_the_oldest_report(self):
        name = fleet_metrics.OLDEST.name
        weeks = ('2026W48', '2026W45', '2026W47')
        names = [f'CUSTOM_HVFILTER_REPORTED_{week}' for week in weeks]
        self.assertEqual([({}, 3 * 7 * 86400)], self.samples(names)[name])
        # Not known: no report has a week, or this clock was never set.
        self.assertNotIn(name, self.samples())
        self.assertNotIn(name, self.samples(names, ''))

    def test_fleet_without_hosts_has_figures(self):
        found = self.samples()
        self.assertEqual(4, len(found[fleet_metrics.HOSTS.name]))
        self.assertEqual([({}, 1)], found[fleet_metrics.COMPLETE.name])
        self.assertEqual([({}, 1)], found[fleet_metrics.READ.name])

    def test_missing_library_is_named_with_the_remedy(self):
        ran = subprocess.run(
            [sys.executable, '-c', WITHOUT_LIBRARY],
            capture_output=True,
            text=True,
        )
        self.assertIn('prometheus_client', ran.stdout, ran.stderr)
        self.assertIn('"osc"', ran.stdout)
