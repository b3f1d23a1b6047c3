# SPDX-License-Identifier: Apache-2.0
"""The shortest time that something takes."""

from __future__ import annotations

import contextlib
import gc
import math
import time
from collections.abc import Callable, Iterator

Run = Callable[[], object]
LEAST_TURNS, TURNS_S = 5, 30.0
ON_END, ON_END_S = 5, 0.1


def timed_s(run: Run) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


@contextlib.contextmanager
def no_collections() -> Iterator[None]:
    """As timeit has it: Python's collector of garbage rests."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def best_s(
    run: Run, before: Run = bool, rounds: int = 40, least_s: float = 1.0
) -> float:
    """The shortest of several runs, in seconds of processor time."""
    taken: list[float] = []
    with no_collections():
        while len(taken) < 3 or (sum(taken) < least_s and len(taken) < rounds):
            before()
            taken.append(timed_s(run))
    return min(taken)


def best_of_turns_s(
    ways: dict[str, Run], before: Run | None = None
) -> dict[str, float]:
    """The shortest run of each, in seconds of processor time.

    All take turns, for a machine is slower now and faster then. In its turn
    each is run a few times on end; or once, after something else.
    """
    best = dict.fromkeys(ways, math.inf)
    began_s = time.monotonic()
    turns = 0
    with no_collections():
        while turns < LEAST_TURNS or time.monotonic() - began_s < TURNS_S:
            turns += 1
            for name, run in ways.items():
                spent_s, runs = 0.0, 0
                while not runs or (
                    before is None and runs < ON_END and spent_s < ON_END_S
                ):
                    if before is not None:
                        before()
                    taken_s = timed_s(run)
                    best[name] = min(best[name], taken_s)
                    spent_s += taken_s
                    runs += 1
    return best
