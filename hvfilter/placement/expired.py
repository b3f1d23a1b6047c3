# SPDX-License-Identifier: Apache-2.0
"""The providers whose last report is too old.

The week of the last report is a trait, and nearly all providers have that of
the current week. So: one request for the names in use, and one for the
providers with an old one, if there is any.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from hvfilter.model import dated
from hvfilter.model.week import Week, is_stale
from hvfilter.placement import client, errors

_NAMES_AT_ONCE = 50
"""In one request: about 1,800 characters of its URL. Clouds have far fewer
weeks in use at once."""


@dataclasses.dataclass(frozen=True)
class Expired:
    """Providers whose last report is too old.

    :ivar uuids: theirs
    :ivar weeks: of these reports, as text
    """

    uuids: frozenset[str] = frozenset()
    weeks: str = ''


NONE = Expired()


def split_stale(
    names: Iterable[str], now: Week, max_age_weeks: int
) -> tuple[list[dated.Dated], list[dated.Dated]]:
    """The stale names of weeks and the fresh ones, the latest first. Pure."""
    marks = [
        mark
        for name in names
        if (mark := dated.parse(name)) is not None
        and mark.kind is dated.Kind.REPORTED
    ]
    marks.sort(key=lambda mark: mark.week, reverse=True)
    stale = [mark for mark in marks if is_stale(mark.week, now, max_age_weeks)]
    return stale, [mark for mark in marks if mark not in stale]


def reports(
    placement: client.PlacementClient, now: Week | None, max_age_weeks: int
) -> Expired:
    """The providers whose last report is more than so many weeks away.

    A provider without a week never expires: nova-compute alone published to
    it, from a provider.yaml.

    :param now: this week; None: not known, and nothing is stale.
    :param max_age_weeks: 0: nothing ever is.
    :raises errors.PlacementError: a request failed.
    """
    if now is None or not max_age_weeks:
        return NONE
    try:
        return _read(placement, now, max_age_weeks)
    except errors.UnknownTrait:
        # "hvfilter prepare" deleted one just now.
        return _read(placement, now, max_age_weeks)


def _read(
    placement: client.PlacementClient, now: Week, max_age_weeks: int
) -> Expired:
    names = placement.traits_known(dated.REPORTED_PREFIX, carried=True)
    stale, fresh = split_stale(names, now, max_age_weeks)
    try:
        uuids = _with_any(placement, stale, fresh)
    except errors.TooOld:
        uuids = _with_each(placement, stale) - _with_each(placement, fresh)
    return Expired(uuids, _weeks(stale, now))


def _with_any(
    placement: client.PlacementClient,
    stale: list[dated.Dated],
    fresh: list[dated.Dated],
) -> frozenset[str]:
    uuids: set[str] = set()
    for start in range(0, len(stale), _NAMES_AT_ONCE):
        uuids |= placement.uuids_with_any(
            map(str, stale[start : start + _NAMES_AT_ONCE]),
            # If a provider has two weeks, the later one counts.
            without=map(str, fresh),
        )
    return frozenset(uuids)


def _with_each(
    placement: client.PlacementClient, marks: list[dated.Dated]
) -> frozenset[str]:
    """For a Placement before Yoga: one request a week."""
    uuids: set[str] = set()
    for mark in marks:
        uuids |= placement.uuids_with(str(mark))
    return frozenset(uuids)


def _weeks(stale: list[dated.Dated], now: Week) -> str:
    """The weeks as text; which provider has which is not requested."""
    if len(stale) < 2:
        return ''.join(str(mark.week) for mark in stale)
    first, last = stale[-1].week, stale[0].week
    if last < now:
        return f'{last} or earlier'
    if first > now:
        return f'{first} or later'
    # Some clock is wrong.
    return f'{first} to {last}, not the last weeks'
