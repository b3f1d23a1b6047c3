# SPDX-License-Identifier: Apache-2.0
"""All providers of a cloud at once."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping

from hvfilter.model import catalogue, dated
from hvfilter.model.week import Week
from hvfilter.placement import client, errors, reconcile
from hvfilter.rules import traits


@dataclasses.dataclass(frozen=True)
class TraitUsage:
    """Where our traits are.

    :ivar names: names of ours that Placement knows
    :ivar providers: providers that carry any: uuid to name
    :ivar reported: week to the number of providers whose last report it holds
    """

    names: frozenset[str]
    providers: Mapping[str, str]
    reported: Mapping[Week, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class CleanupResult:
    """What became of it.

    :ivar cleaned: providers that carry none of ours any more
    :ivar deleted: names that Placement has forgotten
    :ivar failures: what was not done: a provider's name or a trait's, and why
    """

    cleaned: int
    deleted: frozenset[str]
    failures: tuple[tuple[str, errors.PlacementError], ...]


def trait_usage(placement: client.PlacementClient) -> TraitUsage:
    """Look for our traits: two requests, and one for each name carried.

    :raises errors.PlacementError: Placement did not answer.
    """
    known = placement.traits_known(catalogue.TRAIT_PREFIX)
    names = catalogue.own(known)
    carried = placement.traits_known(catalogue.TRAIT_PREFIX, carried=True)
    uuid_to_name: dict[str, str] = {}
    reported: dict[Week, int] = {}
    for name in sorted(catalogue.own(carried)):
        providers = placement.providers_with(required=[name])
        uuid_to_name.update((each.uuid, each.name) for each in providers)
        mark = dated.parse(name)
        if mark is not None and mark.kind is dated.Kind.REPORTED:
            reported[mark.week] = len(providers)
    return TraitUsage(names, uuid_to_name, reported)


@dataclasses.dataclass(frozen=True)
class NameChanges:
    """What is to be done about names, whoever carries them.

    :ivar missing: those of this release that Placement does not know
    :ivar outdated: those of a week gone by that no provider carries any more
    """

    missing: frozenset[str]
    outdated: frozenset[str]


def name_changes(
    placement: client.PlacementClient, now: Week | None
) -> NameChanges:
    """One request, and one more while there are names of other weeks.

    :param now: this week; None: not known, and no name is outdated.
    :raises errors.PlacementError: Placement did not answer.
    """
    known = placement.traits_known(catalogue.TRAIT_PREFIX)
    marks = {name: dated.parse(name) for name in known}
    old = frozenset(
        name
        for name, mark in marks.items()
        if mark is not None and now is not None and mark.week != now
    )
    if old:
        old -= placement.traits_known(catalogue.TRAIT_PREFIX, carried=True)
    return NameChanges(reconcile.missing_from(known), old)


def create_names(
    placement: client.PlacementClient, missing: frozenset[str] | None = None
) -> frozenset[str]:
    """Make all names of this release known, whether or not a host has them.

    :param missing: those that are not, None to find out.
    :returns: those that were new.
    :raises errors.PlacementError: not all are known; the same again goes on.
    """
    if missing is None:
        missing = reconcile.missing_names(placement)
    return frozenset(
        name for name in sorted(missing) if placement.ensure_trait(name)
    )


def delete_names(
    placement: client.PlacementClient, outdated: frozenset[str]
) -> frozenset[str]:
    """Delete names that no provider carried when they were looked up.

    Placement refuses to delete one that a provider has got meanwhile.

    :returns: those that are gone.
    :raises errors.PlacementError: not all are gone; the same again goes on.
    """
    gone = set()
    for name in sorted(outdated):
        with contextlib.suppress(errors.Conflict, errors.NotFound):
            placement.delete_trait(name)
            gone.add(name)
    return frozenset(gone)


def withdraw(
    placement: client.PlacementClient,
    reconciler: reconcile.Reconciler,
    usage: TraitUsage,
    progress: Callable[[int], None],
    *,
    keep_names: bool = False,
) -> CleanupResult:
    """Take our traits off every provider, then delete their names.

    A provider that fails stops no other. Names that are still carried by one
    stay, for Placement deletes no trait in use. A provider that has been
    deleted meanwhile is clean.

    :param progress: called with the number of providers that are done.
    :param keep_names: delete no name: requests that forbid one stay valid.
    """
    failures: list[tuple[str, errors.PlacementError]] = []
    wanted = traits.withdrawn()
    for done, uuid in enumerate(sorted(usage.providers), 1):
        ref = reconcile.ProviderRef(uuid=uuid)
        try:
            reconciler.reconcile(ref, wanted, await_provider=False)
        except errors.NotFound:
            pass
        except errors.PlacementError as error:
            failures.append((usage.providers[uuid], error))
        progress(done)
    cleaned = len(usage.providers) - len(failures)
    deleted = set()
    for name in () if keep_names else sorted(usage.names):
        try:
            placement.delete_trait(name)
        except errors.NotFound:
            pass
        except errors.PlacementError as error:
            failures.append((name, error))
            continue
        deleted.add(name)
    return CleanupResult(cleaned, frozenset(deleted), tuple(failures))
