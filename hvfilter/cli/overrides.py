# SPDX-License-Identifier: Apache-2.0
"""The findings that ``[hvfilter] overrule`` replaces, for every command."""

from __future__ import annotations

import argparse

from hvfilter.cli import configuration
from hvfilter.host.base import Host
from hvfilter.model.finding import HostReport
from hvfilter.model.problem import Problem
from hvfilter.rules import override

SECTION, OPTION = 'hvfilter', 'overrule'


def as_published(
    host: Host, report: HostReport, parsed_args: argparse.Namespace
) -> HostReport:
    """The report with the overrides that the configuration states.

    Read as the probes read files and not with oslo.config, whose import takes
    longer than probing.

    :param host: the one with the configuration files.
    :raises hvfilter.model.problem.Problem: the option is not understood.
    """
    items: list[str] = []
    origin = ''
    for path, value in configuration.option_values(
        parsed_args, host, SECTION, OPTION
    ):
        items = [item for item in value.split(',') if item.strip()]
        origin = f'[{SECTION}] {OPTION} in {path}'
    try:
        return override.apply(report, override.parse(items, origin))
    except ValueError as error:
        raise Problem(str(error), 'Correct the option.') from None
