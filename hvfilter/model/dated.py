# SPDX-License-Identifier: Apache-2.0
"""Trait names that hold a week.

Placement keeps no time for a trait (its ``Last-Modified`` of a provider's
traits does not move when they change), so the time is a name itself:

* ``CUSTOM_HVFILTER_REPORTED_2026W48``: the last report was in that week;
* ``CUSTOM_HVFILTER_NESTED_UNKNOWN_2026W48``: ``CUSTOM_HVFILTER_NESTED`` is
  on the provider because it once was PRESENT; since that week it is UNKNOWN.
"""

from __future__ import annotations

import dataclasses

from hvfilter.model import catalogue
from hvfilter.model.week import Week

REPORTED_PREFIX = f'{catalogue.REPORTED_TRAIT}_2'
"""What every name of a report's week begins with, for a search; names of
others may begin so too."""


@dataclasses.dataclass(frozen=True)
class Dated:
    """A trait name with a week, taken apart.

    :ivar subject: the trait that it is about
    :ivar unknown: whether it holds since when the subject has been UNKNOWN,
        and not when it was last reported
    """

    subject: str
    unknown: bool
    week: Week


def reported_in(week: Week) -> str:
    """The trait that says: the last report was in this week."""
    return f'{catalogue.REPORTED_TRAIT}_{week}'


def unknown_since(trait: str, week: Week) -> str:
    """The trait that says: that one has been UNKNOWN since this week."""
    return f'{trait}{catalogue.SINCE}{week}'


def parse(name: str) -> Dated | None:
    """Take a name apart, None if it is none of hvfilter's with a week."""
    if name in catalogue.OWN_TRAITS or not catalogue.is_own(name):
        return None
    subject, _, text = name.rpartition('_')
    week = Week.parse(text)
    if week is None:
        return None
    trait = subject.removesuffix(catalogue.SINCE.rstrip('_'))
    return Dated(trait, trait != subject, week)
