# SPDX-License-Identifier: Apache-2.0
"""Tracks each request from start to end, for its one line in the log.

Nova calls no filter when Placement returned no candidates, or when an earlier
filter rejected all; without this the reasons would be lost if traits of
hvfilter limited the query. So SchedulerManager.select_destinations is
wrapped: what it returns or raises stays as it is, and one line is logged when
traits of hvfilter were in the query and HardwareVirtFilter logged no line,
whether a host was found or not.

Source: ``nova/scheduler/manager.py``, the same from Nova 25 on.
"""

from __future__ import annotations

import contextvars
import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import oslo_messaging as messaging
from nova import exception, objects
from oslo_log import log as logging

from hvfilter.model import catalogue
from hvfilter.model.policy import Policy
from hvfilter.model.requirement import Requirements
from hvfilter.placement import time_limit
from hvfilter.placement.trait_cache import CachedTraits
from hvfilter.rules import requests, supply
from hvfilter.scheduler import policies, request, worker_state
from hvfilter.scheduler.host_classes import uuid_of

LOG = logging.getLogger(__name__)

_MOST_SERVERS = 3
_MARK = 'hvfilter_tracks'

UNEXPLAINED = (
    'Could not explain why hosts were rejected. This is a bug in hvfilter: '
    'report it with the traceback below.'
)


class TrackedRequest:
    """One call of select_destinations.

    :ivar servers: uuids of the servers to place
    :ivar explained: the line about it was logged
    :ivar candidates: host states that reached HardwareVirtFilter
    """

    def __init__(self, servers: Sequence[str]) -> None:
        self.servers = tuple(servers)
        self.explained = False
        self.candidates: Sequence[Any] = ()


_current: contextvars.ContextVar[TrackedRequest | None]
_current = contextvars.ContextVar('hvfilter_tracked_request', default=None)


def current() -> TrackedRequest | None:
    """The request of this thread; None outside of one."""
    return _current.get()


def servers(spec: Any) -> str:
    """The servers of a request, for the beginning of a log line."""
    tracked = _current.get()
    names = tracked.servers if tracked else ()
    if len(names) < 2:
        return f'Server {request.server_uuid(spec)}'
    shown = ', '.join(map(str, names[:_MOST_SERVERS]))
    more = ', ...' if len(names) > _MOST_SERVERS else ''
    return f'{len(names)} servers ({shown}{more})'


def install() -> None:
    """Track requests from now on; may be called again."""
    try:
        from nova.scheduler import manager

        original = manager.SchedulerManager.select_destinations
    except (ImportError, AttributeError):
        LOG.warning(
            'Requests without any candidate host will not be explained: this '
            'Nova has no SchedulerManager.select_destinations.'
        )
        return
    if not getattr(original, _MARK, False):
        wrapped = tracking(original)
        setattr(wrapped, _MARK, True)
        manager.SchedulerManager.select_destinations = wrapped


def tracking(original: Callable[..., Any]) -> Callable[..., Any]:
    """The method with tracking; its results and exceptions stay."""

    @functools.wraps(original)
    def select_destinations(*args: Any, **kwargs: Any) -> Any:
        tracked = TrackedRequest(kwargs.get('instance_uuids') or ())
        token = _current.set(tracked)
        try:
            selected = original(*args, **kwargs)
        except Exception as error:
            if _no_valid_host(error) and not tracked.explained:
                _explain(_spec((*args, *kwargs.values())), tracked)
            raise
        else:
            if not tracked.explained:
                _report(_spec((*args, *kwargs.values())), tracked)
            return selected
        finally:
            _current.reset(token)

    return select_destinations


def _no_valid_host(error: Exception) -> bool:
    if isinstance(error, messaging.ExpectedException):
        return isinstance(error.exc_info[1], exception.NoValidHost)
    return isinstance(error, exception.NoValidHost)


def _spec(values: Sequence[Any]) -> Any:
    specs = (v for v in values if isinstance(v, objects.RequestSpec))
    return next(specs, None)


def _explain(spec: Any, tracked: TrackedRequest) -> None:
    """Log why there may be no valid host, if our traits limited the query."""
    try:
        limits = _limits(spec)
        if limits:
            worker_state.current().statistics.add(requests_without_hosts=1)
            LOG.info(
                '%s: no valid host. The Placement query was limited to hosts '
                '%s; %s',
                servers(spec),
                limits,
                _supply_text(spec, tracked.candidates, _refreshed),
            )
    except Exception:
        LOG.exception(UNEXPLAINED)


def _report(spec: Any, tracked: TrackedRequest) -> None:
    """Log how our traits limited the query of a request that found hosts.

    No request is sent for it: scheduling must not wait for a log line.
    """
    try:
        limits = _limits(spec)
        if limits:
            LOG.info(
                '%s: the Placement query was limited to hosts %s; %s',
                servers(spec),
                limits,
                _supply_text(spec, tracked.candidates, _cached),
            )
    except Exception:
        LOG.exception(UNEXPLAINED)


def _supply_text(
    spec: Any,
    candidates: Sequence[Any],
    read: Callable[[frozenset[str]], CachedTraits],
) -> str:
    policy = policies.configured()
    needed = requests.requirements(request.from_spec(spec), policy)
    keys = needed.capabilities | policy.reserved
    traits = frozenset(catalogue.BY_KEY[key].trait for key in keys)
    return context(needed, policy, read(traits), candidates)


def _refreshed(traits: frozenset[str]) -> CachedTraits:
    times = policies.times()
    with time_limit.within(times.wait_s, time.monotonic):
        return worker_state.current().trait_cache.get(traits, times)


def _cached(traits: frozenset[str]) -> CachedTraits:
    return worker_state.current().trait_cache.peek()


def _limits(spec: Any) -> str:
    """Our traits in the query, in words; empty if there are none.

    On rebuild Nova makes no query.
    """
    # As Nova does it: importing this sooner makes a circle.
    from nova.scheduler import utils

    if spec is None or utils.request_is_rebuild(spec):
        return ''
    guest_request = request.from_spec(spec)
    traits = [
        (name.removeprefix('trait:'), value)
        for name, value in (
            *guest_request.extra_specs,
            *guest_request.image_traits,
        )
    ]
    required = {trait for trait, value in traits if value == 'required'}
    forbidden = {trait for trait, value in traits if value == 'forbidden'}
    words = [
        f'{word} {", ".join(sorted(ours))}'
        for word, ours in (
            ('with', _own_traits(spec, 'root_required', required)),
            ('without', _own_traits(spec, 'root_forbidden', forbidden)),
        )
        if ours
    ]
    return ' and '.join(words)


def _own_traits(spec: Any, name: str, traits: set[str]) -> frozenset[str]:
    return catalogue.own({*traits, *(getattr(spec, name, None) or ())})


def context(
    needed: Requirements,
    policy: Policy,
    snapshot: CachedTraits,
    candidates: Sequence[Any],
) -> str:
    """The requirements with their origin, and how many hosts meet them.

    :param candidates: the host states that Nova offered
    """
    words = f'requested: {supply.requested(needed, policy)}'
    found = supply.supply(needed, policy, snapshot.uuids_by_trait or {})
    if found is None:
        return f'{words}; how many hosts have it is not known'
    uuids = {host.uuid for host in candidates}
    if not found.capable <= uuids:
        # Some may only be spelled otherwise.
        uuids = set(map(uuid_of, candidates))
    counted = found.words(uuids)
    return f'{words}; {counted}' if counted else words
