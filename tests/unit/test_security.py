# SPDX-License-Identifier: Apache-2.0
"""Each promise of SECURITY.rst has a test, and it is there."""

import pathlib
import re

import testtools

ROOT = pathlib.Path(__file__).parents[2]
SECURITY = (ROOT / 'SECURITY.rst').read_text()
MODEL = SECURITY.split('Threat model\n', 1)[1]


class SecurityTest(testtools.TestCase):
    def test_promise_names_a_test(self) -> None:
        promises = re.findall(r'^- .*\n(?:  .*\n)*', MODEL, re.MULTILINE)
        self.assertGreater(len(promises), 10)
        for promise in promises:
            self.assertIn('``tests.', promise)

    def test_named_tests_exist(self) -> None:
        for name in re.findall(r'``(tests\.[\w.]+)``', MODEL):
            module, _, test = name.rpartition('.')
            path = ROOT.joinpath(*module.split('.')).with_suffix('.py')
            self.assertTrue(path.is_file(), name)
            self.assertRegex(path.read_text(), rf'\bdef {test}\(', name)
