# SPDX-License-Identifier: Apache-2.0
"""The comparison of times that are taken in pairs."""

import math
import random

import testtools

from tests import paired


def times(
    pairs: int, cost: float, noise: float, seed: int
) -> tuple[list[float], list[float]]:
    """On a machine that is fast now and slow then."""
    dice = random.Random(seed)
    ours, theirs = [], []
    speed = 1.0
    for _ in range(pairs):
        speed = min(3.0, max(0.5, speed * dice.gauss(1, 0.2)))
        ours.append(speed * cost * dice.lognormvariate(0, noise))
        theirs.append(speed * dice.lognormvariate(0, noise))
    return ours, theirs


class RatioTest(testtools.TestCase):
    def test_same_times_are_the_same(self) -> None:
        found = paired.ratio([2.0] * 20, [2.0] * 20)
        self.assertEqual(paired.Ratio(1.0, 1.0, 1.0, 20), found)

    def test_few_pairs_tell_nothing(self) -> None:
        found = paired.ratio([1.0] * 5, [1.0] * 5)
        self.assertEqual((0.0, math.inf), (found.low, found.high))

    def test_interval_is_that_of_the_tables(self) -> None:
        # 20 pairs: the 6th smallest and the 6th largest; 50: the 18th.
        for pairs, rank in ((6, 1), (20, 6), (50, 18), (100, 40)):
            ours = [float(number) for number in range(1, pairs + 1)]
            found = paired.ratio(ours, [1.0] * pairs)
            self.assertEqual(rank, found.low, pairs)
            self.assertEqual(pairs + 1 - rank, found.high, pairs)

    def test_interval_holds_the_truth_nearly_always(self) -> None:
        held = 0
        for seed in range(400):
            found = paired.ratio(*times(60, 1.01, 0.03, seed))
            held += found.low <= 1.01 <= found.high
        self.assertGreaterEqual(held / 400, 0.93)

    def test_two_percent_are_told_from_nothing(self) -> None:
        dear = paired.ratio(*times(200, 1.02, 0.02, 1))
        self.assertGreater(dear.low, 1.0)
        self.assertLess(dear.unsure_by, 0.01)
        free = paired.ratio(*times(200, 1.0, 0.02, 2))
        self.assertLess(free.high, 1.02)
        self.assertLess(free.low, 1.0)
