# SPDX-License-Identifier: Apache-2.0
"""What the installed distribution declares: it exists, and once only."""

import collections
import importlib.util
import pathlib
from importlib import metadata

import testtools

from hvfilter import version

# Their modules import nova, which the unit tests do without.
NEED_NOVA = ('hvfilter.scheduler.',)


def entry_points() -> list[metadata.EntryPoint]:
    return list(metadata.distribution('hvfilter').entry_points)


class EntryPointsTest(testtools.TestCase):
    def test_entry_points_load_when_nova_is_not_needed(self) -> None:
        for point in entry_points():
            if not point.module.startswith(NEED_NOVA):
                module = point.group == 'openstack.cli.extension'
                self.assertTrue(module or callable(point.load()), point)

    def test_modules_of_entry_points_are_there_when_not_loaded(self) -> None:
        package = pathlib.Path(importlib.util.find_spec('hvfilter').origin)
        for point in entry_points():
            path = package.parent.parent.joinpath(*point.module.split('.'))
            found = (
                path.with_suffix('.py').is_file()
                or (path / '__init__.py').is_file()
            )
            self.assertTrue(found, f'{point}: no such module')

    def test_names_are_unique_when_stevedore_would_not_say(self) -> None:
        count = collections.Counter(
            (point.group, point.name) for point in entry_points()
        )
        twice = [key for key, number in count.items() if number > 1]
        self.assertEqual([], twice)


class PackageTest(testtools.TestCase):
    def test_version_is_told_when_installed(self) -> None:
        self.assertEqual(
            metadata.version('hvfilter'), version.version_string()
        )

    def test_nova_is_no_requirement_when_installed(self) -> None:
        required = metadata.requires('hvfilter') or []
        self.assertEqual(
            [], [line for line in required if line.startswith('nova')]
        )

    def test_type_marker_is_there_when_installed(self) -> None:
        package = pathlib.Path(importlib.util.find_spec('hvfilter').origin)
        self.assertTrue((package.parent / 'py.typed').is_file())
