# SPDX-License-Identifier: Apache-2.0
"""What a smoke run proves. Pure, so that a recorded run is judged alike."""

from __future__ import annotations

import dataclasses
import enum

from hvfilter.host import door, smoke


class Outcome(enum.Enum):
    """What became of the guest."""

    NATIVE = 'native'
    """It ran, and the processor itself executed it."""

    EMULATED = 'emulated'
    """It ran, and its instructions were emulated one by one."""

    FAILED = 'failed'
    """It did not run."""

    INCONCLUSIVE = 'inconclusive'
    """It ran, but its speed could not be told."""


@dataclasses.dataclass(frozen=True)
class SmokeVerdict:
    """The outcome and what shows it.

    :ivar text: for people, without a final stop
    :ivar slope: of the longest loop that stood clear of the fixed cost, if
        any; its ``ratio`` tells how many times slower the guest was
    """

    outcome: Outcome
    text: str
    slope: smoke.Slope | None = None


def judge(run: door.SmokeRun) -> SmokeVerdict:
    """What the run proves."""
    if not run.steps:
        return SmokeVerdict(Outcome.FAILED, 'nothing was tried')
    step, outcome = run.steps[-1]
    pace, slope = smoke.pace(run.samples)
    if pace is smoke.Pace.NATIVE and slope is not None:
        text = f'executed by the processor: {_compared(slope)}'
        return SmokeVerdict(Outcome.NATIVE, text, slope)
    if pace is smoke.Pace.EMULATED and slope is not None:
        text = f'each guest instruction is emulated: {_compared(slope)}'
        return SmokeVerdict(Outcome.EMULATED, text, slope)
    # Too slow to be timed is not the same as not able to run.
    late = (step, outcome) == ('timing', 'TIMEOUT') and run.samples
    if outcome not in ('ok', 'IO', 'MMIO') and not late:
        return SmokeVerdict(Outcome.FAILED, f'{step} ended with {outcome}')
    if not run.samples:
        return SmokeVerdict(Outcome.FAILED, f'nothing ran after {step}')
    if slope is None:
        text = (
            'the guest ran, but the loop did not stand clear of the cost '
            'of KVM_RUN'
        )
        return SmokeVerdict(Outcome.INCONCLUSIVE, text)
    text = f'the guest ran at a doubtful speed: {_compared(slope)}'
    return SmokeVerdict(Outcome.INCONCLUSIVE, text, slope)


def _compared(slope: smoke.Slope) -> str:
    return (
        f'{slope.guest_ns:,.2f} ns an iteration, {slope.host_ns:.2f} ns on '
        f'the host, {slope.ratio:,.1f} times as long'
    )
