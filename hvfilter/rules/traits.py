# SPDX-License-Identifier: Apache-2.0
"""From a report to the traits that a provider should carry."""

from __future__ import annotations

import dataclasses

from hvfilter.model import catalogue
from hvfilter.model.finding import HostReport, State


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a report says of our own trait names, and of no other name.

    :ivar present: to be there
    :ivar absent: to be gone, retired names included

    A name in neither is UNKNOWN: it stays as it is.
    """

    present: frozenset[str]
    absent: frozenset[str]

    def applied_to(self, traits: frozenset[str]) -> frozenset[str]:
        """The provider's whole trait set as it should become."""
        return (traits - self.absent) | self.present


def wanted(report: HostReport) -> Wanted:
    """The traits that follow from a report.

    The marker says that a missing trait means "lacks it". While it is not
    known whether the host runs KVM guests, that would be a wrong no for every
    guest: then the marker too stays as it is.
    """
    by_state: dict[State, set[str]] = {state: set() for state in State}
    for finding in report.findings:
        trait = catalogue.BY_KEY[finding.capability].trait
        by_state[finding.state].add(trait)
    if report['kvm'].state is not State.UNKNOWN:
        by_state[State.PRESENT].add(catalogue.REPORTED_TRAIT)
    return Wanted(
        frozenset(by_state[State.PRESENT]),
        frozenset(by_state[State.ABSENT] | catalogue.RETIRED_TRAITS),
    )


def withdrawn() -> Wanted:
    """Nothing of ours is left behind."""
    return Wanted(frozenset(), catalogue.OWN_TRAITS)


def capabilities(traits: frozenset[str]) -> frozenset[str]:
    """The capability keys that a provider's traits advertise."""
    return frozenset(
        catalogue.BY_TRAIT[trait].key
        for trait in traits & catalogue.BY_TRAIT.keys()
    )
