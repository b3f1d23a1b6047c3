# SPDX-License-Identifier: Apache-2.0
"""Classes of hosts with the same capabilities, shared by all requests.

There are many hosts and few classes of them. A verdict is about a class, so a
new kind of request costs one verdict for each class and one look-up for each
host.
"""

from __future__ import annotations

import copy
import dataclasses
import uuid as uuidlib
from collections.abc import Mapping
from typing import Any

from hvfilter.model import catalogue
from hvfilter.placement.trait_cache import CachedTraits
from hvfilter.rules import infer

_Guests = tuple[frozenset[str] | None, bool | None]
"""What libvirt offers: architectures with KVM, and whether it offers guests
without KVM; None: not known."""

_MAX_FACTS = 1_000
_MAX_CLASSES = 10_000
_MAX_HOSTS = 500_000


_BY_UNKNOWN_TRAIT = {
    capability.unknown_trait: capability.key
    for capability in catalogue.CATALOGUE
}


def uuid_of(host: Any) -> str | None:
    """``HostState.uuid`` in Placement's form; None if it is no uuid."""
    uuid = host.uuid
    if isinstance(uuid, str):
        if len(uuid) == 36 and uuid == uuid.lower():
            return uuid
        try:
            return str(uuidlib.UUID(uuid))
        except ValueError:
            return None
    return None


class HostReader:
    """Reads Nova's host states, with a cache.

    Equal facts have one number, until the cache is full.
    """

    def __init__(self) -> None:
        self._numbers: dict[Any, tuple[int, infer.HostFacts]] = {}
        self._count = 0
        self._guests: tuple[object, _Guests] = (None, (None, None))

    def facts(self, host: Any) -> tuple[int, infer.HostFacts]:
        """The facts of a nova.scheduler.host_manager.HostState."""
        guests, cpu_info = host.supported_instances, host.cpu_info
        last, offered = self._guests
        # Most hosts offer the same, and comparing is cheaper than parsing.
        if guests != last:
            offered = infer.native(guests), infer.emulates(guests)
            self._guests = copy.deepcopy(guests), offered
        key = host.hypervisor_type, cpu_info, offered
        try:
            known = self._numbers.get(key)
        except TypeError:
            # Unhashable: neither is text, as both are where Nova knows them.
            key = _text(host.hypervisor_type), _text(cpu_info), offered
            known = self._numbers.get(key)
        if known is None:
            if len(self._numbers) >= _MAX_FACTS:
                self._numbers.clear()
            self._count += 1
            known = self._count, _facts(*key)
            self._numbers[key] = known
        return known


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _facts(
    hypervisor: object, cpu_info: object, offered: _Guests
) -> infer.HostFacts:
    processor = infer.processor(cpu_info)
    return infer.HostFacts(
        infer.may_use_kvm(hypervisor),
        processor.machine,
        processor.vendor,
        processor.virtual,
        *offered,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class HostClass:
    """Hosts with the same capabilities and facts. Compared by identity.

    :ivar has: keys of the capabilities whose traits the provider carries
    :ivar unknown: keys of those that the host reported as unknown
    :ivar reported: it carries the marker
    :ivar expired: the week of the last report, where that is too long ago
    """

    has: frozenset[str]
    unknown: frozenset[str]
    reported: bool
    facts: infer.HostFacts
    expired: str = ''


class HostClasses:
    """The classes of hosts under one cached; safe to use by many threads.

    Nova says when the record of a host last changed. While it has not, and
    the host's traits are the same, its host_class is.

    :ivar known: when its record last changed, and the host_class, by uuid
    """

    def __init__(self, cached: CachedTraits, reader: HostReader) -> None:
        self.cached = cached
        self.known: dict[Any, tuple[Any, HostClass]] = {}
        self._reader = reader
        self._reported = cached.reported
        answers = cached.uuids_by_trait or {}
        # The same traits have the same bits after each refresh.
        bits = {
            trait: 1 << place
            for place, trait in enumerate(sorted(answers))
            if trait in catalogue.BY_TRAIT or trait in _BY_UNKNOWN_TRAIT
        }
        self._bits = [
            (bit, answers[trait])
            for trait, bit in bits.items()
            if answers[trait]
        ]
        self._has = {
            catalogue.BY_TRAIT[trait].key: bit
            for trait, bit in bits.items()
            if trait in catalogue.BY_TRAIT
        }
        self._unknown = {
            _BY_UNKNOWN_TRAIT[trait]: bit
            for trait, bit in bits.items()
            if trait in _BY_UNKNOWN_TRAIT
        }
        self._classes_by_facts: dict[tuple[Any, ...], HostClass] = {}

    def after(self, cached: CachedTraits) -> HostClasses:
        """The classes of a later cached; what is the same is taken over."""
        new = HostClasses(cached, self._reader)
        before, now = (
            self.cached.uuids_by_trait or {},
            cached.uuids_by_trait or {},
        )
        if (
            before.keys() != now.keys()
            or len(self._classes_by_facts) >= _MAX_CLASSES
        ):
            return new
        new._classes_by_facts = self._classes_by_facts
        new.known = dict(self.known)
        if self.cached.expired != cached.expired:
            for expired in (self.cached.expired, cached.expired):
                for uuid in expired.uuids:
                    new.known.pop(uuid, None)
        for trait, uuids in now.items():
            if uuids != before[trait]:
                for uuid in uuids ^ before[trait]:
                    new.known.pop(uuid, None)
        return new

    def host_class(self, host: Any) -> HostClass:
        """That of a HostState."""
        known = self.known.get(host.uuid)
        if known is not None and known[0] == host.updated:
            return known[1]
        return self.read(host)

    def read(self, host: Any) -> HostClass:
        """That of a HostState which is not in ``known`` as it is now."""
        raw, updated = host.uuid, host.updated
        reported = raw in self._reported
        uuid = raw
        if not reported:
            uuid = uuid_of(host)
            reported = uuid in self._reported
        carried = 0
        for bit, uuids in self._bits:
            if uuid in uuids:
                carried |= bit
        number, facts = self._reader.facts(host)
        expired = ''
        if not reported and uuid in self.cached.expired.uuids:
            expired = self.cached.expired.weeks
        which = carried, reported, number, expired
        host_class = self._classes_by_facts.get(which)
        if host_class is None:
            host_class = HostClass(
                _with(self._has, carried),
                _with(self._unknown, carried),
                reported,
                facts,
                expired,
            )
            self._classes_by_facts[which] = host_class
        if updated is not None and uuid == raw:
            if len(self.known) >= _MAX_HOSTS:
                self.known.clear()
            self.known[raw] = updated, host_class
        return host_class


def _with(bits: Mapping[str, int], carried: int) -> frozenset[str]:
    return frozenset(key for key, bit in bits.items() if bit & carried)
