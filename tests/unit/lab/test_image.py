# SPDX-License-Identifier: Apache-2.0
"""The hosts of the lab have all that hvfilter imports there."""

import ast
import configparser
import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys

import fixtures
import testtools

from hvfilter.cli import exit_codes
from tests.lab import image, run, table
from tests.lab.guest import steps

COMMANDS = 'hvfilter.cli'
PROBES = 'hvfilter.probes'
USED = ('probe', 'check', 'record', 'diff', 'publish', 'history')
FOR_PLACEMENT = {'keystoneauth1', 'oslo_utils'}
"""Imported when something is published to Placement: not in the lab."""

# Imports as a host of the lab would: what is not there cannot be imported.
ONLY = """\
import json, sys
absent = set(json.loads(sys.argv.pop(1)))
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in absent:
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)
for name in list(sys.modules):
    if name.partition('.')[0] in absent:
        del sys.modules[name]
sys.meta_path.insert(0, Absent())
from hvfilter.cli import main
sys.exit(main.main(sys.argv[1:]))
"""


def packages():
    """Top-level name of what is imported to its distributions."""
    return importlib.metadata.packages_distributions()


def there():
    """Top-level names of what ``image`` copies into a host."""
    wanted = {name.lower() for name in image.DEPENDENCIES}
    copied = {
        name
        for name, owners in packages().items()
        if wanted & {owner.lower() for owner in owners}
    }
    return copied | image.standard_library() | {'hvfilter'}


def entry_points(group):
    """The modules of an entry point group of this tree, by name."""
    parser = configparser.ConfigParser()
    parser.read(image.ROOT / 'setup.cfg')
    lines = parser['entry_points'][group].split('\n')
    pairs = (line.split(' = ') for line in lines if line)
    return {name: value.partition(':')[0] for name, value in pairs}


def source(module):
    """The file of a module of this tree; None if it is no module."""
    path = image.ROOT.joinpath(*module.split('.'))
    for file in (path.with_suffix('.py'), path / '__init__.py'):
        if file.exists():
            return file
    return None


def imports(node):
    """What a module imports, in functions too; not for type checkers."""
    if isinstance(node, ast.If) and 'TYPE_CHECKING' in ast.dump(node.test):
        for child in node.orelse:
            yield from imports(child)
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield node.module
        yield from (f'{node.module}.{alias.name}' for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from imports(child)


def reached(*modules):
    """Top-level name of all that these import to who imports it."""
    found = {}
    seen = set()
    left = list(modules)
    while left:
        module = left.pop()
        file = source(module)
        if module in seen or file is None:
            continue
        seen.add(module)
        left.append(module.rpartition('.')[0] or module)
        for name in imports(ast.parse(file.read_text())):
            if name.partition('.')[0] == 'hvfilter':
                left.append(name)
            else:
                found.setdefault(name.partition('.')[0], set()).add(module)
    return found


class DependenciesTest(testtools.TestCase):
    def test_the_lab_runs_only_commands_that_are_looked_at_here(self):
        ran = {words[0] for words in run.commands(table.HOSTS[0]).values()}
        self.assertEqual(set(), ran - set(USED))

    def test_a_host_has_what_the_commands_and_the_probes_import(self):
        commands = entry_points(COMMANDS)
        found = reached(
            'hvfilter.cli.main',
            *(commands[name] for name in USED),
            *entry_points(PROBES).values(),
        )
        there_too = there() | FOR_PLACEMENT
        missing = {name: found[name] for name in found.keys() - there_too}
        self.assertEqual({}, missing)

    def test_what_a_function_imports_is_seen(self):
        found = reached(entry_points(COMMANDS)['publish'])
        self.assertIn('oslo_config', found)

    def test_the_commands_run_with_nothing_but_what_a_host_has(self):
        names = {*packages(), *sys.stdlib_module_names}
        absent = json.dumps(sorted(names - there()))
        self.assertIn('keystoneauth1', absent)
        folder = self.useFixture(fixtures.TempDir()).path
        recording = f'{folder}/host.json'
        settings = pathlib.Path(folder, 'hvfilter.conf')
        settings.write_text(
            f'[hvfilter]\nprovider_config_file = {folder}/hvfilter.yaml\n'
        )
        known = str(run.RECORDINGS / 'lab-amd-nested-on.json')

        def error_of(*arguments):
            done = subprocess.run(
                [sys.executable, '-c', ONLY, absent, *arguments],
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, 'STATE_DIRECTORY': folder},
            )
            ok = done.returncode in (0, exit_codes.TRY_AGAIN)
            return '' if ok else done.stderr

        errors = {
            'record': error_of('record', '--no-smoke', recording),
            'probe': error_of('probe', '--no-smoke', '-f', 'json'),
            'table': error_of('probe', '--snapshot', recording),
            'yaml': error_of('probe', '-f', 'yaml', '--snapshot', recording),
            'check': error_of('check', '--snapshot', known),
            'diff': error_of('diff', recording, recording),
            'publish': error_of(
                *steps.PUBLISH, '--no-smoke', '--config-file', str(settings)
            ),
            'history': error_of('history', '-f', 'json'),
        }
        self.assertEqual(dict.fromkeys(errors, ''), errors)
