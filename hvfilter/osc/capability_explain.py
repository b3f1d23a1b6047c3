# SPDX-License-Identifier: Apache-2.0
"""``openstack hypervisor capability explain``."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from osc_lib.cli import format_columns

from hvfilter.model.policy import NestedSetOnMove
from hvfilter.model.problem import Problem
from hvfilter.osc import (
    base,
    explanation,
    fleet,
    images,
    live_migration,
    servers,
)
from hvfilter.osc.compute import Flavor
from hvfilter.osc.explanation import Rejection, Result
from hvfilter.osc.fleet import Host
from hvfilter.osc.placement_stage import PlacementStage
from hvfilter.osc.servers import Server
from hvfilter.placement import errors, nested_sets
from hvfilter.rules import flavor_resources, nested_move, requests
from hvfilter.rules.guest import Guest

COLUMNS = (
    'Verdict',
    'Hosts',
    'Stage',
    'Reason',
    'Requirement',
    'Hosts Back',
    'Names',
    'To Change',
)
LONG = ('Host', 'ID', 'Verdict', 'Reasons', 'To Change')

_FITS = 'fits'
_PASSES = 'passes'
"""Rejected by hvfilter, but mode = permissive."""
_REJECTED = 'rejected'

_MOST_NAMED = 3
_MOST_BACK = 5


class ExplainCapability(base.Lister):
    """Explain which hosts fit a flavor or a server, and why others do not.

    One row for each reason, most hosts first; a host with several reasons is
    counted in several rows. "Hosts Back" is how many of these hosts would fit
    if the requirement in this row alone were taken away. With --long or --host
    one row for each host, with all reasons against it.

    Judged are: what Placement is asked for (each resource class and trait by
    itself), whether nova-compute is up and enabled, the availability zone, and
    what HardwareVirtFilter checks. NUMA, PCI devices, server groups and other
    filters of Nova are not.
    """

    max_age = True
    takes_policy = True

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """The options of the command."""
        parser = super().get_parser(prog_name)
        guest = parser.add_mutually_exclusive_group(required=True)
        guest.add_argument(
            '--flavor',
            metavar='<flavor>',
            help='Explain a new server of this flavor (name or ID)',
        )
        guest.add_argument(
            '--server',
            metavar='<server>',
            help='Explain this server (name or ID), with the flavor that it '
            'has and its image',
        )
        parser.add_argument(
            live_migration.OPTION,
            action='store_true',
            help='With --server: explain which hosts can take the running '
            'server now; hosts that lack VMX or SVM features of its host '
            'cannot',
        )
        parser.add_argument(
            '--image',
            metavar='<image>',
            help='The image of the new server (name or ID); with --server: '
            'instead of its own',
        )
        parser.add_argument(
            '--availability-zone',
            metavar='<zone>',
            help='The availability zone that the server is to be in',
        )
        parser.add_argument(
            '--host',
            metavar='<host>',
            action='append',
            default=[],
            help='Explain this host only (hypervisor host name; repeat for '
            'several)',
        )
        parser.add_argument(
            '--long',
            action='store_true',
            help='One row for each host, with all reasons against it',
        )
        return parser

    def execute(self, parsed_args: argparse.Namespace) -> base.Table:
        """Read the request, then the fleet, then Placement's part."""
        policies = self.policies(parsed_args)
        if parsed_args.live_migration and not parsed_args.server:
            raise Problem(
                f'{live_migration.OPTION} needs a running server',
                'Name it with --server.',
            )
        guest, label, server = self._guest(parsed_args)
        everything = fleet.read(self.cloud, policies.max_age_weeks)
        if (
            server is not None
            and not parsed_args.live_migration
            and policies.nested_set_on_move is NestedSetOnMove.REQUIRE
            and nested_move.requests_nested(
                requests.requirements(guest.guest_request, policies.base)
            )
        ):
            self.cloud.notes.append(
                'Not counted: [hvfilter] nested_set_on_move = require, which '
                'rejects hosts without the VMX or SVM features of the host '
                'that a server is moved from.'
            )
        guest = self._in_its_zone(guest, everything.hosts)
        hosts = _named(everything.hosts, parsed_args.host)
        home = _current_host(everything.hosts, server)
        explainer = explanation.Explainer(
            guest, policies, PlacementStage(self.cloud.transport), home
        )
        results = explainer.results(hosts)
        rejected = [each.host for each in results if not each.fits]
        if parsed_args.live_migration:
            moving = live_migration.Comparison(
                everything.hosts,
                home,
                nested_sets.read(
                    self.cloud.placement, everything.census.names
                ),
            )
            results = moving.against(results)
            self.cloud.notes += filter(None, [moving.note])
            # What no requirement asks for, none gives back.
            held = {
                each.host.uuid
                for each in results
                if any(
                    one.requirement == live_migration.OPTION
                    for one in each.against
                )
            }
            rejected = [host for host in rejected if host.uuid not in held]
        regained = explainer.regained(rejected)
        self._summarize(label, guest, results, regained)
        if parsed_args.long or parsed_args.host:
            return LONG, [_long(each) for each in results]
        return COLUMNS, _rows(results, regained)

    def _guest(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Guest, str, Server | None]:
        """The request, what to call it, and the server that makes it."""
        server = None
        boots_from_volume = False
        properties: Mapping[str, str] = {}
        zone = parsed_args.availability_zone or ''
        if parsed_args.server:
            server = servers.find(self.cloud.nova, parsed_args.server)
            if server.flavor is None:
                raise errors.Unreachable(
                    f'Nova does not show the flavor of server {server.name}, '
                    'since its cell does not answer',
                    'Retry when the database of the cell is back.',
                )
            flavor = server.flavor
            zone = zone or server.pinned or ''
            boots_from_volume = not (server.image or parsed_args.image)
            label = f'server {server.name}'
        else:
            flavor = self.cloud.compute.flavor(parsed_args.flavor)
            label = f'flavor {flavor.name}'
        if parsed_args.image:
            image = self._image(parsed_args.image)
            properties = image.properties
            label += f' with image {image.name or image.uuid}'
        elif server is not None:
            properties = self._properties(server)
        if not flavor.specs_shown:
            self.cloud.notes.append(
                'Not counted: the extra specs of the flavor, which this user '
                'may not see. Use credentials with the role "admin".'
            )
        return (
            _of(flavor, properties, zone, boots_from_volume),
            label,
            server,
        )

    def _in_its_zone(self, guest: Guest, hosts: Sequence[Host]) -> Guest:
        """With a zone only if Nova restricts the request to it.

        Nova asks Placement for the host aggregates that make the zone, and no
        aggregate makes the zone of the hosts that are in none:
        ``map_az_to_placement_aggregate`` in
        ``nova/scheduler/request_filter.py``.
        """
        zone = guest.zone
        if not zone or any(
            zone == each.zone for host in hosts for each in host.aggregates
        ):
            return guest
        zones = {host.zone for host in hosts} - {''}
        if zones and zone not in zones:
            raise errors.NotFound(
                f'No compute host is in the availability zone {zone!r}',
                'See "openstack availability zone list"; it needs the role '
                'admin.',
            )
        self.cloud.notes.append(
            f'Not counted: the availability zone {zone}. No host aggregate '
            'that this user may see makes it, and without one Nova does not '
            'restrict a request to it.'
        )
        return dataclasses.replace(guest, zone='')

    def _image(self, name: str) -> images.Image:
        if self.cloud.glance is None:
            raise errors.Misconfigured(
                'The service catalogue has no Glance', 'Omit --image.'
            )
        return images.find(self.cloud.glance, name)

    def _properties(self, server: Server) -> Mapping[str, str]:
        """Those of the server's image: as Nova kept them, where it shows
        them, and the traits, which it does not show, from Glance."""
        kept = server.properties
        if not server.image:
            if kept is None:
                self.cloud.notes.append(
                    'Not counted: image properties of the volume that the '
                    'server boots from; Nova shows them from microversion '
                    '2.98 on.'
                )
            return kept or {}
        try:
            image = self._image(server.image).properties
        except Problem as problem:
            self.cloud.notes.append(
                f'Not counted: traits that the image requires. {problem}'
                if kept is not None
                else f'Not counted: image properties. {problem}'
            )
            return kept or {}
        if kept is None:
            return image
        traits = {
            name: value
            for name, value in image.items()
            if name.startswith('trait:')
        }
        return {**traits, **kept}

    def _summarize(
        self,
        label: str,
        guest: Guest,
        results: Sequence[Result],
        regained: Mapping[str, frozenset[str]],
    ) -> None:
        """What is worth knowing first, on standard error."""
        fitting = sum(each.fits for each in results)
        text = f'Hosts that fit {label}: {fitting} of {len(results)}.'
        ranked = sorted(
            regained.items(), key=lambda item: (-len(item[1]), item)
        )
        for words, uuids in ranked[:_MOST_BACK]:
            text += f' Without {words}: {len(uuids)} more.'
        if fitting < len(results) and not regained:
            text += (
                ' No single requirement, if taken away, would give a host '
                'back.'
            )
        self.log.warning(text)
        uncounted = list(guest.request.uncounted)
        if guest.properties:
            uncounted[0] = f'other {uncounted[0]}'
        self.cloud.notes.append(f'Not counted: {", ".join(uncounted)}.')


def _of(
    flavor: Flavor,
    properties: Mapping[str, str],
    zone: str,
    boots_from_volume: bool,
) -> Guest:
    root_gb = 0 if boots_from_volume else flavor.disk_gb
    return Guest(
        flavor.vcpus,
        flavor.ram_mb,
        flavor_resources.disk(root_gb, flavor.ephemeral_gb, flavor.swap_mb),
        dict(flavor.specs),
        dict(properties),
        zone,
    )


def _named(hosts: Sequence[Host], names: Sequence[str]) -> Sequence[Host]:
    """Those of these names, which ``openstack hypervisor list`` shows."""
    if not names:
        return hosts
    found = [
        host
        for host in hosts
        if host.name in names
        or (host.hypervisor is not None and host.hypervisor.host in names)
    ]
    known = {host.name for host in found} | {
        host.hypervisor.host for host in found if host.hypervisor is not None
    }
    for name in names:
        if name not in known:
            raise errors.NotFound(
                f'There is no compute host {name!r}',
                'See "openstack hypervisor list" for their names.',
            )
    return found


def _current_host(hosts: Iterable[Host], server: Server | None) -> str:
    """The uuid of the host that a server is on, '' if on none."""
    if server is None or not server.node:
        return ''
    for host in hosts:
        if host.name == server.node:
            return host.uuid
    return ''


def _verdict(result: Result) -> str:
    if not result.against:
        return _FITS
    return _PASSES if result.fits else _REJECTED


def _long(result: Result) -> tuple[Any, ...]:
    changes = dict.fromkeys(each.change for each in result.against)
    return (
        result.host.name,
        result.host.uuid,
        _verdict(result),
        format_columns.ListColumn([str(each) for each in result.against]),
        format_columns.ListColumn(list(changes)),
    )


def _rows(
    results: Sequence[Result], regained: Mapping[str, frozenset[str]]
) -> list[tuple[Any, ...]]:
    """Hosts that fit first, then each reason, most hosts first."""
    fitting = [each.host for each in results if not each.against]
    by_reason: dict[tuple[str, Rejection], list[Result]] = {}
    for result in results:
        for each in result.against:
            key = _verdict(result), each
            by_reason.setdefault(key, []).append(result)
    rows: list[tuple[Any, ...]] = [
        (_FITS, len(fitting), '', '', '', 0, _names(fitting), '')
    ]
    ranked = sorted(
        by_reason.items(), key=lambda item: (-len(item[1]), item[0][1].reason)
    )
    for (verdict, against), found in ranked:
        rows.append(
            (
                verdict,
                len(found),
                against.stage.value,
                against.reason,
                against.requirement,
                _regained(against, found, regained),
                _names([each.host for each in found]),
                against.change,
            )
        )
    return rows


def _regained(
    against: Rejection,
    results: Sequence[Result],
    regained: Mapping[str, frozenset[str]],
) -> int:
    """How many hosts this alone stands between and the guest."""
    if against.requirement:
        uuids = regained.get(against.requirement, frozenset())
        return sum(each.host.uuid in uuids for each in results)
    return sum(len(each.against) == 1 and not each.fits for each in results)


def _names(hosts: Sequence[Host]) -> format_columns.ListColumn:
    names = [host.name for host in hosts[:_MOST_NAMED]]
    if len(hosts) > _MOST_NAMED:
        names.append('...')
    return format_columns.ListColumn(names)
