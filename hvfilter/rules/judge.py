# SPDX-License-Identifier: Apache-2.0
"""May a guest land on a host: the one function that decides it.

The scheduler filter, ``explain`` and ``audit`` all call :func:`judge`.
"""

from __future__ import annotations

from collections.abc import Iterator

from hvfilter.model.policy import Ignorance, Policy
from hvfilter.model.requirement import (
    Asker,
    Demand,
    Requirement,
    Requirements,
)
from hvfilter.model.verdict import (
    Advertised,
    Cause,
    Reason,
    Source,
    Verdict,
)


def judge(
    requirements: Requirements, advertised: Advertised, policy: Policy
) -> Verdict:
    """Whether a guest may land on a host, with every reason against it.

    A request that was not understood rejects every host. PREFERRED never
    rejects. A capability that the host's source cannot tell is treated as
    the policy says for ignorance of that kind.
    """
    reasons = [
        Reason(Cause.NOT_UNDERSTOOD, misfit.words, misfit.problem)
        for misfit in requirements.misfits
    ]
    reasons.extend(_unmet(requirements, advertised, policy))
    reasons.extend(_reserved(requirements, advertised, policy))
    return Verdict(tuple(reasons))


def _unmet(
    requirements: Requirements, advertised: Advertised, policy: Policy
) -> Iterator[Reason]:
    unanswered = False
    for item in requirements.items:
        if item.demand is Demand.PREFERRED:
            continue
        if _undecided(item.capability, advertised):
            unanswered = unanswered or _spoils(item, advertised, policy)
            continue
        has = item.capability in advertised.capabilities
        if item.demand is Demand.REQUIRED and not has:
            yield Reason(Cause.LACKS, item.capability, item.words)
        if item.demand is Demand.FORBIDDEN and has:
            yield Reason(Cause.HAS_FORBIDDEN, item.capability, item.words)
    if unanswered:
        nothing = advertised.source is Source.NONE
        cause = Cause.NO_KNOWLEDGE if nothing else Cause.UNREPORTED
        yield Reason(cause, '')


def _undecided(capability: str, advertised: Advertised) -> bool:
    if advertised.reported or capability in advertised.capabilities:
        return False
    return capability in advertised.undecided


def _spoils(
    item: Requirement, advertised: Advertised, policy: Policy
) -> bool:
    """Whether not knowing rejects: see :class:`Ignorance`."""
    nothing = advertised.source is Source.NONE
    mode = policy.unreachable if nothing else policy.unreported
    if mode is Ignorance.INFER:
        return item.asker is not Asker.POLICY
    return mode is Ignorance.REJECT


def _reserved(
    requirements: Requirements, advertised: Advertised, policy: Policy
) -> Iterator[Reason]:
    """Hosts with a reserved capability are kept for guests asking for it."""
    if not policy.reserved:
        return
    asked = {
        item.capability
        for item in requirements.items
        if item.demand is not Demand.FORBIDDEN
    }
    kept_for = sorted(policy.reserved & advertised.capabilities)
    if kept_for and not asked.intersection(kept_for):
        yield Reason(Cause.RESERVED, ', '.join(kept_for))
