# SPDX-License-Identifier: Apache-2.0
"""What of a request Placement itself can decide."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from hvfilter.model import catalogue
from hvfilter.model.policy import Ignorance, Policy
from hvfilter.model.requirement import (
    Asker,
    Demand,
    Requirement,
    Requirements,
)


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


def query(
    requirements: Requirements, policy: Policy, all_reported: bool
) -> Query:
    """What leaves out only hosts that :func:`~hvfilter.rules.judge.judge`
    would reject for certain.

    A required capability becomes a required trait only if a host that never
    reported, and so has no trait, would be rejected too, or if there is no
    such host. A forbidden one always becomes a forbidden trait. What is
    reserved becomes one if the guest asks for none of it.

    :param all_reported: all compute nodes have the marker trait
    """
    asked = {
        item.capability
        for item in requirements.items
        if item.demand is not Demand.FORBIDDEN
    }
    forbidden = {
        item.capability for item in requirements.wanting(Demand.FORBIDDEN)
    }
    if not asked & policy.reserved:
        forbidden |= policy.reserved
    return Query(
        _traits(
            item.capability
            for item in requirements.wanting(Demand.REQUIRED)
            if all_reported or _needs_trait(item, policy)
        ),
        _traits(forbidden),
    )


def _needs_trait(item: Requirement, policy: Policy) -> bool:
    """Whether a compute node without the marker would be rejected."""
    if item.explicit:
        return policy.unreported is not Ignorance.ACCEPT
    # The policy's word does not concern hosts without KVM, which a query
    # cannot tell from KVM hosts that never reported; but a guest whose image
    # is for KVM cannot land on such hosts anyway.
    return item.asker is Asker.IMAGE and policy.unreported is Ignorance.REJECT


def _traits(keys: Iterable[str]) -> frozenset[str]:
    return frozenset(catalogue.BY_KEY[key].trait for key in keys)
