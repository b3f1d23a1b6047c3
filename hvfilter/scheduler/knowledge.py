# SPDX-License-Identifier: Apache-2.0
"""What filter, weigher and prefilter of one scheduler worker share."""

from __future__ import annotations

import threading
import time

from oslo_log import log as logging

from hvfilter.placement import errors, expired, holders
from hvfilter.scheduler import nova_client, settings
from hvfilter.scheduler.statistics import Statistics

LOG = logging.getLogger(__name__)


class Knowledge:
    """The cache of who has what, and the counters.

    :ivar holders: the cache, filled through nova-scheduler's own client
    :ivar statistics: the counters, the cache's not included
    """

    def __init__(self) -> None:
        self.statistics = Statistics()
        self.holders = holders.Holders(
            nova_client.holders_of,
            time.monotonic,
            self._unheard,
            self._stretched,
            fetch_expired=self._expired,
            fetch_carried=nova_client.carried_traits,
        )

    def counts(self) -> dict[str, int]:
        """All counters by name, the cache's with the prefix ``cache_``."""
        cache = self.holders.counters
        return {
            **self.statistics.counts(),
            'cache_hits': cache.hits,
            'cache_refreshes': cache.refreshes,
            'placement_requests': cache.requests,
            'placement_failures': cache.failures,
            'cache_refresh_cpu_ms': round(self.holders.cost_s * 1e3),
        }

    @staticmethod
    def _expired() -> expired.Expired:
        max_age_weeks = settings.current().report_max_age_weeks
        return nova_client.expired_reports(max_age_weeks)

    @staticmethod
    def _unheard(error: errors.PlacementError) -> None:
        LOG.warning(
            'Could not refresh the list of hosts per trait from Placement: %s',
            error,
        )

    @staticmethod
    def _stretched(cost_s: float, every_s: float) -> None:
        LOG.info(
            'A refresh of the list of hosts per trait took %.1f s of '
            'processor time, so it is done every %.0f s, not every '
            '[hvfilter] refresh_s, to take at most %.0f %% of this worker.',
            cost_s,
            every_s,
            holders.LARGEST_SHARE * 100,
        )


# Reentrant, because a signal handler asks too.
_lock = threading.RLock()
_current: Knowledge | None = None


def current() -> Knowledge:
    """The worker's; made when it is first asked for."""
    global _current
    with _lock:
        if _current is None:
            _current = Knowledge()
        return _current


def renew() -> Knowledge:
    """Start anew, as a scheduler that starts does."""
    global _current
    with _lock:
        _current = Knowledge()
        return _current
