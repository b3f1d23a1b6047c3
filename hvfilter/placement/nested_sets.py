# SPDX-License-Identifier: Apache-2.0
"""The nested set of each provider: one request for each set in use."""

from __future__ import annotations

from collections.abc import Iterable

from hvfilter.model.nested_registers import Registers, parse_trait
from hvfilter.placement import client, errors


def read(
    placement: client.PlacementClient, names: Iterable[str]
) -> dict[str, Registers | None]:
    """By uuid; None for a provider with two sets: which is true is unknown.

    :param names: trait names, others than those of sets are ignored
    :raises errors.PlacementError: Placement did not answer.
    """
    sets: dict[str, Registers | None] = {}
    for name in sorted(names):
        registers = parse_trait(name)
        if registers is None:
            continue
        try:
            uuids = placement.uuids_with(name)
        except errors.UnknownTrait:
            # "hvfilter prepare" deleted it just now.
            continue
        for uuid in uuids:
            sets[uuid] = None if uuid in sets else registers
    return sets
