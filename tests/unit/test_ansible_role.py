# SPDX-License-Identifier: Apache-2.0
"""The Ansible role agrees with itself, and with the files that it installs."""

import pathlib
import re
from typing import Any

import testtools
import yaml

ROOT = pathlib.Path(__file__).parents[2]
PLAYBOOKS = ROOT / 'packaging' / 'ansible'
ROLE = PLAYBOOKS / 'roles' / 'hvfilter'
EXCERPT = (ROOT / 'etc/hvfilter/nova.conf.excerpt').read_text()


def load(path: pathlib.Path) -> Any:
    return yaml.safe_load(path.read_text())


DEFAULTS = load(ROLE / 'defaults/main.yml')
VARS = load(ROLE / 'vars/main.yml')
SPECS = load(ROLE / 'meta/argument_specs.yml')['argument_specs']


def used(path: pathlib.Path) -> set[str]:
    """Names of the role's variables in a file."""
    return set(re.findall(r'\bhvfilter_\w+', path.read_text()))


def includes(path: pathlib.Path) -> set[str]:
    return set(re.findall(r'include_tasks: (\w+)\.yml', path.read_text()))


class RoleTest(testtools.TestCase):
    def test_defaults_are_those_of_the_description(self) -> None:
        described = {}
        for entry in SPECS.values():
            for name, option in entry['options'].items():
                self.assertTrue(option['description'], name)
                described[name] = option['default']
        self.assertEqual(DEFAULTS, described)

    def test_task_files_are_entry_points_or_included(self) -> None:
        files = {path.stem: path for path in ROLE.glob('tasks/*.yml')}
        included = {name for path in files.values() for name in includes(path)}
        self.assertEqual(set(files) - included, set(SPECS))
        self.assertEqual(set(), included & set(SPECS))

    def test_entry_points_describe_the_variables_that_they_use(self) -> None:
        for name, entry in SPECS.items():
            path = ROLE / f'tasks/{name}.yml'
            names = used(path)
            for other in includes(path):
                names |= used(ROLE / f'tasks/{other}.yml')
            self.assertEqual(
                set(), (names & set(DEFAULTS)) - set(entry['options']), name
            )

    def test_playbooks_name_entry_points(self) -> None:
        named = set()
        for name in ('site.yml', 'remove.yml'):
            for play in load(PLAYBOOKS / name):
                for task in play['tasks']:
                    role = task['ansible.builtin.include_role']
                    named.add(role.get('tasks_from', 'main'))
        self.assertEqual(set(SPECS), named)

    def test_readme_lists_the_entry_points(self) -> None:
        rows = re.findall(
            r'^\| `(\w+)`', (PLAYBOOKS / 'README.md').read_text(), re.M
        )
        self.assertEqual(['tasks_from', *SPECS], rows)

    def test_handlers_that_are_notified_exist(self) -> None:
        names = set()
        for handler in load(ROLE / 'handlers/main.yml'):
            listen = handler.get('listen', [])
            names |= {handler['name']}
            names |= {listen} if isinstance(listen, str) else set(listen)
        for path in ROLE.glob('tasks/*.yml'):
            text = path.read_text()
            notified = re.findall(r'notify: (.+)$', text, re.MULTILINE)
            for block in re.findall(r'notify:\n((?: +- .+\n)+)', text):
                notified += re.findall(r'- (.+)', block)
            self.assertEqual(set(), set(notified) - names, path.name)


class FilesTest(testtools.TestCase):
    def test_units_are_all_that_there_are(self) -> None:
        units = {
            path.name
            for path in (ROOT / 'etc/systemd').iterdir()
            if path.suffix in ('.service', '.timer')
        }
        self.assertEqual(units, set(VARS['hvfilter_units']))

    def test_copied_files_exist(self) -> None:
        text = (ROLE / 'tasks/agent_files.yml').read_text()
        names = re.findall(r'hvfilter_share \}\}/([\w./-]+)"', text)
        self.assertGreater(len(names), 2)
        for name in names:
            self.assertTrue((ROOT / 'etc' / name).is_file(), name)

    def test_default_filters_are_those_of_the_excerpt(self) -> None:
        line = re.search('^enabled_filters = (.*)$', EXCERPT, re.MULTILINE)
        self.assertEqual(
            line[1], f'{VARS["hvfilter_default_filters"]},HardwareVirtFilter'
        )

    def test_nova_conf_gets_the_modules_of_the_excerpt(self) -> None:
        template = (ROLE / 'templates/nova.conf.j2').read_text()
        modules = r'\b(?:nova|hvfilter)\.scheduler\.[\w.]+'
        self.assertEqual(
            set(re.findall(modules, EXCERPT)),
            set(re.findall(modules, template)),
        )
