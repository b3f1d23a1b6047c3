# SPDX-License-Identifier: Apache-2.0
"""Does the processor run a guest, or does KVM emulate it? From times alone.

One KVM_RUN has a fixed cost: 10 us on hardware, milliseconds in a guest, so
what counts is the slope over the number of iterations, and the loop gets
longer until its time stands clear of that cost. Each length is run several
times, until the best two agree, and the best counts, since a busy machine
can only add time. That a guest is slow is only believed when its time grows
evenly over several lengths, each twice the one before: what a busy machine
adds does not grow with the length.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable, Sequence

from hvfilter.host import facts

BASE = 1
"""Iterations of the run that shows the fixed cost."""

BUDGET_NS = 2_000_000_000
"""Wall time that the loops of one attempt may be expected to take."""

REPEATS = 3
"""Times that each length is run, at least."""

REPEATS_AT_MOST = 9
"""Times that it is run until the best two agree."""

AGREE_WITHIN = 1.25
"""Ratio of the second best time to the best."""

EVEN_LENGTHS = 4
"""Lengths over which an emulated guest's time must grow evenly."""

EVEN_WITHIN = 1.5
"""Ratio of the largest to the smallest time of an iteration over these."""

NATIVE_AT_MOST = 8.0
"""Guest time to host time of an iteration; near 1, up to 3 under nesting."""

SURELY_NATIVE_AT_MOST = 2.0
"""Above this ratio a longer loop is run, as long as there is time: what a
busy machine adds counts less in it."""

EMULATED_AT_LEAST = 50.0
"""The same when each instruction is emulated: hundreds and more."""

_FIRST = 128  # about a fifth of a millisecond when emulated
_LONGEST = 2**31 - 1
_GROWTH = 4
_GROWTH_WHEN_SLOW = 2
_GROWTH_IN_THE_DARK = 16
_HOST_ERROR_NS = 60


class Pace(enum.Enum):
    """How a guest's instructions are executed."""

    NATIVE = 'native'
    EMULATED = 'emulated'
    UNSETTLED = 'unsettled'


@dataclasses.dataclass(frozen=True)
class Slope:
    """Nanoseconds an iteration takes, the fixed cost taken off.

    :ivar iterations: length of the loop
    :ivar guest_ns: in the guest
    :ivar host_ns: on the host
    :ivar clear: the loop took at least as long again as the fixed cost
    """

    iterations: int
    guest_ns: float
    host_ns: float
    clear: bool

    @property
    def ratio(self) -> float:
        """How many times slower the guest is."""
        return self.guest_ns / self.host_ns

    @property
    def ratio_at_least(self) -> float:
        """The same, the host's clock given the benefit of the doubt."""
        error = _HOST_ERROR_NS / self.iterations
        return self.guest_ns / (self.host_ns + error)


def slopes(samples: Iterable[facts.Sample]) -> tuple[Slope, ...]:
    """From the fixed cost to each length, in the order of length."""
    best = _best(samples)
    if len(best) < 2:
        return ()
    base, *longer = best
    # No run can be cheaper than the fixed cost, so the cheapest of all
    # bounds it.
    fixed = min(sample.guest_ns for sample in best)
    return tuple(_slope(base, sample, fixed) for sample in longer)


def classify(samples: Sequence[facts.Sample]) -> tuple[Pace, Slope | None]:
    """What the samples prove so far, and the slope that shows it."""
    clear = [slope for slope in slopes(samples) if slope.clear]
    if not clear:
        return Pace.UNSETTLED, None
    last = clear[-1]
    if last.ratio <= NATIVE_AT_MOST:
        return Pace.NATIVE, last
    if _evenly_slow(clear[-EVEN_LENGTHS:], samples):
        return Pace.EMULATED, last
    return Pace.UNSETTLED, last


def _evenly_slow(
    longest: Sequence[Slope], samples: Sequence[facts.Sample]
) -> bool:
    """Slow at each of these lengths alike, and each time surely measured."""
    if len(longest) < EVEN_LENGTHS:
        return False
    times = [slope.guest_ns for slope in longest]
    return (
        all(slope.ratio_at_least >= EMULATED_AT_LEAST for slope in longest)
        and all(_agreed(samples, slope.iterations) for slope in longest)
        and max(times) <= EVEN_WITHIN * min(times)
    )


def _agreed(samples: Iterable[facts.Sample], iterations: int) -> bool:
    """The best two guest times of a length are about the same."""
    times = sorted(s.guest_ns for s in samples if s.iterations == iterations)
    return len(times) > 1 and times[1] <= AGREE_WITHIN * times[0]


def next_length(
    samples: Sequence[facts.Sample],
    elapsed_ns: int,
    budget_ns: int = BUDGET_NS,
) -> int | None:
    """How long the next loop shall be; None to stop.

    :param samples: all so far
    :param elapsed_ns: wall time since the first
    :param budget_ns: wall time that all of them may take
    """
    if not samples:
        return BASE
    last = samples[-1].iterations
    repeats = sum(sample.iterations == last for sample in samples)
    if repeats < REPEATS:
        return last
    late = elapsed_ns > budget_ns
    if repeats < REPEATS_AT_MOST and not late and not _agreed(samples, last):
        return last
    if last == BASE:
        return _FIRST
    if _sure(samples):
        return None
    longest = _best(samples)[-1]
    slope = slopes(samples)[-1]
    growth = _growth(samples, slope)
    cost_ns = (longest.guest_ns + longest.host_ns) * growth * REPEATS
    if classify(samples)[0] is Pace.NATIVE:
        # What is settled is not to be lost to the timer: with all that a
        # busy machine took away last time, and as much again.
        cost_ns = max(cost_ns, 2 * growth * _spent(samples, last))
    if elapsed_ns + cost_ns > budget_ns or last * growth > _LONGEST:
        return None
    return last * growth


def _spent(samples: Iterable[facts.Sample], iterations: int) -> int:
    return sum(
        sample.guest_ns + sample.host_ns
        for sample in samples
        if sample.iterations == iterations
    )


def _sure(samples: Sequence[facts.Sample]) -> bool:
    """A longer loop would only show the same."""
    found, slope = classify(samples)
    if found is Pace.NATIVE and slope is not None:
        return slope.ratio <= SURELY_NATIVE_AT_MOST
    return found is Pace.EMULATED


def _growth(samples: Sequence[facts.Sample], slope: Slope) -> int:
    if slope.clear:
        slow = slope.ratio_at_least >= EMULATED_AT_LEAST
        return _GROWTH_WHEN_SLOW if slow else _GROWTH
    # Enough to come clear of the fixed cost, as far as the times show.
    fixed = min(sample.guest_ns for sample in samples)
    rise = slope.guest_ns * slope.iterations
    if rise <= 0:
        return _GROWTH_IN_THE_DARK
    return min(max(int(2 * fixed / rise), _GROWTH), _GROWTH_IN_THE_DARK)


def _best(samples: Iterable[facts.Sample]) -> list[facts.Sample]:
    """The quickest guest and the quickest host run of each length."""
    best: dict[int, facts.Sample] = {}
    for sample in samples:
        so_far = best.get(sample.iterations, sample)
        best[sample.iterations] = facts.Sample(
            sample.iterations,
            min(sample.guest_ns, so_far.guest_ns),
            min(sample.host_ns, so_far.host_ns),
        )
    return [best[iterations] for iterations in sorted(best)]


def _slope(short: facts.Sample, long: facts.Sample, fixed: int) -> Slope:
    more = long.iterations - short.iterations
    guest = long.guest_ns - short.guest_ns
    host = long.host_ns - short.host_ns
    return Slope(
        iterations=long.iterations,
        guest_ns=guest / more,
        # What is below the error of the clock is not to be divided by.
        host_ns=max(host, _HOST_ERROR_NS) / more,
        clear=guest >= max(fixed, 1),
    )
