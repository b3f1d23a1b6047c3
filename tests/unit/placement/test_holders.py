# SPDX-License-Identifier: Apache-2.0

import sys
import threading

import testtools

from hvfilter.model import catalogue
from hvfilter.placement import errors
from hvfilter.placement.holders import Ages, Holders
from tests.fakes.fleet import Clock, Fleet

KVM = 'CUSTOM_HVFILTER_KVM'
NESTED = 'CUSTOM_HVFILTER_NESTED'
MARKER = catalogue.REPORTED_TRAIT
AGES = Ages(soft_s=30, hard_s=600, retry_s=5, wait_s=10)


class HoldersTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.clock = Clock()
        self.fleet = Fleet(reported={'a', 'b'}, kvm={'a', 'b'}, nested={'b'})
        self.failures = []
        self.holders = Holders(self.fleet, self.clock, self.failures.append)

    def snapshot(self, *traits):
        return self.holders.snapshot(frozenset(traits), AGES)

    def test_failure_is_not_being_handled_when_told(self):
        # oslo.log would append it to the warning that tells it already.
        handled = []
        holders = Holders(
            self.fleet, self.clock, lambda _: handled.append(sys.exc_info()[0])
        )
        self.fleet.fall()
        holders.snapshot(frozenset({KVM}), AGES)
        self.assertEqual([None], handled)

    def test_asks_nobody_when_made(self):
        self.assertEqual([], self.fleet.asked)

    def test_tells_who_has_what_when_asked_first(self):
        found = self.snapshot(KVM, NESTED)
        self.assertEqual({'a', 'b'}, found.holders[KVM])
        self.assertEqual({'b'}, found.holders[NESTED])
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
        self.assertIn('c', found.holders[KVM])
        self.assertNotIn('c', found.reported)

    def test_asks_nobody_when_answers_are_young(self):
        first = self.snapshot(KVM)
        self.clock.pass_s(29.9)
        self.fleet.asked.clear()
        self.assertIs(first, self.snapshot(KVM))
        self.assertEqual([], self.fleet.asked)
        self.assertEqual(1, self.holders.counters.hits)

    def test_asks_all_again_when_soft_age_is_over(self):
        first = self.snapshot(KVM, NESTED)
        self.clock.pass_s(30)
        self.fleet['nested'].add('a')
        self.fleet.asked.clear()
        found = self.snapshot(KVM)
        self.assertEqual([MARKER, KVM, NESTED], self.fleet.asked)
        self.assertEqual({'a', 'b'}, found.holders[NESTED])
        self.assertGreater(found.epoch, first.epoch)

    def test_asks_for_new_trait_only_when_others_are_young(self):
        first = self.snapshot(KVM)
        self.fleet.asked.clear()
        found = self.snapshot(NESTED)
        self.assertEqual([NESTED], self.fleet.asked)
        self.assertEqual({'a', 'b'}, found.holders[KVM])
        self.assertEqual(first.epoch, found.epoch)
        self.assertEqual(first.born_s, found.born_s)

    def test_nobody_has_it_when_placement_does_not_know_the_trait(self):
        found = self.snapshot('CUSTOM_HVFILTER_TDX')
        self.assertEqual(frozenset(), found.holders['CUSTOM_HVFILTER_TDX'])

    def test_asks_for_our_traits_only(self):
        self.snapshot('HW_CPU_X86_VMX', KVM)
        self.assertEqual([MARKER, KVM], self.fleet.asked)

    def test_goes_by_last_answers_when_placement_falls(self):
        self.snapshot(KVM)
        self.fleet.fall()
        self.clock.pass_s(100)
        found = self.snapshot(KVM)
        self.assertEqual({'a', 'b'}, found.holders[KVM])
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
        self.assertEqual(2, self.holders.counters.failures)

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
        self.assertIsNotNone(self.snapshot(KVM).holders)
        self.clock.pass_s(1)
        found = self.snapshot(KVM)
        self.assertIsNone(found.holders)
        self.assertEqual(frozenset(), found.reported)

    def test_knows_again_when_placement_rises(self):
        self.fleet.fall()
        self.assertIsNone(self.snapshot(KVM).holders)
        self.fleet.rise()
        self.clock.pass_s(5)
        found = self.snapshot(KVM)
        self.assertEqual({'a', 'b'}, found.holders[KVM])
        self.assertFalse(found.stale)

    def test_keeps_old_answers_whole_when_refresh_fails_half_way(self):
        self.snapshot(KVM, NESTED)
        self.clock.pass_s(30)
        self.fleet['kvm'].clear()
        self.fleet.before = lambda trait: trait == NESTED and self.fleet.fall()
        found = self.snapshot(KVM, NESTED)
        self.assertEqual({'a', 'b'}, found.holders[KVM])

    def test_knows_the_rest_when_a_new_trait_cannot_be_asked_for(self):
        self.snapshot(KVM)
        self.fleet.fall()
        found = self.snapshot(NESTED)
        self.assertIn(KVM, found.holders)
        self.assertNotIn(NESTED, found.holders)
        self.fleet.rise()
        self.clock.pass_s(5)
        self.assertIn(NESTED, self.snapshot(NESTED).holders)

    def test_forgets_a_trait_when_nobody_wanted_it_for_long(self):
        self.snapshot(NESTED)
        for _ in range(30):
            self.clock.pass_s(30)
            found = self.snapshot(KVM)
        self.assertNotIn(NESTED, found.holders)

    def test_age_counts_from_the_question_not_the_answer(self):
        self.fleet.before = lambda trait: self.clock.pass_s(10)
        found = self.snapshot(KVM)
        self.assertEqual(1000.0, found.born_s)

    def test_other_errors_are_not_swallowed(self):
        def broken(trait):
            raise RuntimeError('a fault')

        self.fleet.before = broken
        self.assertRaises(RuntimeError, self.snapshot, KVM)
        self.fleet.before = bool
        self.assertIn(KVM, self.snapshot(KVM).holders)


class ThreadsTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.clock = Clock()
        self.fleet = Fleet(reported={'a'}, kvm={'a'})
        self.holders = Holders(self.fleet, self.clock, lambda error: None)
        self.entered, self.go_on = threading.Event(), threading.Event()

    def hold(self, trait):
        self.entered.set()
        self.go_on.wait(10)

    def ask(self, found, ages=AGES):
        found.append(self.holders.snapshot(frozenset({KVM}), ages))

    def start(self, found):
        thread = threading.Thread(target=self.ask, args=(found,))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.go_on.set)
        return thread

    def test_one_asks_and_others_go_on_when_answers_are_not_too_old(self):
        old, slow = [], []
        self.ask(old)
        self.clock.pass_s(100)
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

    def test_waits_no_longer_than_told_when_another_hangs(self):
        found, mine = [], []
        self.fleet.before = self.hold
        self.start(found)
        self.assertTrue(self.entered.wait(10))
        self.ask(mine, Ages(30, 600, 5, wait_s=0.01))
        self.assertIsNone(mine[0].holders)
