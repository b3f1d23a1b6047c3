# SPDX-License-Identifier: Apache-2.0
"""A report as rows of a table."""

from __future__ import annotations

from collections.abc import Iterator

from hvfilter.model.catalogue import BY_KEY, Arch, Stage
from hvfilter.model.finding import Finding, HostReport, State
from hvfilter.rules import combine

Row = tuple['str | State', ...]
"""Cells in the order of the columns; states are not converted to text, so that
they can be coloured."""

COLUMNS = ('Capability', 'State', 'Stage', 'Reason', 'Remedy')

LONG_COLUMNS = (
    'Capability',
    'State',
    *(stage.value.capitalize() for stage in Stage),
    'Reason',
    'Remedy',
    'Meaning',
)

EVIDENCE_COLUMNS = (
    'Capability',
    'Stage',
    'State',
    'Strength',
    'Source',
    'Asked',
    'Value',
    'Reason',
)


def rows(report: HostReport) -> Iterator[Row]:
    """One row for each capability that such a machine could have."""
    arch = Arch.from_machine(report.machine)
    for finding in report.findings:
        if combine.possible(BY_KEY[finding.capability], arch):
            yield (
                finding.capability,
                finding.state,
                finding.deciding.stage.value,
                reason(finding),
                finding.remedy,
            )


def long_rows(report: HostReport) -> Iterator[Row]:
    """One row for each capability, with the state of each stage."""
    for finding in report.findings:
        states = {stage.stage: stage.state for stage in finding.stages}
        yield (
            finding.capability,
            finding.state,
            *(states.get(stage, '') for stage in Stage),
            reason(finding),
            finding.remedy,
            BY_KEY[finding.capability].meaning,
        )


def evidence_rows(report: HostReport) -> Iterator[Row]:
    """One row for each observation, in the order of the stages.

    The first of a stage decides it; the others are shown, too.
    """
    for finding in report.findings:
        for stage in finding.stages:
            for observation in stage.observations:
                yield (
                    finding.capability,
                    stage.stage.value,
                    observation.state,
                    observation.strength.name.lower(),
                    observation.source,
                    observation.asked,
                    observation.value,
                    observation.reason,
                )


def reason(finding: Finding) -> str:
    """Why it is so, and who overrode it if somebody did."""
    if finding.override is None:
        return finding.reason
    return (
        f'overridden by {finding.override.origin}; detected: '
        f'{finding.found.value}, {finding.reason}'
    )
