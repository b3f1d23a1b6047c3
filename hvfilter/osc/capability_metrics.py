# SPDX-License-Identifier: Apache-2.0
"""``openstack hypervisor capability metrics``."""

from __future__ import annotations

import argparse
import pathlib
import time
from collections.abc import Iterable

from hvfilter.model.problem import Problem
from hvfilter.osc import base, fleet, fleet_metrics
from hvfilter.placement import capacity, census
from hvfilter.publish import atomic_file
from hvfilter.publish.metrics import Family

_MODE = 0o644


class MetricsOfCapability(base.Command):
    """Print metrics of the fleet for Prometheus.

    Counts compute hosts by report and capability, in each availability zone
    and host aggregate, and what is free on them. Run it from time to time and
    write the output where the textfile collector of node_exporter reads it.
    """

    max_age = True
    takes_policy = True

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """The options of the command."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--output',
            metavar='<file>',
            type=pathlib.Path,
            help='Replace this file at once, mode 644, instead of printing; '
            'after an error the old file stays. node_exporter reads names '
            'that end in ".prom"',
        )
        return parser

    def execute(self, parsed_args: argparse.Namespace) -> None:
        """The fleet and its places, and one request for each kind of CPU."""
        policy = self.policies(parsed_args, warn=False)
        read_s = time.time()
        everything = fleet.read(self.cloud, policy.max_age_weeks)
        free = capacity.with_any(self.cloud.transport, fleet_metrics.CPUS)
        text = render(
            fleet_metrics.families(
                everything,
                free,
                census.this_week(),
                read_s=read_s,
                complete=not self.cloud.incomplete,
            )
        )
        if parsed_args.output is None:
            self.app.stdout.write(text.decode())
        else:
            atomic_file.replace(parsed_args.output, text, _MODE)


def render(families: Iterable[Family]) -> bytes:
    """As text.

    :raises Problem: prometheus_client is not installed
    """
    try:
        from hvfilter.publish import exposition
    except ImportError as error:
        raise Problem(
            f'Cannot write metrics: {error}',
            'Install prometheus_client into the Python environment of '
            '"openstack": the extra "osc" of hvfilter has it.',
        ) from None
    return exposition.render(families)
