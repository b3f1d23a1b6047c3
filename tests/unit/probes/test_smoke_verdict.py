# SPDX-License-Identifier: Apache-2.0

import errno

import testtools

from hvfilter.host import facts, kvm, smoke
from hvfilter.probes import smoke_verdict
from hvfilter.probes.smoke_verdict import Outcome
from tests.fakes.timing import TimedMachine

RAN = (('create_vm', 'ok'), ('real_mode', 'IO'), ('long_mode', 'IO'))


def run(steps=RAN, machine=None):
    samples = machine.samples() if machine else ()
    return facts.SmokeRun(tuple(steps), samples, 9_000_000)


class JudgeTest(testtools.TestCase):
    def _judge(self, *arguments, **keywords):
        return smoke_verdict.judge(run(*arguments, **keywords))

    def test_native_when_as_fast_as_the_host(self):
        verdict = self._judge(machine=TimedMachine(10_000, 0.6, 0.55))
        self.assertIs(Outcome.NATIVE, verdict.outcome)
        self.assertTrue(0.5 < verdict.slope.ratio < 2)

    def test_emulated_with_the_ratio_when_a_thousand_times_slower(self):
        verdict = self._judge(machine=TimedMachine(20_000, 1400, 0.55))
        self.assertIs(Outcome.EMULATED, verdict.outcome)
        self.assertIn(f'{verdict.slope.ratio:,.1f} times', verdict.text)

    def test_inconclusive_when_in_between(self):
        verdict = self._judge(machine=TimedMachine(10_000, 11, 0.55))
        self.assertIs(Outcome.INCONCLUSIVE, verdict.outcome)
        self.assertIsNotNone(verdict.slope)
        self.assertIn('doubtful speed', verdict.text)

    def test_inconclusive_when_the_fixed_cost_drowns_the_loop(self):
        samples = (facts.Sample(1, 10**7, 400), facts.Sample(512, 10**7, 700))
        verdict = smoke_verdict.judge(facts.SmokeRun(RAN, samples, 10**8))
        self.assertIs(Outcome.INCONCLUSIVE, verdict.outcome)

    def test_failed_with_the_step_when_one_failed(self):
        for steps in (
            [('create_vm', 'EBUSY')],
            [('create_vm', 'ok'), ('real_mode', 'FAIL_ENTRY')],
            [*RAN[:2], ('long_mode', 'SHUTDOWN')],
        ):
            verdict = self._judge(steps)
            self.assertIs(Outcome.FAILED, verdict.outcome)
            self.assertIn(' ended with '.join(steps[-1]), verdict.text)

    def test_inconclusive_when_interrupted_or_refused_at_any_step(self):
        for at in range(len(RAN) + 1):
            step = (*(name for name, _ in RAN), 'timing')[at]
            for error in smoke.TRANSIENT | smoke.REFUSED:
                verdict = self._judge([*RAN[:at], (step, error)])
                self.assertIs(Outcome.INCONCLUSIVE, verdict.outcome)
                self.assertEqual(f'{step} ended with {error}', verdict.text)

    def test_what_each_error_proves_at_each_step(self):
        """Only a KVM that cannot switch virtualization on starts no guest."""
        proof = {('create_vm', 'EBUSY'), ('create_vm', 'EIO')}
        steps = ('create_vm', 'real_mode', 'long_mode', 'timing')
        for step in steps:
            before = RAN[: steps.index(step)]
            for error in sorted(errno.errorcode.values()):
                verdict = self._judge([*before, (step, error)])
                failed = (step, error) in proof
                self.assertIs(
                    Outcome.FAILED if failed else Outcome.INCONCLUSIVE,
                    verdict.outcome,
                    (step, error),
                )

    def test_failed_when_the_guest_went_another_way(self):
        others = {*kvm.EXIT_NAMES.values()} - {'IO', 'MMIO', 'INTR'}
        for ending in (*others, 'EXIT_99', 'IO_UNEXPECTED', 'MMIO_UNEXPECTED'):
            for at, step in enumerate(('real_mode', 'long_mode', 'timing'), 1):
                verdict = self._judge([*RAN[:at], (step, ending)])
                self.assertIs(Outcome.FAILED, verdict.outcome, ending)

    def test_inconclusive_when_the_ending_is_unknown(self):
        """A later release may know more of them."""
        verdict = self._judge([*RAN[:1], ('real_mode', 'LATER')])
        self.assertIs(Outcome.INCONCLUSIVE, verdict.outcome)

    def test_never_native_when_it_did_not_end_well(self):
        """Samples as fast as the host's do not count for a broken guest."""
        machine = TimedMachine(10_000, 0.6, 0.55)
        for error, expected in (
            ('TIMEOUT', Outcome.INCONCLUSIVE),
            ('ENOMEM', Outcome.INCONCLUSIVE),
            ('SHUTDOWN', Outcome.FAILED),
        ):
            verdict = self._judge([*RAN, ('timing', error)], machine)
            self.assertIs(expected, verdict.outcome, error)

    def test_emulated_when_shown_before_it_was_interrupted(self):
        machine = TimedMachine(20_000, 1400, 0.55)
        verdict = self._judge([*RAN, ('timing', 'TIMEOUT')], machine)
        self.assertIs(Outcome.EMULATED, verdict.outcome)

    def test_attempts_when_none_of_several_settled_it(self):
        timed_out = (*RAN, ('timing', 'TIMEOUT'))
        verdict = smoke_verdict.judge(facts.SmokeRun(timed_out, (), 9, 3))
        self.assertIn('(3 attempts)', verdict.text)
        verdict = smoke_verdict.judge(facts.SmokeRun(timed_out, (), 9))
        self.assertNotIn('attempts', verdict.text)

    def test_inconclusive_when_time_ran_out_while_it_was_timed(self):
        samples = (facts.Sample(1, 10**9, 400),) * 2
        steps = (*RAN, ('timing', 'TIMEOUT'))
        verdict = smoke_verdict.judge(
            facts.SmokeRun(steps, samples, 3 * 10**9)
        )
        self.assertIs(Outcome.INCONCLUSIVE, verdict.outcome)

    def test_failed_when_it_ended_otherwise_while_it_was_timed(self):
        samples = (facts.Sample(1, 10**9, 400),) * 2
        for outcome in ('SHUTDOWN', 'UNKNOWN'):
            steps = (*RAN, ('timing', outcome))
            verdict = smoke_verdict.judge(facts.SmokeRun(steps, samples, 1))
            self.assertIs(Outcome.FAILED, verdict.outcome)
            self.assertEqual(f'timing ended with {outcome}', verdict.text)

    def test_inconclusive_when_nothing_was_tried(self):
        self.assertIs(Outcome.INCONCLUSIVE, self._judge([]).outcome)

    def test_inconclusive_when_nothing_was_timed(self):
        self.assertIs(Outcome.INCONCLUSIVE, self._judge(RAN).outcome)
