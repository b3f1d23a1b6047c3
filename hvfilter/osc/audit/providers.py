# SPDX-License-Identifier: Apache-2.0
"""Hosts and resource providers that do not match, or say nothing valid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from hvfilter.model import catalogue, dated
from hvfilter.model.week import Week
from hvfilter.osc.audit.finding import Kind, Problem, Row, row
from hvfilter.osc.fleet import Fleet, Host
from hvfilter.placement import client, ownership
from hvfilter.rules.capability_state import CapabilityState

_PUBLISH = (
    'Run "hvfilter publish" on it and see why hvfilter-publish.timer did not.'
)


def reports(hosts: Iterable[Host]) -> Iterator[Row]:
    """Hosts without a valid report."""
    for host in hosts:
        if host.orphan:
            yield row(
                Kind.PROVIDER,
                Problem.MISSING,
                host.name,
                'Placement has no resource provider of this compute node',
                'nova-compute creates it: check that it runs there and '
                'reaches Placement.',
                uuid=host.uuid,
                host=host.name,
            )
        elif host.report == CapabilityState.STALE.value:
            yield row(
                Kind.PROVIDER,
                Problem.STALE,
                host.name,
                f'the last report is of week {host.known.expired}, so it no '
                'longer counts',
                _PUBLISH,
                uuid=host.uuid,
                host=host.name,
            )
        elif host.report == CapabilityState.UNREPORTED.value:
            yield row(
                Kind.PROVIDER,
                Problem.UNREPORTED,
                host.name,
                'hvfilter never reported about it',
                'Install hvfilter there and run "hvfilter publish".',
                uuid=host.uuid,
                host=host.name,
            )


def identities(fleet: Fleet, compute_nodes: frozenset[str]) -> Iterator[Row]:
    """Providers of no compute node, and of a host with another name.

    Only where Nova showed every compute node.

    :param compute_nodes: providers with nova-compute's own trait
    """
    providers = fleet.census.providers
    nodes = {host.uuid: host for host in fleet.hosts}
    for host in fleet.hosts:
        provider = providers.get(host.uuid)
        if provider is not None and provider.name != host.name:
            yield _named_otherwise(host, provider)
    ours = {uuid for uuid, names in fleet.census.traits.items() if names}
    ours |= fleet.census.expired.uuids
    lost = (ours | compute_nodes) & providers.keys() - nodes.keys()
    by_short = _by_short_name(fleet.hosts)
    for provider in sorted(
        (providers[uuid] for uuid in lost), key=lambda each: each.name
    ):
        yield _lost(provider, by_short)


def _named_otherwise(host: Host, provider: client.Provider) -> Row:
    return row(
        Kind.PROVIDER,
        Problem.TWO_NAMES,
        provider.name,
        f'Nova calls the compute node {host.name}',
        'The host was renamed: give it the old name back, since Nova and '
        'Placement find it by its name.',
        uuid=provider.uuid,
        host=host.name,
    )


def _by_short_name(hosts: Iterable[Host]) -> Mapping[str, list[Host]]:
    found: dict[str, list[Host]] = {}
    for host in hosts:
        found.setdefault(_short(host.name), []).append(host)
    return found


def _short(name: str) -> str:
    return name.lower().partition('.')[0]


def _lost(
    provider: client.Provider, by_short: Mapping[str, list[Host]]
) -> Row:
    same = [
        host
        for host in by_short.get(_short(provider.name), ())
        if ownership.has_name(provider.name, [host.name])
    ]
    if same:
        return row(
            Kind.PROVIDER,
            Problem.TWO_NAMES,
            provider.name,
            f'no compute node belongs to it, and {same[0].name} '
            f'({same[0].uuid}) is the same host under another name',
            'One is left over from before the name changed: see '
            f'"openstack resource provider show --allocations '
            f'{provider.uuid}", and delete it if nothing is allocated.',
            uuid=provider.uuid,
            host=same[0].name,
        )
    return row(
        Kind.PROVIDER,
        Problem.ORPHANED,
        provider.name,
        'no compute node of Nova belongs to it',
        'If the host is gone: "openstack resource provider delete '
        f'{provider.uuid}".',
        uuid=provider.uuid,
    )


def names(
    known: frozenset[str], carried: frozenset[str], now: Week | None
) -> Iterator[Row]:
    """Trait names that begin as hvfilter's and that nobody owns.

    A name of this release may be on no provider: "hvfilter prepare" creates
    them all.

    :param known: to Placement
    :param carried: by some provider
    """
    for name in sorted(known):
        mark = dated.parse(name)
        if not catalogue.is_own(name):
            where = (
                'some provider carries it'
                if name in carried
                else ('no provider carries it')
            )
            yield row(
                Kind.TRAIT,
                Problem.NOBODYS,
                name,
                f'no name of this release of hvfilter; {where}',
                'If no later release of hvfilter is in use: take it off the '
                'providers ("openstack resource provider trait set") and '
                f'"openstack trait delete {name}".',
            )
        elif (
            mark is not None
            and name not in carried
            and now is not None
            and mark.week != now
        ):
            yield row(
                Kind.TRAIT,
                Problem.NOBODYS,
                name,
                'no provider carries this name of a past week',
                'Run "hvfilter prepare", which deletes it.',
            )
