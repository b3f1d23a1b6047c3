# SPDX-License-Identifier: Apache-2.0

import datetime
from unittest import mock

from hvfilter.model.policy import Policy
from hvfilter.placement.trait_cache import CacheTimes, TraitCache
from hvfilter.rules.requests import GuestRequest
from hvfilter.scheduler import host_classes, verdict_cache
from tests.unit.scheduler import base
from tests.unit.scheduler.base import host, spec

TIMES = CacheTimes(soft_s=30, hard_s=600, retry_s=5)


def key(**specs):
    named = {f'hvfilter:{key}': value for key, value in specs.items()}
    return verdict_cache.RequestKey(GuestRequest.of(named), False, Policy())


class VerdictCacheTest(base.SchedulerTestCase):
    def setUp(self):
        super().setUp()
        self.verdict_cache = self.new()
        self.report('a', 'kvm')

    def new(self):
        holders = TraitCache(self.fleet, self.clock, lambda error: None)
        return verdict_cache.VerdictCache(holders, self.clock)

    def verdicts_for(self, **specs):
        return self.verdict_cache.verdicts_for(key(**specs), TIMES)

    def filter_hosts(self, verdicts, *hosts):
        return verdicts.filter_hosts(
            list(hosts),
            lambda traits: self.verdict_cache.classes_with(traits, TIMES),
        )

    def verdict(self, verdicts, state):
        """The words against a host, if any."""
        return ' '.join(map(str, self.filter_hosts(verdicts, state).against))

    def test_same_key_finds_the_same_verdicts(self):
        self.assertIs(self.verdicts_for(), self.verdicts_for())
        self.assertIsNot(
            self.verdicts_for(), self.verdicts_for(nested='required')
        )

    def test_case_is_new_when_the_old_one_is_old(self):
        verdicts = self.verdicts_for()
        self.clock.pass_s(30)
        self.assertIsNot(verdicts, self.verdicts_for())

    def test_case_stays_when_another_question_adds_a_trait(self):
        verdicts = self.verdicts_for()
        self.verdicts_for(nested='required')
        self.assertIs(verdicts, self.verdicts_for())

    def test_case_is_new_once_what_was_unknown_is_known(self):
        self.verdicts_for()
        self.fleet.fall()
        verdicts = self.verdicts_for(nested='required')
        self.assertIn(
            'Placement unreachable', self.verdict(verdicts, host('a'))
        )
        self.fleet.rise()
        self.clock.pass_s(6)
        verdicts = self.verdicts_for(nested='required')
        self.assertIn('lacks nested', self.verdict(verdicts, host('a')))

    def test_trait_that_went_is_acted_on_within_the_soft_age(self):
        self.report('a', 'kvm', 'nested')
        began_s = self.clock()
        self.verdicts_for(nested='required')
        self.clock.pass_s(1)
        self.report('a', 'kvm')
        self.clock.pass_s(28)
        # Another key came for the first time, and meets old answers.
        self.verdict_cache._entries.clear()
        while not self.verdict(
            self.verdicts_for(nested='required'), host('a')
        ):
            self.clock.pass_s(1)
        self.assertEqual(30, self.clock() - began_s)

    def test_host_is_judged_once(self):
        verdicts = self.verdicts_for()
        states = [host('a'), host('b')]
        with mock.patch.object(
            verdict_cache, 'judge', wraps=verdict_cache.judge
        ) as judge:
            for _ in range(3):
                self.filter_hosts(verdicts, *states)
        self.assertEqual(2, judge.call_count)

    def test_hosts_alike_are_judged_once(self):
        names = [f'h{number}' for number in range(50)]
        for name in names:
            self.report(name, 'kvm')
        verdicts = self.verdicts_for()
        with mock.patch.object(
            verdict_cache, 'judge', wraps=verdict_cache.judge
        ) as judge:
            self.filter_hosts(verdicts, *map(host, names))
        self.assertEqual(1, judge.call_count)

    def test_cases_are_not_kept_without_end(self):
        for number in range(200):
            guest_request = GuestRequest.of(
                {f'hvfilter:odd{number}': 'required'}
            )
            self.verdict_cache.verdicts_for(
                verdict_cache.RequestKey(guest_request, False, Policy()), TIMES
            )
        self.assertEqual(64, len(self.verdict_cache._entries))

    def many_others(self, count=300):
        for number in range(count):
            self.verdicts_for(**{f'odd{number}': 'required'})

    def test_requests_made_once_do_not_evict_usual_ones(self):
        usual = self.verdicts_for()
        self.assertIs(usual, self.verdicts_for())
        self.many_others()
        self.assertIs(usual, self.verdicts_for())

    def test_usual_request_stays_usual_when_its_verdicts_are_renewed(self):
        self.verdicts_for()
        self.clock.pass_s(30)
        usual = self.verdicts_for()
        self.many_others()
        self.assertIs(usual, self.verdicts_for())

    def test_usual_requests_of_the_past_make_room(self):
        for _ in range(2):
            self.many_others(64)
        self.clock.pass_s(30)
        new = self.verdicts_for()
        self.verdicts_for(nested='required')
        self.assertIs(new, self.verdicts_for())

    def test_least_recent_makes_room_where_all_are_usual(self):
        for _ in range(2):
            self.many_others(64)
        first, last = (
            self.verdicts_for(**{f'odd{number}': 'required'})
            for number in (0, 63)
        )
        self.verdicts_for()
        self.verdicts_for()
        self.assertEqual(64, len(self.verdict_cache._entries))
        self.assertIs(first, self.verdicts_for(odd0='required'))
        self.assertIs(last, self.verdicts_for(odd63='required'))

    def test_hosts_are_not_kept_without_end(self):
        with mock.patch.object(verdict_cache, '_MAX_HOSTS', 10):
            for number in range(5):
                verdicts = self.verdicts_for(**{f'odd{number}': 'required'})
                self.filter_hosts(verdicts, *map(host, 'abcdefgh'))
            self.verdicts_for()
        kept = sum(
            len(verdicts) for verdicts in self.verdict_cache._entries.values()
        )
        self.assertLessEqual(kept, 10)

    def test_host_without_uuid_is_not_remembered(self):
        verdicts = self.verdicts_for()
        for _ in range(3):
            self.filter_hosts(
                verdicts,
                host('a', uuid=None),
                host('b', uuid=None, guests=base.TCG_GUESTS),
            )
        self.assertEqual(0, len(verdicts))

    def test_one_tenants_questions_cost_others_little(self):
        """300 images, each with other traits; then a usual request."""
        names = [f'h{number}' for number in range(200)]
        for name in names:
            self.report(name, 'kvm', 'nested', 'slat')
        states = [host(name) for name in names]
        for state in states:
            state.updated = datetime.datetime(2026, 1, 1)
        self.filter_hosts(self.verdicts_for(), *states)
        keys = ('kvm', 'nested', 'slat', 'tdx')
        facts = host_classes.HostReader.facts
        with (
            mock.patch.object(
                verdict_cache, 'judge', wraps=verdict_cache.judge
            ) as judge,
            mock.patch.object(
                host_classes.HostReader,
                'facts',
                autospec=True,
                side_effect=facts,
            ) as read,
        ):
            for number in range(300):
                traits = {
                    f'CUSTOM_HVFILTER_{key.upper()}': 'required'
                    for bit, key in enumerate(keys)
                    if number >> bit & 1
                }
                guest_request = GuestRequest.of(
                    {}, traits, hw_architecture=f'a{number}'
                )
                asking = verdict_cache.RequestKey(
                    guest_request, False, Policy()
                )
                self.filter_hosts(
                    self.verdict_cache.verdicts_for(asking, TIMES), *states
                )
            # Hosts are read only when a trait becomes known.
            self.assertEqual(300, judge.call_count)
            self.assertEqual(3 * len(states), read.call_count)
            read.reset_mock()
            self.filter_hosts(self.verdicts_for(), *states)
            self.clock.pass_s(30)
            self.filter_hosts(self.verdicts_for(), *states)
            read.assert_not_called()


class RequestTest(base.SchedulerTestCase):
    def test_what_matters_is_taken_from_a_request_spec(self):
        from hvfilter.scheduler import request

        found = request.from_spec(
            spec(
                {'hvfilter:nested': 'required', 'hw:cpu_policy': 'shared'},
                {
                    'img_hv_type': 'kvm',
                    'hw_architecture': 'amd64',
                    'hw_emulation_architecture': 'aarch64',
                    'trait:CUSTOM_HVFILTER_TDX': 'required',
                    'trait:HW_CPU_X86_VMX': 'required',
                    'hw_disk_bus': 'scsi',
                },
            )
        )
        self.assertEqual(
            GuestRequest(
                (('hvfilter:nested', 'required'),),
                (('CUSTOM_HVFILTER_TDX', 'required'),),
                'kvm',
                'x86_64',
                'aarch64',
            ),
            found,
        )
