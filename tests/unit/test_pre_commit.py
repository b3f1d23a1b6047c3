# SPDX-License-Identifier: Apache-2.0
"""The hooks of pre-commit are the checks of ``make lint``."""

import importlib.util
import pathlib
import shlex

import testtools
import yaml

ROOT = pathlib.Path(__file__).parents[2]
CONFIG = yaml.safe_load((ROOT / '.pre-commit-config.yaml').read_text())
COMMAND = ['tools/in-env', 'test', 'python', 'tools/lint.py']


def checks() -> list[str]:
    """The checks of tools/lint.py."""
    spec = importlib.util.spec_from_file_location(
        'lint', ROOT / 'tools/lint.py'
    )
    lint = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(lint)
    return sorted(lint.CHECKS)


class PreCommitTest(testtools.TestCase):
    def test_hooks_run_each_check_of_lint_once(self) -> None:
        run = []
        for repository in CONFIG['repos']:
            for hook in repository['hooks']:
                words = shlex.split(hook['entry'])
                self.assertEqual(COMMAND, words[: len(COMMAND)])
                run += words[len(COMMAND) :]
        self.assertEqual(checks(), sorted(run))

    def test_hooks_need_no_network(self) -> None:
        for repository in CONFIG['repos']:
            self.assertEqual('local', repository['repo'])
            for hook in repository['hooks']:
                self.assertEqual('system', hook['language'])
                # lint.py would take the names of files for checks.
                self.assertFalse(hook['pass_filenames'])
