# SPDX-License-Identifier: Apache-2.0
"""How many hosts there are for a request, candidates or not."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from hvfilter.model import catalogue
from hvfilter.model.policy import Policy
from hvfilter.model.requirement import (
    Demand,
    Origin,
    Requirement,
    Requirements,
)

Holders = Mapping[str, frozenset[str]]
"""Trait to the uuids of the providers that carry it."""

_EMULATED = 'tcg'
_MOST_ITEMS = 8
_WHY = (
    'no room, disabled, rejected by an earlier filter, or cut off by '
    '[scheduler] max_placement_results'
)


@dataclasses.dataclass(frozen=True)
class Supply:
    """What Placement knows of all hosts, whether they are candidates or not.

    :ivar each: for each capability that is required or forbidden: the key,
        with "without" before it or not, and how many hosts fit
    :ivar capable: uuids of the hosts that fit all
    """

    each: tuple[tuple[str, int], ...]
    capable: frozenset[str]

    def words(self, candidates: Iterable[str | None]) -> str:
        """One sentence; empty if there is nothing to count.

        :param candidates: uuids of those that Nova offered
        """
        if not self.each:
            return ''
        counts = [f'{words}: {count}' for words, count in self.each]
        if len(counts) > _MOST_ITEMS:
            rest = len(counts) - _MOST_ITEMS
            counts[_MOST_ITEMS:] = [f'{rest} more not shown']
        if len(self.each) > 1:
            counts.append(f'all of this: {len(self.capable)}')
        elsewhere = self.capable.difference(candidates)
        text = f'hosts reported {", ".join(counts)}'
        if self.capable:
            text += f'; {len(elsewhere)} of {len(self.capable)} '
            text += 'not among the candidates'
            text += f' ({_WHY})' if elsewhere else ''
        return text


def supply(
    requirements: Requirements, policy: Policy, holders: Holders
) -> Supply | None:
    """Count hosts by their traits; None while not all of these are known.

    What the policy requires does not concern a guest that may be emulated on
    a host that emulates.
    """
    hard = [
        item
        for item in requirements.items
        if item.demand is not Demand.PREFERRED
    ]
    waived = frozenset(
        item
        for item in hard
        if requirements.emulable and item.origin is Origin.POLICY
    )
    reserved = () if requirements.in_place else sorted(policy.reserved)
    keys = {item.capability for item in hard}.union(reserved)
    if waived:
        keys.add(_EMULATED)
    marker = holders.get(catalogue.REPORTED_TRAIT)
    if marker is None or any(_trait(key) not in holders for key in keys):
        return None
    capable = marker.union(*(_having(item, holders) for item in hard))
    each: dict[str, int] = {}
    for item in hard:
        having = _having(item, holders)
        if item.demand is Demand.FORBIDDEN:
            capable -= having
            each[f'without {item.capability}'] = len(marker - having)
            continue
        words = item.capability
        if item in waived:
            having |= holders[_trait(_EMULATED)]
            words += f' or {_EMULATED}'
        capable &= having
        each[words] = len(having)
    requested_keys = requirements.asked
    shared = [
        holders[_trait(key)] for key in reserved if key in requested_keys
    ]
    kept = [
        holders[_trait(key)] for key in reserved if key not in requested_keys
    ]
    capable -= frozenset().union(*kept) - frozenset().union(*shared)
    return Supply(tuple(each.items()), capable)


def requested(requirements: Requirements, policy: Policy) -> str:
    """What can reject a host, and who wants it."""
    words = [
        f'{item.words} ({item.origin.value})'
        for item in requirements.items
        if item.demand is not Demand.PREFERRED
    ]
    words += [
        f'{request.words} ({request.origin.value})'
        for request in requirements.invalid
    ]
    if requirements.architecture:
        words.append(f'{requirements.architecture_words} (image)')
    if policy.reserved and not requirements.in_place:
        words.append(f'{policy.reserved_words} (policy)')
    if len(words) > _MOST_ITEMS:
        rest = len(words) - _MOST_ITEMS
        words[_MOST_ITEMS:] = [f'{rest} more']
    return ', '.join(words) or 'nothing'


def _having(item: Requirement, holders: Holders) -> frozenset[str]:
    return holders[_trait(item.capability)]


def _trait(key: str) -> str:
    return catalogue.BY_KEY[key].trait
