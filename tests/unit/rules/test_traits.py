# SPDX-License-Identifier: Apache-2.0

import fixtures
import testtools
from hypothesis import given
from hypothesis import strategies as st

from hvfilter.model import catalogue
from hvfilter.model.finding import Override, State
from hvfilter.model.nested_registers import Registers
from hvfilter.model.week import Week
from hvfilter.rules import combine, override, traits
from tests import strategies
from tests.fakes import reports

FOREIGN = st.frozensets(
    st.sampled_from(
        ['HW_CPU_X86_VMX', 'CUSTOM_HVFILTERED', 'CUSTOM_X', 'OWNER_NOVA']
    )
)
STATE = catalogue.STATE_TRAITS
OWN = st.frozensets(st.sampled_from(sorted(catalogue.OWN_TRAITS)))

KVM = 'CUSTOM_HVFILTER_KVM'
NESTED = 'CUSTOM_HVFILTER_NESTED'
MARKER = catalogue.REPORTED_TRAIT


def week(number):
    return Week.parse(f'2026W{number:02}')


def reported(number):
    return f'{MARKER}_2026W{number:02}'


def unknown(trait, number):
    return f'{trait}_UNKNOWN_2026W{number:02}'


def removed(trait, number):
    return f'{trait}_REMOVED_2026W{number:02}'


def names(*listed):
    return frozenset(listed)


class TestDesired(testtools.TestCase):
    def test_nothing_when_nothing_is_known(self):
        """Not even the marker: it would make of "unknown" a "lacks it"."""
        desired = traits.desired(combine.report('sw_64', '', '', []))
        self.assertEqual(catalogue.UNKNOWN_TRAITS, desired.present)
        self.assertEqual(catalogue.RETIRED_TRAITS, desired.absent)

    def test_marker_when_an_operator_knows_of_kvm(self):
        report = combine.report('sw_64', '', '', [])
        for state, present in (
            (State.PRESENT, {'CUSTOM_HVFILTER_KVM', catalogue.REPORTED_TRAIT}),
            (State.ABSENT, {catalogue.REPORTED_TRAIT}),
        ):
            told = override.apply(report, {'kvm': Override(state, 'x')})
            found = traits.desired(told).present - catalogue.UNKNOWN_TRAITS
            self.assertEqual(present, found)

    def test_absent_traits_when_the_architecture_has_them_not(self):
        desired = traits.desired(combine.report('s390x', '', '', []))
        self.assertIn('CUSTOM_HVFILTER_EPT', desired.absent)
        self.assertNotIn('CUSTOM_HVFILTER_KVM', desired.absent)

    @given(strategies.reports())
    def test_each_state_when_a_report_is_turned_into_traits(self, report):
        desired = traits.desired(report)
        self.assertEqual(frozenset(), desired.present & desired.absent)
        self.assertEqual(
            report['kvm'].state is not State.UNKNOWN,
            catalogue.REPORTED_TRAIT in desired.present,
        )
        self.assertNotIn(catalogue.REPORTED_TRAIT, desired.absent)
        for finding in report.findings:
            trait = catalogue.BY_KEY[finding.capability].trait
            self.assertEqual(
                finding.state is State.PRESENT, trait in desired.present
            )
            self.assertEqual(
                finding.state is State.ABSENT, trait in desired.absent
            )
            doubt = catalogue.BY_KEY[finding.capability].unknown_trait
            unknown = finding.state is State.UNKNOWN
            self.assertEqual(unknown, doubt in desired.present)
            self.assertEqual(not unknown, doubt in desired.absent)

    @given(strategies.reports(), FOREIGN, OWN)
    def test_foreign_traits_stay_when_applied(self, report, foreign, own):
        desired = traits.desired(report)
        after = desired.applied_to(foreign | own)
        self.assertEqual(foreign, after - catalogue.OWN_TRAITS)
        self.assertEqual(after, desired.applied_to(after))
        for finding in report.findings:
            trait = catalogue.BY_KEY[finding.capability].trait
            expected = {
                State.PRESENT: True,
                State.ABSENT: False,
                State.UNKNOWN: trait in own,
            }[finding.state]
            self.assertEqual(expected, trait in after)
        if report['kvm'].state is State.UNKNOWN:
            marked = catalogue.REPORTED_TRAIT in own
        else:
            marked = True
        self.assertEqual(marked, catalogue.REPORTED_TRAIT in after)

    def test_retired_traits_go_whatever_the_report_says(self):
        retired = frozenset({'CUSTOM_HVFILTER_OLD'})
        self.useFixture(
            fixtures.MonkeyPatch(
                'hvfilter.model.catalogue.RETIRED_TRAITS', retired
            )
        )
        desired = traits.desired(combine.report('x86_64', '', '', []))
        self.assertLessEqual(retired, desired.absent)
        self.assertNotIn('CUSTOM_HVFILTER_OLD', desired.applied_to(retired))

    @given(FOREIGN, OWN)
    def test_nothing_of_ours_stays_when_withdrawn(self, foreign, own):
        self.assertEqual(foreign, traits.withdrawn().applied_to(foreign | own))

    @given(FOREIGN)
    def test_capabilities_when_traits_are_read_back(self, foreign):
        own = frozenset(row.trait for row in catalogue.CATALOGUE[:3])
        self.assertEqual(
            frozenset(row.key for row in catalogue.CATALOGUE[:3]),
            traits.capabilities(own | foreign | {catalogue.REPORTED_TRAIT}),
        )
        doubts = frozenset(
            row.unknown_trait for row in catalogue.CATALOGUE[:2]
        )
        self.assertEqual(
            frozenset(row.key for row in catalogue.CATALOGUE[:2]),
            traits.unknown(own | foreign | doubts),
        )


class TestNestedSet(testtools.TestCase):
    ONE = Registers.svm(0x21)
    OTHER = Registers.svm(0x61)
    BEFORE = names('CUSTOM_X', NESTED, OTHER.trait)

    def after(self, before, *args, **more):
        report = reports.report(*args, **more)
        return traits.desired(report).applied_to(before)

    def sets(self, *args, **more):
        found = self.after(self.BEFORE, *args, **more)
        self.assertIn('CUSTOM_X', found)
        return {name for name in found if '_SET_' in name}

    def test_replaced_when_it_changes(self):
        found = self.sets(['kvm', 'nested'], nested_set=self.ONE)
        self.assertEqual({self.ONE.trait}, found)

    def test_nothing_changes_when_it_is_the_same(self):
        found = self.sets(['kvm', 'nested'], nested_set=self.OTHER)
        self.assertEqual({self.OTHER.trait}, found)

    def test_gone_when_it_could_not_be_read(self):
        """Not known is no name: the old one may be wrong by now."""
        self.assertEqual(set(), self.sets(['kvm', 'nested']))

    def test_gone_when_nested_is(self):
        self.assertEqual(set(), self.sets(['kvm'], ['nested']))

    def test_gone_when_an_operator_says_that_nested_is_absent(self):
        report = reports.report(['nested'], nested_set=self.OTHER)
        ruled = override.apply(report, {'nested': Override(State.ABSENT, 'x')})
        found = traits.desired(ruled).applied_to(self.BEFORE)
        self.assertEqual({'CUSTOM_X'}, found - catalogue.OWN_TRAITS)

    def test_stays_while_nested_is_unknown(self):
        self.assertEqual({self.OTHER.trait}, self.sets(['kvm']))

    def test_gone_when_nested_is_unknown_for_too_long(self):
        before = self.BEFORE | {unknown(NESTED, 40)}
        desired = traits.desired(reports.report(['kvm']), week(48), 2)
        after = desired.applied_to(before)
        self.assertNotIn(NESTED, after)
        self.assertNotIn(self.OTHER.trait, after)

    def test_gone_when_nested_is_not_there_at_all(self):
        before = names(self.OTHER.trait)
        self.assertNotIn(self.OTHER.trait, self.after(before, ['kvm']))

    def test_gone_when_withdrawn(self):
        self.assertEqual(
            {'CUSTOM_X'}, traits.withdrawn().applied_to(self.BEFORE)
        )

    def test_no_capability(self):
        found = traits.capabilities(self.BEFORE)
        self.assertEqual({'nested'}, found)
        self.assertEqual(frozenset(), traits.unknown(self.BEFORE))

    def test_no_name_when_it_would_be_too_long(self):
        most = Registers.vmx(dict.fromkeys(range(0x480, 0x494), 2**64 - 1))
        self.assertEqual(set(), self.sets(['nested'], nested_set=most))


class TestDates(testtools.TestCase):
    """The week of the last report, and since when a trait is UNKNOWN."""

    def after(self, before, present, absent, number, most=2):
        made = reports.report(present, absent)
        desired = traits.desired(made, number and week(number), most)
        after = catalogue.own(desired.applied_to(frozenset(before)))
        return after - catalogue.UNKNOWN_TRAITS

    def test_week_when_reported(self):
        for before in (
            (),
            (reported(46),),
            (reported(46), reported(47)),
            (reported(48),),
            # A clock was ahead once.
            (reported(53),),
        ):
            after = self.after(before, ['kvm'], [], 48)
            self.assertEqual(names(KVM, MARKER, reported(48)), after)

    def test_week_when_host_cannot_run_guests(self):
        after = self.after([MARKER, reported(47)], [], ['kvm'], 48)
        self.assertEqual(names(MARKER, reported(48)), after)

    def test_week_when_clock_cannot_be_believed(self):
        before = [KVM, MARKER, reported(47)]
        self.assertEqual(
            frozenset(before), self.after(before, ['kvm'], [], None)
        )

    def test_week_when_marker_is_gone(self):
        """Somebody removed the marker: a date without it says nothing."""
        self.assertEqual(
            names(), self.after([reported(47), reported(46)], [], [], 48)
        )

    def test_week_when_kvm_is_unknown(self):
        before = [KVM, MARKER, reported(47)]
        marks = names(unknown(KVM, 48), unknown(MARKER, 48))
        after = self.after(before, [], [], 48)
        self.assertEqual(frozenset(before) | marks, after)
        # As long as it may stay.
        self.assertEqual(after, self.after(after, [], [], 50))
        # And known again.
        self.assertEqual(
            names(KVM, MARKER, reported(50)),
            self.after(after, ['kvm'], [], 50),
        )
        self.assertEqual(
            names(MARKER, reported(50), removed(KVM, 50)),
            self.after(after, [], ['kvm'], 50),
        )
        # Or not: the host counts as one that never reported.
        self.assertEqual(
            names(removed(KVM, 51), removed(MARKER, 51)),
            self.after(after, [], [], 51),
        )

    def test_week_when_there_are_two(self):
        """Exactly one stays, whatever is known: the later."""
        before = [MARKER, reported(46), reported(47)]
        self.assertEqual(
            names(MARKER, reported(47), unknown(MARKER, 48)),
            self.after(before, [], [], 48),
        )

    def test_capability_when_it_stays_unknown(self):
        before = [KVM, NESTED, MARKER, reported(47)]
        after = self.after(before, ['kvm'], [], 48)
        mark = unknown(NESTED, 48)
        self.assertEqual(names(KVM, NESTED, MARKER, reported(48), mark), after)
        after = self.after(after, ['kvm'], [], 50)
        self.assertEqual(names(KVM, NESTED, MARKER, reported(50), mark), after)
        after = self.after(after, ['kvm'], [], 51)
        self.assertEqual(
            names(KVM, MARKER, reported(51), removed(NESTED, 51)), after
        )

    def test_capability_when_unknown_may_stay_for_ever(self):
        before = [NESTED, MARKER, reported(48), unknown(NESTED, 1)]
        self.assertEqual(
            names(KVM, *before), self.after(before, ['kvm'], [], 48, most=0)
        )

    def test_capability_when_week_is_ahead_of_the_clock(self):
        """It would stay for as long as the clock was ahead."""
        before = [NESTED, unknown(NESTED, 52)]
        self.assertEqual(
            names(NESTED, unknown(NESTED, 48)),
            self.after(before, [], [], 48),
        )

    def test_capability_when_removed_and_added_by_something_else(self):
        before = [KVM, NESTED, MARKER, reported(48)]
        now = names(KVM, MARKER, reported(48), removed(NESTED, 48))
        self.assertEqual(now, self.after(before, ['kvm'], ['nested'], 48))
        lost = reports.report(['kvm'], ['nested'])
        desired = traits.desired(lost, week(48), 2)
        self.assertEqual(names(), desired.returning(frozenset(before)))
        self.assertEqual(names(), desired.returning(now))
        again = now | {NESTED}
        self.assertEqual(names(NESTED), desired.returning(again))
        after = desired.applied_to(again)
        self.assertEqual(now, after - catalogue.UNKNOWN_TRAITS)
        # In another week, too, as long as it comes back.
        self.assertEqual(
            names(KVM, MARKER, reported(49), removed(NESTED, 49)),
            self.after(again, ['kvm'], ['nested'], 49),
        )
        self.assertEqual(
            names(KVM, MARKER, reported(49)),
            self.after(now, ['kvm'], ['nested'], 49),
        )
        # It is there again in truth.
        found = names(KVM, NESTED, MARKER, reported(48))
        self.assertEqual(found, self.after(again, ['kvm', 'nested'], [], 48))
        self.assertEqual(found, self.after(now, ['kvm', 'nested'], [], 48))

    def test_capability_when_unknown_and_added_by_something_else(self):
        """It was unknown for too long once: no second time of grace."""
        before = [KVM, NESTED, MARKER, reported(50), unknown(NESTED, 47)]
        gone = names(KVM, MARKER, reported(50), removed(NESTED, 50))
        self.assertEqual(gone, self.after(before, ['kvm'], [], 50))
        self.assertEqual(gone, self.after(gone | {NESTED}, ['kvm'], [], 50))
        desired = traits.desired(reports.report(['kvm'], []), week(50), 2)
        self.assertEqual(names(NESTED), desired.returning(gone | {NESTED}))

    def test_nothing_stays_when_withdrawn(self):
        dates = names(reported(48), unknown(KVM, 47), KVM, MARKER)
        kept = names('CUSTOM_HVFILTER_REPORTED_2026W54', 'CUSTOM_GOLD')
        self.assertEqual(kept, traits.withdrawn().applied_to(dates | kept))

    @given(
        strategies.reports(),
        FOREIGN,
        OWN,
        st.integers(1, 53),
        st.integers(0, 3),
        st.sets(st.integers(1, 53)),
    )
    def test_one_date_when_applied_to_anything(
        self, report, foreign, own, now, most, weeks
    ):
        dates = {reported(number) for number in weeks}
        dates |= {unknown(trait, now) for trait in own & STATE}
        dates |= {removed(trait, 7) for trait in own & STATE}
        before = foreign | own | dates
        desired = traits.desired(report, week(now), most)
        after = desired.applied_to(before)
        self.assertEqual(foreign, after - catalogue.own(after))
        self.assertEqual(after, desired.applied_to(after))
        found = {name for name in after if name.startswith(f'{MARKER}_2')}
        if MARKER in desired.present:
            self.assertEqual({reported(now)}, found)
        else:
            self.assertLessEqual(len(found), MARKER in after)
        for trait in desired.present:
            self.assertNotIn(unknown(trait, now), after)
