# SPDX-License-Identifier: Apache-2.0
"""How well hosts suit a guest that may land on any of them."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Collection, Sequence

from hvfilter.model.requirement import Demand, Requirements


@dataclasses.dataclass(frozen=True)
class Preferences:
    """What makes one host better than another.

    :ivar preferred: capability keys that the guest prefers
    :ivar spared: capability keys that it does not ask for and that are to be
        kept free for others
    """

    preferred: frozenset[str]
    spared: frozenset[str]

    @property
    def capabilities(self) -> frozenset[str]:
        """The keys that must be known of the hosts."""
        return self.preferred | self.spared


@dataclasses.dataclass(frozen=True)
class Score:
    """How well one host suits.

    :ivar preferred: the part of what is preferred that it has, 0 to 1
    :ivar wasted: how scarce what the guest would waste of it is, 0 to 1
    """

    preferred: float
    wasted: float


def preferences(
    requirements: Requirements, scarce: Collection[str]
) -> Preferences:
    """What a guest prefers, and what it had better leave to others."""
    return Preferences(
        frozenset(
            item.capability for item in requirements.wanting(Demand.PREFERRED)
        ),
        frozenset(scarce) - requirements.asked,
    )


def scores(
    preferences: Sequence[Preferences], hosts: Sequence[Collection[str]]
) -> list[Score]:
    """A score for each host.

    A spared capability is as scarce as the share of these hosts that lack
    it: what all have is not scarce, and avoiding it is of no use. A host is
    as wasteful as the scarcest that it has.

    :param preferences: of each host; aggregates may differ in what they spare
    :param hosts: the capabilities of each
    """
    having = collections.Counter(key for host in hosts for key in set(host))
    scarcity = {key: 1 - number / len(hosts) for key, number in having.items()}
    known: dict[tuple[Preferences, frozenset[str]], Score] = {}
    results = []
    for each, host in zip(preferences, hosts, strict=True):
        has = each.capabilities.intersection(host)
        score = known.get((each, has))
        if score is None:
            score = known[each, has] = Score(
                _share(each.preferred, has),
                max(
                    (scarcity[key] for key in has & each.spared),
                    default=0,
                ),
            )
        results.append(score)
    return results


def _share(preferred: frozenset[str], has: frozenset[str]) -> float:
    return len(preferred & has) / len(preferred) if preferred else 0.0
