# SPDX-License-Identifier: Apache-2.0
"""Showing this host's findings as "hvfilter publish" would publish them."""

from __future__ import annotations

from hvfilter.cli import command
from hvfilter.conf.files import USUAL_FILES
from hvfilter.host.door import Denied, Host
from hvfilter.model.finding import HostReport
from hvfilter.rules import overrule

SECTION, OPTION = 'hvfilter', 'overrule'


def as_published(host: Host, report: HostReport) -> HostReport:
    """The report with what the operator's configuration overrules.

    Read through the door and not with oslo.config, whose import takes longer
    than looking at the host.

    :raises hvfilter.cli.command.Trouble: the option is not understood.
    """
    words: list[str] = []
    origin = ''
    for path in USUAL_FILES:
        try:
            found = host.options(path, {SECTION: (OPTION,)})
        except Denied:
            continue
        values = found.get(SECTION, {}).get(OPTION, ())
        if values:
            words = [word for word in values[-1].split(',') if word.strip()]
            origin = f'[{SECTION}]{OPTION} in {path}'
    try:
        return overrule.apply(report, overrule.parse(words, origin))
    except ValueError as error:
        raise command.Trouble(str(error)) from None
