# SPDX-License-Identifier: Apache-2.0
"""A report as a JSON document of the form ``hvfilter/report/1``, and back.

The JSON Schema is ``schemas/report-1.json`` beside this module. A member is
only ever added to the form together with the next number; capabilities may
come and go with the catalogue, and a reader ignores those it does not
know.
"""

from __future__ import annotations

import json
from typing import Any

from hvfilter.model import form
from hvfilter.model.catalogue import CATALOGUE, Capability, Stage
from hvfilter.model.finding import (
    Finding,
    HostReport,
    Observation,
    Override,
    StageFinding,
    State,
    Strength,
)

SCHEMA = 'hvfilter/report/1'

_STRENGTHS = {strength.name.lower(): strength for strength in Strength}
_NOT_REPORTED = 'not in the report'


def to_document(report: HostReport) -> dict[str, Any]:
    """The document of a report: only dicts, lists, strings and booleans."""
    return {
        'schema': SCHEMA,
        'origin': report.origin,
        'machine': report.machine,
        'kernel': report.kernel,
        'capabilities': {
            finding.capability: _finding(finding)
            for finding in report.findings
        },
    }


def from_document(whole: form.JsonNode) -> HostReport:
    """The report of a document, in the catalogue's order.

    A capability that the document does not contain is UNKNOWN at every
    stage; one that the catalogue does not contain is ignored.

    :raises DocumentError: naming the place that is wrong
    """
    whole.schema(SCHEMA)
    members = whole.members(
        ('schema', 'origin', 'machine', 'kernel', 'capabilities')
    )
    reported = members['capabilities'].entries()
    return HostReport(
        machine=members['machine'].text(),
        kernel=members['kernel'].text(),
        origin=members['origin'].text(),
        findings=tuple(
            _read_finding(capability, reported[capability.key])
            if capability.key in reported
            else _not_reported(capability)
            for capability in CATALOGUE
        ),
    )


def dumps(report: HostReport) -> str:
    """The document as text, for a file or a pipe."""
    return form.dumps(to_document(report))


def loads(text: str | bytes) -> HostReport:
    """The report of a document's text.

    :raises DocumentError: naming the place that is wrong
    """
    return from_document(form.parse(text))


def _finding(finding: Finding) -> dict[str, Any]:
    document: dict[str, Any] = {
        'state': finding.state.value,
        'stage': finding.deciding.stage.value,
        'reason': finding.reason,
        'remedy': str(finding.remedy),
    }
    if finding.override is not None:
        document['overruled'] = {
            'found': finding.found.value,
            'origin': finding.override.origin,
        }
    document['stages'] = {
        stage.stage.value: _stage(stage) for stage in finding.stages
    }
    document['evidence'] = [
        _observation(observation)
        for stage in finding.stages
        for observation in stage.observations
    ]
    return document


def _stage(stage: StageFinding) -> dict[str, Any]:
    return {
        'state': stage.state.value,
        'reason': stage.reason,
        'remedy': str(stage.remedy),
        'contradicted': stage.contradicted,
    }


def _observation(observation: Observation) -> dict[str, Any]:
    return {
        'stage': observation.stage.value,
        'state': observation.state.value,
        'strength': observation.strength.name.lower(),
        'source': observation.source,
        'asked': observation.asked,
        'value': observation.value,
        'reason': observation.reason,
        'remedy': str(observation.remedy),
    }


def _read_finding(capability: Capability, part: form.JsonNode) -> Finding:
    members = part.members(
        ('state', 'stage', 'reason', 'remedy', 'stages', 'evidence'),
        ('overruled',),
    )
    names = tuple(stage.value for stage in capability.stages)
    evidence = _read_evidence(capability, members['evidence'])
    stages = members['stages'].members(names)
    finding = Finding(
        capability.key,
        tuple(
            _read_stage(stage, stages[stage.value], evidence[stage])
            for stage in capability.stages
        ),
        _read_override(members),
    )
    _check_derived(finding, members)
    return finding


def _read_override(members: dict[str, form.JsonNode]) -> Override | None:
    if 'overruled' not in members:
        return None
    overruled = members['overruled'].members(('found', 'origin'))
    overruled['found'].choice(State)
    return Override(members['state'].choice(State), overruled['origin'].text())


def _check_derived(
    finding: Finding, members: dict[str, form.JsonNode]
) -> None:
    """What follows from the stages is repeated for the reader: both must
    agree."""
    where = members['state']
    if finding.override is not None:
        where = members['overruled'].entries()['found']
    for part, derived in (
        (where, finding.found.value),
        (members['stage'], finding.deciding.stage.value),
        (members['reason'], finding.reason),
        (members['remedy'], finding.remedy),
    ):
        if part.text() != derived:
            raise part.fail(f'the stages make it {json.dumps(derived)}')


def _read_stage(
    stage: Stage, part: form.JsonNode, observations: list[Observation]
) -> StageFinding:
    members = part.members(('state', 'reason', 'remedy', 'contradicted'))
    return StageFinding(
        stage,
        members['state'].choice(State),
        members['reason'].text(),
        members['remedy'].text(),
        tuple(observations),
        members['contradicted'].boolean(),
    )


def _read_evidence(
    capability: Capability, part: form.JsonNode
) -> dict[Stage, list[Observation]]:
    evidence: dict[Stage, list[Observation]]
    evidence = {stage: [] for stage in capability.stages}
    for item in part.items():
        members = item.members(
            (
                'stage',
                'state',
                'strength',
                'source',
                'asked',
                'value',
                'reason',
                'remedy',
            )
        )
        stage = members['stage'].choice(Stage)
        if stage not in evidence:
            names = ', '.join(known.value for known in evidence)
            raise members['stage'].fail(
                f'{capability.key} passes only {names}'
            )
        strength = members['strength'].text()
        if strength not in _STRENGTHS:
            raise members['strength'].fail(
                f'must be one of {", ".join(_STRENGTHS)}'
            )
        evidence[stage].append(
            Observation(
                capability.key,
                stage,
                members['state'].choice(State),
                _STRENGTHS[strength],
                members['source'].text(),
                members['asked'].text(),
                members['value'].text(),
                members['reason'].text(),
                members['remedy'].text(),
            )
        )
    return evidence


def _not_reported(capability: Capability) -> Finding:
    return Finding(
        capability.key,
        tuple(
            StageFinding(stage, State.UNKNOWN, _NOT_REPORTED, '', ())
            for stage in capability.stages
        ),
    )
