# SPDX-License-Identifier: Apache-2.0

import itertools

import testtools

from hvfilter.model.catalogue import BY_KEY, Stage
from hvfilter.model.finding import (
    Finding,
    HostReport,
    Override,
    StageFinding,
    State,
)

PRESENT, ABSENT, UNKNOWN = State.PRESENT, State.ABSENT, State.UNKNOWN


def nested(*states, **more):
    """A finding of a capability with all stages; KVM and NOVA decide."""
    return Finding(
        'nested',
        tuple(
            StageFinding(
                stage, state, f'{stage.value} {state.value}', stage.value, ()
            )
            for stage, state in zip(Stage, states, strict=True)
        ),
        **more,
    )


class TestFinding(testtools.TestCase):
    def test_found_for_every_combination(self):
        decisive = BY_KEY['nested'].decisive
        for states in itertools.product(State, repeat=4):
            finding = nested(*states)
            by_stage = dict(zip(Stage, states, strict=True))
            if ABSENT in states:
                expected = ABSENT
            elif all(by_stage[stage] is PRESENT for stage in decisive):
                expected = PRESENT
            else:
                expected = UNKNOWN
            self.assertIs(expected, finding.found, states)
            self.assertIs(expected, finding.state, states)
            deciding = finding.deciding
            if expected is ABSENT:
                self.assertIs(ABSENT, deciding.state)
                self.assertIs(
                    deciding.stage, list(Stage)[states.index(ABSENT)]
                )
            elif expected is PRESENT:
                self.assertIs(Stage.NOVA, deciding.stage)
            else:
                self.assertIn(deciding.stage, decisive)
                self.assertIs(UNKNOWN, deciding.state)
            self.assertEqual(deciding.reason, finding.reason)
            self.assertEqual(deciding.remedy, finding.remedy)

    def test_first_stage_explains_when_several_are_absent(self):
        finding = nested(PRESENT, ABSENT, ABSENT, UNKNOWN)
        self.assertEqual('firmware absent', finding.reason)

    def test_first_decisive_stage_explains_when_it_is_unknown(self):
        finding = nested(UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)
        self.assertEqual('kvm unknown', finding.reason)
        self.assertEqual('kvm', finding.remedy)
        finding = nested(UNKNOWN, UNKNOWN, PRESENT, UNKNOWN)
        self.assertEqual('nova unknown', finding.reason)

    def test_state_when_overruled(self):
        overrule = Override(PRESENT, 'option')
        finding = nested(ABSENT, ABSENT, ABSENT, ABSENT, override=overrule)
        self.assertIs(PRESENT, finding.state)
        self.assertIs(ABSENT, finding.found)
        self.assertEqual('cpu absent', finding.reason)

    def test_report_when_asked_for_a_key(self):
        finding = nested(ABSENT, ABSENT, ABSENT, ABSENT)
        report = HostReport('x86_64', '6.1', 'live', (finding,))
        self.assertIs(finding, report['nested'])
        self.assertEqual(['nested'], list(report.by_key))
        self.assertRaises(KeyError, report.__getitem__, 'kvm')
