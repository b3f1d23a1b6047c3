# SPDX-License-Identifier: Apache-2.0
"""A cache of the resource providers that have each trait.

Placement returns the traits of one provider, or the providers of one trait,
but not the traits of many providers; so there is one request for each trait,
and the answers are cached. No thread is started: a caller that finds the
answers older than the soft age refreshes them. Up to twice that age other
callers use the cached answers; from then on they wait for the refresh.

Placement may hang. Nobody waits longer than
:mod:`hvfilter.placement.time_limit` allows. A wait that times out counts as a
failure and is followed by the same back-off. Answers received before it are
kept, so each attempt gets further than the last.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping

from hvfilter.model import catalogue
from hvfilter.placement import errors, time_limit
from hvfilter.placement.expired import NONE as NONE_EXPIRED
from hvfilter.placement.expired import Expired

Fetch = Callable[[str], Iterable[str]]
"""Takes the name of a trait, returns the uuids of the providers carrying it;
raises :class:`~hvfilter.placement.errors.PlacementError`. Its time
limit is :func:`hvfilter.placement.time_limit.left_s`."""

MAX_CPU_SHARE = 0.05
"""Of a thread's time spent on refreshing; refreshed less often beyond it."""

_WORTH_LOGGING = 1.25
_MANY_TRAITS = 3
"""From this many traits on, one more request, which traits any provider has,
saves others."""

_MIN_INTERVAL_S = 1.0
"""A shorter interval is not stretched."""


@dataclasses.dataclass(frozen=True, eq=False)
class CachedTraits:
    """The traits of all providers at one time; never changes.

    :ivar epoch: rises with each refresh; not when a trait is only added
    :ivar uuids_by_trait: uuids of the providers with each trait; None when
        nothing recent enough is known
    :ivar stale: the last refresh failed
    :ivar fetched_s: when the oldest answer in it was asked for, by the clock
    :ivar expired: providers whose last report is too old: their traits do
        not count, and they are in no set of uuids_by_trait
    """

    epoch: int
    uuids_by_trait: Mapping[str, frozenset[str]] | None
    stale: bool
    fetched_s: float
    expired: Expired = NONE_EXPIRED

    @property
    def reported(self) -> frozenset[str]:
        """The providers that hvfilter published to."""
        return (self.uuids_by_trait or {}).get(catalogue.REPORTED_TRAIT, _NONE)

    def answers(self, traits: frozenset[str], after_s: float) -> bool:
        """Whether it holds all of these, fetched later than that."""
        return (
            self.uuids_by_trait is not None
            and self.fetched_s > after_s
            and traits <= self.uuids_by_trait.keys()
        )


_NONE: frozenset[str] = frozenset()


def _deduplicated(
    uuids: frozenset[str],
    answers: Mapping[str, frozenset[str]],
    known: dict[str, str],
) -> frozenset[str]:
    """The same uuids in as few objects as possible.

    Traits of the same hosts share one set, and all sets share one string for
    each provider.

    :param known: each uuid by itself; grows
    """
    for other in answers.values():
        if other == uuids:
            return other
    return frozenset(map(known.setdefault, uuids, uuids))


def _reported_first(trait: str) -> tuple[bool, str]:
    return trait != catalogue.REPORTED_TRAIT, trait


@dataclasses.dataclass
class Counters:
    """What the cache has done since it was made."""

    hits: int = 0
    refreshes: int = 0
    requests: int = 0
    failures: int = 0


@dataclasses.dataclass(frozen=True)
class CacheTimes:
    """When to refresh and how long to wait, in seconds.

    :ivar soft_s: older answers are refreshed by the next caller
    :ivar hard_s: older answers are not used
    :ivar retry_s: back-off after a failure; doubled with each further one, up
        to ``soft_s``
    :ivar wait_s: the longest wait for an answer or for another caller's
        refresh
    """

    soft_s: float
    hard_s: float
    retry_s: float
    wait_s: float = 20.0


@dataclasses.dataclass
class _Attempt:
    """The answers so far of a refresh of all traits.

    :ivar fetched_s: when it began
    :ivar answers: grows
    :ivar expired: None until it was asked for
    :ivar carried: names that any provider carries; None until asked for
    """

    fetched_s: float
    answers: dict[str, frozenset[str]]
    expired: Expired | None = None
    carried: frozenset[str] | None = None


class TraitCache:
    """The cache; safe to use by many threads, or eventlet's green ones.

    Its memory is bounded by the catalogue: one set of uuids for each trait
    that was requested within the hard age.
    """

    def __init__(
        self,
        fetch: Fetch,
        clock: Callable[[], float],
        on_failure: Callable[[errors.PlacementError], None],
        on_stretched: Callable[[float, float], None] = lambda cost, every: (
            None
        ),
        cpu_clock: Callable[[], float] = time.thread_time,
        fetch_expired: Callable[[], Expired] = Expired,
        fetch_carried: Callable[[], frozenset[str]] | None = None,
    ) -> None:
        """No request is sent before the first :meth:`get`.

        :param clock: monotonic, in seconds
        :param on_failure: gets the error of each failed refresh
        :param on_stretched: gets what a refresh costs and how often there will
            be one, in seconds, when the soft age is stretched
        :param cpu_clock: the processor time of the calling thread, in seconds
        :param fetch_expired: returns whose reports are too old; called once
            a refresh of everything, and raises what ``fetch`` does
        :param fetch_carried: returns which of our traits any provider
            carries, and raises what ``fetch`` does: called where that saves
            questions about traits that nobody has
        """
        self._fetch = fetch
        self._fetch_expired = fetch_expired
        self._fetch_carried = fetch_carried
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._on_failure = on_failure
        self._on_stretched = on_stretched
        self._state_lock = threading.Lock()
        self._refresh_lock = threading.Lock()
        self._current = CachedTraits(0, None, False, clock())
        self._requested_s: dict[str, float] = {}
        self._retry_at_s = clock()
        self._failed_in_a_row = 0
        self._refreshing_since_s: float | None = None
        self._unfinished: _Attempt | None = None
        self._stretched_s = 0.0
        self.cost_s = 0.0
        self.counters = Counters()

    def get(self, traits: Collection[str], times: CacheTimes) -> CachedTraits:
        """The providers with these traits and the marker.

        Waits for Placement only if the cached answers are older than twice
        the soft age. Never raises an error of Placement or the connection:
        ``uuids_by_trait`` of the answer is then None or lacks traits.

        :param traits: names from the catalogue; others are ignored
        """
        needed = catalogue.own(traits) | {catalogue.REPORTED_TRAIT}
        now_s = self._clock()
        with self._state_lock:
            self._requested_s.update(dict.fromkeys(needed, now_s))
            current = self._current
            if self._fresh(current, needed, now_s, times):
                self.counters.hits += 1
                return current
        if self._backing_off(now_s):
            return self._unless_expired(now_s, times)
        wait_s = 0.0
        if not self._usable(current, needed, now_s, times):
            wait_s = self._wait_s(now_s, times)
        if not self._refresh_lock.acquire(timeout=wait_s):
            if wait_s:
                self._wait_timed_out(wait_s, times)
            return self._unless_expired(self._clock(), times)
        try:
            self._refreshing_since_s = self._clock()
            with time_limit.within(times.wait_s, self._clock):
                return self._refresh(needed, times)
        finally:
            self._refreshing_since_s = None
            self._refresh_lock.release()

    def every_s(self, times: CacheTimes) -> float:
        """From which age on answers are renewed: the soft one, stretched.

        0 stays 0: who wants each request to ask knows what it costs.
        """
        if not times.soft_s:
            return 0.0
        return min(max(times.soft_s, self._stretched_s), times.hard_s)

    def backing_off(self) -> bool:
        """Whether no request is sent to Placement, as it has just failed."""
        return self._backing_off(self._clock())

    def _backing_off(self, now_s: float) -> bool:
        return now_s < self._retry_at_s

    def _wait_s(self, now_s: float, times: CacheTimes) -> float:
        """How long to wait for another caller's refresh; 0 if that hangs."""
        left_s = time_limit.left_s()
        wait_s = times.wait_s if left_s is None else min(left_s, times.wait_s)
        since_s = self._refreshing_since_s
        if since_s is None:
            return wait_s
        return max(0.0, min(wait_s, since_s + times.wait_s - now_s))

    def _wait_timed_out(self, waited_s: float, times: CacheTimes) -> None:
        # Counted and logged once for all that waited for the same refresh,
        # and only after the whole wait_s.
        with self._state_lock:
            now_s, since_s = self._clock(), self._refreshing_since_s
            hangs = since_s is not None and now_s - since_s >= times.wait_s
            if not hangs or self._backing_off(now_s):
                return
        self._failed(
            errors.Unreachable(
                f'Placement did not answer within {waited_s:.3g} seconds',
                'See its log and its load; how long to wait is [hvfilter] '
                'wait_s.',
            ),
            times,
        )

    def peek(self) -> CachedTraits:
        """The cached traits, however old; sends no request."""
        return self._current

    def _refresh(
        self, needed: frozenset[str], times: CacheTimes
    ) -> CachedTraits:
        """Refresh, unless another caller did meanwhile."""
        now_s = self._clock()
        current = self._current
        if self._fresh(current, needed, now_s, times):
            self.counters.hits += 1
            return current
        if self._backing_off(now_s):
            return self._unless_expired(now_s, times)
        uuids_by_trait = current.uuids_by_trait
        recent = now_s - current.fetched_s < self.every_s(times)
        if uuids_by_trait is not None and recent:
            missing = needed - uuids_by_trait.keys()
            kept, epoch = uuids_by_trait, current.epoch
            attempt = _Attempt(current.fetched_s, {}, current.expired)
        else:
            missing = self._recently_requested(now_s, times)
            kept, epoch = {}, current.epoch + 1
            attempt = self._attempt(now_s, times)
        failure: errors.PlacementError | None = None
        began_s = self._cpu_clock()
        try:
            expired = self._fetch_all(missing, attempt)
        except errors.PlacementError as error:
            failure = error
        # Not within "except": oslo.log would append the error to the line.
        if failure is not None:
            self._failed(failure, times)
            return self._unless_expired(self._clock(), times)
        with self._state_lock:
            self._failed_in_a_row = 0
            self._retry_at_s = self._clock()
            self._unfinished = None
            self._current = CachedTraits(
                epoch,
                {**kept, **attempt.answers},
                False,
                attempt.fetched_s,
                expired,
            )
            renewed = self._current
        if not kept:
            self._adjust_interval(self._cpu_clock() - began_s, times)
        return renewed

    def _attempt(self, now_s: float, times: CacheTimes) -> _Attempt:
        """The unfinished attempt, unless it is too old."""
        attempt = self._unfinished
        if attempt is None or now_s - attempt.fetched_s >= times.hard_s:
            attempt = self._unfinished = _Attempt(now_s, {})
        return attempt

    def _fetch_all(self, traits: Iterable[str], attempt: _Attempt) -> Expired:
        # First: a host that reports during the refresh counts as expired once
        # more; its old traits must not count as a new report.
        if attempt.expired is None:
            attempt.expired = self._fetch_expired()
        expired, answers = attempt.expired, attempt.answers
        # The marker first: a host that reports during the refresh is in the
        # later answers at most, so no reported capability seems missing.
        order = sorted(traits, key=_reported_first)
        known: dict[str, str] = {}
        self.counters.refreshes += 1
        for answered, trait in enumerate(order):
            if trait in answers:
                continue
            if answered and time_limit.left_s() == 0:
                raise errors.Unreachable(
                    f'Placement answered {answered} of {len(order)} questions '
                    'in the time that a request may wait',
                    'The others are asked later; see [hvfilter] wait_s.',
                )
            if answered and not self._carried(
                trait, len(order) - answered, attempt
            ):
                answers[trait] = _NONE
                continue
            self.counters.requests += 1
            try:
                uuids: Iterable[str] = self._fetch(trait)
            except errors.UnknownTrait:
                uuids = ()
            here = frozenset(uuids).difference(expired.uuids)
            answers[trait] = _deduplicated(here, answers, known)
        return expired

    def _carried(self, trait: str, left: int, attempt: _Attempt) -> bool:
        """Whether a provider may carry it.

        Requested after the marker, for the same reason.
        """
        if attempt.carried is None:
            if self._fetch_carried is None or left < _MANY_TRAITS:
                return True
            self.counters.requests += 1
            attempt.carried = self._fetch_carried()
        return trait in attempt.carried

    def _adjust_interval(self, cost_s: float, times: CacheTimes) -> None:
        """Stretch the interval to keep refreshing below MAX_CPU_SHARE."""
        before_s = self.every_s(times)
        self.cost_s = cost_s
        stretched_s = cost_s / MAX_CPU_SHARE
        self._stretched_s = (
            stretched_s if stretched_s > _MIN_INTERVAL_S else 0.0
        )
        now_s = self.every_s(times)
        if now_s > times.soft_s and not (
            before_s / _WORTH_LOGGING < now_s < before_s * _WORTH_LOGGING
        ):
            self._on_stretched(cost_s, now_s)

    def _failed(self, error: errors.PlacementError, times: CacheTimes) -> None:
        self.back_off(error, times)
        self._on_failure(error)

    def back_off(
        self, error: errors.PlacementError, times: CacheTimes
    ) -> None:
        """Send no request for a while, after a failure.

        Also for callers whose own requests to Placement failed.
        """
        with self._state_lock:
            pause_s = times.retry_s * 2**self._failed_in_a_row
            pause_s = min(pause_s, max(times.retry_s, times.soft_s))
            if isinstance(error, errors.Unavailable) and error.retry_after_s:
                pause_s = max(pause_s, min(error.retry_after_s, times.soft_s))
            self.counters.failures += 1
            self._failed_in_a_row = min(self._failed_in_a_row + 1, 30)
            self._retry_at_s = self._clock() + pause_s
            self._current = dataclasses.replace(self._current, stale=True)

    def _unless_expired(self, now_s: float, times: CacheTimes) -> CachedTraits:
        """The cached traits, unless older than the hard age."""
        with self._state_lock:
            current = self._current
            if (
                current.uuids_by_trait is None
                or now_s - current.fetched_s < times.hard_s
            ):
                return current
            # Dropped, so that it is not kept in memory either.
            self._current = CachedTraits(
                current.epoch + 1, None, current.stale, current.fetched_s
            )
            return self._current

    def _recently_requested(
        self, now_s: float, times: CacheTimes
    ) -> frozenset[str]:
        with self._state_lock:
            self._requested_s = {
                trait: at_s
                for trait, at_s in self._requested_s.items()
                if now_s - at_s <= times.hard_s
            }
            return frozenset(self._requested_s)

    def _fresh(
        self,
        cached: CachedTraits,
        needed: frozenset[str],
        now_s: float,
        times: CacheTimes,
    ) -> bool:
        every_s = self.every_s(times)
        return not cached.stale and cached.answers(needed, now_s - every_s)

    def _usable(
        self,
        cached: CachedTraits,
        needed: frozenset[str],
        now_s: float,
        times: CacheTimes,
    ) -> bool:
        """Whether it may be used while another caller refreshes it."""
        age_s = min(2 * self.every_s(times), times.hard_s)
        return cached.answers(needed, now_s - age_s)
