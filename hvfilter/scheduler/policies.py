# SPDX-License-Identifier: Apache-2.0
"""The operator's policy: nova.conf, and aggregate metadata over it."""

from __future__ import annotations

import logging as stdlib_logging
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import nova.conf
from oslo_log import log as logging

from hvfilter.conf import scheduler as options
from hvfilter.model.policy import Policy
from hvfilter.placement.trait_cache import CacheTimes
from hvfilter.rules import aggregate_policy, requests
from hvfilter.scheduler import settings

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

_MOST_WARNINGS = 100
_MOST_AGGREGATES = 20_000
_MOST_NAMED = 3


def register() -> None:
    """Make our options known to Nova's configuration."""
    options.register(CONF)


def start() -> None:
    """Read all options, so that a wrong one stops the service.

    :raises ValueError: an option is not valid, by itself or with another
    """
    register()
    settings.start()
    with _lock:
        _valid_values.clear()
    warn_once.forget()


def configured() -> Policy:
    """What nova.conf says now; SIGHUP may change it."""
    return settings.current().policy


def times() -> CacheTimes:
    """When to ask Placement again."""
    return settings.current().times


def for_host(
    aggregates: Iterable[Any],
    base: Policy,
    warn: Callable[[str], None],
) -> Policy:
    """The policy for a host in these aggregates.

    See :func:`hvfilter.rules.aggregate_policy.combine`.

    :param aggregates: of type nova.objects.Aggregate
    :param warn: gets a text about invalid metadata; the last valid value
        stays in force, if this process saw one
    """
    return aggregate_policy.combine(
        base, (_values_of(each, warn) for each in aggregates)
    )


def aggregates_of(hosts: Iterable[Any]) -> str:
    """Which aggregates with metadata of ours these hosts are in, in words;
    the names of the first few."""
    names = sorted(
        {
            requests.shorten(str(aggregate.name), 80)
            for host in hosts
            for aggregate in host.aggregates or ()
            if any(
                map(
                    aggregate_policy.concerns_hvfilter,
                    aggregate.metadata or (),
                )
            )
        }
    )
    noun = 'aggregate' if len(names) == 1 else 'aggregates'
    more = ', ...' if len(names) > _MOST_NAMED else ''
    return f'{noun} {", ".join(names[:_MOST_NAMED])}{more}'


def multiplier(
    aggregates: Iterable[Any],
    name: str,
    configured: float,
    warn: Callable[[str], None],
) -> float:
    """A weigher's multiplier for a host in these aggregates.

    The least of those that the aggregates name, as for Nova's own weighers
    (nova.scheduler.utils.get_weight_multiplier).

    :param name: of the option, and of the metadata after ``hvfilter:``
    """
    values = [
        word
        for aggregate in aggregates
        for key, word in _values_of(aggregate, warn).items()
        if key == name
    ]
    return min(values, default=configured)


_lock = threading.Lock()
_valid_values: dict[object, dict[str, Any]] = {}
"""The last valid values of each aggregate, by uuid or name."""


def _values_of(aggregate: Any, warn: Callable[[str], None]) -> dict[str, Any]:
    metadata = aggregate.metadata
    if not isinstance(metadata, Mapping):
        return {}
    if not any(map(aggregate_policy.concerns_hvfilter, metadata)):
        return {}
    identity = _identity(aggregate)
    now = aggregate_policy.values(
        aggregate.name, metadata, _valid_values.get(identity, {}), warn
    )
    with _lock:
        if len(_valid_values) >= _MOST_AGGREGATES:
            _valid_values.clear()
        _valid_values[identity] = now
    return now


def _identity(aggregate: Any) -> object:
    try:
        return aggregate.uuid
    except (AttributeError, NotImplementedError):
        return aggregate.name


class WarnOnce:
    """Logs each text once; remembers at most _MOST_WARNINGS."""

    def __init__(self, log: Any = LOG) -> None:
        self._log = log
        self._logged: set[str] = set()

    def __call__(self, text: str) -> None:
        """Warn, unless this text was logged before."""
        if text in self._logged:
            return
        if len(self._logged) >= _MOST_WARNINGS:
            self._logged.clear()
        self._logged.add(text)
        self._log.log(stdlib_logging.WARNING, text)

    def forget(self) -> None:
        """Log all texts again from now on."""
        self._logged.clear()


warn_once = WarnOnce()
"""Filter, weigher and prefilter see the same aggregates: each text is logged
once."""
