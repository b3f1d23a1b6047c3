# SPDX-License-Identifier: Apache-2.0
"""A report as text for people: first the verdict, then the details.

Capabilities that are absent or unknown for the same cause share an entry, and
those that no processor of this maker can have are left out.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from hvfilter.host import base
from hvfilter.model.catalogue import BY_KEY, Arch
from hvfilter.model.finding import Finding, HostReport, State
from hvfilter.model.plain import plain
from hvfilter.report import table
from hvfilter.rules import combine

WIDTH = 80
"""Columns, where no terminal says otherwise."""

_LEAST_WIDTH = 40
_LABEL = 17
_STATE = 9
_ORDER = (State.PRESENT, State.ABSENT, State.UNKNOWN)
_MACHINES = {
    State.PRESENT: 'a real machine',
    State.ABSENT: 'itself a virtual machine',
    State.UNKNOWN: '',
}
_WORDS = {State.PRESENT: 'yes', State.ABSENT: 'no', State.UNKNOWN: 'unknown'}
_VERDICTS = (('kvm', 'KVM guests'), ('nested', 'Nested guests'))


def lines(report: HostReport, width: int = WIDTH) -> Iterator[str]:
    """The whole text, line by line; all of it printable.

    :param width: of the longest line, where words permit it
    """
    width = max(width, _LEAST_WIDTH)
    for label, text in _summary(report):
        yield from _wrapped(label and f'{label}:', _LABEL, text, width)
    yield ''
    shown = [each for each in report.findings if _possible(each, report)]
    for entry in _entries(shown):
        yield from entry.lines(width)
    hidden = len(report.findings) - len(shown)
    if hidden:
        yield ''
        yield from _wrapped(
            '',
            0,
            f'{hidden} capabilities that such a processor cannot have are '
            'not shown; --long shows all, one row each.',
            width,
        )


def _possible(finding: Finding, report: HostReport) -> bool:
    """Whether such a processor could have it; what it has, it could."""
    if finding.state is State.PRESENT:
        return True
    row = BY_KEY[finding.capability]
    if not combine.possible(row, Arch.from_machine(report.machine)):
        return False
    vendor = report.processor.vendor
    return vendor is None or vendor in row.vendors


def _summary(report: HostReport) -> Iterator[tuple[str, str]]:
    """Labels and texts: what the host is, what it can do, what to do."""
    real = _MACHINES[report['bare_metal'].state]
    parts = [report.processor.name]
    if report.machine != base.UNKNOWN:
        parts.append(report.machine)
    if report.kernel != base.UNKNOWN:
        parts.append(f'Linux {report.kernel}')
    known = ', '.join(filter(None, [*parts, real]))
    yield 'This host', known or 'nothing is known of it'
    remedies = []
    for key, label in _VERDICTS:
        finding = report[key]
        yield label, _answer(finding)
        if finding.state is not State.PRESENT and finding.override is None:
            remedies.append(str(finding.remedy))
    tcg = report['tcg']
    if tcg.state is State.PRESENT:
        yield 'Emulated guests', f'yes: {tcg.reason}'
    steps = list(dict.fromkeys(filter(None, remedies)))
    for step, remedy in enumerate(steps, 1):
        number = f'{step}. ' if len(steps) > 1 else ''
        yield ('To fix' if step == 1 else ''), number + remedy


def _answer(finding: Finding) -> str:
    word = _WORDS[finding.state]
    if finding.state is State.PRESENT and finding.override is None:
        return word
    return f'{word}: {table.reason(finding)}'


class _Entry:
    """Capabilities of one state that have one cause."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.keys: list[str] = []
        self.reasons: list[str] = []
        self.remedy = ''

    def lines(self, width: int) -> Iterator[str]:
        text = ', '.join(self.keys)
        if self.reasons:
            text += f': {joined(self.reasons)}'
        yield from _wrapped(self.state.value, _STATE, text, width)
        if self.remedy:
            yield from _wrapped('', _STATE, f'To fix: {self.remedy}', width)


def _entries(findings: Iterable[Finding]) -> list[_Entry]:
    entries: dict[tuple[object, ...], _Entry] = {}
    for finding in findings:
        reason, remedy = table.reason(finding), str(finding.remedy)
        if finding.state is State.PRESENT and finding.override is None:
            # Nothing to explain and nothing to do.
            reason = remedy = ''
        stage = finding.deciding.stage if reason else None
        cause = (finding.state, stage, remedy or reason)
        entry = entries.setdefault(cause, _Entry(finding.state))
        entry.keys.append(finding.capability)
        entry.remedy = remedy
        if reason and reason not in entry.reasons:
            entry.reasons.append(reason)
    return sorted(entries.values(), key=lambda each: _ORDER.index(each.state))


def joined(reasons: Sequence[str]) -> str:
    """Several reasons as one, where they differ in one place only.

    ``KVM offers no EPT to guests`` and ``KVM offers no VT-x to guests`` become
    ``KVM offers no EPT, VT-x to guests``; others are put side by side.
    """
    parts = [reason.split() for reason in reasons]
    shortest = min(map(len, parts))
    start = _alike(parts, shortest)
    end = _alike([part[::-1] for part in parts], shortest - start)
    if len(parts) == 1 or start < 2 or start + end >= shortest:
        return '; '.join(reasons)
    places = (' '.join(part[start : len(part) - end]) for part in parts)
    return ' '.join(
        [
            *parts[0][:start],
            ', '.join(places),
            *parts[0][len(parts[0]) - end :],
        ]
    )


def _alike(parts: Sequence[Sequence[str]], most: int) -> int:
    """How many words at the beginning are the same in all."""
    for place in range(most):
        if len({part[place] for part in parts}) > 1:
            return place
    return most


def _wrapped(label: str, indent: int, text: str, width: int) -> list[str]:
    """A text beside a label, wrapped."""
    return textwrap.wrap(
        plain(text),
        width,
        initial_indent=label.ljust(indent),
        subsequent_indent=' ' * indent,
        break_on_hyphens=False,
        break_long_words=False,
    )
