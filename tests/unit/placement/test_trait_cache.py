# SPDX-License-Identifier: Apache-2.0

import sys
import threading
import time

import testtools

from hvfilter.model import catalogue
from hvfilter.placement import errors, time_limit
from hvfilter.placement.expired import Expired
from hvfilter.placement.trait_cache import CacheTimes, TraitCache
from tests.fakes.fleet import Clock, Fleet

KVM = 'CUSTOM_HVFILTER_KVM'
NESTED = 'CUSTOM_HVFILTER_NESTED'
MARKER = catalogue.REPORTED_TRAIT
TIMES = CacheTimes(soft_s=30, hard_s=600, retry_s=5, wait_s=10)


class HoldersTestCase(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.clock = Clock()
        self.fleet = Fleet(reported={'a', 'b'}, kvm={'a', 'b'}, nested={'b'})
        self.failures = []
        self.trait_cache = TraitCache(
            self.fleet, self.clock, self.failures.append
        )

    def snapshot(self, *traits):
        return self.trait_cache.get(frozenset(traits), TIMES)


class StaleTest(HoldersTestCase):
    def test_what_is_young_is_renewed_after_a_failure(self):
        """It failed for another trait; what there is may be wrong too."""
        self.snapshot(KVM)
        self.fleet.fall()
        self.assertTrue(self.snapshot(NESTED).stale)
        self.fleet.rise()
        self.clock.pass_s(5)
        hits = self.trait_cache.counters.hits
        self.assertFalse(self.snapshot(KVM).stale)
        self.assertEqual(hits, self.trait_cache.counters.hits)
        self.snapshot(KVM)
        self.assertEqual(hits + 1, self.trait_cache.counters.hits)


class ExpiredTest(HoldersTestCase):
    """Whose report is too old counts as who never reported."""

    def setUp(self):
        super().setUp()
        self.looks = 0
        self.expired = Expired(frozenset({'b'}), '2026W40')
        self.trait_cache = TraitCache(
            self.fleet,
            self.clock,
            self.failures.append,
            fetch_expired=self.fetch,
        )

    def fetch(self):
        self.looks += 1
        if isinstance(self.expired, Exception):
            raise self.expired
        return self.expired

    def test_expired_when_looked_up(self):
        found = self.snapshot(KVM, NESTED)
        self.assertEqual({'a'}, found.reported)
        self.assertEqual({'a'}, found.uuids_by_trait[KVM])
        self.assertEqual(frozenset(), found.uuids_by_trait[NESTED])
        self.assertEqual(self.expired, found.expired)

    def test_expired_when_more_is_asked_for(self):
        """Looked up once a refresh, whatever is asked in between."""
        self.snapshot(KVM)
        found = self.snapshot(NESTED)
        self.assertEqual(frozenset(), found.uuids_by_trait[NESTED])
        self.assertEqual(self.expired, found.expired)
        self.assertEqual(1, self.looks)
        self.clock.pass_s(30)
        self.expired = Expired()
        found = self.snapshot(NESTED)
        self.assertEqual({'b'}, found.uuids_by_trait[NESTED])
        self.assertEqual(2, self.looks)

    def test_expired_when_placement_fails(self):
        self.expired = errors.Unreachable('x', 'y')
        self.assertIsNone(self.snapshot(KVM).uuids_by_trait)
        self.assertEqual(1, len(self.failures))
        self.expired = Expired()
        self.clock.pass_s(5)
        self.assertEqual({'a', 'b'}, self.snapshot(KVM).uuids_by_trait[KVM])

    def test_expired_when_attempt_goes_on(self):
        """What was answered before a failure is not asked for again."""

        def fail(trait):
            if trait == NESTED:
                raise errors.Unreachable('x', 'y')

        self.fleet.before = fail
        self.snapshot(KVM, NESTED)
        self.fleet.before = bool
        self.clock.pass_s(5)
        found = self.snapshot(KVM, NESTED)
        self.assertEqual({'a'}, found.uuids_by_trait[KVM])
        self.assertEqual(1, self.looks)


class CarriedTest(HoldersTestCase):
    """What nobody carries is not asked for, one name after the other."""

    ALL = (KVM, NESTED, 'CUSTOM_HVFILTER_TDX', 'CUSTOM_HVFILTER_SEV')

    def setUp(self):
        super().setUp()
        self.looks = 0
        self.trait_cache = TraitCache(
            self.fleet,
            self.clock,
            self.failures.append,
            fetch_carried=self.fetch,
        )

    def fetch(self):
        self.looks += 1
        return self.fleet.carried()

    def test_only_what_is_carried_is_asked_for(self):
        found = self.snapshot(*self.ALL)
        self.assertEqual([MARKER, KVM, NESTED], self.fleet.asked)
        self.assertEqual({MARKER, *self.ALL}, set(found.uuids_by_trait))
        self.assertEqual({'b'}, found.uuids_by_trait[NESTED])
        self.assertEqual(
            frozenset(), found.uuids_by_trait['CUSTOM_HVFILTER_TDX']
        )
        self.assertEqual(4, self.trait_cache.counters.requests)
        self.assertEqual(1, self.looks)

    def test_few_traits_are_asked_for_one_by_one(self):
        self.snapshot(KVM, NESTED)
        self.snapshot(KVM, NESTED, 'CUSTOM_HVFILTER_TDX')
        self.assertEqual(0, self.looks)

    def test_nobody_seems_to_lack_when_reporting_while_it_asks(self):
        def report(trait):
            if trait == MARKER:
                self.fleet['tdx'].add('c')
                self.fleet['reported'].add('c')

        self.fleet.before = report
        found = self.snapshot(*self.ALL)
        self.assertIn('c', found.reported)
        self.assertEqual({'c'}, found.uuids_by_trait['CUSTOM_HVFILTER_TDX'])

    def test_next_attempt_goes_on_where_the_last_ended(self):
        def fall(trait):
            if trait == NESTED:
                self.fleet.fall()

        self.fleet.before = fall
        self.assertIsNone(self.snapshot(*self.ALL).uuids_by_trait)
        self.fleet.before = bool
        self.fleet.rise()
        self.clock.pass_s(5)
        self.assertEqual(
            {'b'}, self.snapshot(*self.ALL).uuids_by_trait[NESTED]
        )
        self.assertEqual([MARKER, KVM, NESTED, NESTED], self.fleet.asked)
        self.assertEqual(1, self.looks)

    def test_failure_is_that_of_the_refresh(self):
        def fetch():
            raise errors.Unreachable('No answer', 'Wait.')

        self.trait_cache = TraitCache(
            self.fleet,
            self.clock,
            self.failures.append,
            fetch_carried=fetch,
        )
        self.assertIsNone(self.snapshot(*self.ALL).uuids_by_trait)
        self.assertEqual(1, len(self.failures))


class HoldersTest(HoldersTestCase):
    def test_failure_is_not_being_handled_when_told(self):
        # oslo.log would append it to the warning that tells it already.
        handled = []
        trait_cache = TraitCache(
            self.fleet, self.clock, lambda _: handled.append(sys.exc_info()[0])
        )
        self.fleet.fall()
        trait_cache.get(frozenset({KVM}), TIMES)
        self.assertEqual([None], handled)

    def test_asks_nobody_when_made(self):
        self.assertEqual([], self.fleet.asked)

    def test_tells_who_has_what_when_asked_first(self):
        found = self.snapshot(KVM, NESTED)
        self.assertEqual({'a', 'b'}, found.uuids_by_trait[KVM])
        self.assertEqual({'b'}, found.uuids_by_trait[NESTED])
        self.assertEqual({'a', 'b'}, found.reported)
        self.assertFalse(found.stale)

    def test_asks_for_marker_first_when_it_asks(self):
        self.snapshot(KVM, NESTED)
        self.assertEqual([MARKER, KVM, NESTED], self.fleet.asked)

    def test_nobody_seems_to_lack_when_reporting_while_it_asks(self):
        def report(trait):
            if trait == KVM:
                self.fleet['reported'].add('c')
                self.fleet['kvm'].add('c')

        self.fleet.before = report
        found = self.snapshot(KVM)
        self.assertIn('c', found.uuids_by_trait[KVM])
        self.assertNotIn('c', found.reported)

    def test_asks_nobody_when_answers_are_young(self):
        first = self.snapshot(KVM)
        self.clock.pass_s(29.9)
        self.fleet.asked.clear()
        self.assertIs(first, self.snapshot(KVM))
        self.assertEqual([], self.fleet.asked)
        self.assertEqual(1, self.trait_cache.counters.hits)

    def test_asks_all_again_when_soft_age_is_over(self):
        first = self.snapshot(KVM, NESTED)
        self.clock.pass_s(30)
        self.fleet['nested'].add('a')
        self.fleet.asked.clear()
        found = self.snapshot(KVM)
        self.assertEqual([MARKER, KVM, NESTED], self.fleet.asked)
        self.assertEqual({'a', 'b'}, found.uuids_by_trait[NESTED])
        self.assertGreater(found.epoch, first.epoch)

    def test_asks_for_new_trait_only_when_others_are_young(self):
        first = self.snapshot(KVM)
        self.fleet.asked.clear()
        found = self.snapshot(NESTED)
        self.assertEqual([NESTED], self.fleet.asked)
        self.assertEqual({'a', 'b'}, found.uuids_by_trait[KVM])
        self.assertEqual(first.epoch, found.epoch)
        self.assertEqual(first.fetched_s, found.fetched_s)

    def test_nobody_has_it_when_placement_does_not_know_the_trait(self):
        found = self.snapshot('CUSTOM_HVFILTER_TDX')
        self.assertEqual(
            frozenset(), found.uuids_by_trait['CUSTOM_HVFILTER_TDX']
        )

    def test_few_objects_are_kept(self):
        for key in ('reported', 'kvm', 'nested'):
            self.fleet[key].clear()
            # Strings of their own, as from the network.
            self.fleet[key].update('-'.join(['uuid', n]) for n in 'abc')
        self.fleet['nested'].pop()
        held = self.snapshot(KVM, NESTED).uuids_by_trait
        self.assertIs(held[MARKER], held[KVM])
        self.assertEqual(2, len(held[NESTED]))
        strings = {id(uuid) for each in held.values() for uuid in each}
        self.assertEqual(3, len(strings))

    def test_asks_for_our_traits_only(self):
        self.snapshot('HW_CPU_X86_VMX', KVM)
        self.assertEqual([MARKER, KVM], self.fleet.asked)

    def test_goes_by_last_answers_when_placement_falls(self):
        self.snapshot(KVM)
        self.fleet.fall()
        self.clock.pass_s(100)
        found = self.snapshot(KVM)
        self.assertEqual({'a', 'b'}, found.uuids_by_trait[KVM])
        self.assertTrue(found.stale)
        self.assertEqual(1, len(self.failures))
        self.assertIsInstance(self.failures[0], errors.Unreachable)

    def test_leaves_placement_in_peace_when_it_just_failed(self):
        self.snapshot(KVM)
        self.fleet.fall()
        self.clock.pass_s(100)
        self.snapshot(KVM)
        self.fleet.asked.clear()
        self.clock.pass_s(4.9)
        self.snapshot(KVM)
        self.assertEqual([], self.fleet.asked)
        self.clock.pass_s(0.1)
        self.snapshot(KVM)
        self.assertEqual([MARKER], self.fleet.asked)
        self.assertEqual(2, self.trait_cache.counters.failures)

    def test_waits_as_long_as_placement_wants_when_it_is_busy(self):
        self.snapshot(KVM)
        busy = errors.Unavailable('b', 'w', status=503, retry_after_s=20.0)
        self.fleet.fall(busy)
        self.clock.pass_s(30)
        self.snapshot(KVM)
        self.fleet.asked.clear()
        self.clock.pass_s(19)
        self.snapshot(KVM)
        self.assertEqual([], self.fleet.asked)

    def test_knows_nothing_when_hard_age_is_over(self):
        self.snapshot(KVM)
        self.fleet.fall()
        self.clock.pass_s(599)
        self.assertIsNotNone(self.snapshot(KVM).uuids_by_trait)
        self.clock.pass_s(1)
        found = self.snapshot(KVM)
        self.assertIsNone(found.uuids_by_trait)
        self.assertEqual(frozenset(), found.reported)

    def test_knows_again_when_placement_rises(self):
        self.fleet.fall()
        self.assertIsNone(self.snapshot(KVM).uuids_by_trait)
        self.fleet.rise()
        self.clock.pass_s(5)
        found = self.snapshot(KVM)
        self.assertEqual({'a', 'b'}, found.uuids_by_trait[KVM])
        self.assertFalse(found.stale)

    def test_keeps_old_answers_whole_when_refresh_fails_half_way(self):
        self.snapshot(KVM, NESTED)
        self.clock.pass_s(30)
        self.fleet['kvm'].clear()
        self.fleet.before = lambda trait: trait == NESTED and self.fleet.fall()
        found = self.snapshot(KVM, NESTED)
        self.assertEqual({'a', 'b'}, found.uuids_by_trait[KVM])

    def test_knows_the_rest_when_a_new_trait_cannot_be_asked_for(self):
        self.snapshot(KVM)
        self.fleet.fall()
        found = self.snapshot(NESTED)
        self.assertIn(KVM, found.uuids_by_trait)
        self.assertNotIn(NESTED, found.uuids_by_trait)
        self.fleet.rise()
        self.clock.pass_s(5)
        self.assertIn(NESTED, self.snapshot(NESTED).uuids_by_trait)

    def test_forgets_a_trait_when_nobody_wanted_it_for_long(self):
        self.snapshot(NESTED)
        for _ in range(30):
            self.clock.pass_s(30)
            found = self.snapshot(KVM)
        self.assertNotIn(NESTED, found.uuids_by_trait)

    def test_age_counts_from_the_question_not_the_answer(self):
        self.fleet.before = lambda trait: self.clock.pass_s(10)
        found = self.snapshot(KVM)
        self.assertEqual(1000.0, found.fetched_s)

    def test_other_errors_are_not_swallowed(self):
        def broken(trait):
            raise RuntimeError('a fault')

        self.fleet.before = broken
        self.assertRaises(RuntimeError, self.snapshot, KVM)
        self.fleet.before = bool
        self.assertIn(KVM, self.snapshot(KVM).uuids_by_trait)


class ThreadsTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.clock = Clock()
        self.fleet = Fleet(reported={'a'}, kvm={'a'})
        self.trait_cache = TraitCache(
            self.fleet, self.clock, lambda error: None
        )
        self.entered, self.go_on = threading.Event(), threading.Event()

    def hold(self, trait):
        self.entered.set()
        self.go_on.wait(10)

    def ask(self, found, times=TIMES):
        found.append(self.trait_cache.get(frozenset({KVM}), times))

    def start(self, found):
        thread = threading.Thread(target=self.ask, args=(found,))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.go_on.set)
        return thread

    def test_one_asks_and_others_go_on_when_answers_are_not_too_old(self):
        old, slow = [], []
        self.ask(old)
        self.clock.pass_s(59)
        self.fleet.before = self.hold
        thread = self.start(slow)
        self.assertTrue(self.entered.wait(10))
        self.fleet.asked.clear()
        for _ in range(5):
            self.ask(old)
        self.assertEqual([], self.fleet.asked)
        self.assertEqual([old[0]] * 6, old)
        self.go_on.set()
        thread.join()
        self.assertGreater(slow[0].epoch, old[0].epoch)

    def test_all_wait_for_one_when_there_is_nothing_to_go_on_with(self):
        found = []
        self.fleet.before = self.hold
        threads = [self.start(found) for _ in range(8)]
        self.assertTrue(self.entered.wait(10))
        self.go_on.set()
        for thread in threads:
            thread.join()
        self.assertEqual([MARKER, KVM], self.fleet.asked)
        self.assertEqual(1, len({snapshot.epoch for snapshot in found}))

    def test_all_wait_for_one_when_answers_are_twice_as_old(self):
        found = []
        self.ask(found)
        self.clock.pass_s(61)
        self.fleet.before = self.hold
        threads = [self.start(found) for _ in range(4)]
        self.assertTrue(self.entered.wait(10))
        self.assertEqual(1, len(found))
        self.go_on.set()
        for thread in threads:
            thread.join()
        self.assertEqual(2, len({snapshot.epoch for snapshot in found}))

    def test_waits_no_longer_than_told_when_another_hangs(self):
        found, mine = [], []
        self.fleet.before = self.hold
        self.start(found)
        self.assertTrue(self.entered.wait(10))
        self.ask(mine, CacheTimes(30, 600, 5, wait_s=0.01))
        self.assertIsNone(mine[0].uuids_by_trait)


class HangTest(testtools.TestCase):
    """Placement takes 30 s for each answer; a hundredth of it here."""

    TIMES = CacheTimes(soft_s=0.3, hard_s=60, retry_s=0.05, wait_s=0.2)
    CALL_S = 0.3
    TRAITS = sorted(catalogue.BY_TRAIT)[:8]

    def setUp(self):
        super().setUp()
        self.failures = []
        self.calls = 0
        self.slow = threading.Event()
        self.trait_cache = TraitCache(
            self.fetch, time.monotonic, self.failures.append
        )
        self.slow.set()

    def fetch(self, trait):
        self.calls += 1
        if self.slow.is_set():
            time.sleep(self.CALL_S)
        return ['a']

    def waits_s(self, requests, looks=1):
        """How long each of the requests takes, when all come at once."""
        found = []

        def request():
            began_s = time.monotonic()
            with time_limit.within(self.TIMES.wait_s, time.monotonic):
                for _ in range(looks):
                    self.trait_cache.get(self.TRAITS, self.TIMES)
            found.append(time.monotonic() - began_s)

        threads = [threading.Thread(target=request) for _ in range(requests)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(found)

    def test_wait_is_bounded_for_each_request_not_each_look(self):
        waits_s = self.waits_s(requests=20, looks=5)
        # One is within a call that cannot be ended from outside.
        self.assertLess(waits_s[-1], self.CALL_S + 0.15)
        self.assertLess(waits_s[-2], self.TIMES.wait_s + 0.15)

    def test_hang_is_a_failure_and_placement_is_left_in_peace(self):
        self.waits_s(requests=20)
        self.assertGreaterEqual(len(self.failures), 1)
        self.assertLessEqual(len(self.failures), 2)
        self.assertTrue(self.trait_cache.backing_off())
        calls = self.calls
        self.assertLess(self.waits_s(requests=20)[-1], 0.1)
        self.assertEqual(calls, self.calls)

    def test_next_attempt_goes_on_where_the_last_ended(self):
        self.waits_s(requests=1)
        self.assertEqual(1, self.calls)
        self.slow.clear()
        time.sleep(0.06)
        found = self.trait_cache.get(self.TRAITS, self.TIMES)
        self.assertLessEqual(set(self.TRAITS), found.uuids_by_trait.keys())
        self.assertEqual(9, self.calls)

    def test_others_do_not_wait_for_who_hangs_already(self):
        thread = threading.Thread(target=self.waits_s, args=(1,))
        thread.start()
        time.sleep(0.22)
        began_s = time.monotonic()
        self.trait_cache.get(self.TRAITS, self.TIMES)
        self.assertLess(time.monotonic() - began_s, 0.05)
        thread.join()


class RestTest(HoldersTestCase):
    def test_rests_are_longer_each_time_up_to_the_soft_age(self):
        self.fleet.fall()
        rests_s = []
        for _ in range(6):
            self.snapshot(KVM)
            began_s = self.clock()
            while self.trait_cache.backing_off():
                self.clock.pass_s(0.5)
            rests_s.append(self.clock() - began_s)
        self.assertEqual([5, 10, 20, 30, 30, 30], rests_s)
        self.fleet.rise()
        self.snapshot(KVM)
        self.fleet.fall()
        self.clock.pass_s(30)
        self.snapshot(KVM)
        self.clock.pass_s(5)
        self.assertFalse(self.trait_cache.backing_off())

    def test_unfinished_attempt_is_given_up_when_too_old(self):
        self.fleet.before = lambda trait: trait == KVM and self.fleet.fall()
        self.snapshot(KVM)
        self.fleet.before = bool
        self.fleet.rise()
        self.fleet['reported'].add('c')
        self.clock.pass_s(600)
        self.assertIn('c', self.snapshot(KVM).reported)


class StretchTest(testtools.TestCase):
    """Renewing takes no more than a twentieth of a thread."""

    def setUp(self):
        super().setUp()
        self.clock, self.cpu = Clock(), Clock()
        self.fleet = Fleet(reported={'a'}, kvm={'a'})
        self.fleet.before = lambda trait: self.cpu.pass_s(self.cost_s)
        self.stretches = []
        self.trait_cache = TraitCache(
            self.fleet,
            self.clock,
            lambda error: None,
            lambda cost_s, every_s: self.stretches.append((cost_s, every_s)),
            self.cpu,
        )

    def after(self, seconds):
        self.clock.pass_s(seconds)
        self.fleet.asked.clear()
        self.trait_cache.get([KVM], TIMES)
        return bool(self.fleet.asked)

    def test_cheap_refresh_changes_nothing(self):
        self.cost_s = 0.1
        self.after(0)
        self.assertEqual(30, self.trait_cache.every_s(TIMES))
        self.assertEqual([], self.stretches)

    def test_dear_refresh_comes_less_often_and_it_is_said_once(self):
        self.cost_s = 2.0
        self.after(0)
        self.assertEqual(80, self.trait_cache.every_s(TIMES))
        for _ in range(3):
            self.assertFalse(self.after(79.9))
            self.assertTrue(self.after(0.1))
        self.assertEqual([(4.0, 80.0)], self.stretches)
        self.assertEqual(4.0, self.trait_cache.cost_s)

    def test_all_is_asked_each_time_when_that_is_wanted(self):
        self.cost_s = 2.0
        for _ in range(3):
            self.fleet.asked.clear()
            self.trait_cache.get([KVM], CacheTimes(0, 600, 5))
            self.assertEqual([MARKER, KVM], self.fleet.asked)

    def test_never_less_often_than_answers_can_be_used(self):
        self.cost_s = 100.0
        self.after(0)
        self.assertEqual(600, self.trait_cache.every_s(TIMES))

    def test_comes_as_often_as_before_once_it_is_cheap(self):
        self.cost_s = 2.0
        self.after(0)
        self.cost_s = 0.1
        self.after(80)
        self.assertEqual(30, self.trait_cache.every_s(TIMES))
