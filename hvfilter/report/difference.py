# SPDX-License-Identifier: Apache-2.0
"""Compare two hosts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from hvfilter.model import nested_evidence
from hvfilter.model.finding import Finding, HostReport, State
from hvfilter.model.plain import plain
from hvfilter.rules import nested_set
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


@dataclasses.dataclass(frozen=True)
class Migration:
    """Whether guests that use nested virtualization can move.

    :ivar to_second: why those of the first host cannot go on at the second;
        () if they can
    :ivar to_first: the reverse
    """

    to_second: tuple[str, ...]
    to_first: tuple[str, ...]

    @property
    def text(self) -> str:
        """The direction, in words."""
        guests = 'guests that use nested virtualization'
        if self.to_second and self.to_first:
            return f'{guests} cannot migrate between them'
        if self.to_second:
            return f'{guests} can migrate only from the second to the first'
        if self.to_first:
            return f'{guests} can migrate only from the first to the second'
        return f'{guests} can migrate in both directions'


def migration(first: Facts, second: Facts) -> Migration | None:
    """By what KVM refuses; None where one of the sets is not known."""
    one = nested_evidence.registers(first.report)
    other = nested_evidence.registers(second.report)
    if one is None or other is None:
        return None
    return Migration(
        nested_set.missing(other, one), nested_set.missing(one, other)
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
    moves = migration(first, second) if differs else None
    why = moves.text if moves is not None else ''
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
