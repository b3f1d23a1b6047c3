# SPDX-License-Identifier: Apache-2.0
"""``hvfilter prepare``: create the trait names, once for a cloud."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Sequence

from hvfilter.cli import placement_command
from hvfilter.model.week import Week
from hvfilter.placement import client, connect, fleet


class Prepare(placement_command.PlacementCommand):
    """Create every trait name of this release in Placement.

    Run it once for a cloud, and after each upgrade, before a flavor names a
    trait that no host has had yet: Placement finds no host for a request with
    an unknown trait name, even if the name is forbidden. No resource provider
    is changed; running it again has no effect. Names of past weeks and of
    nested sets that no resource provider has any more are deleted.
    """

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Sequence[str]]]:
        """See ``cliff.command.Command``."""
        conf = placement_command.load_config(parsed_args)
        now = Week.at(time.time())
        placement = client.PlacementClient(connect.transport_of(conf))
        names = fleet.name_changes(placement, now)
        created, deleted = names.missing, names.outdated
        if not parsed_args.dry_run:
            created = fleet.create_names(placement, created)
            deleted = fleet.delete_names(placement, deleted)
        would = 'would be ' if parsed_args.dry_run else ''
        self.say(
            f'{len(created)} trait names {would}created.'
            if created
            else 'All trait names of this release exist in Placement.'
        )
        if deleted:
            self.say(
                f'{len(deleted)} trait names that no resource provider has '
                f'any more {would}deleted.'
            )
        rows = [(name, f'{would}created') for name in sorted(created)]
        rows += [(name, f'{would}deleted') for name in sorted(deleted)]
        return ('Trait', 'Change'), rows
