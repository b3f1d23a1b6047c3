# SPDX-License-Identifier: Apache-2.0
"""Showing this host's findings as "hvfilter publish" would publish them."""

from __future__ import annotations

import argparse

from hvfilter.cli import command, configuration
from hvfilter.host.door import Host
from hvfilter.model.finding import HostReport
from hvfilter.rules import overrule

SECTION, OPTION = 'hvfilter', 'overrule'


def as_published(
    host: Host, report: HostReport, parsed_args: argparse.Namespace
) -> HostReport:
    """The report with what the operator's configuration overrules.

    Read through the door and not with oslo.config, whose import takes longer
    than looking at the host.

    :raises hvfilter.cli.command.Trouble: the option is not understood.
    """
    words: list[str] = []
    origin = ''
    for path, value in configuration.values(
        parsed_args, host, SECTION, OPTION
    ):
        words = [word for word in value.split(',') if word.strip()]
        origin = f'[{SECTION}] {OPTION} in {path}'
    try:
        return overrule.apply(report, overrule.parse(words, origin))
    except ValueError as error:
        raise command.Trouble(str(error)) from None
