# SPDX-License-Identifier: Apache-2.0
"""Which hosts can take a guest that uses nested virtualization.

Where a server is moved, Nova puts its host first into ``ignore_hosts``, then
those that were tried already: ``nova/conductor/tasks/live_migrate.py``
(live migration), ``nova/compute/api.py`` ``resize`` (resize and cold
migration), ``nova/conductor/manager.py`` ``rebuild_instance`` (evacuation).
Which of these it is the request does not say.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from oslo_log import log as logging

from hvfilter.model import nested_registers
from hvfilter.model.nested_registers import Registers
from hvfilter.model.requirement import Requirements
from hvfilter.model.verdict import Verdict
from hvfilter.placement import errors, time_limit
from hvfilter.placement.trait_cache import CachedTraits, CacheTimes, TraitCache
from hvfilter.rules import nested_move
from hvfilter.scheduler import nova_client, request

LOG = logging.getLogger(__name__)

_MOST_HOSTS = 10_000


class Move:
    """A move of a guest whose set is known.

    :ivar source: what the guest has
    """

    def __init__(
        self, source: Registers, sets: Mapping[str, Registers | None]
    ) -> None:
        self.source = source
        self._sets = sets
        self._verdicts: dict[tuple[Registers | None, bool], Verdict] = {}

    def fit(self, uuid: str | None) -> nested_move.Fit:
        """How the host of a provider suits."""
        return nested_move.fit(self._sets.get(uuid or ''), self.source)

    def verdict(self, uuid: str | None, *, reject_unknown: bool) -> Verdict:
        """Whether it must be accepted; hosts alike share one verdict."""
        kind = self._sets.get(uuid or ''), reject_unknown
        cached = self._verdicts.get(kind)
        if cached is None:
            cached = self._verdicts[kind] = nested_move.verdict(
                kind[0], self.source, reject_unknown=reject_unknown
            )
        return cached


class NestedMoves:
    """The sets of all hosts; safe to use by many threads."""

    def __init__(
        self, trait_cache: TraitCache, clock: Callable[[], float]
    ) -> None:
        self._trait_cache = trait_cache
        self._clock = clock
        self._lock = threading.Lock()
        self._names: tuple[frozenset[str], float] | None = None
        self._uuids: dict[str, tuple[str | None, float]] = {}
        self._sets: tuple[CachedTraits | None, dict[str, Registers | None]] = (
            None,
            {},
        )

    def of(
        self, spec: Any, requirements: Requirements, times: CacheTimes
    ) -> Move | None:
        """The move that a request is; None where there is nothing to compare.

        That is: no move, a guest that does not ask for nested, or a host to
        leave whose set is not known.

        :param spec: of type nova.objects.RequestSpec
        """
        name = request.source_host(spec)
        if not name or not nested_move.requests_nested(requirements):
            return None
        with time_limit.within(times.wait_s, self._clock):
            sets = self._read(times)
            # Nobody has a set: no need to ask who the host is.
            source = sets.get(self._uuid(name, times) or '') if sets else None
        if source is None:
            LOG.debug(
                'Server %s: nested_set_on_move has no effect, because the '
                'nested set of %s is not known.',
                request.server_uuid(spec),
                name,
            )
            return None
        return Move(source, sets)

    def _read(self, times: CacheTimes) -> dict[str, Registers | None]:
        """The set of each provider; None for one with two names of sets."""
        names = self._carried(times)
        if not names:
            return {}
        cached = self._trait_cache.get(names, times)
        with self._lock:
            if self._sets[0] is not cached:
                self._sets = cached, _by_uuid(cached, names)
            return self._sets[1]

    def _carried(self, times: CacheTimes) -> frozenset[str]:
        """The names of sets that some provider carries."""
        now_s = self._clock()
        known = self._names
        age_s = now_s - known[1] if known else times.hard_s
        if known and age_s < times.soft_s:
            return known[0]
        usable = known[0] if known and age_s < times.hard_s else frozenset()
        if self._trait_cache.backing_off():
            return usable
        try:
            carried = nova_client.carried_traits()
        except errors.PlacementError as error:
            failure = error
        else:
            names = frozenset(filter(nested_registers.is_trait, carried))
            self._names = names, now_s
            return names
        # Not within "except": oslo.log would append the error to the line.
        self._trait_cache.back_off(failure, times)
        LOG.warning('Could not read the nested sets of hosts: %s', failure)
        return usable

    def _uuid(self, name: str, times: CacheTimes) -> str | None:
        """The provider of the only node of a nova-compute."""
        now_s = self._clock()
        if len(self._uuids) >= _MOST_HOSTS:
            self._uuids.clear()
        known = self._uuids.get(name)
        if known is not None and now_s - known[1] < times.hard_s:
            return known[0]
        try:
            uuid = nova_client.node_of(name)
        except Exception as error:
            # A database has many ways to fail, and a set that is not known
            # is no reason to fail the request.
            failure = error
        else:
            self._uuids[name] = uuid, now_s
            return uuid
        LOG.warning('Could not read the compute node of %s: %s', name, failure)
        return None


def _by_uuid(
    cached: CachedTraits, names: frozenset[str]
) -> dict[str, Registers | None]:
    sets: dict[str, Registers | None] = {}
    for name in names:
        registers = nested_registers.parse_trait(name)
        for uuid in (cached.uuids_by_trait or {}).get(name, ()):
            sets[uuid] = None if uuid in sets else registers
    return sets
