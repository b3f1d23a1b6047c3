# SPDX-License-Identifier: Apache-2.0
"""The alerting rules, in the eyes of Prometheus' own tool.

What each alert is to do is in tests/prometheus/*.yml;
``python -m tests.prometheus.mutants`` shows that these tests notice changes.
"""

import re

import testtools

from hvfilter.osc import fleet_metrics
from hvfilter.publish import metrics
from tests.prometheus import exposed, tool

METRIC = re.compile(r'\bhvfilter_\w+')


@testtools.skipIf(tool.PROMTOOL is None, tool.MISSING)
class PromtoolTest(testtools.TestCase):
    def test_rules_are_valid(self) -> None:
        ran = tool.promtool('check', 'rules', tool.RULES)
        self.assertEqual(0, ran.returncode, ran.stderr)

    def test_alerts_fire_when_they_should_and_only_then(self) -> None:
        ran = tool.promtool('test', 'rules', *tool.TESTS)
        self.assertEqual(0, ran.returncode, ran.stdout + ran.stderr)

    def test_metrics_are_named_as_prometheus_wants_them(self) -> None:
        for name, text in exposed.pages().items():
            ran = tool.promtool('check', 'metrics', given=text)
            self.assertEqual('', ran.stdout + ran.stderr, name)

    def test_changed_rule_is_noticed(self) -> None:
        text = tool.RULES.read_text()
        test = tool.TESTS[[each.stem for each in tool.TESTS].index('provider')]
        self.assertFalse(tool.fails_with(text, test))
        self.assertTrue(tool.fails_with(text.replace(') > 1', ') > 2'), test))


class RulesTest(testtools.TestCase):
    def test_every_alert_fires_in_a_test(self) -> None:
        tests = '\n'.join(path.read_text() for path in tool.TESTS)
        alerts = [rule['alert'] for rule in tool.rules('alert')]
        self.assertGreater(len(alerts), 10)
        for name in alerts:
            fired = f'ALERTS{{alertname="{name}",alertstate="firing",severity'
            self.assertIn(fired, tests)

    def test_every_alert_has_a_summary_and_what_to_do(self) -> None:
        for rule in tool.rules('alert'):
            self.assertIn('for', rule, rule['alert'])
            self.assertIn('severity', rule['labels'], rule['alert'])
            for name, least in (('summary', 20), ('description', 80)):
                text = rule['annotations'][name]
                self.assertGreater(len(text), least, rule['alert'])
            self.assertFalse(rule['annotations']['summary'].endswith('.'))
            self.assertTrue(rule['annotations']['description'].endswith('.'))

    def test_only_metrics_that_exist_are_queried(self) -> None:
        known = {each.name for each in (*metrics.HOST, *fleet_metrics.FLEET)}
        texts = {
            'rules': '\n'.join(
                str(rule)
                for kind in ('alert', 'record')
                for rule in tool.rules(kind)
            )
        }
        texts |= {path.name: path.read_text() for path in tool.TESTS}
        for place, text in texts.items():
            self.assertEqual(set(), set(METRIC.findall(text)) - known, place)
