# SPDX-License-Identifier: Apache-2.0
"""``hvfilter prepare``: make our trait names known, once for a cloud."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from hvfilter.cli import agent as common
from hvfilter.placement import client, errors, fleet, reconcile
from hvfilter.publish import base, placement


class Prepare(common.PlacementCommand):
    """Make every trait name of this release known to Placement.

    Once for a cloud, before a flavor names a trait that no host has had yet:
    Placement finds no host for a request with a name that it does not know,
    even where the name is forbidden. No resource provider is changed, and
    doing it again does nothing.
    """

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Sequence[str]]]:
        """See ``cliff.command.Command``."""
        conf = common.loaded(parsed_args)
        try:
            asked = client.PlacementClient(placement.transport_of(conf))
            if parsed_args.dry_run:
                names, change = reconcile.missing(asked), 'would be created'
            else:
                names, change = fleet.prepare(asked), 'created'
        except errors.PlacementError as error:
            raise base.Failed(
                error.what, error.remedy, transient=error.transient
            ) from error
        self.say(
            f'{len(names)} trait names {change}.'
            if names
            else 'Placement knows all trait names of this release.'
        )
        return ('Trait', 'Change'), [(name, change) for name in sorted(names)]
