# SPDX-License-Identifier: Apache-2.0
"""What a smoke run proves. Pure, so that a recorded run is judged alike."""

from __future__ import annotations

import dataclasses
import enum

from hvfilter.host import facts, kvm, nested_guest, pace, smoke
from hvfilter.host.pace import Pace, Slope


class Outcome(enum.Enum):
    """What became of the guest."""

    NATIVE = 'native'
    """It ran, and the processor itself executed it."""

    EMULATED = 'emulated'
    """It ran, and its instructions were emulated one by one."""

    FAILED = 'failed'
    """It did not run."""

    INCONCLUSIVE = 'inconclusive'
    """It was interrupted or refused, ended with an error that proves nothing,
    or ran at a speed that proves nothing. The answer is not known, whatever
    weaker sources say."""


@dataclasses.dataclass(frozen=True)
class SmokeVerdict:
    """The outcome and what shows it.

    :ivar text: for people, without a final stop
    :ivar slope: of the longest loop that stood clear of the fixed cost, if
        any; its ``ratio`` is how many times slower the guest was
    """

    outcome: Outcome
    text: str
    slope: Slope | None = None


def judge(run: facts.SmokeRun) -> SmokeVerdict:
    """What the run proves; NATIVE only for a run that ended well."""
    verdict = _judge(run)
    if verdict.outcome is Outcome.INCONCLUSIVE and run.attempts > 1:
        text = f'{verdict.text} ({run.attempts} attempts)'
        return dataclasses.replace(verdict, text=text)
    return verdict


def _judge(run: facts.SmokeRun) -> SmokeVerdict:
    if not run.steps:
        return SmokeVerdict(Outcome.INCONCLUSIVE, 'no guest was started')
    speed, slope = pace.classify(run.samples)
    if speed is Pace.EMULATED and slope is not None:
        text = f'each guest instruction is emulated: {_compared(slope)}'
        return SmokeVerdict(Outcome.EMULATED, text, slope)
    step, outcome = run.steps[-1]
    if outcome not in smoke.REACHED:
        failed = _proves_failure(step, outcome)
        return SmokeVerdict(
            Outcome.FAILED if failed else Outcome.INCONCLUSIVE,
            f'{step} ended with {outcome}',
            slope,
        )
    if speed is Pace.NATIVE and slope is not None:
        text = f'executed by the processor: {_compared(slope)}'
        return SmokeVerdict(Outcome.NATIVE, text, slope)
    if not run.samples:
        text = f'nothing was run after {step}'
    elif slope is None:
        text = (
            'the guest ran, but its loop took no longer than KVM_RUN itself: '
            'its speed is not known'
        )
    else:
        text = f'the guest ran at a doubtful speed: {_compared(slope)}'
    return SmokeVerdict(Outcome.INCONCLUSIVE, text, slope)


def _proves_failure(step: str, outcome: str) -> bool:
    """Whether KVM runs no guest: it could not start one, or the guest went
    another way than its code. Of an errno see smoke.NOT_ENABLED."""
    if step == 'create_vm':
        return outcome in smoke.NOT_ENABLED
    return outcome not in smoke.TRANSIENT and (
        outcome in kvm.EXIT_NAMES.values()
        or outcome.startswith('EXIT_')
        or outcome.endswith('_UNEXPECTED')
        # The outer guest of a nested one got there, and no further.
        or nested_guest.SEPARATOR in outcome
    )


def _compared(slope: Slope) -> str:
    return (
        f'{slope.guest_ns:,.2f} ns an iteration, {slope.host_ns:.2f} ns on '
        f'the host, {slope.ratio:,.1f} times as long'
    )
