# SPDX-License-Identifier: Apache-2.0
"""The prefilter: Placement itself leaves out hosts that do not fit.

It joins Nova's list of request filters, which Nova runs on each request spec
before it asks Placement for allocation candidates. Nova has no configuration
for that list, so the list is checked before it is changed.

Source: ``nova/scheduler/request_filter.py``.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from typing import Any

import nova.conf
import os_traits
from nova import context as nova_context
from nova import objects
from nova.scheduler import request_filter
from oslo_log import log as logging

from hvfilter.model import catalogue
from hvfilter.model.policy import Policy
from hvfilter.placement import client, errors, time_limit
from hvfilter.rules import placement_query, requests
from hvfilter.scheduler import nova_client, policies, request, worker_state

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

_LIST = 'ALL_REQUEST_FILTERS'
_LANDMARK = 'compute_status_filter'
"""A request filter that every supported Nova has in its list."""


@dataclasses.dataclass(frozen=True)
class CloudState:
    """What, besides the request and the configuration, decides the query.

    :ivar known: the names of ours that Placement knows
    :ivar reports: how far the reports of all hosts go
    :ivar policies: the configured one, and as each aggregate changes it
    """

    known: frozenset[str]
    reports: placement_query.Reports
    policies: tuple[Policy, ...]


def read_cloud_state(base: Policy, warn: Callable[[str], None]) -> CloudState:
    """Three or four requests to Placement, one to the database.

    Whose report is too old is in the filter's cache, which is renewed first
    if it has to be.

    :raises hvfilter.placement.errors.PlacementError: Placement is of no help
    """
    known = nova_client.known_traits()
    aggregates = objects.AggregateList.get_all(
        nova_context.get_admin_context()
    )
    changed = (
        policies.for_host([aggregate], base, warn) for aggregate in aggregates
    )
    there = worker_state.current().trait_cache.get(
        {nova_client.REPORTED}, policies.times()
    )
    stale = there.uuids_by_trait is None or bool(there.expired.uuids)
    return CloudState(
        known,
        placement_query.Reports(
            nova_client.REPORTED in known
            and not stale
            and not _any_unreported(),
            _reported_unknown(known),
            stale,
        ),
        tuple(dict.fromkeys([base, *changed])),
    )


def _reported_unknown(known: frozenset[str]) -> frozenset[str]:
    """The capabilities that some host reported as unknown."""
    doubts = {
        capability.unknown_trait: key
        for key, capability in catalogue.BY_KEY.items()
    }
    if not known & doubts.keys():
        return frozenset()
    carried = nova_client.carried_traits()
    return frozenset(doubts[trait] for trait in carried & doubts.keys())


def _any_unreported() -> bool:
    placement = client.PlacementClient(nova_client.NovaTransport())
    try:
        return bool(
            placement.providers_with(
                required=[os_traits.COMPUTE_NODE],
                forbidden=[nova_client.REPORTED],
            )
        )
    except errors.UnknownTrait:
        return True


class Prefilter:
    """A request filter; safe to use by many threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._warn = policies.warn_once
        self._seen: tuple[Policy, CloudState, float] | None = None

    def apply(self, spec: Any) -> bool:
        """Add traits to the query that is made of a request spec.

        Does nothing while the state of the cloud is not known, since the
        filter judges anyway; nor for a forced host, which no filter judges.

        :returns: whether any was added
        """
        if request.forced(spec):
            return False
        base = policies.configured()
        guest_request = request.from_spec(spec)
        cloud = self._cloud_state(base)
        if cloud is None:
            return False
        query = combined(guest_request, cloud)
        if query.required:
            spec.root_required.update(query.required)
        if query.forbidden:
            spec.root_forbidden.update(query.forbidden)
        if not (query.required or query.forbidden):
            return False
        LOG.debug(
            'Server %s: added to the Placement query: required %s, forbidden '
            '%s',
            request.server_uuid(spec),
            sorted(query.required),
            sorted(query.forbidden),
        )
        return True

    def _cloud_state(self, base: Policy) -> CloudState | None:
        times = policies.times()
        seen, now_s = self._seen, self._clock()
        usable = None
        if seen is not None and seen[0] == base:
            age_s = now_s - seen[2]
            if age_s < times.soft_s:
                return seen[1]
            usable = seen[1] if age_s < times.hard_s else None
        trait_cache = worker_state.current().trait_cache
        # No wait for another caller, nor right after a failure.
        if trait_cache.backing_off() or not self._lock.acquire(blocking=False):
            return usable
        failure = None
        try:
            with time_limit.within(times.wait_s, self._clock):
                state = read_cloud_state(base, self._warn)
        except errors.PlacementError as error:
            failure = error
            trait_cache.back_off(error, times)
        else:
            self._seen = base, state, now_s
            return state
        finally:
            self._lock.release()
        # Not within "except": oslo.log would append the error to the line.
        LOG.warning(
            'Prefilter skipped, no traits were added to the Placement query: '
            '%s',
            failure,
        )
        return usable


def combined(
    guest_request: requests.GuestRequest, cloud: CloudState
) -> placement_query.Query:
    """The traits that are right under each of the policies."""
    query = placement_query.query(guest_request, cloud.policies, cloud.reports)
    return query.known(cloud.known)


def hvfilter_traits(context: Any, request_spec: Any) -> bool:
    """The request filter itself, as Nova calls it; raises nothing."""
    try:
        return _prefilter.apply(request_spec)
    except Exception:
        LOG.exception(
            'Prefilter failed, no traits were added to the Placement query; '
            'HardwareVirtFilter judges all hosts. This is a bug in hvfilter: '
            'report it with the traceback below.'
        )
        return False


_prefilter = Prefilter(time.monotonic)


def install() -> None:
    """Join Nova's list if ``[hvfilter] prefilter`` is on, else leave it.

    Where the list is not what it is known to be, one warning is all that
    happens.
    """
    global _prefilter
    listed = _recognised(getattr(request_filter, _LIST, None))
    enabled = CONF.hvfilter.prefilter
    if listed is None:
        if enabled:
            LOG.warning(
                'The prefilter is off: this Nova has no list of request '
                'filters that hvfilter recognises (nova.scheduler.'
                'request_filter.%s). HardwareVirtFilter judges all the same; '
                'put required traits into flavors where hosts are more than '
                '[scheduler]max_placement_results.',
                _LIST,
            )
        return
    _prefilter = Prefilter(time.monotonic)
    if hvfilter_traits in listed:
        listed.remove(hvfilter_traits)
    if enabled:
        listed.append(hvfilter_traits)


def _recognised(listed: Any) -> list[Any] | None:
    """Nova's list itself, if it is one and has what it always had."""
    if not isinstance(listed, list) or not all(map(callable, listed)):
        return None
    names = {getattr(each, '__name__', '') for each in listed}
    return listed if _LANDMARK in names else None
