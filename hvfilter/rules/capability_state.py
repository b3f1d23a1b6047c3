# SPDX-License-Identifier: Apache-2.0
"""What a host says of a capability, for a person who asks.

The scheduler decides by :class:`~hvfilter.model.verdict.HostCapabilities`.
This gives the same knowledge a name, so that a command never shows anything
but what the filter goes by.
"""

from __future__ import annotations

import enum

from hvfilter.model import catalogue
from hvfilter.model.policy import Policy, WhenUnknown
from hvfilter.model.verdict import HostCapabilities
from hvfilter.rules import infer, traits

_NOTHING_INFERRED = Policy(
    unreported=WhenUnknown.REJECT, unreachable=WhenUnknown.REJECT
)


class CapabilityState(enum.Enum):
    """The values are frozen: scripts read them from the commands' output.

    HAS: the provider carries the trait, and the report is valid.
    LACKS: a valid report does not name the capability.
    UNKNOWN: the host could not find out.
    STALE: the last report is too old; what it reported does not count.
    UNREPORTED: hvfilter never looked at this host.
    """

    HAS = 'has'
    LACKS = 'lacks'
    UNKNOWN = 'unknown'
    STALE = 'stale'
    UNREPORTED = 'unreported'


def advertised(
    names: frozenset[str],
    expired: str = '',
    facts: infer.HostFacts | None = None,
    policy: Policy = _NOTHING_INFERRED,
) -> HostCapabilities:
    """What the filter knows of a host whose provider carries these traits.

    :param names: all traits of the provider, or hvfilter's own
    :param expired: the week of the last report where it is stale, else ''
    :param facts: what Nova says of the host; None: not asked
    :param policy: what ignorance means; by default nothing is inferred
    """
    if expired:
        names = frozenset()
    return infer.advertised(
        traits.capabilities(names),
        catalogue.REPORTED_TRAIT in names,
        infer.HostFacts() if facts is None else facts,
        policy,
        unknown=traits.unknown(names),
        expired=expired,
    )


def state_of(key: str, known: HostCapabilities) -> CapabilityState:
    """That of one capability.

    :param key: of the catalogue
    """
    if key in known.capabilities:
        return CapabilityState.HAS
    if key in known.unknown:
        return CapabilityState.UNKNOWN
    if key not in known.undecided:
        return CapabilityState.LACKS
    return (
        CapabilityState.STALE if known.expired else CapabilityState.UNREPORTED
    )
