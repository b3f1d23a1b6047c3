# SPDX-License-Identifier: Apache-2.0
"""``openstack hypervisor capability report``."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from hvfilter import version
from hvfilter.osc import base, fleet
from hvfilter.osc.report_page import content, page
from hvfilter.placement import capacity
from hvfilter.publish import output_file

TITLE = 'Virtualization capabilities of compute hosts'


class ReportCapability(base.Command):
    """Write one HTML file that shows all compute hosts by capability.

    The file needs no network and no server: open it in a browser, attach it
    to a ticket, print it. It shows what "list --long", "summary" and "show"
    know: a matrix of hosts and capabilities in which hosts that are alike
    share a row, what is free on the hosts that have a capability, and why
    others lack it as far as Placement and Nova show that.
    """

    max_age = True

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """The options of the command."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--html',
            metavar='<file>',
            required=True,
            help='Where to write the page; "-" for standard output',
        )
        parser.add_argument(
            '--title',
            metavar='<text>',
            default=TITLE,
            help='Title of the page, such as the name of the cloud '
            '(default: %(default)s)',
        )
        base.add_places(parser)
        return parser

    def execute(self, parsed_args: argparse.Namespace) -> None:
        """Read what "summary" reads, and write the page."""
        everything = fleet.read(self.cloud, parsed_args.max_age_weeks)
        hosts = everything.inside(
            parsed_args.aggregate, parsed_args.availability_zone
        )
        free = capacity.read(self.cloud.transport, {'VCPU': 1})
        about = content.About(
            parsed_args.title,
            time.time(),
            version.version_string(),
            parsed_args.max_age_weeks,
            _selection(parsed_args),
            tuple(dict.fromkeys(self.cloud.notes)),
        )
        text = page.render(content.document(hosts, free, about))
        if parsed_args.html == '-':
            self.app.stdout.write(text)
            return
        output_file.write(Path(parsed_args.html), text)
        self.log.warning(
            'Wrote %s: %d hosts, %d KiB. It names the hosts of the cloud: '
            'choose who may read it.',
            parsed_args.html,
            len(hosts),
            len(text) + 1023 >> 10,
        )


def _selection(parsed_args: argparse.Namespace) -> str:
    """What restricts the hosts, in words."""
    parts = []
    if parsed_args.aggregate is not None:
        parts.append(f'host aggregate {parsed_args.aggregate}')
    if parsed_args.availability_zone is not None:
        parts.append(f'availability zone {parsed_args.availability_zone}')
    return ', '.join(parts)
