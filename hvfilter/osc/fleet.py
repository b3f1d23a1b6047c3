# SPDX-License-Identifier: Apache-2.0
"""All compute hosts of a cloud: what Placement and Nova say of each.

Resource providers and hypervisors are joined by uuid: nova-compute gives its
root provider the uuid of the compute node.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from hvfilter.model.verdict import HostCapabilities
from hvfilter.osc.cloud import Cloud
from hvfilter.osc.compute import Aggregate, Hypervisor
from hvfilter.placement import census, errors
from hvfilter.rules import capability_state, infer
from hvfilter.rules.capability_state import CapabilityState

_COMPUTE_NODE = 'COMPUTE_NODE'
"""nova-compute sets this trait on its provider, since Train."""


@dataclasses.dataclass(frozen=True)
class Host:
    """One compute host.

    :ivar uuid: of its provider and of its compute node
    :ivar name: as in ``openstack hypervisor list``
    :ivar known: what the filter goes by; shared by hosts of the same kind
    :ivar names: hvfilter's traits on its provider; shared likewise
    :ivar hypervisor: None where Nova was not asked, or did not permit it
    :ivar zone: its availability zone, '' when not known or not asked
    :ivar aggregates: likewise, ()
    :ivar orphan: Placement has no provider of this compute node
    """

    uuid: str
    name: str
    known: HostCapabilities
    names: frozenset[str] = frozenset()
    hypervisor: Hypervisor | None = None
    zone: str = ''
    aggregates: tuple[Aggregate, ...] = ()
    orphan: bool = False

    @property
    def facts(self) -> infer.HostFacts | None:
        """What Nova says of it; None where that is not known."""
        return None if self.hypervisor is None else self.hypervisor.facts

    @property
    def report(self) -> str:
        """'valid', 'stale' or 'unreported'; 'none expected' without KVM."""
        if self.known.expired:
            return CapabilityState.STALE.value
        if self.known.reported:
            return 'valid'
        if not self.known.kvm_host:
            return 'none expected'
        return CapabilityState.UNREPORTED.value

    def state_of(self, key: str) -> CapabilityState:
        """What it says of a capability."""
        return capability_state.state_of(key, self.known)


@dataclasses.dataclass(frozen=True)
class Fleet:
    """Every compute host, and how the fleet was read.

    :ivar hosts: in the order of their names
    :ivar census: what Placement says of all root providers
    """

    hosts: tuple[Host, ...]
    census: census.Census

    def inside(
        self, aggregate: str | None, zone: str | None
    ) -> tuple[Host, ...]:
        """The hosts of an aggregate (name or uuid) and of a zone.

        :raises errors.NotFound: no host is in either.
        """
        found = self.hosts
        if aggregate is not None:
            found = tuple(
                host
                for host in found
                if any(
                    aggregate in (each.name, each.uuid)
                    for each in host.aggregates
                )
            )
            _require(found, f'host aggregate {aggregate!r}', 'aggregate list')
        if zone is not None:
            found = tuple(host for host in found if host.zone == zone)
            _require(
                found, f'availability zone {zone!r}', 'availability zone list'
            )
        return found


def read(cloud: Cloud, max_age_weeks: int, *, places: bool = True) -> Fleet:
    """Read Placement, then every page of Nova's hypervisors.

    A user who may not list hypervisors gets the providers that nova-compute
    made, and ``cloud.notes`` says what is not shown.

    :param places: aggregates and availability zones too: two more requests
    :raises errors.PlacementError: one of the services did not answer
    """
    everything = cloud.census(max_age_weeks)
    listed = cloud.permitted(
        cloud.hypervisors, 'state, status, type and processor of hosts'
    )
    aggregates: Mapping[str, tuple[Aggregate, ...]] = {}
    zones: Mapping[str, str] = {}
    if places:
        groups = cloud.permitted(cloud.compute.aggregates, 'host aggregates')
        aggregates = _by_host(groups or ())
        zones = (
            cloud.permitted(cloud.compute.zones, 'availability zones') or {}
        )
    reader = _Reader(everything)
    if listed is None:
        hosts = [
            Host(
                uuid,
                everything.providers[uuid].name,
                reader.known(uuid),
                everything.traits[uuid],
            )
            for uuid in _compute_nodes(cloud, everything)
        ]
    else:
        hosts = [
            Host(
                each.uuid,
                each.name,
                reader.known(each.uuid, each.facts),
                everything.traits.get(each.uuid, frozenset()),
                each,
                zones.get(each.host, ''),
                aggregates.get(each.host, ()),
                each.uuid not in everything.providers,
            )
            for each in listed.values()
        ]
    hosts.sort(key=lambda host: (host.name, host.uuid))
    return Fleet(tuple(hosts), everything)


class _Reader:
    """What the filter knows of a host, worked out once for each kind."""

    def __init__(self, everything: census.Census) -> None:
        self._census = everything
        self._kinds: dict[
            tuple[frozenset[str], str, infer.HostFacts | None],
            HostCapabilities,
        ] = {}

    def known(
        self, uuid: str, facts: infer.HostFacts | None = None
    ) -> HostCapabilities:
        names = self._census.traits.get(uuid, frozenset())
        kind = names, self._census.stale(uuid), facts
        if kind not in self._kinds:
            self._kinds[kind] = capability_state.advertised(*kind)
        return self._kinds[kind]


def compute_nodes(cloud: Cloud) -> frozenset[str]:
    """The providers that nova-compute made, one request.

    :raises errors.PlacementError: Placement did not answer
    """
    try:
        return cloud.placement.uuids_with(_COMPUTE_NODE)
    except errors.UnknownTrait:
        return frozenset()


def _compute_nodes(cloud: Cloud, everything: census.Census) -> Iterable[str]:
    """Where Nova does not show its compute nodes."""
    reported = {
        uuid for uuid, names in everything.traits.items() if names
    } | everything.expired.uuids
    return (compute_nodes(cloud) | reported) & everything.providers.keys()


def _by_host(
    groups: Iterable[Aggregate],
) -> Mapping[str, tuple[Aggregate, ...]]:
    found: dict[str, tuple[Aggregate, ...]] = {}
    for aggregate in sorted(groups, key=lambda each: each.name):
        for host in aggregate.hosts:
            found[host] = (*found.get(host, ()), aggregate)
    return found


def _require(hosts: tuple[Host, ...], what: str, command: str) -> None:
    if not hosts:
        raise errors.NotFound(
            f'No compute host is in the {what}',
            f'See "openstack {command}"; it needs the role admin.',
        )
