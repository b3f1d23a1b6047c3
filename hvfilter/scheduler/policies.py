# SPDX-License-Identifier: Apache-2.0
"""The operator's policy: nova.conf, and aggregate metadata over it."""

from __future__ import annotations

import dataclasses
import logging as stdlib_logging
import math
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import nova.conf
from oslo_log import log as logging

from hvfilter.conf import scheduler as options
from hvfilter.model import catalogue
from hvfilter.model.policy import Mode, Policy, WhenUnknown
from hvfilter.placement.trait_cache import CacheTimes
from hvfilter.rules import possible, requests
from hvfilter.scheduler import settings

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

SCOPE = 'hvfilter:'
"""Of aggregate metadata keys: ``hvfilter:required``, ..."""

_OURS = SCOPE[:-1]
_MOST_COMPLAINTS = 100
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
    complain.forget()


def configured() -> Policy:
    """What nova.conf says now; SIGHUP may change it."""
    return settings.current().policy


def times() -> CacheTimes:
    """When to ask Placement again."""
    return settings.current().times


def for_host(
    aggregates: Iterable[Any],
    base: Policy,
    complain: Callable[[str], None],
) -> Policy:
    """The policy for a host in these aggregates.

    An aggregate's value replaces that of nova.conf. Where aggregates
    disagree the stricter value applies: all that any of them requires or
    reserves, reject before infer before accept, enforcing before permissive.

    :param aggregates: of type nova.objects.Aggregate
    :param complain: gets a text about invalid metadata; the last valid value
        stays in force, if this process saw one
    """
    values_by_name: dict[str, list[Any]] = {}
    for aggregate in aggregates:
        for name, word in _values_of(aggregate, complain).items():
            if name in _FIELDS:
                values_by_name.setdefault(name, []).append(word)
    if not values_by_name:
        return base
    changes: dict[str, Any] = {
        _FIELDS[name]: _MOST_CAREFUL[name](values)
        for name, values in values_by_name.items()
    }
    for name in values_by_name.keys() - {'unreported'}:
        # Without the aggregate's name: hosts of many aggregates that say the
        # same share their verdicts.
        changes[f'{_FIELDS[name]}_by'] = f'aggregate metadata {SCOPE}{name}'
    return dataclasses.replace(base, **changes)


def aggregates_of(hosts: Iterable[Any]) -> str:
    """Which aggregates with metadata of ours these hosts are in, in words;
    the names of the first few."""
    names = sorted(
        {
            _short(aggregate.name)
            for host in hosts
            for aggregate in host.aggregates or ()
            if any(map(_is_ours, aggregate.metadata or ()))
        }
    )
    noun = 'aggregate' if len(names) == 1 else 'aggregates'
    more = ', ...' if len(names) > _MOST_NAMED else ''
    return f'{noun} {", ".join(names[:_MOST_NAMED])}{more}'


def multiplier(
    aggregates: Iterable[Any],
    name: str,
    configured: float,
    complain: Callable[[str], None],
) -> float:
    """A weigher's multiplier for a host in these aggregates.

    The least of those that the aggregates name, as for Nova's own weighers
    (nova.scheduler.utils.get_weight_multiplier).

    :param name: of the option, and of the metadata after ``hvfilter:``
    """
    found = [
        word
        for aggregate in aggregates
        for key, word in _values_of(aggregate, complain).items()
        if key == name
    ]
    return min(found, default=configured)


_lock = threading.Lock()
_valid_values: dict[object, dict[str, Any]] = {}
"""The last valid values of each aggregate, by uuid or name."""


def _values_of(
    aggregate: Any, complain: Callable[[str], None]
) -> dict[str, Any]:
    metadata = aggregate.metadata
    if not isinstance(metadata, Mapping):
        return {}
    ours = [key for key in metadata if _is_ours(key)]
    if not ours:
        return {}
    identity = _identity(aggregate)
    before = _valid_values.get(identity, {})
    now: dict[str, Any] = {}
    for key in ours:
        value = metadata[key]
        name = key[len(SCOPE) :] if key.startswith(SCOPE) else ''
        if name not in _READERS:
            complain(_unknown_key(aggregate.name, key, value))
            continue
        try:
            now[name] = _READERS[name](value)
        except (ValueError, TypeError, AttributeError):
            if name in before:
                now[name] = before[name]
            complain(_wrong_value(aggregate.name, key, value, name in before))
    with _lock:
        if len(_valid_values) >= _MOST_AGGREGATES:
            _valid_values.clear()
        _valid_values[identity] = now
    return now


def _is_ours(key: object) -> bool:
    """Also if it was only meant to be: ' HVFILTER:mode'."""
    return isinstance(key, str) and key.strip()[: len(_OURS)].lower() == _OURS


def _identity(aggregate: Any) -> object:
    try:
        return aggregate.uuid
    except (AttributeError, NotImplementedError):
        return aggregate.name


def _keys(value: str) -> tuple[str, ...]:
    keys = dict.fromkeys(
        word.strip() for word in value.split(',') if word.strip()
    )
    for key in keys:
        if key not in catalogue.BY_KEY:
            raise ValueError(key)
    return tuple(keys)


def _required(value: str) -> tuple[str, ...]:
    keys = _keys(value)
    if not possible.together(keys):
        raise ValueError(value)
    return keys


def _when_unknown(value: str) -> WhenUnknown:
    return WhenUnknown(value.strip().lower())


def _mode(value: str) -> Mode:
    return Mode(value.strip().lower())


def _number(value: str) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def _all_of(values: list[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for keys in values for key in keys))


def _first_of(*order: Any) -> Callable[[list[Any]], Any]:
    return lambda values: min(values, key=order.index)


_READERS: dict[str, Callable[[str], Any]] = {
    'required': _required,
    'reserved': _keys,
    'unreported': _when_unknown,
    'placement_unreachable': _when_unknown,
    'mode': _mode,
    'preferred_weight_multiplier': _number,
    'scarce_weight_multiplier': _number,
}
_CAREFUL_FIRST = _first_of(
    WhenUnknown.REJECT, WhenUnknown.INFER, WhenUnknown.ACCEPT
)
_MOST_CAREFUL: dict[str, Callable[[list[Any]], Any]] = {
    'required': _all_of,
    'reserved': lambda values: frozenset(_all_of(values)),
    'unreported': _CAREFUL_FIRST,
    'placement_unreachable': _CAREFUL_FIRST,
    'mode': _first_of(Mode.ENFORCING, Mode.PERMISSIVE),
}
_FIELDS = {
    'required': 'required',
    'reserved': 'reserved',
    'unreported': 'unreported',
    'placement_unreachable': 'unreachable',
    'mode': 'mode',
}
_KEYS_ALLOWED = 'capabilities separated by commas: ' + ', '.join(
    catalogue.BY_KEY
)
_WHEN_UNKNOWN_ALLOWED = ', '.join(each.value for each in WhenUnknown)
_ALLOWED = {
    'required': f'{_KEYS_ALLOWED}; all of one kind of processor',
    'reserved': _KEYS_ALLOWED,
    'unreported': _WHEN_UNKNOWN_ALLOWED,
    'placement_unreachable': _WHEN_UNKNOWN_ALLOWED,
    'mode': ', '.join(each.value for each in Mode),
    'preferred_weight_multiplier': 'a finite number',
    'scarce_weight_multiplier': 'a finite number',
}


def _unknown_key(aggregate: object, key: str, value: object) -> str:
    known = ', '.join(SCOPE + name for name in _READERS)
    return (
        f'Aggregate {_short(aggregate)}: the metadata '
        f'{_short(key)}={_short(value)} is ignored, since there is no such '
        f'key; allowed: {known}'
    )


def _wrong_value(
    aggregate: object, key: str, value: object, known: bool
) -> str:
    follows = 'its last valid value' if known else 'nova.conf'
    return (
        f'Aggregate {_short(aggregate)}: the metadata '
        f'{_short(key)}={_short(value)} is ignored and {follows} applies; '
        f'allowed: {_ALLOWED[key[len(SCOPE) :]]}'
    )


def _short(value: object) -> str:
    return requests.shorten(str(value), 80)


class Complaints:
    """Logs each text once; remembers at most _MOST_COMPLAINTS."""

    def __init__(self, log: Any = LOG) -> None:
        self._log = log
        self._made: set[str] = set()

    def __call__(self, text: str) -> None:
        """Warn, unless this text was logged before."""
        if text in self._made:
            return
        if len(self._made) >= _MOST_COMPLAINTS:
            self._made.clear()
        self._made.add(text)
        self._log.log(stdlib_logging.WARNING, text)

    def forget(self) -> None:
        """Log all texts again from now on."""
        self._made.clear()


complain = Complaints()
"""Filter, weigher and prefilter see the same aggregates: each text is logged
once."""
