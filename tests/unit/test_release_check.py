# SPDX-License-Identifier: Apache-2.0
"""``make release-check`` comes to a table, whatever its steps do."""

import contextlib
import importlib.util
import io
import pathlib
import sys
from unittest import mock

import fixtures
import testtools

ROOT = pathlib.Path(__file__).parents[2]
NEEDED = {'test', 'releases', 'lab', 'e2e', 'fleet', 'docs', 'packages'}


class ReleaseCheckTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        spec = importlib.util.spec_from_file_location(
            'release_check', ROOT / 'tools/release_check.py'
        )
        self.module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.module)
        self.module.LOGS = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path
        )

    def table(self, *names: str) -> tuple[int, list[str]]:
        out = io.StringIO()
        with (
            mock.patch.object(sys, 'argv', ['release_check', *names]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            status = self.module.main()
        return status, out.getvalue().splitlines()

    def test_steps_are_all_that_a_release_needs(self) -> None:
        self.assertEqual(set(), NEEDED - set(self.module.STEPS))

    def test_others_run_when_a_command_is_missing(self) -> None:
        self.module.STEPS = {'none': 'no-such-command', 'fine': 'echo well'}
        status, lines = self.table()
        self.assertEqual(1, status)
        self.assertIn('FAILED (127)', lines[1])
        self.assertIn('no-such-command: command not found', lines[1])
        self.assertIn('ok', lines[2])
        self.assertIn('well', lines[2])

    def test_only_the_named_steps_run(self) -> None:
        self.module.STEPS = {'bad': 'false', 'fine': 'echo well'}
        status, lines = self.table('fine')
        self.assertEqual(0, status)
        self.assertEqual(2, len(lines))

    def test_refused_when_a_step_does_not_exist(self) -> None:
        self.assertEqual((2, []), self.table('nothing'))
