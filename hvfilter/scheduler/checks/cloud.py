# SPDX-License-Identifier: Apache-2.0
"""Checks of Placement and of what the cloud's hosts reported to it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

import nova.conf
from oslo_config import cfg
from oslo_upgradecheck.upgradecheck import Code, Result

from hvfilter.model import catalogue
from hvfilter.placement import census, client, errors, fleet
from hvfilter.scheduler import nova_client, policies

CONF = nova.conf.CONF

_COMPUTE_NODE = 'COMPUTE_NODE'
_OWNER = 'OWNER_NOVA'
_MOST_NAMED = 5

SUCCESS = Result(Code.SUCCESS)


def _placement() -> client.PlacementClient:
    return client.PlacementClient(nova_client.NovaTransport())


def _needs_placement(
    check: Callable[[client.PlacementClient], Result],
) -> Callable[[], Result]:
    """What cannot be asked is a failure, with the remedy."""

    @functools.wraps(check)
    def run() -> Result:
        try:
            return check(_placement())
        except errors.PlacementError as error:
            return Result(Code.FAILURE, str(error))

    return run


@_needs_placement
def reachable(placement: client.PlacementClient) -> Result:
    """Placement answers, is new enough, and this user may read from it."""
    try:
        placement.uuids_with(catalogue.REPORTED_TRAIT)
    except errors.UnknownTrait:
        # The next check.
        pass
    return SUCCESS


@_needs_placement
def names(placement: client.PlacementClient) -> Result:
    """Every trait name of this release exists."""
    missing = fleet.name_changes(placement, None).missing
    if not missing:
        return SUCCESS
    return Result(
        Code.WARNING,
        f'Placement does not know {len(missing)} trait names of this release '
        f'({_first_names(sorted(missing))}): requests that require or forbid '
        'one find no host. Run "hvfilter prepare" once, with credentials that '
        'may write to Placement.',
    )


@_needs_placement
def hosts(placement: client.PlacementClient) -> Result:
    """Every compute node has reported, and not too long ago."""
    nodes = _uuids(placement, _COMPUTE_NODE)
    reported = _uuids(placement, catalogue.REPORTED_TRAIT)
    known = census.read(placement, census.this_week(), _max_age_weeks())
    name_of = {uuid: each.name for uuid, each in known.providers.items()}
    parts = []
    for uuids, problem in (
        (nodes - reported, 'never reported'),
        (
            known.expired.uuids & frozenset(name_of),
            f'reported last in {known.expired.weeks}',
        ),
    ):
        listed = sorted(name_of.get(uuid, uuid) for uuid in uuids)
        if listed:
            parts.append(
                f'{len(listed)} of {len(nodes)} compute nodes {problem}'
            )
            parts[-1] += f' ({_first_names(listed)})'
    if not parts:
        return SUCCESS
    return Result(
        Code.WARNING,
        f'{"; ".join(parts)}. What [hvfilter] unreported says applies to '
        'them. On each, look at "systemctl status hvfilter-publish.timer" '
        'and run "hvfilter publish".',
    )


@_needs_placement
def owner(placement: client.PlacementClient) -> Result:
    """Providers with our traits still carry Nova's own mark.

    Nova 34 requires it of every host (nova/scheduler/request_filter.py).
    """
    owned = _uuids(placement, _OWNER)
    if not owned:
        # Older computes do not set it, and their Nova does not ask for it.
        return SUCCESS
    lost = _uuids(placement, catalogue.REPORTED_TRAIT) - owned
    if not lost:
        return SUCCESS
    roots = {each.uuid: each.name for each in placement.root_providers()}
    listed = sorted(roots.get(uuid, uuid) for uuid in lost)
    return Result(
        Code.FAILURE,
        f'{len(listed)} resource providers with traits of hvfilter lack '
        f'{_OWNER} ({_first_names(listed)}): Nova 34 and later place no guest '
        'there. Restart nova-compute on these hosts, which sets it again, '
        'and find out what removed it.',
    )


def _uuids(placement: client.PlacementClient, trait: str) -> frozenset[str]:
    try:
        return placement.uuids_with(trait)
    except errors.UnknownTrait:
        return frozenset()


def _max_age_weeks() -> int:
    policies.register()
    try:
        return int(CONF.hvfilter.report_max_age_weeks)
    except (cfg.Error, ValueError):
        # Another check reports it.
        return 0


def _first_names(listed: Iterable[str]) -> str:
    shown = list(listed)
    more = ', ...' if len(shown) > _MOST_NAMED else ''
    return ', '.join(shown[:_MOST_NAMED]) + more
