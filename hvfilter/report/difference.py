# SPDX-License-Identifier: Apache-2.0
"""Compare two hosts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from hvfilter.model.finding import Finding, HostReport, State
from hvfilter.model.plain import plain
from hvfilter.rules.nested_set import NestedSet

COLUMNS = ('Subject', 'First', 'Second', 'Why')


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is compared of one host.

    :ivar nested: the virtualization features that its guests get
    :ivar instead: the text when there are none
    """

    report: HostReport
    nested: NestedSet | None
    instead: str = 'none'

    @property
    def nested_text(self) -> str:
        """The set in few states."""
        return self.instead if self.nested is None else str(self.nested)


@dataclasses.dataclass(frozen=True)
class Line:
    """One subject and its value on each host."""

    subject: str
    first: str
    second: str
    why: str
    differs: bool

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """In the order of COLUMNS."""
        return (
            self.subject,
            plain(self.first),
            plain(self.second),
            plain(self.why),
        )


def compare(first: Facts, second: Facts) -> Iterator[Line]:
    """Everything that can be compared, capabilities before details."""
    one, other = first.report, second.report
    for subject, left, right in (
        ('machine', one.machine, other.machine),
        ('kernel', one.kernel, other.kernel),
    ):
        yield Line(subject, left, right, '', left != right)
    for finding, twin in zip(one.findings, other.findings, strict=True):
        yield _capability(finding, twin)
    yield from _nested(first, second)


def _capability(first: Finding, second: Finding) -> Line:
    states = state_text(first), state_text(second)
    differs = states[0] != states[1]
    reasons = (
        f'{which}: {finding.reason}'
        for which, finding in (('first', first), ('second', second))
        if finding.state is not State.PRESENT
    )
    why = '; '.join(reasons) if differs else ''
    return Line(first.capability, *states, why, differs)


def state_text(finding: Finding) -> str:
    """The state, and where it was lost."""
    if finding.state is State.PRESENT:
        return State.PRESENT.value
    return f'{finding.state.value} at {finding.deciding.stage.value}'


def _nested(first: Facts, second: Facts) -> Iterator[Line]:
    left, right = first.nested_text, second.nested_text
    differs = left != right
    why = (
        'guests that use nested virtualization cannot migrate between them'
        if differs and first.nested and second.nested
        else ''
    )
    yield Line('nested features', left, right, why, differs)
    if first.nested is None or second.nested is None:
        return
    ones, others = first.nested.features, second.nested.features
    for feature in sorted(ones | others):
        yield Line(
            f'nested features: {feature}',
            'yes' if feature in ones else 'no',
            'yes' if feature in others else 'no',
            '',
            (feature in ones) is not (feature in others),
        )
