# SPDX-License-Identifier: Apache-2.0
"""Who has what: for each trait the providers that carry it, remembered.

Placement tells the traits of one provider, or the providers of one trait,
but not the traits of many providers; so one question a trait is asked, and
the answers are kept for a while. Starts no thread: whoever finds the answers
older than the soft age asks anew. Up to twice that age others go on with what
is there; from then on they wait for whoever is asking.

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
raises :class:`~hvfilter.placement.errors.PlacementError`. May ask
:func:`hvfilter.placement.time_limit.left_s` how long it may take."""

MAX_CPU_SHARE = 0.05
"""Of a thread's time that goes into renewing: asked less often if need be."""

_WORTH_LOGGING = 1.25
_MANY_TRAITS = 3
"""So many traits to ask for are worth one question more, which of them
anybody has."""

_MIN_INTERVAL_S = 1.0
"""What is as cheap as this is done as often as it is wanted."""


@dataclasses.dataclass(frozen=True, eq=False)
class CachedTraits:
    """What was known of all providers at one time; never changes.

    :ivar epoch: rises whenever what was known before may be known otherwise
        now; a trait that was only added to it leaves it as it is
    :ivar uuids_by_trait: uuids of the providers with each trait; None when
        nothing recent enough is known
    :ivar stale: the last attempt to renew it failed
    :ivar fetched_s: when the oldest answer in it was asked for, by the clock
    :ivar expired: providers whose last report is too old to be believed:
        they are not among the holders of any trait
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


_NONE: frozenset[str] = frozenset()


def _deduplicated(
    uuids: frozenset[str],
    answers: Mapping[str, frozenset[str]],
    known: dict[str, str],
) -> frozenset[str]:
    """The same uuids, as few objects as can be.

    Many traits are carried by the same hosts: one set for all of them. And
    one string for a provider, however many traits it carries.

    :param known: uuids by themselves; grows
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
    """When to ask again, in seconds.

    :ivar soft_s: answers older than this are renewed by who next needs them
    :ivar hard_s: answers older than this are not used any more
    :ivar retry_s: Placement is left in peace so long after a failure; twice
        as long after each further one, up to ``soft_s``
    :ivar wait_s: nobody waits longer, neither for an answer nor for somebody
        else who is asking already
    """

    soft_s: float
    hard_s: float
    retry_s: float
    wait_s: float = 20.0


@dataclasses.dataclass
class _Attempt:
    """What was answered so far to who renews all.

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
    """The cache. Safe to use by many threads, or eventlet's green ones.

    Its memory is bounded by the catalogue: one set of uuids for each trait
    that was wanted within the hard age.
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
        """Nothing is asked before the first :meth:`get`.

        :param clock: monotonic, in seconds
        :param on_failure: gets why Placement could not be asked, once a
            failed attempt
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
        self._wanted_s: dict[str, float] = {}
        self._retry_at_s = clock()
        self._failed_in_a_row = 0
        self._refreshing_since_s: float | None = None
        self._unfinished: _Attempt | None = None
        self._stretched_s = 0.0
        self.cost_s = 0.0
        self.counters = Counters()

    def get(self, traits: Collection[str], times: CacheTimes) -> CachedTraits:
        """Who has these traits and the marker, as freshly as the times say.

        Waits for Placement only if what there is to go on with is older than
        twice the soft age. Never raises what Placement or the way to it does
        wrong: ``uuids_by_trait`` of the answer is None, or lacks traits, when
        they are not known.

        :param traits: names out of the catalogue; others are not asked for
        """
        wanted = catalogue.own(traits) | {catalogue.REPORTED_TRAIT}
        now_s = self._clock()
        with self._state_lock:
            self._wanted_s.update(dict.fromkeys(wanted, now_s))
            current = self._current
            if self._fresh(current, wanted, now_s, times):
                self.counters.hits += 1
                return current
        if self._backing_off(now_s):
            return self._unless_expired(now_s, times)
        wait_s = 0.0
        if not self._usable(current, wanted, now_s, times):
            wait_s = self._wait_s(now_s, times)
        if not self._refresh_lock.acquire(timeout=wait_s):
            if wait_s:
                self._wait_timed_out(wait_s, times)
            return self._unless_expired(self._clock(), times)
        try:
            self._refreshing_since_s = self._clock()
            with time_limit.within(times.wait_s, self._clock):
                return self._refresh(wanted, times)
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
        """Whether Placement is left in peace, since it failed just now."""
        return self._backing_off(self._clock())

    def _backing_off(self, now_s: float) -> bool:
        return now_s < self._retry_at_s

    def _wait_s(self, now_s: float, times: CacheTimes) -> float:
        """How long to wait for who is asking: not at all for who hangs."""
        left_s = time_limit.left_s()
        wait_s = times.wait_s if left_s is None else min(left_s, times.wait_s)
        since_s = self._refreshing_since_s
        if since_s is None:
            return wait_s
        return max(0.0, min(wait_s, since_s + times.wait_s - now_s))

    def _wait_timed_out(self, waited_s: float, times: CacheTimes) -> None:
        # Of all who waited for the same, one has it counted and logged; and
        # none who had not the whole time to wait.
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
        """What there is, however old; asks and changes nothing."""
        return self._current

    def _refresh(
        self, wanted: frozenset[str], times: CacheTimes
    ) -> CachedTraits:
        """Ask Placement, unless somebody else did while we waited."""
        now_s = self._clock()
        current = self._current
        if self._fresh(current, wanted, now_s, times):
            self.counters.hits += 1
            return current
        if self._backing_off(now_s):
            return self._unless_expired(now_s, times)
        uuids_by_trait = current.uuids_by_trait
        recent = now_s - current.fetched_s < self.every_s(times)
        if uuids_by_trait is not None and recent:
            missing = wanted - uuids_by_trait.keys()
            kept, epoch = uuids_by_trait, current.epoch
            attempt = _Attempt(current.fetched_s, {}, current.expired)
        else:
            missing = self._recently_wanted(now_s, times)
            kept, epoch = {}, current.epoch + 1
            attempt = self._attempt(now_s, times)
        failure: errors.PlacementError | None = None
        began_s = self._cpu_clock()
        try:
            expired = self._fetch_all(missing, attempt)
        except errors.PlacementError as error:
            failure = error
        # Not while it is handled: oslo.log would tell it a second time, at
        # the end of the line.
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
        """Where the last attempt ended, unless that was too long ago."""
        attempt = self._unfinished
        if attempt is None or now_s - attempt.fetched_s >= times.hard_s:
            attempt = self._unfinished = _Attempt(now_s, {})
        return attempt

    def _fetch_all(self, traits: Iterable[str], attempt: _Attempt) -> Expired:
        # Before all else: who reports while we ask counts as expired once
        # more, and not what it reported before as its new report.
        if attempt.expired is None:
            attempt.expired = self._fetch_expired()
        expired, answers = attempt.expired, attempt.answers
        # The marker first: a host that reports while we ask shows in the
        # later answers at most, so no host seems to lack what it reported.
        order = sorted(traits, key=_reported_first)
        known: dict[str, str] = {}
        self.counters.refreshes += 1
        for asked, trait in enumerate(order):
            if trait in answers:
                continue
            if asked and time_limit.left_s() == 0:
                raise errors.Unreachable(
                    f'Placement answered {asked} of {len(order)} questions '
                    'in the time that a request may wait',
                    'The others are asked later; see [hvfilter] wait_s.',
                )
            if asked and not self._carried(trait, len(order) - asked, attempt):
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

        Asked after the marker, for the same reason.
        """
        if attempt.carried is None:
            if self._fetch_carried is None or left < _MANY_TRAITS:
                return True
            self.counters.requests += 1
            attempt.carried = self._fetch_carried()
        return trait in attempt.carried

    def _adjust_interval(self, cost_s: float, times: CacheTimes) -> None:
        """See that renewing takes no larger share of a worker than it may."""
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
        """Leave Placement in peace for a while, after a failure.

        Also for those who asked it something else, and met it themselves.
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
        """What there is, unless it is too old to be of any use."""
        with self._state_lock:
            current = self._current
            if (
                current.uuids_by_trait is None
                or now_s - current.fetched_s < times.hard_s
            ):
                return current
            # Forgotten for good: nothing so old is kept in memory either.
            self._current = CachedTraits(
                current.epoch + 1, None, current.stale, current.fetched_s
            )
            return self._current

    def _recently_wanted(
        self, now_s: float, times: CacheTimes
    ) -> frozenset[str]:
        with self._state_lock:
            self._wanted_s = {
                trait: at_s
                for trait, at_s in self._wanted_s.items()
                if now_s - at_s <= times.hard_s
            }
            return frozenset(self._wanted_s)

    def _fresh(
        self,
        cached: CachedTraits,
        wanted: frozenset[str],
        now_s: float,
        times: CacheTimes,
    ) -> bool:
        uuids_by_trait = cached.uuids_by_trait
        return (
            uuids_by_trait is not None
            and not cached.stale
            and now_s - cached.fetched_s < self.every_s(times)
            and wanted <= uuids_by_trait.keys()
        )

    def _usable(
        self,
        cached: CachedTraits,
        wanted: frozenset[str],
        now_s: float,
        times: CacheTimes,
    ) -> bool:
        """Whether to go on with it while somebody else renews it."""
        uuids_by_trait = cached.uuids_by_trait
        return (
            uuids_by_trait is not None
            and now_s - cached.fetched_s
            < min(2 * self.every_s(times), times.hard_s)
            and wanted <= uuids_by_trait.keys()
        )
