# SPDX-License-Identifier: Apache-2.0

import logging
from importlib import metadata
from unittest import mock

import fixtures
import testtools
from nova.scheduler import filters

from hvfilter import scheduler
from hvfilter.model.problem import Problem
from hvfilter.scheduler.filters import hardware_virt

FILTER = hardware_virt.HardwareVirtFilter


def point(name, plugin):
    found = mock.Mock(value=f'{plugin.__module__}:{plugin!r}')
    found.name = name
    found.load.return_value = plugin
    return found


class AllFiltersTest(testtools.TestCase):
    def extensions(self, *points):
        self.useFixture(
            fixtures.MonkeyPatch(
                'stevedore.ExtensionManager.list_entry_points',
                lambda manager: list(points),
            )
        )

    def test_filter_is_found_when_installed(self):
        self.assertIn(FILTER, scheduler.all_filters())

    def test_nova_loads_it_by_the_name_in_its_configuration(self):
        handler = filters.HostFilterHandler()
        classes = handler.get_matching_classes(
            ['hvfilter.scheduler.all_filters']
        )
        self.assertIn(FILTER, classes)

    def test_duplicate_is_refused_even_when_not_adjacent(self):
        other = type('Other', (), {})
        twin = type('HardwareVirtFilter', (), {})
        self.extensions(
            point('HardwareVirtFilter', FILTER),
            point('Other', other),
            point('HardwareVirtFilter', twin),
        )
        refusal = self.assertRaises(Problem, scheduler.all_filters)
        self.assertIn('two plug-ins named HardwareVirtFilter', str(refusal))

    def test_duplicate_class_name_is_refused_under_another_name(self):
        twin = type('HardwareVirtFilter', (), {})
        self.extensions(point('a', FILTER), point('b', twin))
        self.assertRaises(Problem, scheduler.all_filters)

    def test_same_class_is_taken_once_when_found_twice(self):
        self.extensions(point('a', FILTER), point('a', FILTER))
        self.assertEqual([FILTER], scheduler.all_filters())

    def test_broken_plug_in_is_logged_and_left_out(self):
        log = self.useFixture(
            fixtures.FakeLogger('hvfilter', level=logging.INFO)
        )
        broken = metadata.EntryPoint(
            'Broken', 'nowhere.at_all:Filter', scheduler.FILTERS
        )
        self.extensions(broken)
        self.assertEqual([], scheduler.all_filters())
        self.assertIn('nowhere', log.output)
