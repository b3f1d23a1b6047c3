# SPDX-License-Identifier: Apache-2.0
"""``openstack hypervisor capability list``."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

from osc_lib.cli import format_columns

from hvfilter.model import catalogue
from hvfilter.osc import base, fleet
from hvfilter.placement import census, client, errors, expired
from hvfilter.rules.capability_state import CapabilityState

COLUMNS = ('Host', 'ID')
LONG = (
    *COLUMNS,
    'Report',
    'Capabilities',
    'Unknown Capabilities',
    'State',
    'Status',
    'Availability Zone',
    'Aggregates',
)


@dataclasses.dataclass(frozen=True)
class Selection:
    """Which hosts to list: those that match all of it.

    :ivar states: capability and what hosts are to say of it
    :ivar report: 'stale', 'unreported', or '' for any
    """

    states: tuple[tuple[str, CapabilityState], ...]
    report: str
    max_age_weeks: int

    def includes(self, host: fleet.Host) -> bool:
        """Whether a host matches."""
        return self.report in ('', host.report) and all(
            host.state_of(key) is state for key, state in self.states
        )


class ListCapability(base.Lister):
    """List compute hosts by what hvfilter reported about them.

    Without an option all compute hosts are listed. Options restrict the list:
    a host must match all of them. A host whose report is stale neither has
    nor lacks anything.
    """

    max_age = True

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """The options of the command."""
        parser = super().get_parser(prog_name)
        for option, text in (
            ('--has', 'Hosts that have <capability>'),
            ('--lacks', 'Hosts that reported and lack <capability>'),
            ('--unknown', 'Hosts that could not determine <capability>'),
        ):
            parser.add_argument(
                option,
                metavar='<capability>',
                action='append',
                default=[],
                type=base.capability,
                help=f'{text} (repeat to require several)',
            )
        report = parser.add_mutually_exclusive_group()
        report.add_argument(
            '--stale',
            action='store_true',
            help='Hosts whose last report is older than --max-age-weeks',
        )
        report.add_argument(
            '--unreported',
            action='store_true',
            help='Hosts that hvfilter never reported about',
        )
        base.add_places(parser)
        parser.add_argument(
            '--long',
            action='store_true',
            help='Also show the report, all capabilities and what Nova says '
            'of the host',
        )
        return parser

    def execute(self, parsed_args: argparse.Namespace) -> base.Table:
        """Names only cost one list of Placement; the rest reads the fleet."""
        asked = _selection(parsed_args)
        inside = parsed_args.aggregate or parsed_args.availability_zone
        if asked.states and not (asked.report or inside or parsed_args.long):
            return COLUMNS, self._by_traits(asked)
        everything = fleet.read(
            self.cloud,
            asked.max_age_weeks,
            places=bool(parsed_args.long or inside),
        )
        hosts = [
            host
            for host in everything.inside(
                parsed_args.aggregate, parsed_args.availability_zone
            )
            if asked.includes(host)
        ]
        if parsed_args.long:
            return LONG, (_long(host) for host in hosts)
        return COLUMNS, ((host.name, host.uuid) for host in hosts)

    def _by_traits(self, asked: Selection) -> Iterator[tuple[str, str]]:
        """Placement finds the hosts, however many there are."""
        placement = self.cloud.placement
        old = expired.reports(
            placement, census.this_week(), asked.max_age_weeks
        )
        found = with_states(placement, asked.states)
        valid = [each for each in found if each.uuid not in old.uuids]
        if len(valid) < len(found):
            self.log.warning(
                '%d of %d hosts are not listed because their report is stale '
                '(week %s); see --stale.',
                len(found) - len(valid),
                len(found),
                old.weeks,
            )
        return ((each.name, each.uuid) for each in valid)


def with_states(
    placement: client.PlacementClient,
    states: Iterable[tuple[str, CapabilityState]],
) -> list[client.Provider]:
    """Providers of which all of this is true, if their report is valid.

    One request; three or more to a Placement before 1.22, which cannot be
    asked for what a provider does not carry.

    :param states: capability and HAS, LACKS or UNKNOWN
    :raises errors.PlacementError: Placement did not answer
    """
    required, forbidden = _traits_of(states)
    if required & forbidden:
        return []
    try:
        known = forbidden
        try:
            found = placement.providers_with(
                required=required, forbidden=known
            )
        except errors.UnknownTrait as error:
            # No provider carries a name that Placement does not know.
            if error.traits & required or not error.traits & forbidden:
                return []
            known = forbidden - error.traits
            found = placement.providers_with(
                required=required, forbidden=known
            )
    except errors.TooOld:
        found = placement.providers_with(required=required)
        barred: set[str] = set()
        for name in sorted(forbidden):
            barred |= _carrying(placement, name)
        found = tuple(each for each in found if each.uuid not in barred)
    return sorted(found, key=lambda each: (each.name, each.uuid))


def _carrying(placement: client.PlacementClient, name: str) -> frozenset[str]:
    try:
        return placement.uuids_with(name)
    except errors.UnknownTrait:
        return frozenset()


def _traits_of(
    states: Iterable[tuple[str, CapabilityState]],
) -> tuple[frozenset[str], frozenset[str]]:
    """What Placement is to require and to forbid: the rule of
    :func:`hvfilter.rules.capability_state.state_of`, as a query."""
    required: set[str] = set()
    forbidden: set[str] = set()
    for key, state in states:
        row = catalogue.BY_KEY[key]
        if state is CapabilityState.HAS:
            required.add(row.trait)
        elif state is CapabilityState.UNKNOWN:
            required.add(row.unknown_trait)
            forbidden.add(row.trait)
        else:
            required.add(catalogue.REPORTED_TRAIT)
            forbidden |= {row.trait, row.unknown_trait}
    return frozenset(required), frozenset(forbidden)


def _selection(parsed_args: argparse.Namespace) -> Selection:
    return Selection(
        tuple(
            (key, state)
            for state in (
                CapabilityState.HAS,
                CapabilityState.LACKS,
                CapabilityState.UNKNOWN,
            )
            for key in getattr(
                parsed_args,
                'has' if state is CapabilityState.HAS else state.value,
            )
        ),
        _report(parsed_args),
        parsed_args.max_age_weeks,
    )


def _report(parsed_args: argparse.Namespace) -> str:
    for state in (CapabilityState.STALE, CapabilityState.UNREPORTED):
        if getattr(parsed_args, state.value):
            return str(state.value)
    return ''


def _long(host: fleet.Host) -> tuple[Any, ...]:
    known, nova = host.known, host.hypervisor
    if nova is None:
        place: tuple[Any, ...] = (base.UNAVAILABLE,) * 4
    else:
        place = (
            'up' if nova.up else 'down',
            'enabled' if nova.enabled else 'disabled',
            host.zone or base.UNAVAILABLE,
            format_columns.ListColumn([each.name for each in host.aggregates]),
        )
    return (
        host.name,
        host.uuid,
        host.report,
        format_columns.ListColumn(sorted(known.capabilities)),
        format_columns.ListColumn(sorted(known.unknown)),
        *place,
    )
