# SPDX-License-Identifier: Apache-2.0
"""Whether a guest that uses nested virtualization can go on elsewhere."""

from __future__ import annotations

import enum

from hvfilter.model.nested_registers import Registers
from hvfilter.model.requirement import Demand, Requirements
from hvfilter.model.verdict import Cause, Reason, Verdict
from hvfilter.rules import nested_set

_KEYS = frozenset({'nested', 'nested_slat'})
_MOST_NAMED = 3

ACCEPTED = Verdict()


class Fit(enum.Enum):
    """How a host suits a guest from another; the value is its weight.

    UNKNOWN is neither: what one of the two hosts offers is not known.
    """

    HOLDS = 1.0
    UNKNOWN = 0.5
    LACKS = 0.0


def requests_nested(requirements: Requirements) -> bool:
    """Whether a guest requires or prefers nested virtualization."""
    return any(
        item.capability in _KEYS and item.demand is not Demand.FORBIDDEN
        for item in requirements.items
    )


def fit(target: Registers | None, source: Registers | None) -> Fit:
    """How a host suits a guest.

    :param target: what the host offers, None where that is not known
    :param source: what the guest has
    """
    if target is None or source is None:
        return Fit.UNKNOWN
    accepted = nested_set.accepts(target, source)
    return Fit.HOLDS if accepted else Fit.LACKS


def verdict(
    target: Registers | None, source: Registers, *, reject_unknown: bool
) -> Verdict:
    """Whether a host is accepted, where it must hold the set of another.

    :param reject_unknown: reject it where what it offers is not known
    """
    suits = fit(target, source)
    if suits is Fit.HOLDS or (suits is Fit.UNKNOWN and not reject_unknown):
        return ACCEPTED
    if target is None:
        return Verdict((Reason(Cause.NESTED_SET_UNKNOWN, '', _OPTION),))
    missing = nested_set.missing(target, source)
    return Verdict((Reason(Cause.NESTED_SET, shortened(missing), _OPTION),))


_OPTION = '[hvfilter] nested_set_on_move = require'


def shortened(missing: tuple[str, ...]) -> str:
    """The first few features, and how many more there are."""
    named = ', '.join(missing[:_MOST_NAMED])
    more = len(missing) - _MOST_NAMED
    return f'{named} and {more} more' if more > 0 else named
