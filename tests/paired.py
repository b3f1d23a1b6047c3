# SPDX-License-Identifier: Apache-2.0
"""Telling a small difference from the noise of a busy machine.

Two things are timed in turn, again and again, and each is compared with its
neighbour in time only: what slows the machine down for a while slows down
both. Of the ratios the median counts, with an interval that assumes nothing
of how they are spread.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence

CONFIDENCE = 0.95


@dataclasses.dataclass(frozen=True)
class Ratio:
    """The median of the ratios of pairs.

    :ivar low: with :data:`CONFIDENCE` the median of all such ratios is not
        below this
    :ivar high: likewise, not above this
    """

    median: float
    low: float
    high: float
    pairs: int

    def __str__(self) -> str:
        return (
            f'{self.median:.4f} ({CONFIDENCE:.0%} between {self.low:.4f} and '
            f'{self.high:.4f}, {self.pairs} pairs)'
        )

    @property
    def unsure_by(self) -> float:
        """How far off the median may be."""
        return max(self.high - self.median, self.median - self.low)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """Of times taken in pairs, ours divided by theirs.

    The interval is that of order statistics: the median lies between the
    k-th smallest and the k-th largest unless fewer than k of the pairs came
    out on one side of it, as likely as so few heads of so many coins.
    """
    found = sorted(a / b for a, b in zip(ours, theirs, strict=True))
    count = len(found)
    outside = 0.0
    left_out = 0
    while True:
        # Both sides of the interval together.
        outside += 2 * math.comb(count, left_out) / 2**count
        if outside > 1 - CONFIDENCE:
            break
        left_out += 1
    if left_out:
        low, high = found[left_out - 1], found[-left_out]
    else:
        # So few pairs tell nothing for sure.
        low, high = 0.0, math.inf
    return Ratio(statistics.median(found), low, high, count)
