# SPDX-License-Identifier: Apache-2.0
"""An operator's word against the findings."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from hvfilter.model.catalogue import BY_KEY
from hvfilter.model.finding import HostReport, Override, State

_STATES = {'present': State.PRESENT, 'absent': State.ABSENT}


def parse(words: Iterable[str], origin: str) -> dict[str, Override]:
    """Overrules by capability key, from ``kvm=present`` and the like.

    :param origin: what overrides it, such as the option and its file
    :raises ValueError: naming the words that make no sense, and what would
    """
    overrides: dict[str, Override] = {}
    for each in words:
        key, equals, state = (part.strip() for part in each.partition('='))
        if key not in BY_KEY:
            raise ValueError(
                f'{origin}: {each!r} names no capability; "hvfilter probe" '
                'shows all'
            )
        if not equals or state.lower() not in _STATES:
            raise ValueError(
                f'{origin}: {each!r} is not understood; write '
                f'"{key}=present" or "{key}=absent"'
            )
        if key in overrides:
            raise ValueError(f'{origin}: {key} is overruled twice')
        overrides[key] = Override(_STATES[state.lower()], origin)
    return overrides


def apply(report: HostReport, overrides: Mapping[str, Override]) -> HostReport:
    """The report with these findings overruled, their evidence kept."""
    return dataclasses.replace(
        report,
        findings=tuple(
            dataclasses.replace(
                finding, override=overrides[finding.capability]
            )
            if finding.capability in overrides
            else finding
            for finding in report.findings
        ),
    )
