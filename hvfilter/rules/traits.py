# SPDX-License-Identifier: Apache-2.0
"""From a report to the traits that a provider should carry."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from hvfilter.model import catalogue, dated
from hvfilter.model.finding import HostReport, State
from hvfilter.model.week import Week, is_stale


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a report says of our own trait names, and of no other name.

    :ivar present: to be there
    :ivar absent: to be gone, retired names included
    :ivar week: when the report was made; None: not known, nothing is dated
        and nothing expires
    :ivar max_age_weeks: how long a name that is in neither set may stay;
        0: for ever

    A name in neither is UNKNOWN: it stays as it is for ``max_age_weeks``
    after the week in which it became so, and is removed then. That week is
    kept beside it, as a trait of its own: :mod:`hvfilter.model.dated`.
    """

    present: frozenset[str]
    absent: frozenset[str]
    week: Week | None = None
    max_age_weeks: int = 0

    def applied_to(self, traits: frozenset[str]) -> frozenset[str]:
        """The provider's whole trait set as it should become."""
        parsed = {name: dated.parse(name) for name in traits}
        marks = [mark for mark in parsed.values() if mark is not None]
        undated = {name for name, mark in parsed.items() if mark is None}
        result = frozenset(undated - self.absent) | self.present
        result -= self._expired(result, marks)
        return result | frozenset(self._dates(result, marks))

    def unverified(self, traits: frozenset[str]) -> frozenset[str]:
        """Names of ours in a set that stay there although they are UNKNOWN."""
        return (traits & catalogue.OWN_TRAITS) - self.present - self.absent

    def undated(self) -> Wanted:
        """The same for a place that cannot forget: no week is written."""
        return dataclasses.replace(self, week=None)

    def _expired(
        self, traits: frozenset[str], marks: list[dated.Dated]
    ) -> frozenset[str]:
        """UNKNOWN for longer than such a name may stay."""
        now = self.week
        if now is None:
            return frozenset()
        return self.unverified(traits) & {
            mark.subject
            for mark in marks
            if mark.unknown
            and mark.week < now
            and is_stale(mark.week, now, self.max_age_weeks)
        }

    def _dates(
        self, traits: frozenset[str], marks: list[dated.Dated]
    ) -> Iterator[str]:
        """All the names with a week that belong beside these traits."""
        now = self.week
        if catalogue.REPORTED_TRAIT in traits:
            weeks = [mark.week for mark in marks if not mark.unknown]
            if now and catalogue.REPORTED_TRAIT in self.present:
                weeks = [now]
            # One is enough, should there ever be more.
            yield from map(dated.reported_in, weeks and [max(weeks)])
        for trait in self.unverified(traits):
            weeks = [
                mark.week
                for mark in marks
                if mark.unknown and mark.subject == trait
            ]
            if now and self.max_age_weeks:
                # A week ahead of today's comes from a clock that was wrong.
                weeks = [min([now, *weeks])]
            yield from (dated.unknown_since(trait, week) for week in weeks)


def wanted(
    report: HostReport, week: Week | None = None, max_age_weeks: int = 0
) -> Wanted:
    """The traits that follow from a report.

    The marker says that a missing trait means "lacks it". While it is not
    known whether the host runs KVM guests, that would be a wrong no for every
    guest: then the marker too stays as it is, and so does the week of the
    last report that knew.

    :param week: when the host was looked at.
    :param max_age_weeks: for how long a trait that is UNKNOWN now may stay;
        0: for ever.
    """
    by_state: dict[State, set[str]] = {state: set() for state in State}
    for finding in report.findings:
        trait = catalogue.BY_KEY[finding.capability].trait
        by_state[finding.state].add(trait)
    if report['kvm'].state is not State.UNKNOWN:
        by_state[State.PRESENT].add(catalogue.REPORTED_TRAIT)
    return Wanted(
        frozenset(by_state[State.PRESENT]),
        frozenset(by_state[State.ABSENT] | catalogue.RETIRED_TRAITS),
        week,
        max_age_weeks,
    )


def withdrawn() -> Wanted:
    """Nothing of ours is left behind."""
    return Wanted(frozenset(), catalogue.OWN_TRAITS)


def capabilities(traits: frozenset[str]) -> frozenset[str]:
    """The capability keys that a provider's traits advertise."""
    return frozenset(
        catalogue.BY_TRAIT[trait].key
        for trait in traits & catalogue.BY_TRAIT.keys()
    )
