# SPDX-License-Identifier: Apache-2.0
"""Flavors that use hvfilter traits or extra specs.

Source: Nova API reference, ``GET /flavors/detail`` (2.61 shows extra specs);
Nova ``nova/scheduler/utils.py`` (``trait:``, ``trait1:``, ``trait_group:``).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from hvfilter.model.catalogue import is_own
from hvfilter.placement import client, errors, listing

_TRAIT = re.compile(r'trait[A-Za-z0-9_-]{0,64}:(?P<name>[A-Z0-9_]+)\Z')


@dataclasses.dataclass(frozen=True)
class FlavorUse:
    """A flavor and its extra specs that concern hvfilter."""

    flavor: str
    specs: tuple[str, ...]


def using_traits(transport: client.Transport) -> tuple[FlavorUse, ...]:
    """The flavors that name hvfilter traits, private flavors too.

    :param transport: how to reach the compute API.
    :raises errors.PlacementError: they could not be read; ``Forbidden`` where
        Nova omits what this user may not see.
    """
    uses = []
    for flavor in listing.pages(
        transport, '/flavors/detail', 'flavors', {'is_public': 'None'}
    ):
        specs = own_specs(flavor, 'flavors')
        if specs:
            uses.append(FlavorUse(str(flavor.get('name')), specs))
    return tuple(uses)


def own_specs(flavor: Mapping[str, Any], of: str) -> tuple[str, ...]:
    """A flavor's hvfilter extra specs, as in ``hvfilter:kvm=required``.

    :param of: whose flavor it is, for the error.
    :raises errors.PlacementError: it does not show its extra specs.
    """
    specs = flavor.get('extra_specs')
    if specs is None:
        raise errors.Forbidden(
            f'This user may not see the extra specs of {of}',
            'Use credentials with the role "admin"; "service" does not '
            'suffice.',
        )
    if not isinstance(specs, dict):
        raise errors.BadAnswer(
            f'The extra specs of {of} are not an object',
            'Check the endpoint of Nova in the service catalogue.',
        )
    return own_properties(specs)


def own_properties(properties: Mapping[str, Any]) -> tuple[str, ...]:
    """The extra specs, properties or metadata that concern hvfilter."""
    return tuple(
        f'{key}={value}'
        for key, value in sorted(properties.items())
        if is_own_key(key)
    )


def is_own_key(key: str) -> bool:
    """Whether an extra spec names an hvfilter trait or capability."""
    match = _TRAIT.match(key)
    named = match is not None and is_own(match['name'])
    return named or key.startswith('hvfilter:')
