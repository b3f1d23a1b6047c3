# SPDX-License-Identifier: Apache-2.0
"""What is free on the compute nodes, in one request for all of them.

Source: Placement API reference, ``GET /allocation_candidates``: its
``provider_summaries`` show capacity (reserved amounts off, allocation ratio
applied), what is used, and the traits. A provider that cannot take what is
asked for is not in it.
"""

from __future__ import annotations

import dataclasses
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Any

from hvfilter.placement import client, errors

_NESTED = '1.29'
_WITH_TRAITS = '1.17'


@dataclasses.dataclass(frozen=True)
class Free:
    """What a provider tree has left, and what it carries.

    :ivar amounts: by resource class, one number for each provider with it
    :ivar traits: of all providers of the tree
    """

    amounts: Mapping[str, tuple[int, ...]]
    traits: frozenset[str]

    def total(self, resource_class: str) -> int:
        """All that is left of a class."""
        return sum(self.amounts.get(resource_class, ()))

    def fits(self, resources: Mapping[str, int]) -> int:
        """How many times all of this fits, one provider for each class."""
        return min(
            sum(free // amount for free in self.amounts.get(name, ()))
            for name, amount in resources.items()
        )


def read(
    placement: client.Transport,
    resources: Mapping[str, int],
    required: Iterable[str] = (),
) -> dict[str, Free]:
    """What is left on each tree that can take this, by its root's uuid.

    :param resources: resource class to amount, at least one
    :param required: traits
    :raises errors.PlacementError: Placement did not answer; ``UnknownTrait``
        where no provider can carry a trait
    """
    encoded = ','.join(f'{key}:{resources[key]}' for key in sorted(resources))
    query = {'resources': encoded}
    traits = ','.join(sorted(required))
    if traits:
        query['required'] = traits
    path = '/allocation_candidates?' + urllib.parse.urlencode(query, safe=':,')
    try:
        body = client.read_json(placement, path, _NESTED, 'free resources')
    except errors.TooOld:
        body = client.read_json(
            placement, path, _WITH_TRAITS, 'free resources'
        )
    return _by_root(body)


def with_any(
    placement: client.Transport, classes: Iterable[str]
) -> dict[str, Free]:
    """What is left on each tree with one of these resource classes free.

    :param classes: one request for each
    :raises errors.PlacementError: Placement did not answer
    """
    found: dict[str, Free] = {}
    for name in sorted(classes):
        found.update(read(placement, {name: 1}))
    return found


def _by_root(body: Mapping[str, Any]) -> dict[str, Free]:
    amounts: dict[str, dict[str, list[int]]] = {}
    traits: dict[str, set[str]] = {}
    shared: dict[frozenset[str], frozenset[str]] = {}
    try:
        for uuid, summary in body['provider_summaries'].items():
            root = summary.get('root_provider_uuid') or uuid
            of_tree = amounts.setdefault(root, {})
            for name, inventory in summary['resources'].items():
                free = int(inventory['capacity']) - int(inventory['used'])
                of_tree.setdefault(name, []).append(max(0, free))
            traits.setdefault(root, set()).update(summary.get('traits', ()))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise errors.BadAnswer(
            'The answer about free resources is not one of Placement',
            'Check the endpoint of Placement in the service catalogue.',
        ) from None
    amounts_by_root = {}
    for root, of_tree in amounts.items():
        carried = frozenset(traits[root])
        amounts_by_root[root] = Free(
            {name: tuple(listed) for name, listed in of_tree.items()},
            shared.setdefault(carried, carried),
        )
    return amounts_by_root
