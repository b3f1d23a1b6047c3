# SPDX-License-Identifier: Apache-2.0
"""A time limit for all waiting of one piece of work.

One scheduling request may need several requests to Placement. The limit is for
all of them together: it is set where the work begins and read where it waits,
in the same thread or green thread.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator

Clock = Callable[[], float]
"""Monotonic, in seconds."""

_limit: contextvars.ContextVar[tuple[float, Clock] | None]
_limit = contextvars.ContextVar('hvfilter_time_limit', default=None)


@contextlib.contextmanager
def within(seconds: float, clock: Clock) -> Iterator[None]:
    """Limit all waits within; an outer limit that ends sooner applies."""
    left = left_s()
    if left is not None:
        seconds = min(seconds, left)
    token = _limit.set((clock() + seconds, clock))
    try:
        yield
    finally:
        _limit.reset(token)


def left_s() -> float | None:
    """How many seconds are left, 0 or more; None without a limit."""
    limit = _limit.get()
    if limit is None:
        return None
    until_s, clock = limit
    return max(0.0, until_s - clock())
