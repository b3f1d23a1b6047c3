# SPDX-License-Identifier: Apache-2.0

import logging
from importlib import metadata
from unittest import mock

import fixtures
import testtools
from nova.scheduler import filters
from stevedore import extension

from hvfilter import scheduler
from hvfilter.scheduler.filters import hardware_virt

FILTER = hardware_virt.HardwareVirtFilter


def found(name, plugin):
    return extension.Extension(name, None, plugin, None)


class AllFiltersTest(testtools.TestCase):
    def extensions(self, *extensions):
        manager = mock.Mock(extensions=list(extensions))
        self.useFixture(
            fixtures.MonkeyPatch(
                'stevedore.extension.ExtensionManager',
                lambda *args, **kwargs: manager,
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
            found('HardwareVirtFilter', FILTER),
            found('Other', other),
            found('HardwareVirtFilter', twin),
        )
        refusal = self.assertRaises(scheduler.Ambiguous, scheduler.all_filters)
        self.assertIn('HardwareVirtFilter twice', str(refusal))

    def test_duplicate_class_name_is_refused_under_another_name(self):
        twin = type('HardwareVirtFilter', (), {})
        self.extensions(found('a', FILTER), found('b', twin))
        self.assertRaises(scheduler.Ambiguous, scheduler.all_filters)

    def test_same_class_is_taken_once_when_found_twice(self):
        self.extensions(found('a', FILTER), found('a', FILTER))
        self.assertEqual([FILTER], scheduler.all_filters())

    def test_broken_plug_in_is_told_and_left_out(self):
        log = self.useFixture(
            fixtures.FakeLogger('hvfilter', level=logging.INFO)
        )
        broken = metadata.EntryPoint(
            'Broken', 'nowhere.at_all:Filter', scheduler.FILTERS
        )
        self.useFixture(
            fixtures.MonkeyPatch(
                'stevedore.extension.ExtensionManager.list_entry_points',
                lambda manager: [broken],
            )
        )
        self.assertEqual([], scheduler.all_filters())
        self.assertIn('nowhere', log.output)
