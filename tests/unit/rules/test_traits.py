# SPDX-License-Identifier: Apache-2.0

import fixtures
import testtools
from hypothesis import given
from hypothesis import strategies as st

from hvfilter.model import catalogue
from hvfilter.model.finding import Overrule, State
from hvfilter.rules import combine, overrule, traits
from tests import strategies

FOREIGN = st.frozensets(
    st.sampled_from(
        ['HW_CPU_X86_VMX', 'CUSTOM_HVFILTERED', 'CUSTOM_X', 'OWNER_NOVA']
    )
)
OWN = st.frozensets(st.sampled_from(sorted(catalogue.OWN_TRAITS)))


class TestWanted(testtools.TestCase):
    def test_nothing_when_nothing_is_known(self):
        """Not even the marker: it would make of "unknown" a "lacks it"."""
        wanted = traits.wanted(combine.report('sw_64', '', '', []))
        self.assertEqual(frozenset(), wanted.present)
        self.assertEqual(catalogue.RETIRED_TRAITS, wanted.absent)

    def test_marker_when_an_operator_knows_of_kvm(self):
        report = combine.report('sw_64', '', '', [])
        for state, present in (
            (State.PRESENT, {'CUSTOM_HVFILTER_KVM', catalogue.REPORTED_TRAIT}),
            (State.ABSENT, {catalogue.REPORTED_TRAIT}),
        ):
            told = overrule.apply(report, {'kvm': Overrule(state, 'x')})
            self.assertEqual(present, traits.wanted(told).present)

    def test_absent_traits_when_the_architecture_has_them_not(self):
        wanted = traits.wanted(combine.report('s390x', '', '', []))
        self.assertIn('CUSTOM_HVFILTER_EPT', wanted.absent)
        self.assertNotIn('CUSTOM_HVFILTER_KVM', wanted.absent)

    @given(strategies.reports())
    def test_each_state_when_a_report_is_turned_into_traits(self, report):
        wanted = traits.wanted(report)
        self.assertEqual(frozenset(), wanted.present & wanted.absent)
        self.assertEqual(
            report['kvm'].state is not State.UNKNOWN,
            catalogue.REPORTED_TRAIT in wanted.present,
        )
        self.assertNotIn(catalogue.REPORTED_TRAIT, wanted.absent)
        for finding in report.findings:
            trait = catalogue.BY_KEY[finding.capability].trait
            self.assertEqual(
                finding.state is State.PRESENT, trait in wanted.present
            )
            self.assertEqual(
                finding.state is State.ABSENT, trait in wanted.absent
            )

    @given(strategies.reports(), FOREIGN, OWN)
    def test_foreign_traits_stay_when_applied(self, report, foreign, own):
        wanted = traits.wanted(report)
        after = wanted.applied_to(foreign | own)
        self.assertEqual(foreign, after - catalogue.OWN_TRAITS)
        self.assertEqual(after, wanted.applied_to(after))
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
        wanted = traits.wanted(combine.report('x86_64', '', '', []))
        self.assertLessEqual(retired, wanted.absent)
        self.assertNotIn('CUSTOM_HVFILTER_OLD', wanted.applied_to(retired))

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
