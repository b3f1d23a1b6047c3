# SPDX-License-Identifier: Apache-2.0
"""``openstack flavor capability set``."""

from __future__ import annotations

import argparse

from hvfilter.osc import base, flavor_capability
from hvfilter.osc.flavor_specs import FlavorSpecs
from hvfilter.rules import flavor_change


class SetFlavorCapability(base.Command):
    """Ask for virtualization capabilities with a flavor.

    Writes the extra specs "hvfilter:<capability>"; what the flavor asks of
    other capabilities stays. Refused where no host could serve the flavor
    then. Servers that exist keep the flavor as it was when they were created
    or resized.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """The options of the command."""
        parser = super().get_parser(prog_name)
        flavor_capability.add_flavor(parser)
        flavor_capability.add_options(
            parser,
            (
                'Hosts must have <capability>',
                'Hosts must not have <capability>',
                'Hosts with <capability> are preferred',
            ),
        )
        parser.add_argument(
            '--force',
            action='store_true',
            help='Change the flavor even if no host could serve it; '
            'Placement is not asked then',
        )
        return parser

    def execute(self, parsed_args: argparse.Namespace) -> None:
        """One request of Nova's that writes, if all can be written so."""
        demands = flavor_capability.given(parsed_args)
        flavor = flavor_capability.flavor(self.cloud, parsed_args.flavor)
        change = flavor_change.requesting(flavor.specs, demands.items())
        if not parsed_args.force:
            specs = change.applied_to(flavor.specs)
            flavor_capability.check(self.cloud, flavor.name, specs)
        FlavorSpecs(self.cloud.nova, flavor).apply(change)
