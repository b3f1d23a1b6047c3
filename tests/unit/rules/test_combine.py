# SPDX-License-Identifier: Apache-2.0

import dataclasses

import testtools
from hypothesis import given
from hypothesis import strategies as st

from hvfilter.model.catalogue import BY_KEY, CATALOGUE, Arch, Stage
from hvfilter.model.finding import Observation, State, Strength
from hvfilter.rules import combine

STATES = st.sampled_from(State)
STRENGTHS = st.sampled_from(Strength)
OBSERVATIONS = st.builds(
    Observation,
    st.sampled_from(['kvm', 'nested']),
    st.sampled_from(Stage),
    STATES,
    STRENGTHS,
    st.sampled_from(['one', 'other']),
    st.just('asked'),
    st.sampled_from(['0', '1']),
    st.text('ab', max_size=2),
    st.text('xy', max_size=1),
)
SEVERAL = st.lists(OBSERVATIONS, max_size=6)


def said(state, strength, reason='reason', remedy=''):
    return Observation(
        'kvm',
        Stage.KVM,
        state,
        strength,
        'source',
        'asked',
        'v',
        reason,
        remedy,
    )


def opposite(state):
    return {
        State.PRESENT: State.ABSENT,
        State.ABSENT: State.PRESENT,
        State.UNKNOWN: State.UNKNOWN,
    }[state]


class TestDecide(testtools.TestCase):
    def test_unknown_when_nothing_was_observed(self):
        found = combine.decide(Stage.KVM, [])
        self.assertIs(State.UNKNOWN, found.state)
        self.assertEqual('nothing was observed at kvm', found.reason)
        self.assertEqual('', found.remedy)
        self.assertEqual((), found.observations)
        self.assertFalse(found.contradicted)

    def test_stronger_decides_when_sources_contradict(self):
        weak = said(State.PRESENT, Strength.FLAGS, 'flags say so')
        strong = said(State.ABSENT, Strength.SMOKE, 'it failed', 'mend it')
        found = combine.decide(Stage.KVM, [weak, strong])
        self.assertIs(State.ABSENT, found.state)
        self.assertEqual('it failed', found.reason)
        self.assertEqual('mend it', found.remedy)
        self.assertEqual((strong, weak), found.observations)
        self.assertTrue(found.contradicted)

    def test_absent_decides_when_equals_contradict(self):
        present = said(State.PRESENT, Strength.IOCTL)
        absent = said(State.ABSENT, Strength.IOCTL)
        found = combine.decide(Stage.KVM, [present, absent])
        self.assertIs(State.ABSENT, found.state)
        self.assertTrue(found.contradicted)

    def test_unknown_gives_way_when_a_weaker_source_knows(self):
        unknown = said(State.UNKNOWN, Strength.SMOKE)
        present = said(State.PRESENT, Strength.REGISTER)
        found = combine.decide(Stage.KVM, [unknown, present])
        self.assertIs(State.PRESENT, found.state)
        self.assertFalse(found.contradicted)
        self.assertEqual((present, unknown), found.observations)

    def test_strongest_unknown_explains_when_none_knows(self):
        weak = said(State.UNKNOWN, Strength.FLAGS, 'weak')
        strong = said(State.UNKNOWN, Strength.IOCTL, 'strong', 'do this')
        found = combine.decide(Stage.KVM, [weak, strong])
        self.assertIs(State.UNKNOWN, found.state)
        self.assertEqual('strong', found.reason)
        self.assertEqual('do this', found.remedy)
        self.assertFalse(found.contradicted)

    @given(
        SEVERAL.flatmap(lambda s: st.tuples(st.just(s), st.permutations(s)))
    )
    def test_order_of_observations_never_matters(self, orders):
        given_order, other_order = orders
        self.assertEqual(
            combine.decide(Stage.KVM, given_order),
            combine.decide(Stage.KVM, other_order),
        )

    @given(SEVERAL)
    def test_all_evidence_is_kept(self, observations):
        found = combine.decide(Stage.KVM, observations)
        self.assertCountEqual(observations, found.observations)

    @given(SEVERAL, OBSERVATIONS)
    def test_unknown_never_decides_when_another_source_knows(
        self, observations, more
    ):
        before = combine.decide(Stage.KVM, observations).state
        unknown = dataclasses.replace(
            more, state=State.UNKNOWN, capability='kvm'
        )
        after = combine.decide(Stage.KVM, [*observations, unknown]).state
        self.assertIs(before, after)

    def test_no_yes_when_no_guest_could_be_run(self):
        """It turns what KVM uses into a doubt, and never a no into a yes."""
        for stage, capability, state, expected in (
            (Stage.KVM, 'ept', State.PRESENT, State.UNKNOWN),
            (Stage.KVM, 'ept', State.ABSENT, State.ABSENT),
            (Stage.KVM, 'kvm', State.PRESENT, State.PRESENT),
            (Stage.CPU, 'ept', State.PRESENT, State.PRESENT),
        ):
            known, doubt = (
                dataclasses.replace(one, stage=stage, capability=capability)
                for one in (
                    said(state, Strength.IOCTL),
                    said(State.UNKNOWN, Strength.SMOKE, 'no guest was run'),
                )
            )
            found = combine.decide(stage, [known, doubt])
            self.assertIs(expected, found.state)
            self.assertIs(found.state, found.observations[0].state)
            self.assertFalse(found.contradicted)

    @given(SEVERAL, OBSERVATIONS)
    def test_state_stays_when_a_weaker_source_is_added(
        self, observations, more
    ):
        before = combine.decide(Stage.KVM, observations)
        definite = [
            o.strength for o in observations if o.state is not State.UNKNOWN
        ]
        after = combine.decide(Stage.KVM, [*observations, more])
        if definite and more.strength < max(definite):
            self.assertIs(before.state, after.state)
            if more.state is opposite(before.state):
                self.assertTrue(after.contradicted)

    @given(SEVERAL)
    def test_contradicted_exactly_when_both_are_said(self, observations):
        states = {o.state for o in observations}
        self.assertEqual(
            {State.PRESENT, State.ABSENT} <= states,
            combine.decide(Stage.KVM, observations).contradicted,
        )


class TestReport(testtools.TestCase):
    def test_every_row_when_nothing_was_observed(self):
        report = combine.report('x86_64', '6.1', 'live', [])
        self.assertEqual(
            [row.key for row in CATALOGUE],
            [finding.capability for finding in report.findings],
        )
        self.assertEqual('x86_64', report.machine)
        self.assertEqual('6.1', report.kernel)
        self.assertEqual('live', report.origin)
        for finding in report.findings:
            row = BY_KEY[finding.capability]
            self.assertEqual(
                row.stages, tuple(s.stage for s in finding.stages)
            )
            possible = combine.possible(row, Arch.X86)
            wanted = State.UNKNOWN if possible else State.ABSENT
            self.assertIs(wanted, finding.state)

    def test_absent_at_cpu_when_the_architecture_never_has_it(self):
        report = combine.report('s390x', '6.1', 'live', [])
        finding = report['ept']
        self.assertIs(State.ABSENT, finding.state)
        self.assertIs(Stage.CPU, finding.deciding.stage)
        self.assertEqual('s390x machines do not have it', finding.reason)
        self.assertEqual('', finding.remedy)
        known = finding.deciding.observations[0]
        self.assertEqual(
            ('ept', 'uname -m', 'machine', 's390x', Strength.REGISTER),
            (
                known.capability,
                known.source,
                known.asked,
                known.value,
                known.strength,
            ),
        )
        self.assertIs(State.UNKNOWN, finding.stages[1].state)

    def test_unknown_when_the_machine_is_not_known(self):
        report = combine.report('sw_64', '6.6', 'live', [])
        for finding in report.findings:
            self.assertIs(State.UNKNOWN, finding.state)
            self.assertIn('sw_64', finding.reason)

    def test_reason_is_bounded_when_the_machine_is_not_known(self):
        report = combine.report('m' * 40 + 'n', '6.6', 'live', [])
        self.assertEqual(
            f"'{'m' * 40}' machines are not known to hvfilter",
            report['kvm'].reason,
        )

    def test_observation_decides_when_the_machine_is_not_known(self):
        absent = said(State.ABSENT, Strength.IOCTL)
        report = combine.report('sw_64', '6.6', 'live', [absent])
        self.assertIs(State.ABSENT, report['kvm'].state)
        self.assertEqual('reason', report['kvm'].reason)

    def test_observations_when_grouped(self):
        other = dataclasses.replace(
            said(State.PRESENT, Strength.FLAGS), stage=Stage.CPU
        )
        nested = dataclasses.replace(
            said(State.ABSENT, Strength.FLAGS), capability='nested'
        )
        report = combine.report(
            'x86_64',
            '',
            '',
            [said(State.PRESENT, Strength.SMOKE), other, nested],
        )
        states = {s.stage: s.state for s in report['kvm'].stages}
        self.assertIs(State.PRESENT, states[Stage.KVM])
        self.assertIs(State.PRESENT, states[Stage.CPU])
        self.assertIs(State.UNKNOWN, states[Stage.NOVA])
        self.assertIs(State.ABSENT, report['nested'].state)

    @given(SEVERAL)
    def test_any_observations_make_a_report(self, observations):
        for machine in ('x86_64', 'aarch64', 'never heard of'):
            report = combine.report(machine, '', '', observations)
            self.assertEqual(len(CATALOGUE), len(report.findings))
