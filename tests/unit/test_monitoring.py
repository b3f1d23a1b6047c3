# SPDX-License-Identifier: Apache-2.0
"""The page Monitoring names every metric and alert; its job can run."""

import re
import sys
from typing import Any
from unittest import mock

import testtools

from hvfilter.osc import fleet_metrics
from hvfilter.publish import metrics
from tests.prometheus import tool
from tests.unit import test_docs

PAGE = tool.ROOT / 'doc/source/monitoring.rst'
CRON = tool.ROOT / 'etc/prometheus/hvfilter-fleet.cron'


def tables() -> Any:
    with mock.patch.object(sys, 'path', [str(tool.ROOT / 'doc/ext')]):
        import metric_tables
    return metric_tables


class MonitoringTest(testtools.TestCase):
    def test_page_has_both_tables_and_the_alerts(self) -> None:
        page = PAGE.read_text()
        for directive in ('metrics:: host', 'metrics:: fleet', 'alerts::'):
            self.assertIn(f'\n.. {directive}\n', page)

    def test_page_names_only_what_exists(self) -> None:
        known = {each.name for each in (*metrics.HOST, *fleet_metrics.FLEET)}
        known |= {rule['alert'] for rule in tool.rules('alert')}
        page = PAGE.read_text()
        named = set(re.findall(r'``(hvfilter_\w+|Hvfilter\w+)``', page))
        self.assertGreater(len(named), 3)
        self.assertEqual(set(), named - known)

    def test_tables_have_every_metric_with_labels_and_type(self) -> None:
        for name, every in (
            ('host', metrics.HOST),
            ('fleet', fleet_metrics.FLEET),
        ):
            text = '\n'.join(tables().metric_lines(name))
            for metric in every:
                self.assertIn(f'``{metric.name}', text)
                self.assertIn(f'- {metric.meaning}', text)
        self.assertIn('``hvfilter_provider_info{provider}``', self._host())
        self.assertIn('\n     - counter\n', self._host())

    def _host(self) -> str:
        return '\n'.join(tables().metric_lines('host'))

    def test_alerts_are_shown_without_templates(self) -> None:
        text = '\n'.join(tables().alert_lines())
        for rule in tool.rules('alert'):
            self.assertIn('\n    *', text)
            self.assertIn(f'``{rule["alert"]}``\n', text)
        for mark in ('{{', '}}', '$labels', '  . '):
            self.assertNotIn(mark, text)

    def test_job_runs_a_command_that_exists(self) -> None:
        known = test_docs.points('openstack.hypervisor_capability.v1')
        jobs = [
            line.split()
            for line in CRON.read_text().splitlines()
            if line.startswith('*')
        ]
        self.assertEqual(1, len(jobs))
        minute, *_, program = jobs[0][:7]
        self.assertEqual('*/15', minute)
        self.assertTrue(program.endswith('/openstack'))
        words = jobs[0][7:]
        test_docs.parse(known[' '.join(words[:3])], words[3:])
        self.assertTrue(words[-1].endswith('.prom'))
