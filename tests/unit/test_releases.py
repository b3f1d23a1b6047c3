# SPDX-License-Identifier: Apache-2.0
"""Environments for the releases of OpenStack, and what came out in them."""

import importlib.util
import pathlib
import re
import sys
import types

import fixtures
import testtools

ROOT = pathlib.Path(__file__).parents[2]


def tool(name: str) -> types.ModuleType:
    """A module of tools, which are in no package."""
    path = ROOT / 'tools' / f'{name}.py'
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    # Tools import each other, and dataclasses look up their module.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


environment = tool('environment')
releases = tool('releases')
OLDEST = '2023.1'


class ConstraintsTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.temporary = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.useFixture(fixtures.EnvironmentVariable('TOX_CONSTRAINTS_FILE'))
        self.patch('ROOT', self.temporary)
        (self.temporary / '.make-venv-2023.1').mkdir()
        self.own = ROOT / 'tests' / 'releases' / 'constraints' / '2023.1.txt'

    def patch(self, name: str, value: object) -> None:
        self.useFixture(fixtures.MockPatchObject(environment, name, value))

    def found(self, purpose: str = OLDEST) -> list[pathlib.Path]:
        return environment.environment(purpose).constraints()

    def publish(self, text: str) -> None:
        (self.temporary / OLDEST).write_text(text)

    def test_published_ones_come_first_then_ours(self) -> None:
        self.publish('nova===27.0.0\n')
        self.patch('CONSTRAINTS_URL', f'file://{self.temporary}/{{}}')
        first, second = self.found()
        self.assertEqual('nova===27.0.0\n', first.read_text())
        self.assertEqual(self.own, second)

    def test_ours_are_used_when_published_are_out_of_reach(self) -> None:
        self.patch('CONSTRAINTS_URL', f'file://{self.temporary}/{{}}')
        self.assertEqual([self.own], self.found())

    def test_named_ones_are_the_only_ones(self) -> None:
        self.useFixture(
            fixtures.EnvironmentVariable('TOX_CONSTRAINTS_FILE', '/named')
        )
        self.assertEqual([pathlib.Path('/named')], self.found())
        self.assertEqual([pathlib.Path('/named')], self.found('test'))

    def test_projects_are_used_for_what_is_no_release(self) -> None:
        self.assertEqual(
            [self.temporary / 'constraints.txt'], self.found('test')
        )

    def test_ours_are_of_the_oldest_release(self) -> None:
        text = self.own.read_text()
        self.assertIn('\nnova==27.', text)
        self.assertIn('\nopenstack-placement==9.', text)
        self.assertNotIn('hvfilter', text)


class RecordsTest(testtools.TestCase):
    """What is written down is fit to be told."""

    def test_releases_are_those_of_tox(self) -> None:
        (listed,) = re.findall(
            r'^\[testenv:functional-\{([\d.,]+)\}\]$',
            (ROOT / 'tox.ini').read_text(),
            re.MULTILINE,
        )
        self.assertEqual(environment.releases(), listed.split(','))

    def test_every_release_was_run_with_all_threads_it_has(self) -> None:
        found = {
            record.release: [run.threads for run in record.runs]
            for record in releases.records()
        }
        self.assertEqual(
            {
                release: releases.kinds_of_threads(release)
                for release in environment.releases()
            },
            found,
        )

    def test_versions_are_those_of_the_release(self) -> None:
        for record in releases.records():
            path = environment.RELEASES / 'requirements'
            text = (path / f'{record.release}.txt').read_text()
            for name, version in (
                ('nova', record.nova),
                ('openstack-placement', record.placement),
            ):
                major = version.partition('.')[0]
                self.assertIn(f'\n{name}>={major},<', text)

    def test_nothing_failed(self) -> None:
        for record in releases.records():
            for run in record.runs:
                self.assertEqual(0, run.failed, record)
                self.assertGreater(run.passed, 50, record)


class JoinTest(testtools.TestCase):
    """One kind of threads was run again."""

    def record(self, nova: str, date: str, *runs: object) -> releases.Record:
        return releases.Record('2026.1', nova, '15.0.0', '3.11', date, runs)

    def test_other_kind_is_kept_when_versions_are_the_same(self) -> None:
        green = releases.Run('green', 70, 0, 0)
        native = releases.Run('native', 71, 0, 0)
        old = self.record('33.0.1', 'then', green, native)
        again = releases.Run('native', 72, 0, 0)
        self.assertEqual(
            self.record('33.0.1', 'now', green, again),
            releases.joined(old, self.record('33.0.1', 'now', again)),
        )

    def test_other_kind_is_dropped_when_versions_differ(self) -> None:
        green = releases.Run('green', 70, 0, 0)
        native = releases.Run('native', 71, 0, 0)
        new = self.record('33.0.2', 'now', native)
        old = self.record('33.0.1', 'then', green)
        self.assertEqual(new, releases.joined(old, new))


class TableTest(testtools.TestCase):
    def test_each_run_has_a_row(self) -> None:
        record = releases.Record(
            '2026.1',
            '33.0.2',
            '15.0.0',
            '3.11.7',
            '2026-11-24',
            (
                releases.Run('green', 70, 0, 1),
                releases.Run('native', 69, 1, 1),
            ),
        )
        lines = releases.table([record])
        self.assertEqual(3, sum('* -' in line for line in lines))
        self.assertEqual(
            [
                '   * - 2026.1',
                '     - 33.0.2',
                '     - 15.0.0',
                '     - 3.11.7',
                '     - native',
                '     - 69',
                '     - 1',
                '     - 1',
                '     - 2026-11-24',
            ],
            lines[-9:],
        )
