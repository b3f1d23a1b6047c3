# SPDX-License-Identifier: Apache-2.0
"""``hvfilter prepare``: make our trait names known, once for a cloud."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Sequence

from hvfilter.cli import placement_command
from hvfilter.model.week import Week
from hvfilter.placement import client, connect, fleet


class Prepare(placement_command.PlacementCommand):
    """Make every trait name of this release known to Placement.

    Once for a cloud, before a flavor names a trait that no host has had yet:
    Placement finds no host for a request with a name that it does not know,
    even where the name is forbidden. No resource provider is changed, and
    doing it again does nothing. Names of past weeks that no resource provider
    carries any more are deleted.
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
            else 'Placement knows all trait names of this release.'
        )
        if deleted:
            self.say(
                f'{len(deleted)} trait names of past weeks {would}deleted.'
            )
        rows = [(name, f'{would}created') for name in sorted(created)]
        rows += [(name, f'{would}deleted') for name in sorted(deleted)]
        return ('Trait', 'Change'), rows
