# SPDX-License-Identifier: Apache-2.0
"""Aggregate metadata over the policy of nova.conf: ``hvfilter:required``, ...

Whoever reads the aggregates, Nova's scheduler from its database or a command
from the API, gets the same policy for a host.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hvfilter.model import catalogue
from hvfilter.model.policy import Mode, Policy, WhenUnknown
from hvfilter.rules import possible, requests, spelling

SCOPE = 'hvfilter:'
"""Of aggregate metadata keys."""


def concerns_hvfilter(key: object) -> bool:
    """Also if it was only meant to be: ' HVFILTER:mode', 'hv_filter:mode'."""
    return isinstance(key, str) and spelling.resembles_scope(key)


def values(
    aggregate: object,
    metadata: Mapping[Any, Any],
    last_valid: Mapping[str, Any],
    warn: Callable[[str], None],
) -> dict[str, Any]:
    """What the metadata of one aggregate says, by the name of the option.

    :param aggregate: its name, for texts
    :param last_valid: used where a value is not valid
    :param warn: gets a text about each invalid item
    """
    now: dict[str, Any] = {}
    for key in metadata:
        if not concerns_hvfilter(key):
            continue
        value = metadata[key]
        name = key[len(SCOPE) :] if key.startswith(SCOPE) else ''
        if name not in _READERS:
            warn(_unknown_key(aggregate, key, value))
            continue
        try:
            now[name] = _READERS[name](value)
        except (ValueError, TypeError, AttributeError):
            if name in last_valid:
                now[name] = last_valid[name]
            warn(_wrong_value(aggregate, key, value, name in last_valid))
    return now


def combine(base: Policy, found: Iterable[Mapping[str, Any]]) -> Policy:
    """The policy for a host in aggregates that say this.

    An aggregate's value replaces that of nova.conf. Where aggregates
    disagree the stricter value applies: all that any of them requires or
    reserves, reject before infer before accept, enforcing before permissive.

    :param found: what :func:`values` returned for each aggregate
    """
    values_by_name: dict[str, list[Any]] = {}
    for values_of_one in found:
        for name, value in values_of_one.items():
            if name in _FIELDS:
                values_by_name.setdefault(name, []).append(value)
    if not values_by_name:
        return base
    changes: dict[str, Any] = {
        _FIELDS[name]: _MOST_CAREFUL[name](listed)
        for name, listed in values_by_name.items()
    }
    for name in values_by_name.keys() - {'unreported'}:
        # Without the aggregate's name: hosts of many aggregates that say the
        # same share their verdicts.
        changes[f'{_FIELDS[name]}_by'] = f'aggregate metadata {SCOPE}{name}'
    return dataclasses.replace(base, **changes)


def _keys(value: str) -> tuple[str, ...]:
    keys = dict.fromkeys(
        word.strip().lower() for word in value.split(',') if word.strip()
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
