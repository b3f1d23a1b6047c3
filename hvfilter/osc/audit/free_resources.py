# SPDX-License-Identifier: Apache-2.0
"""What is left on hosts while several servers are planned onto them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hvfilter.osc import cloud
from hvfilter.placement import capacity
from hvfilter.rules.flavor_resources import ResourceRequest

_DISK = 'DISK_GB'


class FreeResources:
    """Free resources by the uuid of a host; they only become fewer.

    What a planned server leaves free where it is now does not count: it is
    there until the server has moved.
    """

    def __init__(self, free: Mapping[str, capacity.Free]) -> None:
        self._left = {
            uuid: {name: [*each] for name, each in tree.amounts.items()}
            for uuid, tree in free.items()
        }
        self._traits = {uuid: tree.traits for uuid, tree in free.items()}

    @classmethod
    def of(cls, where: cloud.Cloud, classes: Iterable[str]) -> FreeResources:
        """Of hosts that have one of these resource classes free.

        :param classes: VCPU, PCPU or both: one request for each
        :raises errors.PlacementError: Placement did not answer
        """
        return cls(capacity.with_any(where.transport, classes))

    def suits(self, uuid: str, request: ResourceRequest) -> bool:
        """Whether a host has the traits, and not those forbidden."""
        traits = self._traits.get(uuid)
        return (
            traits is not None
            and request.required <= traits
            and not request.forbidden & traits
        )

    def take(self, uuid: str, request: ResourceRequest) -> bool:
        """Take what a server needs, if all of it is left on a host."""
        left = self._left[uuid]
        places = {}
        for name, amount in request.resources.items():
            amounts = left.get(name)
            if amounts is None and name == _DISK:
                # Storage that hosts share belongs to no host's provider.
                continue
            place = next(
                (i for i, free in enumerate(amounts or ()) if free >= amount),
                None,
            )
            if place is None:
                return False
            places[name] = place
        for name, place in places.items():
            left[name][place] -= request.resources[name]
        return True

    def memory(self, uuid: str) -> int:
        """Free memory in MiB, to begin with the emptiest host."""
        return sum(self._left.get(uuid, {}).get('MEMORY_MB', ()))
