# SPDX-License-Identifier: Apache-2.0
"""What commands read from Nova's API, as small values.

Each request asks for the lowest microversion that has what it uses, so that
every Nova since Pike (2.53) serves it and no discovery is needed. None asks
for 2.88, which no longer shows ``cpu_info``.

Source: Nova API reference, ``GET /os-hypervisors/detail``,
``GET /os-aggregates``, ``GET /os-availability-zone/detail``,
``GET /flavors/detail``.
"""

from __future__ import annotations

import dataclasses
import json
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

from hvfilter.placement import client, errors, listing
from hvfilter.rules import infer

HYPERVISORS = '2.53'
"""The first with uuids for ids."""

FLAVORS_WITH_SPECS = '2.61'

_ZONE = 'availability_zone'


@dataclasses.dataclass(frozen=True)
class Hypervisor:
    """A compute node.

    :ivar uuid: also that of its resource provider
    :ivar name: the hypervisor's host name; its provider has the same
    :ivar host: the name of its nova-compute, as in aggregates
    :ivar kind: ``hypervisor_type``, as in ``QEMU``
    :ivar up: whether its nova-compute reports
    :ivar enabled: whether the scheduler may use it
    :ivar cpu_info: JSON, '' when Nova does not show it
    """

    uuid: str
    name: str
    host: str
    kind: str
    up: bool
    enabled: bool
    cpu_info: str = ''

    @property
    def facts(self) -> infer.HostFacts:
        """What it proves about the host: as the filter reads it.

        The API does not show ``supported_instances``: which guests libvirt
        offers is known only as far as it follows from the processor.
        """
        processor = infer.processor(self.cpu_info)
        if infer.may_use_kvm(self.kind):
            native = infer.native_at_most(processor.machine)
            emulates = None
        else:
            # Other hypervisors offer no guests of KVM and none of QEMU.
            native, emulates = frozenset[str](), False
        return infer.HostFacts(
            infer.may_use_kvm(self.kind),
            processor.machine,
            processor.vendor,
            processor.virtual,
            native,
            emulates,
        )

    @property
    def flags(self) -> frozenset[str]:
        """The processor features that ``cpu_info`` names."""
        try:
            parsed = json.loads(self.cpu_info or '{}')
        except ValueError:
            return frozenset()
        return frozenset(_listed(parsed.get('features')))


@dataclasses.dataclass(frozen=True)
class Aggregate:
    """A host aggregate.

    :ivar zone: the availability zone it makes, '' if none
    :ivar hosts: names of their nova-compute
    """

    name: str
    uuid: str
    zone: str
    hosts: frozenset[str]
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Flavor:
    """A flavor; sizes as Nova has them, swap in MiB.

    :ivar specs_shown: False where this user may not see extra specs
    """

    id: str
    name: str
    vcpus: int
    ram_mb: int
    disk_gb: int
    ephemeral_gb: int = 0
    swap_mb: int = 0
    specs: Mapping[str, str] = dataclasses.field(default_factory=dict)
    specs_shown: bool = True


class Compute:
    """Nova. Every method raises
    :class:`~hvfilter.placement.errors.PlacementError`: ``Forbidden`` where
    this user's roles do not suffice, ``TooOld`` before Pike.
    """

    def __init__(self, transport: client.Transport) -> None:
        self._transport = transport

    def hypervisors(self) -> Iterator[Hypervisor]:
        """Every compute node: one request for each thousand.

        Needs ``os_compute_api:os-hypervisors:list-detail`` (admin).
        """
        for each in listing.pages(
            self._transport,
            '/os-hypervisors/detail',
            'hypervisors',
            {},
            microversion=HYPERVISORS,
            limit=1000,
        ):
            yield _hypervisor(each)

    def hypervisor(self, name: str) -> Hypervisor:
        """That of exactly this host name or uuid, one or two requests.

        :raises errors.NotFound: there is none.
        """
        # With a pattern that nothing matches Nova answers 404.
        with_name = urllib.parse.urlencode(
            {'hypervisor_hostname_pattern': name}
        )
        try:
            listed = listing.items(
                self._transport,
                f'/os-hypervisors/detail?{with_name}',
                'hypervisors',
                microversion=HYPERVISORS,
            )
        except errors.NotFound:
            listed = []
        near = [_hypervisor(each) for each in listed]
        exact = [each for each in near if name in (each.name, each.host)]
        if exact or len(near) == 1:
            return (exact or near)[0]
        raise errors.NotFound(
            f'Nova has no hypervisor {name!r}'
            if not near
            else f'Several hypervisors match {name!r}: '
            + ', '.join(each.name for each in near[:5]),
            'See "openstack hypervisor list" for their names.',
        )

    def aggregates(self) -> tuple[Aggregate, ...]:
        """All host aggregates, one request; needs the role admin."""
        return tuple(
            _aggregate(each)
            for each in listing.items(
                self._transport,
                '/os-aggregates',
                'aggregates',
                microversion=HYPERVISORS,
            )
        )

    def zones(self) -> Mapping[str, str]:
        """The availability zone of each nova-compute, one request; admin."""
        return {
            host: text(each, 'zoneName')
            for each in listing.items(
                self._transport,
                '/os-availability-zone/detail',
                'availabilityZoneInfo',
                microversion=HYPERVISORS,
            )
            for host, services in (each.get('hosts') or {}).items()
            if 'nova-compute' in services
        }

    def flavors(self) -> Iterator[Flavor]:
        """All flavors this user may see, private ones for an admin."""
        for each in listing.pages(
            self._transport,
            '/flavors/detail',
            'flavors',
            {'is_public': 'None'},
            microversion=FLAVORS_WITH_SPECS,
            limit=1000,
        ):
            yield _flavor(each)

    def flavor(self, name: str) -> Flavor:
        """That of an id or else of a name, with its extra specs.

        :raises errors.NotFound: there is none.
        """
        named = None
        for each in self.flavors():
            if name == each.id:
                return each
            if name == each.name:
                named = each
        if named is not None:
            return named
        raise errors.NotFound(
            f'Nova has no flavor {name!r}, or this user may not see it',
            'See "openstack flavor list --all".',
        )


def _hypervisor(item: Mapping[str, Any]) -> Hypervisor:
    service = item.get('service')
    cpu_info = item.get('cpu_info')
    return Hypervisor(
        text(item, 'id'),
        text(item, 'hypervisor_hostname'),
        text(service if isinstance(service, dict) else {}, 'host'),
        text(item, 'hypervisor_type'),
        item.get('state') == 'up',
        item.get('status') == 'enabled',
        json.dumps(cpu_info) if isinstance(cpu_info, dict) else '',
    )


def _aggregate(item: Mapping[str, Any]) -> Aggregate:
    metadata = item.get('metadata')
    pairs = metadata if isinstance(metadata, dict) else {}
    return Aggregate(
        text(item, 'name'),
        text(item, 'uuid'),
        text(pairs, _ZONE),
        frozenset(_listed(item.get('hosts'))),
        {str(key): str(value) for key, value in pairs.items()},
    )


def _flavor(item: Mapping[str, Any]) -> Flavor:
    specs = item.get('extra_specs')
    return Flavor(
        text(item, 'id'),
        text(item, 'name'),
        _number(item, 'vcpus'),
        _number(item, 'ram'),
        _number(item, 'disk'),
        _number(item, 'OS-FLV-EXT-DATA:ephemeral'),
        _number(item, 'swap'),
        dict(specs) if isinstance(specs, dict) else {},
        isinstance(specs, dict),
    )


def embedded_flavor(item: Mapping[str, Any]) -> Flavor:
    """That of a server, which has no id and no name of today's."""
    specs = item.get('extra_specs')
    return Flavor(
        '',
        text(item, 'original_name'),
        _number(item, 'vcpus'),
        _number(item, 'ram'),
        _number(item, 'disk'),
        _number(item, 'ephemeral'),
        _number(item, 'swap'),
        dict(specs) if isinstance(specs, dict) else {},
        isinstance(specs, dict),
    )


def text(item: Mapping[str, Any], key: str) -> str:
    """The text of a key, '' where there is none."""
    value = item.get(key)
    return value if isinstance(value, str) else ''


def _number(item: Mapping[str, Any], key: str) -> int:
    """Nova shows no swap as '' before 2.75."""
    value = item.get(key)
    return value if isinstance(value, int) else 0


def _listed(value: Any) -> list[str]:
    items = value if isinstance(value, list) else []
    return [each for each in items if isinstance(each, str)]
