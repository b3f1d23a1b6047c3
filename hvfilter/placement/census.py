# SPDX-License-Identifier: Apache-2.0
"""Which of hvfilter's traits each provider carries, in few requests.

Placement shows the traits of one provider, or the providers of given traits.
But hosts come in few kinds: the traits of one host, asked for together with
the absence of all others, name every host like it. So a kind costs two
requests, however many hosts are of it. Where there are many kinds, one request
for allocation candidates shows the traits of every host with free memory; that
is a long answer, and so comes second.

Source: Placement API reference, ``GET /resource_providers`` (``required`` with
``!`` from microversion 1.22), ``GET /allocation_candidates``
(``provider_summaries`` with traits from 1.17).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Mapping

from hvfilter.model import catalogue, dated
from hvfilter.model.week import Week
from hvfilter.placement import capacity, client, errors, expired

MOST_KINDS = 6
"""So many kinds are looked for; then all hosts with free memory are asked for,
and then, for hosts that are left, each trait."""

_REQUESTS_A_KIND = 2


@dataclasses.dataclass(frozen=True)
class Census:
    """All root providers of a cloud, as they were when it was read.

    :ivar providers: by uuid: compute nodes, and root providers that others
        made (shared storage, network agents)
    :ivar traits: by uuid: the names of hvfilter's it carries, those with a
        week left out; hosts of the same kind share one set
    :ivar names: of hvfilter's traits that some provider carries, all of them
    :ivar expired: providers whose last report is too old to be believed
    """

    providers: Mapping[str, client.Provider]
    traits: Mapping[str, frozenset[str]]
    names: frozenset[str]
    expired: expired.Expired = expired.NONE

    def stale(self, uuid: str) -> str:
        """The week of a provider's stale report, '' if it is valid."""
        return self.expired.weeks if uuid in self.expired.uuids else ''


def this_week() -> Week | None:
    """By this machine's clock; None where it was never set."""
    return Week.at(time.time())


def read(
    placement: client.PlacementClient, now: Week | None, max_age_weeks: int
) -> Census:
    """Read all of it: 17 requests or fewer, however many hosts there are.

    Only where there are more than six kinds of hosts without any free memory,
    one for each trait is added, at most twice the number of capabilities.
    Before microversion 1.39 the week of each stale report costs one, too.

    :param now: this week; None: not known, and nothing is stale.
    :param max_age_weeks: how old a valid report may be; 0: any age.
    :raises errors.PlacementError: Placement did not answer.
    """
    try:
        return _read(placement, now, max_age_weeks)
    except errors.UnknownTrait:
        # "hvfilter prepare" deleted one just now.
        return _read(placement, now, max_age_weeks)


def _read(
    placement: client.PlacementClient, now: Week | None, max_age_weeks: int
) -> Census:
    # Before the traits: who reports meanwhile counts as expired once more.
    old = expired.reports(placement, now, max_age_weeks)
    carried = placement.traits_known(catalogue.TRAIT_PREFIX, carried=True)
    names = catalogue.own(carried)
    roots = {each.uuid: each for each in placement.root_providers()}
    kinds = frozenset(each for each in names if dated.parse(each) is None)
    return Census(roots, _traits(placement, roots, kinds), names, old)


def _traits(
    placement: client.PlacementClient,
    uuids: Iterable[str],
    names: frozenset[str],
) -> dict[str, frozenset[str]]:
    traits_of: dict[str, frozenset[str]] = {}
    left = set(uuids)
    if not names:
        return dict.fromkeys(left, frozenset())
    if len(names) > _REQUESTS_A_KIND * MOST_KINDS:
        try:
            _by_kind(placement, left, names, traits_of)
        except errors.TooOld:
            # Before 1.22 Placement cannot be asked for what is not there.
            pass
    if left:
        _by_free_memory(placement, left, names, traits_of)
    if left:
        traits_of.update(_by_trait(placement, left, names))
    return traits_of


def _by_kind(
    placement: client.PlacementClient,
    left: set[str],
    names: frozenset[str],
    found: dict[str, frozenset[str]],
) -> None:
    """Take out of ``left`` whoever is of a kind that was met."""
    kind: frozenset[str] = frozenset()
    for _ in range(MOST_KINDS):
        alike = left & placement.uuids_like(kind, names - kind)
        found.update(dict.fromkeys(alike, kind))
        left -= alike
        if not left:
            return
        one = min(left)
        try:
            kind = placement.traits_of(one).traits & names
        except errors.NotFound:
            # Deleted meanwhile.
            left.discard(one)


def _by_free_memory(
    placement: client.PlacementClient,
    left: set[str],
    names: frozenset[str],
    found: dict[str, frozenset[str]],
) -> None:
    """Take out of ``left`` whoever has free memory, whatever its traits."""
    try:
        free = capacity.read(placement.transport, {'MEMORY_MB': 1})
    except errors.TooOld:
        return
    kinds: dict[frozenset[str], frozenset[str]] = {}
    for uuid in left & free.keys():
        kind = free[uuid].traits & names
        found[uuid] = kinds.setdefault(kind, kind)
        left.discard(uuid)


def _by_trait(
    placement: client.PlacementClient,
    left: Iterable[str],
    names: frozenset[str],
) -> dict[str, frozenset[str]]:
    carried: dict[str, list[str]] = {uuid: [] for uuid in left}
    for name in sorted(names):
        for uuid in placement.uuids_with(name):
            if uuid in carried:
                carried[uuid].append(name)
    kinds: dict[tuple[str, ...], frozenset[str]] = {}
    return {
        uuid: kinds.setdefault(tuple(listed), frozenset(listed))
        for uuid, listed in carried.items()
    }
