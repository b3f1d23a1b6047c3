# SPDX-License-Identifier: Apache-2.0
"""``openstack flavor capability show``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from hvfilter.model import catalogue
from hvfilter.model.requirement import Demand, Requirement, Requirements
from hvfilter.osc import base, flavor_capability, fleet
from hvfilter.osc.fleet import Host
from hvfilter.rules.requests import SCOPE

COLUMNS = ('Capability', 'Demand', 'Hosts', 'Meaning', 'Extra Spec')
ALL = '(all of these)'

_MEANING = {
    Demand.REQUIRED: 'hosts must have it: {}',
    Demand.FORBIDDEN: 'hosts must not have it: {}',
    Demand.PREFERRED: 'hosts with it are preferred: {}',
}


class ShowFlavorCapability(base.Lister):
    """Show which virtualization capabilities a flavor asks for.

    Hosts is how many compute hosts could serve it, whether or not there is
    room on them: those that have what is required or preferred, and those
    that lack what is forbidden. The last row is for all that is required and
    forbidden together.
    """

    max_age = True

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """The options of the command."""
        parser = super().get_parser(prog_name)
        flavor_capability.add_flavor(parser)
        return parser

    def execute(self, parsed_args: argparse.Namespace) -> base.Table:
        """At most 29 requests, and one for each thousand hosts or flavors."""
        cloud = self.cloud
        flavor = flavor_capability.flavor(cloud, parsed_args.flavor)
        requirements = flavor_capability.requested(flavor.specs)
        if not (requirements.items or requirements.invalid):
            return COLUMNS, []
        everything = cloud.permitted(
            lambda: fleet.read(cloud, parsed_args.max_age_weeks, places=False),
            'how many hosts could serve it',
        )
        hosts = None if everything is None else everything.hosts
        return COLUMNS, rows(flavor.specs, requirements, hosts)


def rows(
    specs: Mapping[str, str],
    requirements: Requirements,
    hosts: Sequence[Host] | None,
) -> list[tuple[Any, ...]]:
    """One for each capability, and one for all of them.

    :param requirements: of these extra specs
    :param hosts: None where they could not be read
    """

    def count(part: Mapping[str, str]) -> int | str:
        if hosts is None:
            return base.UNAVAILABLE
        against = flavor_capability.rejected(part, hosts)
        return len(hosts) - flavor_capability.total(against)

    found: list[tuple[Any, ...]] = [
        (
            item.capability,
            item.demand.value,
            count(_alone(item)),
            _MEANING[item.demand].format(
                catalogue.BY_KEY[item.capability].meaning
            ),
            item.words,
        )
        for item in requirements.items
    ]
    found += [
        ('', 'not understood', 0, invalid.problem, invalid.words)
        for invalid in requirements.invalid
    ]
    return [*found, (ALL, '', count(specs), '', '')]


def _alone(item: Requirement) -> dict[str, str]:
    """The extra specs of what asks for this only; what is preferred as if
    it was required, since a preference rejects no host."""
    demand = item.demand
    if demand is Demand.PREFERRED:
        demand = Demand.REQUIRED
    return {f'{SCOPE}:{item.capability}': demand.value}
