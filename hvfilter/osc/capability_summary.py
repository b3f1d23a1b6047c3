# SPDX-License-Identifier: Apache-2.0
"""``openstack hypervisor capability summary``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from osc_lib.cli import format_columns

from hvfilter.osc import base, capability_counts, fleet, policies, verdicts
from hvfilter.osc.compute import Flavor
from hvfilter.osc.fleet import Host
from hvfilter.placement import capacity, errors
from hvfilter.rules import flavor_resources, requests
from hvfilter.rules.capability_state import CapabilityState

COLUMNS = (
    'Scope',
    'Capability',
    'Has',
    'Lacks',
    'Unknown',
    'Stale',
    'Unreported',
    'Free vCPUs',
    'Free Memory MiB',
)
FLAVOR_COLUMNS = (
    'Scope',
    'Hosts',
    'Hosts That Fit',
    'More Servers',
    'Not Counted',
)

_ALL = 'all hosts'
_UNPLACED = '(none)'


class SummarizeCapability(base.Lister):
    """Count compute hosts by capability, and what is free on them.

    Free vCPUs and memory are those of the hosts that have the capability, as
    Placement counts them (allocation ratio applied, reserved amounts off);
    disabled and down hosts do not add to them, nor does a host without a free
    vCPU. With --flavor: how many more servers of the flavor fit.
    """

    max_age = True
    takes_policy = True

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """The options of the command."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--by',
            choices=('aggregate', 'availability-zone'),
            help='Count for each host aggregate or availability zone (a host '
            'may be in several aggregates)',
        )
        base.add_places(parser)
        parser.add_argument(
            '--flavor',
            metavar='<flavor>',
            help='Count the servers of this flavor (name or ID) that still '
            'fit on hosts that hvfilter accepts for it',
        )
        parser.add_argument(
            '--long',
            action='store_true',
            help='Also show capabilities that no host has',
        )
        return parser

    def execute(self, parsed_args: argparse.Namespace) -> base.Table:
        """At most 21 requests, one for each page of a thousand hosts or
        flavors, and what :func:`hvfilter.placement.census.read` adds where
        many kinds of hosts have no free memory."""
        cloud = self.cloud
        policy = self.policies(parsed_args, warn=bool(parsed_args.flavor))
        flavor = None
        if parsed_args.flavor:
            flavor = cloud.compute.flavor(parsed_args.flavor)
        # Aggregates have policies of their own.
        places = bool(
            parsed_args.flavor
            or parsed_args.by
            or parsed_args.aggregate
            or parsed_args.availability_zone
        )
        everything = fleet.read(cloud, policy.max_age_weeks, places=places)
        hosts = everything.inside(
            parsed_args.aggregate, parsed_args.availability_zone
        )
        scopes = _scopes(hosts, parsed_args.by)
        if flavor is not None:
            return FLAVOR_COLUMNS, list(self._fitting(flavor, scopes, policy))
        free = capacity.read(cloud.transport, {'VCPU': 1})
        return COLUMNS, [
            row
            for scope, inside in scopes
            for row in rows(scope, inside, free, parsed_args.long)
        ]

    def _fitting(
        self,
        flavor: Flavor,
        scopes: Iterable[tuple[str, Sequence[Host]]],
        policy: policies.Policies,
    ) -> Iterator[tuple[Any, ...]]:
        request = flavor_resources.request(
            flavor.vcpus,
            flavor.ram_mb,
            flavor_resources.disk(
                flavor.disk_gb, flavor.ephemeral_gb, flavor.swap_mb
            ),
            flavor.specs,
        )
        try:
            free = capacity.read(
                self.cloud.transport, request.resources, request.required
            )
        except errors.UnknownTrait as error:
            self.log.warning(
                'No host fits flavor %s: Placement does not know %s.',
                flavor.name,
                ', '.join(sorted(error.traits)),
            )
            free = {}
        guest_request = requests.GuestRequest.of(dict(flavor.specs))
        judge = verdicts.Judge(guest_request, policy)
        for scope, hosts in scopes:
            fitting = [
                free[host.uuid].fits(request.resources)
                for host in hosts
                if host.uuid in free
                and not request.forbidden & free[host.uuid].traits
                and capability_counts.available(host)
                and judge.verdict(host).accepted
            ]
            yield (
                scope,
                len(hosts),
                len(fitting),
                sum(fitting),
                format_columns.ListColumn(list(request.uncounted)),
            )


def rows(
    scope: str,
    hosts: Sequence[Host],
    free: Mapping[str, capacity.Free],
    everything: bool,
) -> Iterator[tuple[Any, ...]]:
    """One row for each capability.

    :param everything: those too that no host has or does not know
    """
    counted = capability_counts.count(hosts, free, ('VCPU', 'MEMORY_MB'))
    for key, found in counted.items():
        states = found.hosts
        if (
            everything
            or states[CapabilityState.HAS]
            or states[CapabilityState.UNKNOWN]
        ):
            yield (
                scope,
                key,
                *(states[state] for state in CapabilityState),
                *found.free.values(),
            )


def _scopes(
    hosts: Sequence[Host], by: str | None
) -> list[tuple[str, Sequence[Host]]]:
    if by is None:
        return [(_ALL, hosts)]
    found: dict[str, list[Host]] = {}
    for host in hosts:
        if by == 'aggregate':
            names = [each.name for each in host.aggregates]
        else:
            names = [host.zone] if host.zone else []
        for name in names or [_UNPLACED]:
            found.setdefault(name, []).append(host)
    return sorted(found.items())
