# SPDX-License-Identifier: Apache-2.0
"""The excerpt of nova.conf to copy names only what exists."""

import pathlib
import re
from importlib import metadata

import testtools

from hvfilter.conf import scheduler

EXCERPT = (
    pathlib.Path(__file__).parents[2]
    / 'etc'
    / 'hvfilter'
    / 'nova.conf.excerpt'
)
SETTING = re.compile(r'^#?(\w+) = (.*)$', re.MULTILINE)


def section(name: str) -> dict[str, str]:
    """The settings of a section, those commented out included."""
    text = EXCERPT.read_text().split(f'[{name}]\n')[1].split('\n[')[0]
    return dict(SETTING.findall(text))


class ExcerptTest(testtools.TestCase):
    def test_options_exist_when_named(self) -> None:
        options = {option.name for option in scheduler.OPTS}
        self.assertEqual(set(), set(section('hvfilter')) - options)

    def test_commented_values_are_the_defaults(self) -> None:
        defaults = {option.name: option.default for option in scheduler.OPTS}
        for name, value in section('hvfilter').items():
            default = defaults[name]
            if isinstance(default, list):
                default = ','.join(default)
            self.assertEqual(str(default), value, name)

    def test_filter_is_registered_when_enabled(self) -> None:
        enabled = section('filter_scheduler')['enabled_filters'].split(',')
        ours = metadata.distribution('hvfilter').entry_points.select(
            group='hvfilter.scheduler.filters'
        )
        self.assertIn(enabled[-1], {point.name for point in ours})

    def test_filters_of_nova_stay_available(self) -> None:
        self.assertIn(
            'available_filters = nova.scheduler.filters.all_filters\n',
            EXCERPT.read_text(),
        )
