# SPDX-License-Identifier: Apache-2.0
"""The tool that "tox -e cover" ends with."""

import json
import pathlib
import subprocess
import sys

import fixtures
import testtools

ROOT = pathlib.Path(__file__).parents[2]
TOOL = ROOT / 'tools' / 'coverage_floor.py'
PACKAGES = ('model', 'rules', 'host', 'probes')


def covered(lines, branches):
    """The summary of a file with a thousand of each."""
    return {
        'summary': {
            'covered_lines': lines,
            'num_statements': 1000,
            'covered_branches': branches,
            'num_branches': 1000,
        }
    }


class CoverageFloorTest(testtools.TestCase):
    def run_tool(self, *, measured=PACKAGES, **files):
        whole = covered(1000, 1000)
        report = {f'hvfilter/{name}/a.py': whole for name in measured}
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        path = folder / 'coverage.json'
        path.write_text(json.dumps({'files': {**report, **files}}))
        return self.run_with(path)

    def run_with(self, *arguments):
        return subprocess.run(
            [sys.executable, TOOL, *arguments], capture_output=True, text=True
        )

    def test_success_when_all_are_covered(self):
        done = self.run_tool()
        self.assertEqual(0, done.returncode, done.stdout)
        self.assertEqual(8, done.stdout.count(' 100.0 % '))

    def test_success_when_just_at_the_floor(self):
        done = self.run_tool(**{'hvfilter/host/a.py': covered(980, 980)})
        self.assertEqual(0, done.returncode, done.stdout)

    def test_failure_when_branches_alone_are_missed(self):
        done = self.run_tool(**{'hvfilter/host/a.py': covered(1000, 979)})
        self.assertEqual(1, done.returncode)
        self.assertIn(
            'hvfilter/host: 97.9 % of branches: BELOW 98 %', done.stdout
        )
        self.assertEqual(1, done.stdout.count('BELOW'))

    def test_other_packages_do_not_make_up_for_one(self):
        done = self.run_tool(
            **{
                'hvfilter/model/a.py': covered(900, 1000),
                'hvfilter/models/a.py': covered(1000, 1000),
                'hvfilter/cli/a.py': covered(0, 0),
            }
        )
        self.assertEqual(1, done.returncode)
        self.assertIn(
            'hvfilter/model: 90.0 % of lines: BELOW 98 %', done.stdout
        )
        self.assertEqual(1, done.stdout.count('BELOW'))

    def test_failure_when_nothing_was_measured(self):
        done = self.run_tool(measured=())
        self.assertEqual(1, done.returncode)
        self.assertEqual(8, done.stdout.count('BELOW'))

    def test_floors_are_for_packages_that_exist(self):
        done = self.run_tool()
        for line in done.stdout.splitlines():
            self.assertTrue((ROOT / line.partition(':')[0]).is_dir(), line)

    def test_usage_when_no_report_is_named(self):
        done = self.run_with()
        self.assertEqual(2, done.returncode)
        self.assertIn('usage', done.stderr)
