# SPDX-License-Identifier: Apache-2.0
"""What ``hvfilter diff`` found, as a document ``hvfilter/diff/1``.

The JSON Schema is ``schemas/diff-1.json`` beside this module.
"""

from __future__ import annotations

from typing import Any

from hvfilter.model.finding import Finding
from hvfilter.report.difference import Facts, compare, migration
from hvfilter.rules.nested_set import NestedSet

SCHEMA = 'hvfilter/diff/1'


def to_document(
    first: Facts, second: Facts, *, everything: bool = False
) -> dict[str, Any]:
    """The document: only dicts, lists, strings, booleans and None.

    :param everything: capabilities that are alike, too
    """
    differing = {
        line.subject for line in compare(first, second) if line.differs
    }
    pairs = zip(first.report.findings, second.report.findings, strict=True)
    return {
        'schema': SCHEMA,
        'same': not differing,
        'first': _host(first),
        'second': _host(second),
        'capabilities': {
            one.capability: {'first': _finding(one), 'second': _finding(other)}
            for one, other in pairs
            if everything or one.capability in differing
        },
        'nested_features': _nested(first, second),
    }


def _host(facts: Facts) -> dict[str, str]:
    report = facts.report
    return {
        'origin': report.origin,
        'machine': report.machine,
        'kernel': report.kernel,
    }


def _finding(finding: Finding) -> dict[str, str]:
    return {
        'state': finding.state.value,
        'stage': finding.deciding.stage.value,
        'reason': finding.reason,
        'remedy': str(finding.remedy),
    }


def _nested(first: Facts, second: Facts) -> dict[str, Any]:
    ones = first.nested.features if first.nested else frozenset()
    others = second.nested.features if second.nested else frozenset()
    known = first.nested is not None and second.nested is not None
    return {
        'first': _set(first.nested, first.instead),
        'second': _set(second.nested, second.instead),
        'only_first': sorted(ones - others) if known else [],
        'only_second': sorted(others - ones) if known else [],
        'migration': _migration(first, second),
    }


def _migration(first: Facts, second: Facts) -> dict[str, Any] | None:
    found = migration(first, second)
    if found is None:
        return None
    return {
        'to_second': not found.to_second,
        'to_first': not found.to_first,
        'second_lacks': list(found.to_second),
        'first_lacks': list(found.to_first),
    }


def _set(features: NestedSet | None, instead: str) -> dict[str, Any]:
    if features is None:
        return {'kind': None, 'digest': None, 'why': instead}
    return {'kind': features.kind, 'digest': features.digest, 'why': ''}
