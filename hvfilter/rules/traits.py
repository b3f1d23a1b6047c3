# SPDX-License-Identifier: Apache-2.0
"""From a report to the traits that a provider should carry."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from hvfilter.model import catalogue, dated, nested_evidence
from hvfilter.model.dated import Dated, Kind
from hvfilter.model.finding import HostReport, State
from hvfilter.model.nested_registers import is_trait as is_nested_set
from hvfilter.model.week import Week, is_stale

_NESTED = catalogue.BY_KEY['nested'].trait


@dataclasses.dataclass(frozen=True)
class DesiredTraits:
    """What a report says of our own trait names, and of no other name.

    :ivar present: to be there
    :ivar absent: to be gone, retired names included
    :ivar week: when the report was made; None: not known, nothing is dated
        and nothing expires
    :ivar max_age_weeks: how long a name that is in neither set may stay;
        0: for ever

    A name in neither is UNKNOWN: it stays as it is for ``max_age_weeks``
    after the week in which it became so, and is removed then. That week, and
    the week in which a name was removed, are kept beside it as traits of
    their own: :mod:`hvfilter.model.dated`.

    The trait of a capability that is UNKNOWN is in neither; its
    ``unknown_trait`` is in ``present`` then, and in ``absent`` otherwise.

    The name of the nested set that is present replaces any other. While
    ``nested`` itself is UNKNOWN the set stays and goes with its trait.
    """

    present: frozenset[str]
    absent: frozenset[str]
    week: Week | None = None
    max_age_weeks: int = 0

    def applied_to(self, traits: frozenset[str]) -> frozenset[str]:
        """The provider's whole trait set as it should become."""
        marks, before = _parted(traits)
        unwanted = self.absent | self._expired(before, marks)
        after = (before - unwanted) | self.present
        after -= self._other_sets(after)
        dates = [
            *self._reported(after, marks),
            *self._unknown(after, marks),
            *self._removed(before - after, after, marks),
        ]
        return after | frozenset(map(str, dates))

    def unverified(self, traits: frozenset[str]) -> frozenset[str]:
        """Names of ours in a set that stay there although they are UNKNOWN."""
        return (traits & catalogue.STATE_TRAITS) - self.present - self.absent

    def returning(self, traits: frozenset[str]) -> frozenset[str]:
        """Names that were removed before, and are in the set again.

        Something else adds them: a nova-compute that holds a provider.yaml,
        or an agent that takes this provider for its own.
        """
        marks, undated = _parted(traits)
        return (undated - self.present) & _subjects(marks, Kind.REMOVED)

    def _other_sets(self, after: frozenset[str]) -> frozenset[str]:
        """Names of nested sets that are not the provider's, or not now."""
        sets = frozenset(filter(is_nested_set, after))
        decided = _NESTED in self.present | self.absent
        if decided or _NESTED not in after:
            return sets - self.present
        return frozenset()

    def _expired(
        self, traits: frozenset[str], marks: frozenset[Dated]
    ) -> frozenset[str]:
        """UNKNOWN for longer than such a name may stay, or removed before."""
        now = self.week
        if now is None:
            return frozenset()
        return self.unverified(traits) & _subjects(
            (
                mark
                for mark in marks
                if mark.kind is Kind.REMOVED
                or (
                    mark.week < now
                    and is_stale(mark.week, now, self.max_age_weeks)
                )
            ),
            Kind.UNKNOWN,
            Kind.REMOVED,
        )

    def _reported(
        self, after: frozenset[str], marks: frozenset[Dated]
    ) -> Iterator[Dated]:
        """The one week of the last report."""
        marker = catalogue.REPORTED_TRAIT
        if marker not in after:
            return
        if self.week is not None and marker in self.present:
            yield Dated(marker, Kind.REPORTED, self.week)
            return
        weeks = [mark.week for mark in marks if mark.kind is Kind.REPORTED]
        if weeks:
            # Should there ever be more than one.
            yield Dated(marker, Kind.REPORTED, max(weeks))

    def _unknown(
        self, after: frozenset[str], marks: frozenset[Dated]
    ) -> Iterator[Dated]:
        """Since when each trait without verification has been unknown."""
        for trait in self.unverified(after):
            weeks = [
                mark.week
                for mark in marks
                if mark.kind is Kind.UNKNOWN and mark.subject == trait
            ]
            if self.week is not None and self.max_age_weeks:
                # A week ahead of today's comes from a clock that was wrong.
                weeks = [min([self.week, *weeks])]
            yield from (Dated(trait, Kind.UNKNOWN, week) for week in weeks)

    def _removed(
        self,
        gone: frozenset[str],
        after: frozenset[str],
        marks: frozenset[Dated],
    ) -> Iterator[Dated]:
        """What was removed this week: by then it has come back, or never."""
        if self.week is None:
            return
        for trait in gone & catalogue.STATE_TRAITS - catalogue.RETIRED_TRAITS:
            yield Dated(trait, Kind.REMOVED, self.week)
        for mark in marks:
            now = mark.kind is Kind.REMOVED and mark.week == self.week
            if now and mark.subject not in after:
                yield mark


def _parted(
    traits: frozenset[str],
) -> tuple[frozenset[Dated], frozenset[str]]:
    """Names of ours with a week, taken apart, and all others."""
    parsed = {name: dated.parse(name) for name in traits}
    return (
        frozenset(mark for mark in parsed.values() if mark is not None),
        frozenset(name for name, mark in parsed.items() if mark is None),
    )


def _subjects(marks: Iterable[Dated], *kinds: Kind) -> frozenset[str]:
    return frozenset(mark.subject for mark in marks if mark.kind in kinds)


def desired(
    report: HostReport, week: Week | None = None, max_age_weeks: int = 0
) -> DesiredTraits:
    """The traits that follow from a report.

    The marker says that a missing trait means "lacks it". While it is not
    known whether the host runs KVM guests, that would be a wrong no for every
    guest: then the marker too stays as it is, and so does the week of the
    last report that knew.

    :param week: when the host was looked at.
    :param max_age_weeks: for how long a trait that is UNKNOWN now may stay;
        0: for ever.
    """
    by_state: dict[State, set[str]] = {
        State.PRESENT: set(),
        State.ABSENT: set(),
    }
    for finding in report.findings:
        capability = catalogue.BY_KEY[finding.capability]
        unknown = finding.state is State.UNKNOWN
        if not unknown:
            by_state[finding.state].add(capability.trait)
        doubt = State.PRESENT if unknown else State.ABSENT
        by_state[doubt].add(capability.unknown_trait)
    if report['kvm'].state is not State.UNKNOWN:
        by_state[State.PRESENT].add(catalogue.REPORTED_TRAIT)
    if report['nested'].state is State.PRESENT:
        registers = nested_evidence.registers(report)
        if registers is not None and registers.trait:
            by_state[State.PRESENT].add(registers.trait)
    return DesiredTraits(
        frozenset(by_state[State.PRESENT]),
        frozenset(by_state[State.ABSENT] | catalogue.RETIRED_TRAITS),
        week,
        max_age_weeks,
    )


def withdrawn() -> DesiredTraits:
    """Nothing of ours is left behind."""
    return DesiredTraits(frozenset(), catalogue.OWN_TRAITS)


def capabilities(traits: frozenset[str]) -> frozenset[str]:
    """The capability keys that a provider's traits advertise."""
    return frozenset(
        catalogue.BY_TRAIT[trait].key
        for trait in traits & catalogue.BY_TRAIT.keys()
    )


def unknown(traits: frozenset[str]) -> frozenset[str]:
    """The capability keys that a provider's traits call unknown."""
    return frozenset(
        key
        for key, capability in catalogue.BY_KEY.items()
        if capability.unknown_trait in traits
    )
