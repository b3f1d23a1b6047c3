# SPDX-License-Identifier: Apache-2.0
"""Why no host, of whatever cloud, can meet a request."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from hvfilter.model import catalogue
from hvfilter.model.requirement import Demand, Requirement, Requirements
from hvfilter.rules import possible


def contradictions(requirements: Requirements) -> tuple[str, ...]:
    """One clause for each; empty where some host could meet all of it.

    A request that was not understood rejects every host, so it is one.
    """
    required = _by_key(requirements.wanting(Demand.REQUIRED))
    forbidden = _by_key(requirements.wanting(Demand.FORBIDDEN))
    return (
        *(
            f'{invalid.words}: {invalid.problem}'
            for invalid in requirements.invalid
        ),
        *_at_once(required, forbidden),
        *_never_together(required),
    )


def _by_key(items: Iterable[Requirement]) -> dict[str, str]:
    demands: dict[str, str] = {}
    for item in items:
        demands.setdefault(item.capability, item.words)
    return demands


def _at_once(
    required: dict[str, str], forbidden: dict[str, str]
) -> Iterable[str]:
    for key, words in required.items():
        for part in (key, *sorted(catalogue.BUILT_ON.get(key, ()))):
            if part in forbidden:
                includes = '' if part == key else f' ({key} includes {part})'
                yield f'{words} contradicts {forbidden[part]}{includes}'


def _never_together(required: dict[str, str]) -> Iterable[str]:
    for first, second in itertools.combinations(required, 2):
        if not possible.together((first, second)):
            yield f'no host can have both {first} and {second}'
