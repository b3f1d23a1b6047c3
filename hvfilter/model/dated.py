# SPDX-License-Identifier: Apache-2.0
"""Trait names that hold a week.

Placement keeps no time for a trait (its ``Last-Modified`` of a provider's
traits does not move when they change), so the time is a name itself:

* ``CUSTOM_HVFILTER_REPORTED_2026W48``: the last report was in that week;
* ``CUSTOM_HVFILTER_NESTED_UNKNOWN_2026W48``: ``CUSTOM_HVFILTER_NESTED`` is
  on the provider because it once was PRESENT; since that week it is UNKNOWN;
* ``CUSTOM_HVFILTER_NESTED_REMOVED_2026W48``: ``CUSTOM_HVFILTER_NESTED`` was
  taken off in that week. If it is there again, something else adds it.
"""

from __future__ import annotations

import dataclasses
import enum

from hvfilter.model import catalogue
from hvfilter.model.week import Week

REPORTED_PREFIX = f'{catalogue.REPORTED_TRAIT}_2'
"""What every name of a report's week begins with, for a search; names of
others may begin so too."""


class Kind(enum.Enum):
    """What happened in the week."""

    REPORTED = ''
    UNKNOWN = '_UNKNOWN'
    REMOVED = '_REMOVED'


@dataclasses.dataclass(frozen=True)
class Dated:
    """A trait name with a week, taken apart.

    :ivar subject: the trait that it is about; the marker for REPORTED
    :ivar kind: what happened to it
    :ivar week: when
    """

    subject: str
    kind: Kind
    week: Week

    def __str__(self) -> str:
        return f'{self.subject}{self.kind.value}_{self.week}'


def reported_in(week: Week) -> str:
    """The trait that says: the last report was in this week."""
    return str(Dated(catalogue.REPORTED_TRAIT, Kind.REPORTED, week))


def parse(name: str) -> Dated | None:
    """Take a name apart, None if it is none of hvfilter's with a week."""
    if name in catalogue.OWN_TRAITS or not catalogue.is_own(name):
        return None
    subject, _, text = name.rpartition('_')
    week = Week.parse(text)
    if week is None:
        return None
    for kind in (Kind.UNKNOWN, Kind.REMOVED):
        if subject.endswith(kind.value):
            return Dated(subject.removesuffix(kind.value), kind, week)
    return Dated(subject, Kind.REPORTED, week)
