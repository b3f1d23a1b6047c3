# SPDX-License-Identifier: Apache-2.0
"""``openstack hypervisor capability audit``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hvfilter.model import catalogue
from hvfilter.osc import base, fleet, images, progress, servers
from hvfilter.osc.audit import nested, plan, providers, requests
from hvfilter.osc.audit.finding import COLUMNS, Row
from hvfilter.osc.audit.free_resources import FreeResources
from hvfilter.osc.audit.hosts import Hosts
from hvfilter.osc.audit.servers import ServerAudit
from hvfilter.placement import census, errors, nested_sets

FOUND = 1
"""The exit code where anything is found, or could not be looked at."""


class AuditCapability(base.Lister):
    """Find servers on wrong hosts, and what no host can serve.

    Finds servers that the filter would not put where they are; flavors that
    no host can serve; flavors, images and host aggregates that name what is
    not known; hosts without a valid report; resource providers without a
    compute node or with two names; and trait names that nobody owns. With
    --policy and tomorrow's nova.conf it shows what would be so then. Changes
    nothing. Exits with 1 if anything is found or could not be looked at.
    """

    max_age = True
    takes_policy = True

    _found = False

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """The options of the command."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--plan',
            action='store_true',
            help='Print the commands that move misplaced servers to hosts '
            'with room instead of what was found; nothing is executed',
        )
        return parser

    def run(self, parsed_args: argparse.Namespace) -> int:
        """The exit code says if anything was found."""
        code: int = super().run(parsed_args)
        return code or (FOUND if self._found else 0)

    def produce_output(
        self,
        parsed_args: argparse.Namespace,
        column_names: Sequence[str],
        data: Iterable[Sequence[Any]],
    ) -> int:
        """A plan is a script, unless another format is asked for."""
        if not parsed_args.plan or parsed_args.formatter != 'table':
            code: int = super().produce_output(parsed_args, column_names, data)
            return code
        self.app.stdout.write(f'# {plan.NOT_COUNTED}\n')
        for move in self._moves:
            self.app.stdout.write(f'{move.line}\n')
        return 0

    def execute(self, parsed_args: argparse.Namespace) -> base.Table:
        """About 40 requests, and one for each thousand hosts, flavors,
        images and servers."""
        policies = self.policies(parsed_args)
        cloud = self.cloud
        everything = cloud.permitted(
            lambda: fleet.read(cloud, policies.max_age_weeks),
            'hosts, resource providers, traits and servers',
        )
        if everything is None:
            everything = fleet.Fleet((), census.Census({}, {}, frozenset()))
        hosts = Hosts(everything.hosts, policies)
        if not everything.hosts and not cloud.incomplete:
            cloud.notes.append('The cloud has no compute host to audit.')
        names = cloud.permitted(self._names, 'trait names')
        rows = list(self._static(everything, hosts, names))
        audit = self._servers(hosts, rows) if len(hosts) else None
        # What could not be looked at is not clean.
        skipped = audit is None or audit.skipped > 0
        self._found = bool(rows) or skipped or cloud.incomplete
        self._moves: list[plan.Move] = []
        if not parsed_args.plan:
            return COLUMNS, rows
        if audit is not None and audit.misplaced:
            free = FreeResources.of(cloud, plan.processors(audit.misplaced))
            planner = plan.Planner(hosts, free)
            self._moves = list(planner.moves(audit.misplaced))
        return plan.COLUMNS, [move.row for move in self._moves]

    def _names(self) -> requests.Names:
        placement, prefix = self.cloud.placement, catalogue.TRAIT_PREFIX
        return requests.Names(
            placement.traits_known(prefix),
            placement.traits_known(prefix, carried=True),
        )

    def _static(
        self,
        everything: fleet.Fleet,
        hosts: Hosts,
        names: requests.Names | None,
    ) -> Iterator[Row]:
        """Everything but servers."""
        cloud = self.cloud
        yield from providers.reports(everything.hosts)
        if any(host.hypervisor is not None for host in everything.hosts):
            yield from providers.identities(
                everything, fleet.compute_nodes(cloud)
            )
        if names is not None:
            yield from providers.names(
                names.known, names.carried, census.this_week()
            )
            groups = {
                each.uuid: each
                for each in cloud.permitted(
                    cloud.compute.aggregates, 'host aggregates'
                )
                or ()
            }
            yield from requests.aggregates(groups.values(), names)
            sets = nested_sets.read(cloud.placement, names.carried)
            yield from nested.aggregates(everything.hosts, sets)
        flavors = cloud.permitted(
            lambda: [*cloud.compute.flavors()], 'flavors'
        )
        yield from requests.flavors(flavors or (), hosts, names)
        self._images = self._read_images()
        if names is not None and self._images is not None:
            yield from requests.images(self._images.values(), names)

    def _read_images(self) -> Mapping[str, images.Image] | None:
        """Those whose properties matter, and all others without any."""
        try:
            return {
                each.uuid: each for each in images.images(self.cloud.glance)
            }
        except errors.PlacementError as error:
            self.cloud.note_missing('images', error)
            return None

    def _servers(self, hosts: Hosts, rows: list[Row]) -> ServerAudit:
        audit = ServerAudit(
            hosts,
            None
            if self._images is None
            else {
                uuid: each.properties for uuid, each in self._images.items()
            },
        )
        with progress.bar(sys.stderr, 'servers') as track:
            self.cloud.permitted(
                lambda: rows.extend(
                    audit.rows(track(servers.servers(self.cloud.nova)))
                ),
                'servers',
            )
        self.cloud.notes.extend(audit.notes)
        return audit
