# SPDX-License-Identifier: Apache-2.0
"""Hosts counted by capability, and what is free on those that have it."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Mapping

from hvfilter.model import catalogue
from hvfilter.osc.fleet import Host
from hvfilter.placement import capacity
from hvfilter.rules.capability_state import CapabilityState


@dataclasses.dataclass(frozen=True)
class Count:
    """One capability of some hosts.

    :ivar hosts: how many stand so; 0 is there too
    :ivar free: by resource class, as Placement counts it, on hosts that have
        the capability, are up and are enabled
    """

    hosts: Mapping[CapabilityState, int]
    free: Mapping[str, int]


def available(host: Host) -> bool:
    """Whether the scheduler may use it; as far as Nova shows that."""
    nova = host.hypervisor
    return nova is None or (nova.up and nova.enabled)


def count(
    hosts: Iterable[Host],
    free: Mapping[str, capacity.Free],
    classes: Iterable[str],
) -> dict[str, Count]:
    """Every capability, in the order of the catalogue.

    :param free: by the uuid of the host
    :param classes: the resource classes to add up
    """
    names = tuple(classes)
    kinds: dict[int, _Kind] = {}
    for host in hosts:
        # Shared by hosts of the same kind, and alive as long as they are.
        kind = kinds.setdefault(id(host.known), _Kind(host))
        kind.number += 1
        left = free.get(host.uuid) if available(host) else None
        if left is not None:
            for name in names:
                kind.free[name] += left.total(name)
    return {
        key: _count(key, kinds.values(), names) for key in catalogue.BY_KEY
    }


@dataclasses.dataclass
class _Kind:
    """Hosts that say the same."""

    one: Host
    number: int = 0
    free: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter
    )


def _count(key: str, kinds: Iterable[_Kind], classes: Iterable[str]) -> Count:
    hosts = dict.fromkeys(CapabilityState, 0)
    free = dict.fromkeys(classes, 0)
    for kind in kinds:
        state = kind.one.state_of(key)
        hosts[state] += kind.number
        if state is CapabilityState.HAS:
            for name in free:
                free[name] += kind.free[name]
    return Count(hosts, free)
