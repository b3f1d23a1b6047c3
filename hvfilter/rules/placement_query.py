# SPDX-License-Identifier: Apache-2.0
"""What of a request Placement itself can decide."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable

from hvfilter.model import catalogue
from hvfilter.model.policy import Mode, Policy, WhenUnknown
from hvfilter.model.requirement import (
    Demand,
    Origin,
    Requirement,
    Requirements,
)
from hvfilter.rules import requests


@dataclasses.dataclass(frozen=True)
class Query:
    """Traits of the root provider for Nova's query of allocation candidates.

    :ivar required: a host without one of these is rejected for certain
    :ivar forbidden: a host with one of these is rejected for certain
    """

    required: frozenset[str] = frozenset()
    forbidden: frozenset[str] = frozenset()

    def known(self, traits: frozenset[str]) -> Query:
        """As far as Placement knows the names; it refuses others."""
        return Query(self.required & traits, self.forbidden & traits)


@dataclasses.dataclass(frozen=True)
class Reports:
    """How far the reports of all hosts go.

    :ivar complete: all compute nodes have the marker trait
    :ivar unknown: keys that some host reported as unknown
    :ivar stale: some host may have the traits of a report that is too old
    """

    complete: bool = False
    unknown: frozenset[str] = frozenset()
    stale: bool = False


def query(
    request: requests.GuestRequest,
    policies: Collection[Policy],
    reports: Reports,
) -> Query:
    """What leaves out only hosts that :func:`~hvfilter.rules.judge.judge`
    would reject for certain, whichever of the policies they are under.

    A required capability becomes a required trait only if each host without
    the trait would be rejected, also one that never reported and one that
    reported it as unknown. A forbidden one becomes a forbidden trait, and so
    does what is reserved if the guest asks for none of it; but a host whose
    report is too old has traits that count for nothing, and may not be left
    out because of them.

    :param policies: the configured one, and as each aggregate changes it. A
        host in several aggregates takes each of its options from one of them,
        or the sum of what they require and reserve.
    """
    judged = [
        (policy, requests.requirements(request, policy)) for policy in policies
    ]
    if any(policy.mode is Mode.PERMISSIVE for policy, _ in judged):
        return Query()
    required = frozenset.intersection(
        *(_required(needed, policy, reports) for policy, needed in judged)
    )
    forbidden = frozenset.intersection(
        *(_forbidden(needed, policy, reports) for policy, needed in judged)
    )
    reserved = frozenset[str]() if reports.stale else _reserved(judged)
    return Query(_traits(required), _traits(forbidden | reserved))


def _required(
    needed: Requirements, policy: Policy, reports: Reports
) -> frozenset[str]:
    return frozenset(
        item.capability
        for item in needed.wanting(Demand.REQUIRED)
        # On a host that emulates, the policy does not concern such a guest.
        if not (needed.emulable and item.origin is Origin.POLICY)
        and _needs_trait(item, policy, reports)
    )


def _forbidden(
    needed: Requirements, policy: Policy, reports: Reports
) -> frozenset[str]:
    if reports.stale and policy.unreported is not WhenUnknown.REJECT:
        return frozenset()
    return frozenset(
        item.capability for item in needed.wanting(Demand.FORBIDDEN)
    )


def _needs_trait(item: Requirement, policy: Policy, reports: Reports) -> bool:
    """Whether each host without the trait would be rejected."""
    rejects = policy.unreported is WhenUnknown.REJECT
    certain = reports.complete and (
        rejects or item.capability not in reports.unknown
    )
    if item.explicit:
        return certain or policy.unreported is not WhenUnknown.ACCEPT
    # Other words do not concern hosts without KVM, which a query cannot tell
    # from KVM hosts that never reported; but a guest whose image is for KVM
    # cannot land on such hosts anyway.
    return certain or (
        rejects and item.origin is Origin.IMAGE and item.capability == 'kvm'
    )


def _reserved(
    found: Iterable[tuple[Policy, Requirements]],
) -> frozenset[str]:
    """What each policy reserves, unless under some sum of them the guest
    asks for a part of what is reserved."""
    pairs = list(found)
    requested = frozenset[str]().union(*(needed.asked for _, needed in pairs))
    if any(requested & policy.reserved for policy, _ in pairs):
        return frozenset()
    return frozenset.intersection(*(policy.reserved for policy, _ in pairs))


def _traits(keys: Iterable[str]) -> frozenset[str]:
    return frozenset(catalogue.BY_KEY[key].trait for key in keys)
