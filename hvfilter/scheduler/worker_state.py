# SPDX-License-Identifier: Apache-2.0
"""What filter, weigher and prefilter of one scheduler worker share."""

from __future__ import annotations

import threading
import time

from oslo_log import log as logging

from hvfilter.placement import errors, expired, trait_cache
from hvfilter.scheduler import nested_moves, nova_client, settings
from hvfilter.scheduler.statistics import Statistics

LOG = logging.getLogger(__name__)


class WorkerState:
    """The cache of hosts per trait, and the counters.

    :ivar trait_cache: the cache, filled through nova-scheduler's own client
    :ivar statistics: the counters, the cache's not included
    :ivar nested_moves: which hosts can take guests that use nested
    """

    def __init__(self) -> None:
        self.statistics = Statistics()
        self.trait_cache = trait_cache.TraitCache(
            nova_client.providers_with_trait,
            time.monotonic,
            self._refresh_failed,
            self._interval_stretched,
            fetch_expired=self._expired,
            fetch_carried=nova_client.carried_traits,
        )
        self.nested_moves = nested_moves.NestedMoves(
            self.trait_cache, time.monotonic
        )

    def counts(self) -> dict[str, int]:
        """All counters by name, the cache's with the prefix ``cache_``."""
        cache = self.trait_cache.counters
        return {
            **self.statistics.counts(),
            'cache_hits': cache.hits,
            'cache_refreshes': cache.refreshes,
            'placement_requests': cache.requests,
            'placement_failures': cache.failures,
            'cache_refresh_cpu_ms': round(self.trait_cache.cost_s * 1e3),
        }

    @staticmethod
    def _expired() -> expired.Expired:
        max_age_weeks = settings.current().report_max_age_weeks
        return nova_client.expired_reports(max_age_weeks)

    @staticmethod
    def _refresh_failed(error: errors.PlacementError) -> None:
        LOG.warning(
            'Could not refresh the list of hosts per trait from Placement: %s',
            error,
        )

    @staticmethod
    def _interval_stretched(cost_s: float, every_s: float) -> None:
        LOG.info(
            'A refresh of the list of hosts per trait took %.1f s of '
            'processor time, so it is done every %.0f s, not every '
            '[hvfilter] refresh_s, to take at most %.0f %% of this worker.',
            cost_s,
            every_s,
            trait_cache.MAX_CPU_SHARE * 100,
        )


# Reentrant, because a signal handler calls current() too.
_lock = threading.RLock()
_current: WorkerState | None = None


def current() -> WorkerState:
    """The state of this worker; created on first use."""
    global _current
    with _lock:
        if _current is None:
            _current = WorkerState()
        return _current


def renew() -> WorkerState:
    """Replace the state by a new one, as at start."""
    global _current
    with _lock:
        _current = WorkerState()
        return _current
