# SPDX-License-Identifier: Apache-2.0
"""What filter, weigher and prefilter of one scheduler worker share."""

from __future__ import annotations

import threading
import time

from oslo_log import log as logging

from hvfilter.placement import errors, holders
from hvfilter.scheduler import nova_client
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
            nova_client.holders_of, time.monotonic, self._unheard
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
        }

    @staticmethod
    def _unheard(error: errors.PlacementError) -> None:
        LOG.warning('Which hosts have what is not known anew: %s', error)


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
