# SPDX-License-Identifier: Apache-2.0
"""How the extra specs of a flavor become those that a person wants.

A capability can be asked for in two ways: ``hvfilter:nested`` and
``trait:CUSTOM_HVFILTER_NESTED``. A change covers both, so that what is left
of the other never contradicts it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from hvfilter.model import catalogue
from hvfilter.model.requirement import Demand
from hvfilter.rules import spelling
from hvfilter.rules.requests import SCOPE


@dataclasses.dataclass(frozen=True)
class Change:
    """What to write into a flavor and what to remove from it, in this order.

    Between the two steps the flavor asks for more than before or after, so
    a server that is created then is never on a host that cannot run it.

    :ivar put: names and values; only those that differ
    :ivar remove: names
    """

    put: Mapping[str, str]
    remove: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.put or self.remove)

    def applied_to(self, specs: Mapping[str, str]) -> dict[str, str]:
        """The extra specs as they become."""
        kept = {
            name: value
            for name, value in specs.items()
            if name not in self.remove
        }
        return {**kept, **self.put}


def requesting(
    specs: Mapping[str, str], demands: Iterable[tuple[str, Demand]]
) -> Change:
    """Ask for capabilities; what is asked of others stays.

    :param demands: keys of the catalogue, each once
    """
    put: dict[str, str] = {}
    remove: list[str] = []
    for key, demand in demands:
        put[f'{SCOPE}:{key}'] = demand.value
        trait = _trait_spec(key)
        if trait not in specs:
            continue
        if demand is Demand.PREFERRED:
            # Placement cannot prefer a trait.
            remove.append(trait)
        else:
            put[trait] = demand.value
    return Change(
        {
            name: value
            for name, value in put.items()
            if specs.get(name) != value
        },
        tuple(remove),
    )


def without(specs: Mapping[str, str], keys: Iterable[str]) -> Change:
    """Ask no longer for these capabilities."""
    return Change(
        {},
        tuple(
            name
            for key in keys
            for name in (f'{SCOPE}:{key}', _trait_spec(key))
            if name in specs
        ),
    )


def cleared(specs: Mapping[str, str]) -> Change:
    """Ask for nothing in hvfilter's words, misspelt ones included."""
    return Change({}, tuple(filter(spelling.resembles_own, specs)))


def undone(before: Mapping[str, str], now: Mapping[str, str]) -> Change:
    """What turns the extra specs of now into those of before."""
    return Change(
        {
            name: value
            for name, value in before.items()
            if now.get(name) != value
        },
        tuple(name for name in now if name not in before),
    )


def _trait_spec(key: str) -> str:
    return f'trait:{catalogue.BY_KEY[key].trait}'
