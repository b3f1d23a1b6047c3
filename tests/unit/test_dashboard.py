# SPDX-License-Identifier: Apache-2.0
"""The Grafana dashboard: its shape, and its queries in a real Prometheus."""

import itertools
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import testtools

from hvfilter.osc import fleet_metrics
from hvfilter.publish import metrics
from tests.prometheus import exposed, server, tool

DASHBOARD = tool.ROOT / 'etc/grafana/hvfilter.json'
SOURCE = {'type': 'prometheus', 'uid': '${datasource}'}
VALUES = {'job': '.*', 'zone': '.*', 'capability': 'kvm|nested'}
COLUMNS = 24


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return found


def panels() -> list[dict[str, Any]]:
    return [each for each in dashboard()['panels'] if each['type'] != 'row']


def queries() -> Iterator[tuple[str, str]]:
    """The title of a panel, and a query of it as Grafana sends it."""
    for panel in panels():
        for target in panel['targets']:
            expression = target['expr']
            for name, value in VALUES.items():
                expression = expression.replace(f'${name}', value)
            yield panel['title'], expression


class ShapeTest(testtools.TestCase):
    def test_it_can_be_imported_anywhere(self) -> None:
        found = dashboard()
        self.assertEqual('hvfilter', found['uid'])
        self.assertGreaterEqual(found['schemaVersion'], 36)
        self.assertNotIn('id', found)
        variables = {
            each['name']: each for each in found['templating']['list']
        }
        self.assertEqual({'datasource', *VALUES}, set(variables))
        self.assertEqual('datasource', variables['datasource']['type'])
        self.assertEqual('prometheus', variables['datasource']['query'])
        for name in VALUES:
            self.assertEqual(SOURCE, variables[name]['datasource'])

    def test_every_panel_is_complete(self) -> None:
        ids = [each['id'] for each in dashboard()['panels']]
        self.assertEqual(len(ids), len(set(ids)))
        titles = [each['title'] for each in dashboard()['panels']]
        self.assertEqual(len(titles), len(set(titles)))
        for panel in panels():
            title = panel['title']
            self.assertEqual(SOURCE, panel['datasource'], title)
            self.assertTrue(panel['fieldConfig']['defaults']['unit'], title)
            self.assertTrue(panel['description'].endswith('.'), title)
            refs = [each['refId'] for each in panel['targets']]
            self.assertEqual(len(refs), len(set(refs)), title)
            for target in panel['targets']:
                self.assertEqual(SOURCE, target['datasource'], title)
                self.assertNotEqual(target['instant'], target['range'], title)

    def test_panels_do_not_overlap(self) -> None:
        taken: set[tuple[int, int]] = set()
        for panel in dashboard()['panels']:
            at = panel['gridPos']
            self.assertLessEqual(at['x'] + at['w'], COLUMNS, panel['title'])
            own = set(
                itertools.product(
                    range(at['x'], at['x'] + at['w']),
                    range(at['y'], at['y'] + at['h']),
                )
            )
            self.assertEqual(set(), own & taken, panel['title'])
            taken |= own

    def test_only_metrics_and_variables_that_exist_are_used(self) -> None:
        known = {each.name for each in (*metrics.HOST, *fleet_metrics.FLEET)}
        for title, expression in queries():
            used = set(re.findall(r'\bhvfilter_\w+', expression))
            self.assertEqual(set(), used - known, title)
            self.assertNotIn('$', expression, title)


@testtools.skipIf(server.PROMETHEUS is None, server.MISSING)
class QueriesTest(testtools.TestCase):
    def test_panels_and_rules_find_data_of_recorded_hosts(self) -> None:
        with server.scraping(exposed.pages()) as prometheus:
            for title, expression in queries():
                self.assertTrue(prometheus.query(expression), title)
                now = time.time()
                ranged = prometheus.get(
                    'query_range',
                    query=expression,
                    start=str(now - 30),
                    end=str(now),
                    step='1',
                )
                self.assertTrue(ranged['result'], title)
            self._variables_have_values(prometheus)
            self._rules_are_healthy(prometheus)
            self._alerts_are_those_of_the_hosts(prometheus)

    def _variables_have_values(self, prometheus: server.Server) -> None:
        for variable in dashboard()['templating']['list'][1:]:
            found = re.fullmatch(
                r'label_values\((\w+), (\w+)\)', variable['definition']
            )
            self.assertIsNotNone(found, variable['name'])
            values = prometheus.get(
                f'label/{found[2]}/values', **{'match[]': found[1]}
            )
            self.assertTrue(values, variable['name'])

    def _rules_are_healthy(self, prometheus: server.Server) -> None:
        rules = [
            rule
            for group in prometheus.get('rules')['groups']
            for rule in group['rules']
        ]
        expected = [*tool.rules('alert'), *tool.rules('record')]
        self.assertEqual(len(expected), len(rules))
        for rule in rules:
            self.assertEqual('ok', rule['health'], rule)
            self.assertNotIn('lastError', rule)

    def _alerts_are_those_of_the_hosts(
        self, prometheus: server.Server
    ) -> None:
        """None fires yet: each waits for some minutes."""
        pending = {
            (each['metric']['alertname'], each['metric'].get('instance'))
            for each in prometheus.query('ALERTS{alertstate="pending"}')
        }
        for expected in (
            ('HvfilterCapabilityLost', 'lost'),
            ('HvfilterPublishStale', 'lost'),
            ('HvfilterProbeStale', 'old'),
            ('HvfilterKvmUnknown', 'kvm-refused'),
            ('HvfilterFleetUnreported', 'controller'),
        ):
            self.assertIn(expected, pending)
        healthy = {'intel-all-on', 'amd-everything', 'withdrawn'}
        self.assertEqual(set(), healthy & {host for _, host in pending})
