# SPDX-License-Identifier: Apache-2.0
"""The operator's policy: nova.conf, and aggregate metadata over it."""

from __future__ import annotations

import dataclasses
import logging as stdlib_logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import nova.conf
from oslo_log import log as logging

from hvfilter.conf import scheduler as options
from hvfilter.model import catalogue
from hvfilter.model.policy import Ignorance, Mode, Policy
from hvfilter.placement.holders import Ages

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

SCOPE = 'hvfilter:'
"""Of aggregate metadata keys: ``hvfilter:required``, ..."""

_MOST_COMPLAINTS = 100


def register() -> None:
    """Make our options known to Nova's configuration."""
    options.register(CONF)


def configured() -> Policy:
    """What nova.conf says now; SIGHUP may change it."""
    group = CONF.hvfilter
    return Policy(
        tuple(group.required),
        Ignorance(group.unreported),
        Ignorance(group.placement_unreachable),
        frozenset(group.reserved),
        Mode(group.mode),
    )


def ages() -> Ages:
    """When to ask Placement again."""
    group = CONF.hvfilter
    soft_s = group.refresh_s
    return Ages(soft_s, max(soft_s, group.trust_s), group.retry_s)


def for_host(
    aggregates: Iterable[Any],
    base: Policy,
    complain: Callable[[str], None],
) -> Policy:
    """The policy for a host in these aggregates.

    An aggregate's word replaces the configuration's. Where aggregates
    disagree the more careful word holds: all that any of them requires or
    reserves, reject before infer before accept, enforcing before permissive.

    :param aggregates: of type nova.objects.Aggregate
    :param complain: is told of metadata that makes no sense; such a word is
        as good as not said
    """
    said: dict[str, list[Any]] = {}
    for aggregate in aggregates:
        metadata: Mapping[str, str] = aggregate.metadata
        for key, value in metadata.items():
            if not key.startswith(SCOPE):
                continue
            name = key[len(SCOPE) :]
            if name in _OTHER_KEYS:
                continue
            try:
                word = _READERS[name](value)
            except (KeyError, ValueError):
                complain(_complaint(aggregate.name, key, value))
            else:
                said.setdefault(name, []).append(word)
    if not said:
        return base
    return dataclasses.replace(
        base,
        **{
            _FIELDS[name]: _MOST_CAREFUL[name](values)
            for name, values in said.items()
        },
    )


def _keys(value: str) -> tuple[str, ...]:
    keys = dict.fromkeys(
        word.strip() for word in value.split(',') if word.strip()
    )
    for key in keys:
        if key not in catalogue.BY_KEY:
            raise ValueError(key)
    return tuple(keys)


def _ignorance(value: str) -> Ignorance:
    return Ignorance(value.strip().lower())


def _mode(value: str) -> Mode:
    return Mode(value.strip().lower())


def _all_of(values: list[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for keys in values for key in keys))


def _first_of(*order: Any) -> Callable[[list[Any]], Any]:
    return lambda values: min(values, key=order.index)


_READERS: dict[str, Callable[[str], Any]] = {
    'required': _keys,
    'reserved': _keys,
    'unreported': _ignorance,
    'placement_unreachable': _ignorance,
    'mode': _mode,
}
_CAREFUL_FIRST = _first_of(Ignorance.REJECT, Ignorance.INFER, Ignorance.ACCEPT)
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
_OTHER_KEYS = ('preferred_weight_multiplier', 'scarce_weight_multiplier')
"""Read by the weigher."""


def _complaint(aggregate: str, key: str, value: str) -> str:
    known = ', '.join(SCOPE + name for name in (*_READERS, *_OTHER_KEYS))
    return (
        f'The metadata {key}={value[:80]!r} of aggregate {aggregate!r} is '
        f'ignored: known keys are {known}, with values as of the options of '
        'the same names in [hvfilter]'
    )


class Complaints:
    """Logs each complaint once, and remembers not too many."""

    def __init__(self, log: Any = LOG) -> None:
        self._log = log
        self._made: set[str] = set()

    def __call__(self, text: str) -> None:
        """Warn, unless it was said before."""
        if text in self._made:
            return
        if len(self._made) >= _MOST_COMPLAINTS:
            self._made.clear()
        self._made.add(text)
        self._log.log(stdlib_logging.WARNING, text)
