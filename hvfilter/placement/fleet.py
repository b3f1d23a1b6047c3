# SPDX-License-Identifier: Apache-2.0
"""All providers of a cloud at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from hvfilter.model import catalogue
from hvfilter.placement import client, errors, reconcile
from hvfilter.rules import traits


@dataclasses.dataclass(frozen=True)
class Presence:
    """Where our traits are.

    :ivar names: names of ours that Placement knows
    :ivar providers: providers that carry any: uuid to name
    """

    names: frozenset[str]
    providers: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Withdrawal:
    """What became of it.

    :ivar cleaned: providers that carry none of ours any more
    :ivar deleted: names that Placement has forgotten
    :ivar failures: what was not done: a provider's name or a trait's, and why
    """

    cleaned: int
    deleted: frozenset[str]
    failures: tuple[tuple[str, errors.PlacementError], ...]


def presence(placement: client.PlacementClient) -> Presence:
    """Look for our traits: two requests, and one for each name carried.

    :raises errors.PlacementError: it could not be told.
    """
    known = placement.traits_known(catalogue.TRAIT_PREFIX)
    names = catalogue.own(known)
    carried = placement.traits_known(catalogue.TRAIT_PREFIX, carried=True)
    found: dict[str, str] = {}
    for name in sorted(catalogue.own(carried)):
        for provider in placement.providers_with(required=[name]):
            found[provider.uuid] = provider.name
    return Presence(names, found)


def prepare(placement: client.PlacementClient) -> frozenset[str]:
    """Make all names of this release known, whether or not a host has them.

    :returns: those that were new.
    :raises errors.PlacementError: not all are known; the same again goes on.
    """
    return frozenset(
        name
        for name in sorted(reconcile.missing(placement))
        if placement.ensure_trait(name)
    )


def withdraw(
    placement: client.PlacementClient,
    reconciler: reconcile.Reconciler,
    there: Presence,
    progress: Callable[[int], None],
) -> Withdrawal:
    """Take our traits off every provider, then delete their names.

    A provider that fails stops no other. Names that are still carried by one
    stay, for Placement deletes no trait in use.

    :param progress: called with the number of providers that are done.
    """
    failures: list[tuple[str, errors.PlacementError]] = []
    wanted = traits.withdrawn()
    for done, uuid in enumerate(sorted(there.providers), 1):
        try:
            reconciler.reconcile(reconcile.Target(uuid=uuid), wanted)
        except errors.PlacementError as error:
            failures.append((there.providers[uuid], error))
        progress(done)
    cleaned = len(there.providers) - len(failures)
    deleted = set()
    for name in sorted(there.names):
        try:
            placement.delete_trait(name)
        except errors.NotFound:
            pass
        except errors.PlacementError as error:
            failures.append((name, error))
            continue
        deleted.add(name)
    return Withdrawal(cleaned, frozenset(deleted), tuple(failures))
