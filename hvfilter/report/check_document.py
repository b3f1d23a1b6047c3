# SPDX-License-Identifier: Apache-2.0
"""What ``hvfilter check`` found, as a document ``hvfilter/check/1``.

The JSON Schema is ``schemas/check-1.json`` beside this module.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from hvfilter.model.finding import Finding, State

SCHEMA = 'hvfilter/check/1'

_MET = {True: 'met', False: 'not met', None: 'unknown'}


@dataclasses.dataclass(frozen=True)
class Check:
    """A capability and the state that it should have.

    :ivar wanted: PRESENT or ABSENT
    """

    finding: Finding
    wanted: State

    @property
    def met(self) -> bool | None:
        """Whether it has that state; None: that is not known."""
        if self.finding.state is State.UNKNOWN:
            return None
        return self.finding.state is self.wanted


def result(checks: Sequence[Check]) -> bool | None:
    """Whether all are met; None: none is not, and one is not known."""
    states = {check.met for check in checks}
    if False in states:
        return False
    return None if None in states else True


def to_document(origin: str, checks: Sequence[Check]) -> dict[str, Any]:
    """The document: only dicts, lists and strings.

    :param origin: 'live', or which recording was read
    """
    return {
        'schema': SCHEMA,
        'origin': origin,
        'result': _MET[result(checks)],
        'checks': [
            {
                'capability': check.finding.capability,
                'wanted': check.wanted.value,
                'result': _MET[check.met],
                'state': check.finding.state.value,
                'stage': check.finding.deciding.stage.value,
                'reason': check.finding.reason,
                'remedy': str(check.finding.remedy),
            }
            for check in checks
        ],
    }
