# SPDX-License-Identifier: Apache-2.0
"""What the demonstration shows."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hvfilter.model.finding import HostReport, State
from hvfilter.model.verdict import Cause, Verdict
from hvfilter.rules import explain
from tests.demo.cloud import Landing, Outcome
from tests.demo.guests import Guest
from tests.demo.hosts import Candidate

SHOWN = ('kvm', 'hvm', 'slat', 'nested', 'nested_slat', 'bare_metal')
COLOURS = {State.PRESENT: 'green', State.ABSENT: 'red', State.UNKNOWN: ''}
WORDS = {State.PRESENT: 'yes', State.ABSENT: 'no', State.UNKNOWN: '?'}


def hosts(candidates: Sequence[Candidate]) -> Table:
    """Who takes part, and what was found."""
    table = _table('The compute hosts, as hvfilter found them')
    table.add_column('host')
    table.add_column('has it', no_wrap=True)
    table.add_column('what stands in the way, and how to mend it', ratio=1)
    for candidate in candidates:
        place, report = candidate.place, candidate.report
        origin = 'probed just now' if candidate.live else 'recorded'
        table.add_row(
            Text.assemble(
                (place.name, 'bold'),
                (f'\n{origin}\n{place.memory_mb // 1024} GiB', 'dim'),
            ),
            Text('\n').join(_state(report, key) for key in SHOWN),
            Text('\n').join(_obstacles(report)) or Text('nothing', 'dim'),
        )
    return table


def _state(report: HostReport, key: str) -> Text:
    state = report[key].state
    return Text(f'{key:12}{WORDS[state]}', COLOURS[state])


def _obstacles(report: HostReport) -> list[Text]:
    """What to mend first; without KVM nothing else matters."""
    found = []
    for key in ('kvm', 'slat', 'nested'):
        finding = report[key]
        if finding.state is State.PRESENT:
            continue
        remedy = f' ({finding.remedy})' if finding.remedy else ''
        found.append(
            Text.assemble(
                (f'{key}: ', 'bold'), finding.reason, (remedy, 'dim')
            )
        )
        if key == 'kvm':
            break
    return found


def guests(
    wanted: Iterable[Guest], candidates: Sequence[Candidate], outcome: Outcome
) -> Table:
    """Who asked for what, and where it landed."""
    reports = {c.place.name: c.report for c in candidates}
    table = _table('The guests: where Nova put them')
    table.add_column('guest, and what it asks for', ratio=3, overflow='fold')
    table.add_column('without\nhvfilter', no_wrap=True)
    table.add_column('with\nhvfilter', no_wrap=True)
    table.add_column('hosts passed over, and why', ratio=5)
    for guest in wanted:
        verdicts = outcome.verdicts[guest.name]
        table.add_row(
            Text.assemble((guest.name, 'bold'), '\n', guest.asks),
            _landing(guest, outcome.without[guest.name], reports),
            _landing(guest, outcome.with_it[guest.name], reports),
            Text('\n').join(
                _passed_over(host, verdict, reports[host])
                for host, verdict in verdicts.items()
                if not verdict.accepted
            )
            or Text('none', 'dim'),
        )
    return table


def _landing(
    guest: Guest, landing: Landing, reports: dict[str, HostReport]
) -> Text:
    if right(guest, landing, reports):
        return Text(landing.host or 'nowhere', 'green')
    return Text.assemble(
        (landing.host or 'nowhere', 'red'), ('\nWRONG', 'bold red')
    )


def right(
    guest: Guest, landing: Landing, reports: dict[str, HostReport]
) -> bool:
    """Whether a guest is where it may be, or nowhere with good reason."""
    if landing.host is not None:
        return guest.may_land(reports[landing.host])
    refused = guest.refused and 'No valid host' in landing.fault
    return refused and not any(map(guest.may_land, reports.values()))


def _passed_over(host: str, verdict: Verdict, report: HostReport) -> Text:
    lacking = [
        reason.subject
        for reason in verdict.reasons
        if reason.cause is Cause.LACKS
    ]
    # Without KVM nothing else matters.
    told = ['kvm'] if 'kvm' in lacking else lacking
    sentences = dict.fromkeys(report[key].reason for key in told)
    because = ': ' + '; '.join(sentences) if sentences else ''
    return Text.assemble(
        (f'{host} ', 'bold'), explain.summary(verdict), because
    )


def _table(title: str) -> Table:
    return Table(
        title=title,
        title_justify='left',
        title_style='bold',
        box=box.SIMPLE_HEAD,
        show_lines=True,
        padding=(0, 1),
        expand=True,
    )


def console() -> Console:
    """As wide as the terminal, and wide enough where there is none."""
    width = None if sys.stdout.isatty() else 140
    return Console(highlight=False, markup=False, width=width)
