# SPDX-License-Identifier: Apache-2.0

import uuid

import fixtures
import testtools
from hypothesis import given
from hypothesis import strategies as st

from hvfilter.model import catalogue
from hvfilter.placement import client, errors, reconcile
from hvfilter.rules.traits import DesiredTraits
from tests.fakes.transport import MemoryPlacement, answer, problem

KVM = 'CUSTOM_HVFILTER_KVM'
EPT = 'CUSTOM_HVFILTER_EPT'
SEV = 'CUSTOM_HVFILTER_SEV'
MARKER = catalogue.REPORTED_TRAIT
FOREIGN = frozenset({'OWNER_NOVA', 'HW_CPU_X86_VMX', 'CUSTOM_GOLD'})
OWN = catalogue.OWN_TRAITS
PREPARED = catalogue.STATE_TRAITS
DESIRED = DesiredTraits(frozenset({KVM, MARKER}), frozenset({EPT}))
TARGET = reconcile.ProviderRef(uuid=MemoryPlacement.UUID)
BY_NAME = reconcile.ProviderRef(names=('other', MemoryPlacement.NAME))

own_names = st.sets(st.sampled_from(sorted(OWN)))
foreign_names = st.sets(
    st.sampled_from(sorted(FOREIGN | {'CUSTOM_HVFILTER_OF_SOMEBODY'}))
)


@st.composite
def wanteds(draw):
    present = draw(own_names)
    return DesiredTraits(
        frozenset(present), frozenset(draw(own_names) - present)
    )


class Time:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now = 1000.0
        self.slept = []

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


class PlanTest(testtools.TestCase):
    @given(own_names, foreign_names, wanteds())
    def test_plan_when_anything_is_wanted(self, own, foreign, desired):
        current = frozenset(own | foreign)
        plan = reconcile.plan(current, desired)
        self.assertEqual(current - OWN, plan.result - OWN)
        self.assertTrue(desired.present <= plan.result)
        self.assertFalse(desired.absent & plan.result)
        undecided = OWN - desired.present - desired.absent
        self.assertEqual(current & undecided, plan.result & undecided)
        self.assertEqual(plan.result, current - plan.removed | plan.added)
        self.assertEqual(plan.kept, plan.result & current & OWN)
        self.assertTrue(reconcile.plan(plan.result, desired).idle)

    def test_plan_when_name_is_not_ours(self):
        for desired in (
            DesiredTraits(frozenset({'CUSTOM_GOLD'}), frozenset()),
            DesiredTraits(frozenset(), frozenset({'OWNER_NOVA'})),
        ):
            self.assertRaises(ValueError, reconcile.plan, frozenset(), desired)

    def test_plan_when_wanted_and_unwanted(self):
        both = frozenset({KVM})
        self.assertRaises(
            ValueError, reconcile.plan, frozenset(), DesiredTraits(both, both)
        )


class ReconcilerTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.time = Time()
        self.log = self.useFixture(fixtures.FakeLogger('hvfilter'))

    def reconciler(self, placement, **patience):
        return reconcile.Reconciler(
            client.PlacementClient(placement),
            reconcile.RetryPolicy(**patience),
            clock=self.time.clock,
            sleep=self.time.sleep,
            random_number=lambda: 1.0,
        )

    def reconcile(self, placement, target=TARGET, desired=DESIRED, **patience):
        return self.reconciler(placement, **patience).reconcile(
            target, desired
        )

    def test_reconcile_when_nothing_changed(self):
        placement = MemoryPlacement(FOREIGN | {KVM, MARKER, SEV})
        change = self.reconcile(placement)
        self.assertTrue(change.idle)
        self.assertEqual(frozenset({KVM, MARKER, SEV}), change.kept)
        self.assertEqual(['GET'], placement.methods)
        self.assertEqual(1, change.requests)

    def test_reconcile_when_names_are_known(self):
        placement = MemoryPlacement(FOREIGN | {EPT, SEV}, known=OWN)
        change = self.reconcile(placement)
        self.assertEqual(FOREIGN | {KVM, MARKER, SEV}, placement.traits)
        self.assertEqual(frozenset({KVM, MARKER}), change.added)
        self.assertEqual(frozenset({EPT}), change.removed)
        self.assertEqual(frozenset({SEV}), change.kept)
        self.assertEqual(['GET', 'PUT'], placement.methods)
        self.assertEqual(2, change.requests)

    def test_reconcile_when_names_are_new(self):
        placement = MemoryPlacement(FOREIGN, known={KVM})
        change = self.reconcile(placement)
        self.assertEqual(FOREIGN | {KVM, MARKER}, placement.traits)
        self.assertEqual(PREPARED - {KVM}, change.created)
        self.assertTrue(placement.known >= PREPARED)
        self.assertEqual(len(placement.sent), change.requests)

    def test_reconcile_when_another_host_names_them_first(self):
        def other(sent):
            if sent.path.startswith('/traits/'):
                placement.known |= {KVM, MARKER}

        placement = MemoryPlacement(FOREIGN, before=other)
        change = self.reconcile(placement)
        self.assertEqual(frozenset(), change.created)
        self.assertEqual(
            ['GET', 'PUT', 'PUT', 'PUT', 'PUT'], placement.methods
        )
        self.assertEqual(FOREIGN | {KVM, MARKER}, placement.traits)

    def test_reconcile_when_answer_about_a_name_is_lost(self):
        def lost(sent):
            if sent.path.startswith('/traits/') and not self.time.slept:
                placement.known |= {KVM, MARKER}
                return errors.Unreachable('reset', 'look')
            return None

        placement = MemoryPlacement(FOREIGN, before=lost)
        self.reconcile(placement)
        self.assertEqual(FOREIGN | {KVM, MARKER}, placement.traits)
        self.assertTrue(placement.known >= PREPARED)

    def test_reconcile_when_names_stay_unknown(self):
        def forgetful(sent):
            placement.known -= OWN

        placement = MemoryPlacement(FOREIGN, before=forgetful)
        self.assertRaises(errors.UnknownTrait, self.reconcile, placement)
        self.assertEqual(FOREIGN, placement.traits)

    def test_reconcile_when_creation_is_interrupted(self):
        def busy_once(sent):
            if sent.path.startswith('/traits/') and not self.time.slept:
                return answer(503)
            return None

        placement = MemoryPlacement(FOREIGN, before=busy_once)
        self.reconcile(placement)
        self.assertEqual(FOREIGN | {KVM, MARKER}, placement.traits)

    def test_reconcile_when_another_writer_is_faster(self):
        def racing(sent):
            if sent.method == 'PUT' and races:
                placement.write(races.pop())

        races = [{'CUSTOM_IRON'}, FOREIGN | {'CUSTOM_SILVER'}]
        placement = MemoryPlacement(FOREIGN, known=OWN, before=racing)
        change = self.reconcile(placement)
        self.assertEqual({'CUSTOM_IRON', KVM, MARKER}, placement.traits)
        self.assertEqual(2, change.conflicts)
        self.assertEqual([0.05, 0.1], self.time.slept)

    def test_reconcile_when_conflicts_never_end(self):
        def racing(sent):
            if sent.method == 'PUT':
                placement.write(placement.traits)

        placement = MemoryPlacement(FOREIGN, known=OWN, before=racing)
        error = self.assertRaises(
            errors.Conflict, self.reconcile, placement, conflicts=5
        )
        self.assertIn('6 times', str(error))
        self.assertEqual('conflict', error.code)
        self.assertEqual(FOREIGN, placement.traits)
        self.assertEqual(5, len(self.time.slept))
        self.assertEqual([0.05, 0.1, 0.2, 0.4, 0.8], self.time.slept)

    def test_reconcile_when_provider_comes_later(self):
        def arriving(sent):
            placement.exists = self.time.now >= 1020

        for target in (TARGET, BY_NAME):
            self.time = Time()
            placement = MemoryPlacement(FOREIGN, known=OWN, before=arriving)
            self.reconcile(placement, target)
            self.assertEqual(FOREIGN | {KVM, MARKER}, placement.traits)
            self.assertEqual([1, 2, 4, 8, 16], self.time.slept)

    def test_reconcile_when_provider_never_comes(self):
        placement = MemoryPlacement()
        placement.exists = False
        error = self.assertRaises(
            errors.NotFound, self.reconcile, placement, deadline_s=60
        )
        self.assertIn(MemoryPlacement.UUID, str(error))
        self.assertLessEqual(self.time.now, 1060)

    def test_reconcile_when_provider_was_made_anew(self):
        def gone(sent):
            if sent.path.endswith('/traits') and len(placement.sent) < 4:
                return problem(404, 'No resource provider')
            return None

        placement = MemoryPlacement(FOREIGN, known=OWN, before=gone)
        self.reconcile(placement, BY_NAME)
        self.assertEqual(FOREIGN | {KVM, MARKER}, placement.traits)

    def test_reconcile_when_service_recovers(self):
        def failing(sent):
            return troubles.pop(0) if troubles else None

        for trouble in (
            errors.Unreachable('x', 'y'),
            answer(500),
            answer(502, body=b'<html>'),
            answer(429, retry_after='1'),
        ):
            troubles = [trouble]
            placement = MemoryPlacement(FOREIGN, known=OWN, before=failing)
            self.reconcile(placement)
            self.assertEqual(FOREIGN | {KVM, MARKER}, placement.traits)

    def test_reconcile_when_told_when_to_come_back(self):
        troubles = [answer(503, retry_after='40')]
        placement = MemoryPlacement(
            FOREIGN,
            known=OWN,
            before=lambda sent: troubles.pop() if troubles else None,
        )
        self.reconcile(placement)
        self.assertEqual([50.0], self.time.slept)

    def test_reconcile_when_told_to_come_back_too_late(self):
        placement = MemoryPlacement(
            FOREIGN, before=lambda sent: answer(503, retry_after='4000')
        )
        self.assertRaises(errors.Unavailable, self.reconcile, placement)
        self.assertEqual([], self.time.slept)

    def test_reconcile_when_put_was_served_but_not_answered(self):
        def lost(sent):
            if sent.method == 'PUT' and not self.time.slept:
                placement.write(sent.body['traits'])
                return errors.Unreachable('reset', 'look')
            return None

        placement = MemoryPlacement(FOREIGN | {EPT}, known=OWN, before=lost)
        change = self.reconcile(placement)
        self.assertEqual(FOREIGN | {KVM, MARKER}, placement.traits)
        self.assertEqual(frozenset({KVM, MARKER}), change.added)
        self.assertEqual(frozenset({EPT}), change.removed)
        self.assertEqual(['GET', 'PUT', 'GET'], placement.methods)

    def test_reconcile_when_clock_jumps(self):
        def jumping(sent):
            self.time.now += jump
            return answer(503)

        # A suspended host: the clock is far on when it wakes up.
        jump = 1e9
        placement = MemoryPlacement(FOREIGN, before=jumping)
        self.assertRaises(errors.Unavailable, self.reconcile, placement)
        self.assertEqual([], self.time.slept)
        self.assertEqual(FOREIGN, placement.traits)

    def test_reconcile_when_error_will_not_pass(self):
        for status in (301, 400, 401, 403, 406):
            placement = MemoryPlacement(
                FOREIGN, before=lambda sent, s=status: problem(s)
            )
            self.assertRaises(errors.PlacementError, self.reconcile, placement)
            self.assertEqual(1, len(placement.sent))

    def test_reconcile_when_answer_differs_from_what_was_set(self):
        def stale(sent):
            if sent.method == 'PUT':
                return answer(
                    value={'traits': [], 'resource_provider_generation': 1}
                )
            return None

        placement = MemoryPlacement(FOREIGN, known=OWN, before=stale)
        self.assertRaises(errors.BadAnswer, self.reconcile, placement)

    def test_preview_when_something_would_change(self):
        placement = MemoryPlacement(FOREIGN | {EPT, SEV}, known=OWN)
        change = self.reconciler(placement).preview(BY_NAME, DESIRED)
        self.assertEqual(frozenset({KVM, MARKER}), change.added)
        self.assertEqual(frozenset({EPT}), change.removed)
        self.assertEqual(frozenset({SEV}), change.kept)
        self.assertEqual({'GET'}, set(placement.methods))

    def test_reconcile_when_pauses_are_spread(self):
        pauses = []
        for chance in (0.0, 0.999):
            self.time = Time()
            reconciler = reconcile.Reconciler(
                client.PlacementClient(
                    MemoryPlacement(before=lambda sent: answer(503))
                ),
                clock=self.time.clock,
                sleep=self.time.sleep,
                random_number=lambda number=chance: number,
            )
            self.assertRaises(
                errors.Unavailable, reconciler.reconcile, TARGET, DESIRED
            )
            pauses.append(self.time.slept[0])
        self.assertEqual(0.5, pauses[0])
        self.assertAlmostEqual(1.0, pauses[1], 2)

    @given(
        own_names,
        foreign_names,
        wanteds(),
        st.lists(
            st.sampled_from(['serve', 'race', 'busy', 'cut', 'lose']),
            max_size=12,
        ),
    )
    def test_reconcile_when_anything_goes_wrong(
        self, own, foreign, desired, turns
    ):
        def turn(sent):
            what = turns.pop(0) if turns else 'serve'
            if what == 'busy':
                return answer(503)
            if what == 'cut':
                return errors.Unreachable('reset', 'look')
            if what == 'race':
                placement.write(placement.traits ^ {'OWNER_NOVA'})
            if what == 'lose':
                placement._serve(sent)
                return errors.Unreachable('reset', 'look')
            return None

        self.time = Time()
        before = frozenset(own | foreign)
        races = turns.count('race')
        expected = before - OWN ^ (
            frozenset({'OWNER_NOVA'}) if races % 2 else frozenset()
        )
        placement = MemoryPlacement(before, known=OWN, before=turn)
        change = self.reconcile(placement, desired=desired, deadline_s=9999)
        self.assertEqual(
            desired.applied_to(before) & OWN, placement.traits & OWN
        )
        left = turns.count('race')
        if not left:
            self.assertEqual(expected, placement.traits - OWN)
        self.assertEqual(len(placement.sent), change.requests)


class WhoseTest(testtools.TestCase):
    """A uuid that may be another host's, and names that two hosts bear."""

    UUID = MemoryPlacement.UUID
    OTHER = '0e3c2e0e-9d3b-4e52-8f0b-2d1f5a2f7a55'

    def reconcile(self, target, *providers, traits=FOREIGN, **more):
        self.placement = MemoryPlacement(traits, known=OWN)
        self.placement.others = dict.fromkeys(providers, self.OTHER)
        reconciler = reconcile.Reconciler(
            client.PlacementClient(self.placement),
            reconcile.RetryPolicy(0),
        )
        return reconciler.reconcile(target, DESIRED, **more)

    def refused(self, target, *providers):
        error = self.assertRaises(
            errors.WrongProvider, self.reconcile, target, *providers
        )
        self.assertNotIn(
            'PUT', self.placement.methods, 'something was written'
        )
        return str(error)

    def target(self, *names, uuid=None):
        return reconcile.ProviderRef(
            uuid or self.UUID, names, '/nova/compute_id'
        )

    def test_uuid_when_it_is_this_hosts(self):
        for names in (
            (MemoryPlacement.NAME,),
            ('NODE1.example.org.',),
            # The resolver did not answer this time.
            ('node1',),
            ('other', MemoryPlacement.NAME),
        ):
            change = self.reconcile(self.target(*names))
            self.assertEqual(3, change.requests)

    def test_uuid_when_nothing_is_to_be_written(self):
        """Steady state costs one request, and nothing can go wrong."""
        change = self.reconcile(
            self.target('clone7'), traits=FOREIGN | {KVM, MARKER}
        )
        self.assertEqual(1, change.requests)

    def test_preview_when_nothing_is_to_be_written(self):
        self.placement = MemoryPlacement(FOREIGN | {KVM, MARKER})
        reconciler = reconcile.Reconciler(
            client.PlacementClient(self.placement)
        )
        change = reconciler.preview(self.target('clone7'), DESIRED)
        self.assertTrue(change.idle)

    def test_uuid_when_it_is_an_operators_word(self):
        change = self.reconcile(reconcile.ProviderRef(self.UUID, ('clone7',)))
        self.assertEqual(2, change.requests)

    def test_uuid_when_it_is_another_hosts(self):
        for names in (
            ('clone7',),
            ('node1.example.com', 'node1'),
            ('node10',),
            ('node',),
        ):
            text = self.refused(self.target(*names))
            for word in (
                names[0],
                MemoryPlacement.NAME,
                '/nova/compute_id',
                'renamed',
                'copy',
            ):
                self.assertIn(word, text)

    def test_uuid_when_this_host_has_another(self):
        text = self.refused(self.target('clone7'), 'clone7')
        for word in ('clone7', MemoryPlacement.NAME, self.OTHER):
            self.assertIn(word, text)
        self.assertNotIn('renamed', text)

    def test_uuid_when_host_was_installed_anew(self):
        self.new = str(uuid.uuid4())
        text = self.refused(
            self.target('node1', MemoryPlacement.NAME, uuid=self.new)
        )
        for word in (self.new, self.UUID, MemoryPlacement.NAME):
            self.assertIn(word, text)
        # A new host: nova-compute has not started yet.
        for target in (
            self.target('fresh', uuid=self.new),
            reconcile.ProviderRef(self.new, (MemoryPlacement.NAME,)),
        ):
            self.assertRaises(errors.NotFound, self.reconcile, target)

    def test_names_when_two_providers_bear_them(self):
        target = reconcile.ProviderRef(names=(MemoryPlacement.NAME, 'node1'))
        text = self.refused(target, 'node1')
        for word in (
            MemoryPlacement.NAME,
            'node1 ',
            self.UUID,
            self.OTHER,
            'provider_name',
        ):
            self.assertIn(word, text)
        self.assertEqual(4, self.reconcile(target).requests)

    def test_reconcile_when_provider_will_not_come(self):
        gone = reconcile.ProviderRef(str(uuid.uuid4()))
        self.assertRaises(
            errors.NotFound, self.reconcile, gone, await_provider=False
        )
        self.assertEqual(1, len(self.placement.sent))


class TargetTest(testtools.TestCase):
    def test_target_when_empty(self):
        self.assertRaises(ValueError, reconcile.ProviderRef)

    def test_target_when_shown(self):
        self.assertEqual(
            'a or b', str(reconcile.ProviderRef(names=('a', 'b')))
        )
