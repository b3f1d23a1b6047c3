# SPDX-License-Identifier: Apache-2.0
"""Who has what: for each trait the providers that carry it, remembered.

Placement tells the traits of one provider, or the providers of one trait,
but not the traits of many providers; so one question a trait is asked, and
the answers are kept for a while. Starts no thread: whoever finds the answers
older than the soft age asks anew, while others go on with what is there.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Collection, Iterable, Mapping

from hvfilter.model import catalogue
from hvfilter.placement import errors

Fetch = Callable[[str], Iterable[str]]
"""Takes the name of a trait, returns the uuids of the providers carrying it;
raises :class:`~hvfilter.placement.errors.PlacementError`."""


@dataclasses.dataclass(frozen=True, eq=False)
class Snapshot:
    """What was known of all providers at one time; never changes.

    :ivar epoch: rises whenever what was known before may be known otherwise
        now; a trait that was only added to it leaves it as it is
    :ivar holders: trait to the uuids of the providers that carry it; None
        when nothing recent enough is known
    :ivar stale: the last attempt to renew it failed
    :ivar born_s: when the oldest answer in it was asked for, by the clock
    """

    epoch: int
    holders: Mapping[str, frozenset[str]] | None
    stale: bool
    born_s: float

    @property
    def reported(self) -> frozenset[str]:
        """The providers that hvfilter published to."""
        return (self.holders or {}).get(catalogue.REPORTED_TRAIT, _NOBODY)


_NOBODY: frozenset[str] = frozenset()


def _marker_first(trait: str) -> tuple[bool, str]:
    return trait != catalogue.REPORTED_TRAIT, trait


@dataclasses.dataclass
class Counters:
    """What the cache has done since it was made."""

    hits: int = 0
    refreshes: int = 0
    requests: int = 0
    failures: int = 0


@dataclasses.dataclass(frozen=True)
class Ages:
    """When to ask again, in seconds.

    :ivar soft_s: answers older than this are renewed by who next needs them
    :ivar hard_s: answers older than this are not used any more
    :ivar retry_s: Placement is left in peace so long after a failure
    :ivar wait_s: who has nothing to go on with waits so long for somebody
        else who is asking already
    """

    soft_s: float
    hard_s: float
    retry_s: float
    wait_s: float = 30.0


class Holders:
    """The cache. Safe to use by many threads, or eventlet's green ones.

    Its memory is bounded by the catalogue: one set of uuids for each trait
    that was wanted within the hard age.
    """

    def __init__(
        self,
        fetch: Fetch,
        clock: Callable[[], float],
        on_failure: Callable[[errors.PlacementError], None],
    ) -> None:
        """Nothing is asked before the first :meth:`snapshot`.

        :param clock: monotonic, in seconds
        :param on_failure: is told why Placement could not be asked, once a
            failed attempt
        """
        self._fetch = fetch
        self._clock = clock
        self._on_failure = on_failure
        self._state = threading.Lock()
        self._turn = threading.Lock()
        self._current = Snapshot(0, None, False, clock())
        self._wanted_s: dict[str, float] = {}
        self._retry_at_s = clock()
        self.counters = Counters()

    def snapshot(self, traits: Collection[str], ages: Ages) -> Snapshot:
        """Who has these traits and the marker, as freshly as the ages say.

        Waits for Placement only if there is nothing to go on with. Never
        raises what Placement or the way to it does wrong: ``holders`` of the
        answer is None, or has not all the traits, when they are not known.

        :param traits: names out of the catalogue; others are not asked for
        """
        wanted = catalogue.OWN_TRAITS.intersection(traits)
        wanted |= {catalogue.REPORTED_TRAIT}
        now_s = self._clock()
        with self._state:
            self._wanted_s.update(dict.fromkeys(wanted, now_s))
            current = self._current
            if self._fresh(current, wanted, now_s, ages):
                self.counters.hits += 1
                return current
        if now_s < self._retry_at_s:
            return self._aged(now_s, ages)
        usable = self._usable(current, wanted, now_s, ages)
        if not self._turn.acquire(timeout=0 if usable else ages.wait_s):
            return self._aged(self._clock(), ages)
        try:
            return self._renewed(wanted, ages)
        finally:
            self._turn.release()

    def peek(self) -> Snapshot:
        """What there is, however old; asks and changes nothing."""
        return self._current

    def _renewed(self, wanted: frozenset[str], ages: Ages) -> Snapshot:
        """Ask Placement, unless somebody else did while we waited."""
        now_s = self._clock()
        current = self._current
        if self._fresh(current, wanted, now_s, ages):
            self.counters.hits += 1
            return current
        if now_s < self._retry_at_s:
            return self._aged(now_s, ages)
        holders = current.holders
        if holders is not None and now_s - current.born_s < ages.soft_s:
            kept, epoch, born_s = holders, current.epoch, current.born_s
            missing = wanted - holders.keys()
        else:
            kept, epoch, born_s = {}, current.epoch + 1, now_s
            missing = self._recently_wanted(now_s, ages)
        failure: errors.PlacementError | None = None
        try:
            fetched = self._ask(missing)
        except errors.PlacementError as error:
            failure = error
        # Not while it is handled: oslo.log would tell it a second time, at
        # the end of the line.
        if failure is not None:
            self._failed(failure, ages)
            return self._aged(self._clock(), ages)
        with self._state:
            self._current = Snapshot(epoch, {**kept, **fetched}, False, born_s)
            return self._current

    def _ask(self, traits: Iterable[str]) -> dict[str, frozenset[str]]:
        # The marker first: a host that reports while we ask shows in the
        # later answers at most, so no host seems to lack what it reported.
        order = sorted(traits, key=_marker_first)
        known: dict[str, str] = {}
        answers: dict[str, frozenset[str]] = {}
        self.counters.refreshes += 1
        for trait in order:
            self.counters.requests += 1
            try:
                uuids = self._fetch(trait)
            except errors.UnknownTrait:
                uuids = ()
            # One string for a provider, however many traits it carries.
            answers[trait] = frozenset(
                known.setdefault(uuid, uuid) for uuid in uuids
            )
        return answers

    def _failed(self, error: errors.PlacementError, ages: Ages) -> None:
        pause_s = ages.retry_s
        if isinstance(error, errors.Unavailable) and error.retry_after_s:
            pause_s = max(pause_s, min(error.retry_after_s, ages.soft_s))
        with self._state:
            self.counters.failures += 1
            self._retry_at_s = self._clock() + pause_s
            self._current = dataclasses.replace(self._current, stale=True)
        self._on_failure(error)

    def _aged(self, now_s: float, ages: Ages) -> Snapshot:
        """What there is, unless it is too old to be of any use."""
        with self._state:
            current = self._current
            if current.holders is None or now_s - current.born_s < ages.hard_s:
                return current
            # Forgotten for good: nothing so old is kept in memory either.
            self._current = Snapshot(
                current.epoch + 1, None, current.stale, current.born_s
            )
            return self._current

    def _recently_wanted(self, now_s: float, ages: Ages) -> frozenset[str]:
        with self._state:
            self._wanted_s = {
                trait: at_s
                for trait, at_s in self._wanted_s.items()
                if now_s - at_s <= ages.hard_s
            }
            return frozenset(self._wanted_s)

    @staticmethod
    def _fresh(
        snapshot: Snapshot, wanted: frozenset[str], now_s: float, ages: Ages
    ) -> bool:
        holders = snapshot.holders
        return (
            holders is not None
            and not snapshot.stale
            and now_s - snapshot.born_s < ages.soft_s
            and wanted <= holders.keys()
        )

    @staticmethod
    def _usable(
        snapshot: Snapshot, wanted: frozenset[str], now_s: float, ages: Ages
    ) -> bool:
        holders = snapshot.holders
        return (
            holders is not None
            and now_s - snapshot.born_s < ages.hard_s
            and wanted <= holders.keys()
        )
