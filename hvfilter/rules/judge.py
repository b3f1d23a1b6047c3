# SPDX-License-Identifier: Apache-2.0
"""May a guest land on a host: the one function that decides it.

The scheduler filter, ``explain`` and ``audit`` all call :func:`judge`.
"""

from __future__ import annotations

from collections.abc import Iterator

from hvfilter.model.policy import Ignorance, Policy
from hvfilter.model.requirement import (
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
    rejects. A capability of which nobody can tell is treated as the policy
    says for ignorance of that kind. A host without KVM is measured only by
    what was asked explicitly.
    """
    reasons = [
        Reason(Cause.NOT_UNDERSTOOD, misfit.words, misfit.problem)
        for misfit in requirements.misfits
    ]
    reasons.extend(_unmet(requirements, advertised, policy))
    reasons.extend(_foreign(requirements, advertised))
    reasons.extend(_reserved(requirements, advertised, policy))
    return Verdict(tuple(reasons))


def _unmet(
    requirements: Requirements, advertised: Advertised, policy: Policy
) -> Iterator[Reason]:
    unanswered = False
    for item in requirements.items:
        if item.demand is Demand.PREFERRED:
            continue
        if not (item.explicit or advertised.kvm_host):
            continue
        has = item.capability in advertised.capabilities
        if not has and item.capability in advertised.undecided:
            unanswered = unanswered or _spoils(item, advertised, policy)
        elif item.demand is Demand.REQUIRED and not (
            has and item.capability not in advertised.denied
        ):
            yield Reason(Cause.LACKS, item.capability, item.words)
        elif item.demand is Demand.FORBIDDEN and has:
            yield Reason(Cause.HAS_FORBIDDEN, item.capability, item.words)
    if unanswered:
        yield _why_unanswered(advertised)


def _why_unanswered(advertised: Advertised) -> Reason:
    if _out_of_reach(advertised):
        return Reason(Cause.NO_KNOWLEDGE, '')
    if advertised.expired:
        return Reason(Cause.STALE, advertised.expired)
    return Reason(Cause.UNREPORTED, '')


def _out_of_reach(advertised: Advertised) -> bool:
    """Whether it is Placement's silence, not the host's, that leaves doubt.

    A host that reported, or from which nobody would, leaves none itself.
    """
    if advertised.reported or not advertised.kvm_host:
        return True
    return advertised.source is Source.NONE


def _spoils(item: Requirement, advertised: Advertised, policy: Policy) -> bool:
    """Whether not knowing rejects: see :class:`Ignorance`."""
    unheard = _out_of_reach(advertised)
    ignorance = policy.unreachable if unheard else policy.unreported
    if ignorance is Ignorance.INFER:
        return item.explicit
    return ignorance is Ignorance.REJECT


def _foreign(
    requirements: Requirements, advertised: Advertised
) -> Iterator[Reason]:
    """A KVM guest of another architecture than the host's.

    A host that offers no KVM at all is not the wrong kind: whether it has
    KVM is a question of its own.
    """
    wanted = requirements.architecture
    known = advertised.native if advertised.kvm_host else None
    if wanted and known and wanted not in known:
        yield Reason(Cause.ARCHITECTURE, wanted, f'hw_architecture={wanted}')


def _reserved(
    requirements: Requirements, advertised: Advertised, policy: Policy
) -> Iterator[Reason]:
    """Hosts with a reserved capability are kept for guests asking for it."""
    if requirements.landed or not policy.reserved:
        return
    asked = {
        item.capability
        for item in requirements.items
        if item.demand is not Demand.FORBIDDEN
    }
    kept_for = sorted(policy.reserved & advertised.capabilities)
    if kept_for and not asked.intersection(kept_for):
        yield Reason(Cause.RESERVED, ', '.join(kept_for))
