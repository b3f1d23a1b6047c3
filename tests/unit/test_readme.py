# SPDX-License-Identifier: Apache-2.0
"""What the README shows is what the programs print and the files say."""

import pathlib
import re
import sys

import testtools

from hvfilter.model.verdict import Cause, Reason, Verdict
from hvfilter.rules import explain

ROOT = pathlib.Path(__file__).parents[2]
README = (ROOT / 'README.rst').read_text()
PROBE = ROOT / 'doc/source/probe/intel-nested-off.txt'


class ReadmeTest(testtools.TestCase):
    def test_verdict_of_probe_is_that_of_the_documentation(self) -> None:
        verdict = PROBE.read_text().split('\n\n')[0]
        shown = ''.join(f'    {line}\n' for line in verdict.splitlines())
        self.assertIn(shown, README)

    def test_refusal_is_in_the_words_of_the_filter(self) -> None:
        lacking = Verdict((Reason(Cause.LACKS, 'nested'),))
        unreported = Verdict((Reason(Cause.UNREPORTED, ''),))
        line = explain.line(
            {lacking: ['kvm1', 'kvm2'], unreported: ['kvm3']}, 3
        )
        self.assertIn(f': {line}; requested: ', README)

    def test_files_that_it_names_exist(self) -> None:
        names = re.findall(r'``((?:doc|etc)/[\w./]+|[A-Z]+\.rst)``', README)
        self.assertNotEqual([], names)
        for name in names:
            self.assertTrue((ROOT / name).exists(), name)

    def test_releases_are_those_with_results(self) -> None:
        tested = sorted(
            path.stem for path in (ROOT / 'tests/releases/results').iterdir()
        )
        text = ' '.join(README.split())
        self.assertIn(f'{", ".join(tested[:-1])} and {tested[-1]}', text)

    def test_pythons_are_those_of_the_classifiers(self) -> None:
        numbers = re.findall(
            r':: Python :: (3\.\d+)', (ROOT / 'setup.cfg').read_text()
        )
        self.assertIn(
            f'Python {numbers[0]} to {numbers[-1]}', ' '.join(README.split())
        )
        finder = (ROOT / 'tools/find-python').read_text()
        self.assertIn(f'newest={numbers[-1].split(".")[1]} ', finder)
        self.assertGreaterEqual(sys.version_info[:2], (3, 10))

    def test_order_of_the_steps_is_that_of_the_guide(self) -> None:
        steps = re.findall(r'^#\. \*\*(\w+)\*\*', README, re.MULTILINE)
        self.assertEqual(
            ['Prepare', 'Publish', 'Permissive', 'Look', 'Enforce'], steps
        )
