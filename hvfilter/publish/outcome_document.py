# SPDX-License-Identifier: Apache-2.0
"""The outcomes of publishers, as a document ``hvfilter/publish/1``.

The JSON Schema is ``schemas/publish-1.json`` beside this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hvfilter.model.problem import Problem
from hvfilter.publish.base import Outcome

SCHEMA = 'hvfilter/publish/1'


def to_document(
    outcomes: Sequence[Outcome], *, dry_run: bool, status: int
) -> dict[str, Any]:
    """The document: only dicts, lists, strings, numbers, booleans and None.

    :param status: with which the command exits
    """
    return {
        'schema': SCHEMA,
        'dry_run': dry_run,
        'exit_status': status,
        'publishers': [_outcome(outcome) for outcome in outcomes],
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        'publisher': outcome.publisher,
        'target': outcome.target,
        'changed': outcome.changed,
        'added': sorted(outcome.added),
        'removed': sorted(outcome.removed),
        'kept': sorted(outcome.kept),
        'unverified': sorted(outcome.unverified),
        'returning': sorted(outcome.returning),
        'requests': outcome.requests,
        'conflicts': outcome.conflicts,
        'notes': list(outcome.notes),
        'problem': _problem(outcome.problem),
    }


def _problem(problem: Problem | None) -> dict[str, Any] | None:
    if problem is None:
        return None
    return {
        'what': problem.what,
        'remedy': problem.remedy,
        'code': problem.code,
        'transient': problem.transient,
    }
