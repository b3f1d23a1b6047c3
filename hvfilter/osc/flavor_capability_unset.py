# SPDX-License-Identifier: Apache-2.0
"""``openstack flavor capability unset``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from osc_lib import exceptions

from hvfilter.model.policy import Policy
from hvfilter.model.problem import Problem
from hvfilter.model.requirement import Demand
from hvfilter.osc import base, flavor_capability
from hvfilter.osc.compute import Flavor
from hvfilter.osc.flavor_specs import FlavorSpecs
from hvfilter.rules import flavor_change, requests


class UnsetFlavorCapability(base.Command):
    """Ask no longer for virtualization capabilities with a flavor.

    Removes the extra specs "hvfilter:<capability>" and
    "trait:CUSTOM_HVFILTER_<CAPABILITY>". Servers that exist keep the flavor
    as it was when they were created or resized.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """The options of the command."""
        parser = super().get_parser(prog_name)
        flavor_capability.add_flavor(parser)
        flavor_capability.add_options(
            parser,
            (
                'No longer require <capability>',
                'No longer forbid <capability>',
                'No longer prefer <capability>',
            ),
        )
        parser.add_argument(
            '--all',
            action='store_true',
            help='No longer ask for any capability',
        )
        return parser

    def execute(self, parsed_args: argparse.Namespace) -> None:
        """One request of Nova's for each extra spec."""
        named = any(
            getattr(parsed_args, option)
            for option, _ in flavor_capability.OPTIONS
        )
        if parsed_args.all and named:
            raise exceptions.CommandError(
                'Use either --all or the names of capabilities.'
            )
        given = {} if parsed_args.all else flavor_capability.given(parsed_args)
        flavor = flavor_capability.flavor(self.cloud, parsed_args.flavor)
        if parsed_args.all:
            change = flavor_change.cleared(flavor.specs)
        else:
            _require(flavor, given)
            change = flavor_change.without(flavor.specs, given)
        FlavorSpecs(self.cloud.nova, flavor).apply(change)


def _require(flavor: Flavor, given: Mapping[str, Demand]) -> None:
    """That the flavor asks for all that it is to ask for no longer."""
    asked = {
        (item.capability, item.demand)
        for item in requests.requirements(
            requests.GuestRequest.of(flavor.specs), Policy(required=())
        ).items
        # What Nova's own extra specs ask is not removed here.
        if item.explicit
    }
    missing = [
        f'{key} is not {demand.value}'
        for key, demand in given.items()
        if (key, demand) not in asked
    ]
    if missing:
        raise Problem(
            f'Flavor {flavor.name} was not changed: {", ".join(missing)}',
            f'See "openstack flavor capability show {flavor.name}".',
        )
