# SPDX-License-Identifier: Apache-2.0
"""``openstack hypervisor capability show``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from hvfilter.model import catalogue, dated
from hvfilter.model.dated import Kind
from hvfilter.osc import base
from hvfilter.osc.compute import Hypervisor
from hvfilter.placement import census, errors, expired
from hvfilter.rules import capability_state, infer, nova_evidence
from hvfilter.rules.capability_state import CapabilityState

COLUMNS = ('Capability', 'State', 'Report Week', 'Nova', 'Contradiction')


class ShowCapability(base.Lister):
    """Show what one compute host reported about each capability.

    Beside it stands what Nova itself says of the host (cpu_info and the
    HW_CPU_* traits). Capabilities that this kind of processor cannot have are
    left out; see --long.
    """

    max_age = True

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """The options of the command."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'host',
            metavar='<host>',
            help='Hypervisor host name, as in "openstack hypervisor list"',
        )
        parser.add_argument(
            '--long',
            action='store_true',
            help='Also show capabilities of other processors',
        )
        return parser

    def execute(self, parsed_args: argparse.Namespace) -> base.Table:
        """Two requests; one more where Nova does not show hypervisors."""
        cloud, name = self.cloud, parsed_args.host
        hypervisor = cloud.permitted(
            lambda: cloud.compute.hypervisor(name),
            'what Nova says of the host',
        )
        if hypervisor is None:
            uuid = cloud.placement.provider_named(name).uuid
        else:
            uuid = hypervisor.uuid
        try:
            names = cloud.placement.traits_of(uuid).traits
        except errors.NotFound:
            raise errors.NotFound(
                f'Placement has no resource provider for {name}',
                'nova-compute creates it: check that it runs there and '
                'reaches Placement.',
            ) from None
        return COLUMNS, rows(
            names, hypervisor, parsed_args.max_age_weeks, parsed_args.long
        )


def rows(
    names: frozenset[str],
    hypervisor: Hypervisor | None,
    max_age_weeks: int,
    everything: bool,
) -> list[tuple[str, str, str, str, str]]:
    """One for each capability, in the order of the catalogue.

    :param names: all traits of the provider
    :param everything: those too that such a processor cannot have
    """
    week, stale = report_week(names, max_age_weeks)
    facts = infer.HostFacts() if hypervisor is None else hypervisor.facts
    flags = frozenset() if hypervisor is None else hypervisor.flags
    known = capability_state.advertised(names, week if stale else '', facts)
    impossible = infer.absent(facts)
    found = []
    for key in catalogue.BY_KEY:
        state = capability_state.state_of(key, known)
        seen = nova_evidence.observations(key, facts, flags, names)
        why = nova_evidence.contradiction(key, known, state, seen)
        if everything or state is CapabilityState.HAS or key not in impossible:
            found.append((key, state.value, week, ', '.join(seen), why))
    return found


def report_week(names: Iterable[str], max_age_weeks: int) -> tuple[str, bool]:
    """The week of a provider's report, '' if unknown, and if it is stale."""
    now = census.this_week()
    weeks = [
        mark.week
        for mark in map(dated.parse, names)
        if mark is not None and mark.kind is Kind.REPORTED
    ]
    if not weeks:
        return '', False
    if now is None or not max_age_weeks:
        return str(max(weeks)), False
    stale, fresh = expired.split_stale(names, now, max_age_weeks)
    # Should there ever be two, the valid one counts.
    mark = (fresh or stale)[0]
    return str(mark.week), not fresh
