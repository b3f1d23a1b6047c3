# SPDX-License-Identifier: Apache-2.0
"""Every command and configuration excerpt of the documentation is taken.

Commands are parsed by the programs' own parsers, configuration is loaded by
what would load it, and scripts are read by the shell.
"""

import argparse
import json
import pathlib
import re
import shlex
import subprocess
from collections.abc import Iterator
from importlib import metadata
from typing import Any, NamedTuple

import testtools
import yaml
from oslo_config import iniparser

from hvfilter.cli import schemas
from hvfilter.conf import agent, scheduler

ROOT = pathlib.Path(__file__).parents[2]
PAGES = (
    *sorted((ROOT / 'doc/source').rglob('*.rst')),
    *sorted(ROOT.glob('*.rst')),
)
_DIRECTIVE = re.compile(
    r'^( *)(?:.*(?<!:)::|\.\. code-block:: (\w+))\n((?: +:\w.*\n)*)\n', re.M
)
# Stands for something that the reader has to fill in, or is cut short.
ELLIPSIS = re.compile(r'\.\.\.|<\w|^#|^\s')


class Block(NamedTuple):
    """Indented lines of a page, and the language that they are in."""

    page: str
    language: str
    text: str


def blocks() -> Iterator[Block]:
    for path in PAGES:
        text = path.read_text()
        for found in _DIRECTIVE.finditer(text):
            line = found[0].lstrip().split('\n')[0]
            if line.startswith('.. ') and not found[2]:
                continue
            lines = []
            for each in text[found.end() :].splitlines():
                if each.strip() and not each.startswith(found[1] + '  '):
                    break
                lines.append(each)
            indent = min(
                (len(x) - len(x.lstrip()) for x in lines if x.strip()),
                default=0,
            )
            body = '\n'.join(x[indent:] for x in lines).strip('\n') + '\n'
            name = str(path.relative_to(ROOT))
            yield Block(name, found[2] or 'literal', body)


def commands() -> Iterator[tuple[str, list[str]]]:
    """Page and words of each line that calls a program of ours."""
    for block in blocks():
        if block.language not in ('literal', 'console', 'bash'):
            continue
        for line in block.text.replace('\\\n', ' ').splitlines():
            line = line.removeprefix('$ ').removeprefix('# ')
            if ELLIPSIS.search(line) and not line.startswith('hvfilter'):
                continue
            program = line.split(' ')[0].rsplit('/', 1)[-1]
            if program in ('hvfilter', 'openstack', 'make', 'tox'):
                words = shlex.split(line, comments=True)
                yield block.page, [program, *words[1:]]


def points(group: str) -> dict[str, metadata.EntryPoint]:
    every = metadata.distribution('hvfilter').entry_points
    return {
        point.name.replace('_', ' '): point
        for point in every.select(group=group)
    }


class Strict(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise AssertionError(message)


def parse(point: metadata.EntryPoint, words: list[str]) -> None:
    """Let the command's own parser read its arguments.

    :raises AssertionError: it does not take them
    """
    command = point.load()(None, argparse.Namespace())
    parser = command.get_parser(point.name)
    parser.error = Strict.error.__get__(parser)
    parser.parse_args(words)


class CommandsTest(testtools.TestCase):
    def test_commands_of_hvfilter_are_understood(self) -> None:
        known = points('hvfilter.cli')
        seen = set()
        for page, (program, *words) in commands():
            if program != 'hvfilter' or not words:
                continue
            words = [word for word in words if word not in ('-q', '--debug')]
            if words[0] in ('help', '--version'):
                continue
            self.assertIn(words[0], known, page)
            parse(known[words[0]], words[1:])
            seen.add(words[0])
        self.assertEqual(set(known), seen, 'shown nowhere')

    def test_commands_of_openstack_are_understood(self) -> None:
        known = points('openstack.hypervisor_capability.v1')
        number = 0
        for page, (program, *words) in commands():
            if program != 'openstack' or words[1:2] != ['capability']:
                continue
            name = ' '.join(words[:3])
            self.assertIn(name, known, page)
            parse(known[name], words[3:])
            number += 1
        self.assertGreater(number, 0)

    def test_targets_of_make_exist(self) -> None:
        makefile = (ROOT / 'Makefile').read_text()
        for page, (program, *words) in commands():
            for word in words if program == 'make' else ():
                if word == '&&':
                    break
                if '=' not in word:
                    self.assertIn(f'\n{word}:', makefile, page)

    def test_environments_of_tox_exist(self) -> None:
        tox = (ROOT / 'tox.ini').read_text()
        for page, (program, *words) in commands():
            if program == 'tox':
                name = words[words.index('-e') + 1]
                found = name == 'py3' or f'testenv:{name}' in tox
                found = found or name.startswith('functional')
                self.assertTrue(found, f'{page}: tox -e {name}')

    def test_scripts_are_shell(self) -> None:
        for block in blocks():
            first = block.text.split(' ')[0]
            if block.language != 'literal' or not first.startswith(
                ('python3', '/opt', 'ln', 'make', 'hvfilter', 'systemctl')
            ):
                continue
            done = subprocess.run(
                ['bash', '-n'],
                input=block.text,
                capture_output=True,
                text=True,
                check=False,
            )
            self.assertEqual('', done.stderr, block.page)


class ConfigurationTest(testtools.TestCase):
    def test_ini_is_read_and_its_options_exist(self) -> None:
        number = 0
        for block in blocks():
            if block.language != 'ini' or '[[local|localrc]]' in block.text:
                continue
            sections: dict[str, Any] = {}
            _Parser(sections).parse(block.text.splitlines())
            for name, values in sections.get('hvfilter', {}).items():
                self._valid(block.page, name, values[-1])
                number += 1
        self.assertGreater(number, 5)

    def _valid(self, page: str, name: str, value: str) -> None:
        known = {
            option.dest: option for option in (*scheduler.OPTS, *agent.OPTS)
        }
        self.assertIn(name, known, page)
        known[name].type(value)

    def test_yaml_and_json_are_read(self) -> None:
        number = 0
        for block in blocks():
            if block.language == 'yaml':
                self.assertIsNotNone(yaml.safe_load(block.text), block.page)
                number += 1
            elif block.language == 'json':
                json.loads(block.text)
                number += 1
        self.assertGreater(number, 3)

    def test_every_deployment_tool_enables_the_same(self) -> None:
        filters = []
        for block in blocks():
            if not block.page.endswith('deployment_tools.rst'):
                continue
            if 'HardwareVirtFilter' in block.text:
                self.assertIn('nova.scheduler.filters.all_filters', block.text)
                self.assertIn('hvfilter.scheduler.all_filters', block.text)
                self.assertRegex(block.text, r'mode\W+permissive')
                filters.append(re.findall(r'\w+Filter\b', block.text))
        excerpt = (ROOT / 'etc/hvfilter/nova.conf.excerpt').read_text()
        line = re.search('^enabled_filters.*', excerpt, re.MULTILINE)
        assert line is not None
        usual = re.findall(r'\w+Filter\b', line[0])
        self.assertEqual([usual] * 3, filters)


class _Parser(iniparser.BaseParser):
    """What oslo.config reads: values by section and name."""

    def __init__(self, sections: dict[str, Any]) -> None:
        super().__init__()
        self._all = sections
        self._section: dict[str, Any] = {}

    def assignment(self, key: str, value: list[str]) -> None:
        self._section.setdefault(key, []).append('\n'.join(value))

    def new_section(self, section: str) -> None:
        self._section = self._all.setdefault(section, {})


class PagesTest(testtools.TestCase):
    def test_table_of_contents_names_what_people_search(self) -> None:
        index = (ROOT / 'doc/source/index.rst').read_text()
        for name in ('upgrading', 'removing', 'troubleshooting', 'rollout'):
            self.assertIn(f'\n   {name}\n', index)

    def test_what_the_guide_installs_is_removed(self) -> None:
        removing = (ROOT / 'doc/source/removing.rst').read_text()
        [block] = [
            block.text
            for block in blocks()
            if block.page.endswith('publishing.rst')
            and 'systemd-sysusers' in block.text
        ]
        paths = re.findall(r' (/(?:etc|usr)/[\w./]+)', block)
        self.assertGreater(len(paths), 4)
        for path in (*paths, '/opt/hvfilter', 'userdel hvfilter'):
            self.assertIn(path, removing)

    def test_schemas_have_a_page(self) -> None:
        page = (ROOT / 'doc/source/schemas.rst').read_text()
        for text in schemas.all_schemas().values():
            self.assertIn(json.loads(text)['$id'], page)
