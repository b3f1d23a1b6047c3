# SPDX-License-Identifier: Apache-2.0
"""What the scheduler's part has done since nova-scheduler started."""

from __future__ import annotations

import collections
import threading
from collections.abc import Mapping

from hvfilter.model.verdict import Verdict


class Statistics:
    """Counters by name; safe to use by many threads.

    ``requests``, ``requests_unaffected`` (nothing is asked),
    ``hosts_passed``, ``hosts_rejected``, ``hosts_passed_anyway`` (permissive),
    ``rejected.<cause>`` and ``rejected.<cause>.<capability>`` (a host counts
    once for each of its reasons), ``errors``; the cache's are its own.
    """

    def __init__(self) -> None:
        # A signal handler may read what its own thread is changing.
        self._lock = threading.RLock()
        self._counts: collections.Counter[str] = collections.Counter()

    def add(self, **counts: int) -> None:
        """Raise some counters."""
        with self._lock:
            self._counts.update(counts)

    def add_verdicts(self, verdicts: Mapping[Verdict, int]) -> None:
        """Raise the counters of the reasons, each as often as it rejected."""
        with self._lock:
            for verdict, hosts in verdicts.items():
                for reason in verdict.reasons:
                    name = f'rejected.{reason.cause.value}'
                    self._counts[name] += hosts
                    if reason.subject.isidentifier():
                        self._counts[f'{name}.{reason.subject}'] += hosts

    def counts(self) -> dict[str, int]:
        """All counters that are not zero."""
        with self._lock:
            return dict(self._counts)
