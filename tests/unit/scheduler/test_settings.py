# SPDX-License-Identifier: Apache-2.0
"""Values that make no sense, at start and taken over at SIGHUP."""

import pathlib
from unittest import mock

import fixtures
import nova.conf
from oslo_config import cfg

from hvfilter.conf import scheduler_values
from hvfilter.scheduler import policies, settings, worker_state
from hvfilter.scheduler.filters import hardware_virt
from hvfilter.scheduler.weighers import hardware_virt as weigher
from tests.unit.scheduler import base
from tests.unit.scheduler.base import host, spec

CONF = nova.conf.CONF
WRONG_VALUE = (cfg.Error, ValueError)

WRONG = {
    'required': ('kvm,nestd', 'kvm nested', 'KVM', 'vtx,amdv', '$nothing'),
    'reserved': ('sevv', 'kvm;nested'),
    'scarce': ('sevv',),
    'mode': ('permisive', '', '1'),
    'unreported': ('ignore', 'true'),
    'placement_unreachable': ('ignore',),
    'nested_set_on_move': ('always', ''),
    'refresh_s': ('-1', 'nan', 'inf', 'soon', '', '601'),
    'trust_s': ('-1', 'nan', 'inf', '29'),
    'retry_s': ('-0.1', 'nan', 'inf', '5s'),
    'wait_s': ('-1', 'nan', 'inf'),
    'preferred_weight_multiplier': ('nan', '-inf', '1e999', 'much'),
    'scarce_weight_multiplier': ('nan', 'inf', ''),
}


class SettingsTestCase(base.SchedulerTestCase):
    def setUp(self):
        super().setUp()
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.file = folder / 'nova.conf'
        self.addCleanup(CONF.reset)

    def write(self, **options):
        lines = [f'{name} = {value}' for name, value in options.items()]
        self.file.write_text('\n'.join(['[hvfilter]', *lines, '']))

    def start(self, **options):
        self.write(**options)
        CONF([], default_config_files=[str(self.file)], project='nova')
        self.filter = hardware_virt.HardwareVirtFilter()

    def sighup(self, **options):
        """What oslo.service does."""
        self.write(**options)
        CONF.mutate_config_files()

    @property
    def errors(self):
        lines = self.log.output.splitlines()
        return [line for line in lines if line.startswith('ERROR')]


class SighupTest(SettingsTestCase):
    def setUp(self):
        super().setUp()
        self.report('tcg')
        self.report('flat', 'kvm')
        self.hosts = [host('tcg'), host('flat')]
        self.start()

    def test_last_good_policy_stays_in_force(self):
        before = settings.current()
        for name, values in WRONG.items():
            for value in values:
                self.sighup(**{name: value})
                for _ in range(3):
                    found = self.passing(self.hosts, spec())
                    self.assertEqual(['flat'], found, (name, value))
                self.assertEqual(before, settings.current(), (name, value))
        self.assertNotIn('errors', self.counts)

    def test_one_line_names_option_value_and_what_is_allowed(self):
        for name, value, *words in (
            ('required', 'kvm,nestd', 'nestd', 'nested_slat', 'force (requ'),
            ('required', 'vtx,amdv', 'required = vtx,amdv', 'allowed'),
            ('mode', 'permisive', 'permisive', 'enforcing, permissive'),
            ('refresh_s', '-1', "'-1'", 'a number of at least 0'),
            ('refresh_s', 'nan', "'nan'", 'a number of at least 0'),
            ('trust_s', '3', 'trust_s = 3', 'at least refresh_s'),
            ('scarce_weight_multiplier', 'inf', "'inf'", 'a number'),
        ):
            seen = len(self.errors)
            self.sighup(**{name: value})
            for _ in range(3):
                self.passing(self.hosts, spec())
            (line,) = self.errors[seen:]
            self.assertIn('[hvfilter]', line)
            for word in (name, *words):
                self.assertIn(word, line)
            self.sighup()
            self.passing(self.hosts, spec())

    def test_error_comes_again_when_it_was_corrected_meanwhile(self):
        for _ in range(2):
            self.sighup(mode='lax')
            self.passing(self.hosts, spec())
            self.sighup(mode='enforcing')
            self.passing(self.hosts, spec())
        self.assertEqual(2, len(self.errors))

    def test_long_values_are_shortened(self):
        self.sighup(required='x\x1b' * 5000)
        (line,) = self.errors
        self.assertLess(len(line), 1000)
        self.assertNotIn('\x1b', line)

    def test_what_makes_sense_counts_beside_what_does_not(self):
        self.sighup(required='kvm,nestd', mode='permissive')
        self.assertEqual(2, len(self.passing(self.hosts, spec())))

    def test_last_good_is_not_the_first(self):
        self.sighup(mode='permissive')
        self.sighup(mode='lax')
        self.assertEqual(2, len(self.passing(self.hosts, spec())))

    def test_error_is_logged_at_sighup_already(self):
        # On native threads the parent of the workers is asked by nobody
        # else, and the workers come from it.
        self.sighup(mode='lax')
        self.assertEqual(1, len(self.errors))

    def test_sighup_survives_what_breaks_within_hvfilter(self):
        with mock.patch.object(
            scheduler_values, 'contradictions', side_effect=ZeroDivisionError
        ):
            self.sighup(required='nested')
        self.assertIn('Could not read the options', self.log.output)


class StartTest(SettingsTestCase):
    def test_service_does_not_start(self):
        for name, values in WRONG.items():
            for value in values:
                self.assertRaises(WRONG_VALUE, self.start, **{name: value})
                self.assertRaises(WRONG_VALUE, weigher.HardwareVirtWeigher)

    def test_error_names_options_that_contradict(self):
        error = self.assertRaises(
            settings.ConflictingOptions, self.start, trust_s=5
        )
        self.assertIn('trust_s = 5', str(error))

    def test_settings_are_read_when_nobody_started(self):
        with mock.patch.object(settings, '_last_valid', settings.LastValid()):
            self.assertEqual(('kvm',), policies.configured().required)


class BrokenFilterTest(SettingsTestCase):
    """The line names the option that decided, and permissive is permissive."""

    def broken(self, hosts, request=None):
        explode = mock.Mock(side_effect=RuntimeError('boom'))
        with mock.patch.object(
            self.filter._verdict_cache, 'verdicts_for', explode
        ):
            found = self.filter.filter_all(hosts, request or spec())
        return [each.host for each in found]

    def test_line_names_the_deciding_option(self):
        for options, passing, words in (
            ({'mode': 'permissive'}, ['a', 'b'], 'mode = permissive'),
            ({}, ['a', 'b'], 'placement_unreachable = infer'),
            (
                {'placement_unreachable': 'reject'},
                [],
                'placement_unreachable = reject',
            ),
        ):
            self.start(**options)
            self.assertEqual(passing, self.broken([host('a'), host('b')]))
            self.assertIn(
                f'HardwareVirtFilter failed (boom); {len(passing)} of 2 hosts '
                f'pass because [hvfilter] {words}.',
                self.errors[-1],
            )

    def test_permissive_aggregate_is_permissive(self):
        self.start(placement_unreachable='reject')
        lax = base.aggregate(mode='permissive')
        hosts = [host('a', aggregates=[lax]), host('b')]
        self.assertEqual(['a'], self.broken(hosts))
        self.assertIn(
            'mode = permissive and [hvfilter] placement_unreachable = reject',
            self.errors[-1],
        )

    def test_nothing_rejects_in_permissive_mode(self):
        self.start(mode='permissive', placement_unreachable='reject')
        for request in (None, object(), spec({'hvfilter:tdx': 'required'})):
            odd = host('a')
            odd.aggregates = 5
            self.assertEqual(['a'], self.broken([odd], request))

    def test_reads_what_it_can(self):
        self.start()
        with mock.patch.object(
            policies, 'configured', side_effect=ZeroDivisionError
        ):
            self.assertEqual([], self.broken([host('a')]))
        self.assertIn('cannot be read', self.errors[-1])
        self.assertEqual([], self.broken([]))


class AggregateTest(SettingsTestCase):
    def setUp(self):
        super().setUp()
        self.start()
        self.complaints = []

    def policy(self, **metadata):
        return policies.for_host(
            [base.aggregate(**metadata)],
            policies.configured(),
            self.complaints.append,
        )

    def test_last_good_value_stays_in_force(self):
        self.assertEqual(('nested',), self.policy(required='nested').required)
        for wrong in ('nestd', 'vtx,amdv'):
            found = self.policy(required=wrong)
            self.assertEqual(('nested',), found.required)
            self.assertIn('its last valid value', self.complaints[-1])
        self.assertEqual(('kvm',), self.policy().required)

    def test_value_is_gone_once_it_was_taken_away(self):
        self.policy(mode='permissive')
        self.policy(reserved='sev')
        self.assertEqual('enforcing', self.policy(mode='x').mode.value)
        self.assertIn('nova.conf', self.complaints[-1])
        self.assertIn('allowed: enforcing, permissive', self.complaints[-1])

    def test_keys_that_were_meant_to_be_ours_are_named(self):
        for key in (' hvfilter:mode', 'HVFILTER:mode', 'hvfilter.mode'):
            odd = base.aggregate()
            odd.metadata[key] = 'permissive'
            policies.for_host(
                [odd], policies.configured(), self.complaints.append
            )
            self.assertIn(key, self.complaints[-1])

    def test_odd_aggregates_are_ignored(self):
        nameless = mock.Mock(metadata={'hvfilter:mode': 'x'})
        nameless.name = 'n'
        del nameless.uuid
        for odd in (
            mock.Mock(metadata=None),
            mock.Mock(metadata={'hvfilter:required': None, 5: 'x'}),
            nameless,
        ):
            found = policies.for_host(
                [odd], policies.configured(), self.complaints.append
            )
            self.assertEqual(policies.configured(), found)

    def test_least_multiplier_counts_and_nan_does_not(self):
        name = 'scarce_weight_multiplier'
        several = [
            base.aggregate(text, **{name: text})
            for text in ('nan', 'inf', '-inf', '1e999', 'x', '3', '2')
        ]
        several.append(base.aggregate('other'))
        for given, expected in ((several, 2.0), (several[:5], 7.0)):
            self.assertEqual(
                expected,
                policies.multiplier(given, name, 7.0, self.complaints.append),
            )

    def test_aggregates_are_not_remembered_without_end(self):
        with mock.patch.object(policies, '_MOST_AGGREGATES', 5):
            for number in range(20):
                policies.for_host(
                    [base.aggregate(str(number), mode='enforcing')],
                    policies.configured(),
                    self.complaints.append,
                )
        self.assertLessEqual(len(policies._valid_values), 5)


class WeigherTest(SettingsTestCase):
    def test_multiplier_that_is_no_number_warns_once(self):
        self.start()
        self.report('a', 'kvm')
        weigh = weigher.HardwareVirtWeigher()
        odd = base.aggregate(preferred_weight_multiplier='nan')
        hosts = [mock.Mock(obj=host('a', aggregates=[odd]))]
        for _ in range(3):
            self.assertEqual(
                [1.0],
                weigh.weigh_objects(
                    hosts, spec({'hvfilter:kvm': 'preferred'})
                ),
            )
        lines = [
            line for line in self.log.output.splitlines() if 'nan' in line
        ]
        self.assertEqual(1, len(lines))
        self.assertTrue(lines[0].startswith('WARNING'))


class StretchTest(SettingsTestCase):
    def test_line_says_how_often_and_why(self):
        self.start()
        holders = worker_state.current().trait_cache
        with mock.patch.object(
            holders, '_cpu_clock', mock.Mock(side_effect=[0.0, 4.0])
        ):
            self.passing([host('a')], spec())
        self.assertIn('took 4.0 s of processor time', self.log.output)
        self.assertIn('done every 80 s', self.log.output)
        self.assertEqual(4000, self.counts['cache_refresh_cpu_ms'])
