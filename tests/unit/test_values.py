# SPDX-License-Identifier: Apache-2.0
"""Values are frozen, wherever they are made."""

import dataclasses
import importlib
import inspect
import pkgutil

import testtools

import hvfilter

# These import nova and openstackclient, which the unit tests do without.
NEED_OTHERS = ('hvfilter.scheduler', 'hvfilter.osc')

# Each is filled while something is read, or counts.
GROWING = {
    'hvfilter.host.cpuid_dump.Dump',
    'hvfilter.placement.trait_cache.Counters',
    'hvfilter.placement.trait_cache._Attempt',
}


def modules():
    for found in pkgutil.walk_packages(
        hvfilter.__path__, 'hvfilter.', onerror=lambda name: None
    ):
        if not found.name.startswith(NEED_OTHERS):
            yield importlib.import_module(found.name)


class ValuesTest(testtools.TestCase):
    def test_dataclasses_are_frozen(self):
        thawed = {
            f'{module.__name__}.{name}'
            for module in modules()
            for name, value in inspect.getmembers(module, inspect.isclass)
            if dataclasses.is_dataclass(value)
            and value.__module__ == module.__name__
            and not value.__dataclass_params__.frozen
        }
        self.assertEqual(GROWING, thawed)
