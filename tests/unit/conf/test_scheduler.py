# SPDX-License-Identifier: Apache-2.0

import pathlib

import fixtures
import testtools
from oslo_config import cfg

from hvfilter.conf import opts, scheduler
from hvfilter.model.policy import Mode, NestedSetOnMove, WhenUnknown


class OptionsTest(testtools.TestCase):
    def read(self, *lines):
        path = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        file = path / 'nova.conf'
        file.write_text('\n'.join(['[hvfilter]', *lines]))
        conf = cfg.ConfigOpts()
        scheduler.register(conf)
        conf([], default_config_files=[str(file)], default_config_dirs=[])
        return conf.hvfilter

    def test_defaults_take_no_cloud_down(self):
        group = self.read()
        self.assertEqual(['kvm'], group.required)
        self.assertEqual([], group.reserved)
        self.assertEqual('infer', group.unreported)
        self.assertEqual('infer', group.placement_unreachable)
        self.assertEqual('enforcing', group.mode)
        self.assertFalse(group.prefilter)

    def test_choices_are_those_of_the_model(self):
        """No more and no fewer: another would fail in the middle of things."""
        for option, kind in (
            ('mode', Mode),
            ('unreported', WhenUnknown),
            ('placement_unreachable', WhenUnknown),
            ('nested_set_on_move', NestedSetOnMove),
        ):
            values = {value.value for value in kind}
            (found,) = (each for each in scheduler.OPTS if each.name == option)
            self.assertEqual(values, set(found.type.choices), option)
            for value in values:
                group = self.read(f'{option} = {value}')
                self.assertEqual(value, getattr(group, option))

    def test_capability_is_refused_when_unknown(self):
        error = self.assertRaises(
            cfg.ConfigFileValueError,
            lambda: self.read('required = kvm,nestd').required,
        )
        self.assertIn('nestd', str(error))
        self.assertIn('nested_slat', str(error))

    def test_empty_list_asks_for_nothing(self):
        self.assertEqual([], self.read('required =').required)

    def test_registering_twice_is_harmless(self):
        conf = cfg.ConfigOpts()
        scheduler.register(conf)
        scheduler.register(conf)

    def test_generator_finds_the_options(self):
        ((group, found),) = opts.list_scheduler_opts()
        self.assertEqual('hvfilter', group.name)
        self.assertEqual(scheduler.OPTS, found)
