# SPDX-License-Identifier: Apache-2.0
"""Showing this host's findings as "hvfilter publish" would publish them."""

from __future__ import annotations

import argparse

from hvfilter.cli import configuration
from hvfilter.host.door import Host
from hvfilter.model.finding import HostReport
from hvfilter.model.problem import Problem
from hvfilter.rules import overrule

SECTION, OPTION = 'hvfilter', 'overrule'


def as_published(
    host: Host, report: HostReport, parsed_args: argparse.Namespace
) -> HostReport:
    """The report with what the operator's configuration overrules.

    Read through the door and not with oslo.config, whose import takes longer
    than looking at the host.

    :raises hvfilter.model.problem.Problem: the option is not understood.
    """
    words: list[str] = []
    origin = ''
    for path, value in configuration.option_values(
        parsed_args, host, SECTION, OPTION
    ):
        words = [word for word in value.split(',') if word.strip()]
        origin = f'[{SECTION}] {OPTION} in {path}'
    try:
        return overrule.apply(report, overrule.parse(words, origin))
    except ValueError as error:
        raise Problem(str(error), 'Correct the option.') from None
