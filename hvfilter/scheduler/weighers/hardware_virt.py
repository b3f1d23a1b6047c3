# SPDX-License-Identifier: Apache-2.0
"""HardwareVirtWeigher: orders the hosts that passed the filters."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Sequence
from typing import Any

from nova.scheduler import weights
from oslo_log import log as logging

from hvfilter.model import catalogue
from hvfilter.model.policy import NestedSetOnMove
from hvfilter.placement import time_limit
from hvfilter.rules import requests, weigh
from hvfilter.scheduler import (
    nested_moves,
    policies,
    request,
    settings,
    worker_state,
)
from hvfilter.scheduler.host_classes import uuid_of

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class _Terms:
    preferences: weigh.Preferences
    preferred: float
    scarce: float


# Nova has no types to check against.
class HardwareVirtWeigher(weights.BaseHostWeigher):  # type: ignore[misc]
    """Prefers hosts with preferred capabilities; spares scarce ones.

    For a server that is moved and asks for nested it prefers hosts that
    offer what its host offers. Each of these makes a number from 0 to 1, as
    Nova's weighers do after normalization, times its own multiplier; the
    last shares that of preferred capabilities.
    """

    # With these Nova's normalization leaves the numbers as they are, which
    # the two multipliers have gone into already.
    minval = 0
    maxval = 1

    def __init__(self) -> None:
        """Read the options, so that a wrong one shows at start."""
        super().__init__()
        policies.register()
        settings.start()

    def _weigh_object(self, obj: Any, weight_properties: Any) -> float:
        """The weight of a single host; Nova calls weigh_objects."""
        return self._weigh([obj], weight_properties)[0]

    def weigh_objects(
        self, weighed_obj_list: Sequence[Any], weight_properties: Any
    ) -> list[float]:
        """A weight for each host; 0 for all if the weigher fails."""
        hosts = [weighed.obj for weighed in weighed_obj_list]
        try:
            return self._weigh(hosts, weight_properties)
        except Exception:
            worker_state.current().statistics.add(errors=1)
            LOG.exception(
                'HardwareVirtWeigher failed; all hosts get weight 0. This is '
                'a bug in hvfilter: report it with the traceback below.'
            )
            return [0.0] * len(hosts)

    def _weigh(self, hosts: list[Any], spec: Any) -> list[float]:
        terms = self._terms(hosts, spec)
        weights = self._by_capabilities(hosts, terms)
        move = _move(spec)
        if move is None:
            return weights
        return [
            weight + each.preferred * move.fit(uuid_of(host)).value
            for weight, each, host in zip(weights, terms, hosts, strict=True)
        ]

    def _by_capabilities(
        self, hosts: list[Any], terms: list[_Terms]
    ) -> list[float]:
        keys = sorted(
            frozenset[str]().union(
                *(each.preferences.capabilities for each in _distinct(terms))
            )
        )
        if not keys:
            return [0.0] * len(hosts)
        traits = {key: catalogue.BY_KEY[key].trait for key in keys}
        times = policies.times()
        with time_limit.within(times.wait_s, time.monotonic):
            snapshot = worker_state.current().trait_cache.get(
                frozenset(traits.values()), times
            )
        holders = snapshot.uuids_by_trait or {}
        held = [(key, holders.get(traits[key], ())) for key in keys]
        uuids_of = map(uuid_of, hosts)
        held_by_host = [
            frozenset([key for key, uuids in held if uuid in uuids])
            for uuid in uuids_of
        ]
        scores = weigh.scores(
            [each.preferences for each in terms], held_by_host
        )
        return [
            each.preferred * score.preferred - each.scarce * score.wasted
            for each, score in zip(terms, scores, strict=True)
        ]

    def _terms(self, hosts: list[Any], spec: Any) -> list[_Terms]:
        """What counts for each host, as its aggregates change it."""
        guest_request = request.from_spec(spec)
        now = settings.current()
        # Nova gives hosts of an aggregate one and the same object.
        known: dict[tuple[int, ...], _Terms] = {}
        found = []
        for host in hosts:
            aggregates = host.aggregates or ()
            which = tuple(map(id, aggregates))
            terms = known.get(which)
            if terms is None:
                terms = known[which] = _terms(guest_request, aggregates, now)
            found.append(terms)
        return found


def _terms(
    guest_request: requests.GuestRequest,
    aggregates: Iterable[Any],
    now: settings.Settings,
) -> _Terms:
    policy = policies.for_host(aggregates, now.policy, policies.warn_once)
    needed = requests.requirements(guest_request, policy)
    preferred, scarce = (
        policies.multiplier(aggregates, name, configured, policies.warn_once)
        for name, configured in (
            ('preferred_weight_multiplier', now.preferred_multiplier),
            ('scarce_weight_multiplier', now.scarce_multiplier),
        )
    )
    preferences = weigh.preferences(needed, policy.reserved | now.scarce)
    return _Terms(preferences, preferred, scarce)


def _move(spec: Any) -> nested_moves.Move | None:
    now = settings.current()
    if now.nested_set_on_move is NestedSetOnMove.IGNORE:
        return None
    if not request.source_host(spec):
        return None
    needed = requests.requirements(request.from_spec(spec), now.policy)
    return worker_state.current().nested_moves.of(spec, needed, now.times)


def _distinct(terms: list[_Terms]) -> Iterable[_Terms]:
    # By identity: to hash each host's anew takes a tenth of all the time.
    return {id(each): each for each in terms}.values()
