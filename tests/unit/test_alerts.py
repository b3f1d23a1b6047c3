# SPDX-License-Identifier: Apache-2.0
"""The alerting rules, in the eyes of Prometheus' own tool."""

import pathlib
import shutil
import subprocess

import fixtures
import testtools
import yaml

RULES = pathlib.Path(__file__).parents[2] / 'etc/prometheus/hvfilter.rules.yml'
TOOL = shutil.which('promtool')
METRIC = 'hvfilter_publish{}{{instance="h",publisher="placement"}}'
TRIED = METRIC.format('_timestamp_seconds')
SUCCEEDED = METRIC.format('_success_timestamp_seconds')
# Four hours, a sample a minute; the alert is looked for after three.
ALWAYS = '0+60x240'
NEVER = '0x240'
ONCE = '60x240'


def rule_test(series, fires):
    """One test in promtool's form: series name to samples."""
    labels = {'instance': 'h', 'publisher': 'placement'}
    alert = {
        'exp_labels': labels | {'severity': 'warning'},
        'exp_annotations': {
            'summary': 'h has not published to placement for more than an hour'
        },
    }
    return {
        'interval': '1m',
        'input_series': [
            {'series': name, 'values': values}
            for name, values in series.items()
        ],
        'alert_rule_test': [
            {
                'eval_time': '3h',
                'alertname': 'HvfilterPublishStale',
                'exp_alerts': [alert] if fires else [],
            }
        ],
    }


@testtools.skipIf(TOOL is None, 'needs promtool (Debian: prometheus)')
class RulesTest(testtools.TestCase):
    def test_stale_when_it_fires_and_when_not(self):
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        file = folder / 'test.yml'
        for series, fires in (
            ({TRIED: ALWAYS, SUCCEEDED: ALWAYS}, False),
            ({TRIED: ALWAYS, SUCCEEDED: NEVER}, True),
            ({TRIED: ALWAYS, SUCCEEDED: ONCE}, True),
            # As an earlier release wrote it on a host that never published.
            ({TRIED: ALWAYS}, True),
        ):
            tests = {
                'rule_files': [str(RULES)],
                'evaluation_interval': '1m',
                'tests': [rule_test(series, fires)],
            }
            file.write_text(yaml.safe_dump(tests))
            ran = subprocess.run(
                [TOOL, 'test', 'rules', str(file)],
                capture_output=True,
                text=True,
            )
            self.assertEqual(0, ran.returncode, f'{series}: {ran}')
