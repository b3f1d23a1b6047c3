# SPDX-License-Identifier: Apache-2.0
"""Operations on all resource providers of a cloud."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping

from hvfilter.model import catalogue, dated, nested_registers
from hvfilter.model.week import Week
from hvfilter.placement import client, errors, reconcile
from hvfilter.rules import traits


@dataclasses.dataclass(frozen=True)
class TraitUsage:
    """The hvfilter traits of a cloud.

    :ivar names: hvfilter trait names in Placement
    :ivar providers: providers that have any: uuid to name
    :ivar reported: week to the number of providers whose last report it holds
    """

    names: frozenset[str]
    providers: Mapping[str, str]
    reported: Mapping[Week, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class CleanupResult:
    """The result of removing all hvfilter traits.

    :ivar cleaned: number of providers without any now
    :ivar deleted: names that were deleted from Placement
    :ivar failures: what was not done: a provider's name or a trait's, and why
    """

    cleaned: int
    deleted: frozenset[str]
    failures: tuple[tuple[str, errors.PlacementError], ...]


def trait_usage(placement: client.PlacementClient) -> TraitUsage:
    """Find all hvfilter traits: two requests, and one for each name in use.

    :raises errors.PlacementError: a request failed.
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
    """Trait names to be created and to be deleted.

    :ivar missing: those of this release that do not exist
    :ivar outdated: those of past weeks, and nested sets, that no provider
        has any more
    """

    missing: frozenset[str]
    outdated: frozenset[str]


def name_changes(
    placement: client.PlacementClient, now: Week | None
) -> NameChanges:
    """One request, and one more while a name may be outdated.

    :param now: this week; None: not known, and no name with a week is
        outdated.
    :raises errors.PlacementError: a request failed.
    """
    known = placement.traits_known(catalogue.TRAIT_PREFIX)
    marks = {name: dated.parse(name) for name in known}
    old = frozenset(
        name
        for name, mark in marks.items()
        if nested_registers.is_trait(name)
        or (mark is not None and now is not None and mark.week != now)
    )
    if old:
        old -= placement.traits_known(catalogue.TRAIT_PREFIX, carried=True)
    return NameChanges(reconcile.missing_from(known), old)


def create_names(
    placement: client.PlacementClient, missing: frozenset[str] | None = None
) -> frozenset[str]:
    """Create all trait names of this release.

    :param missing: those that do not exist, None to look them up.
    :returns: those that were new.
    :raises errors.PlacementError: some do not exist yet; calling it again
        continues.
    """
    if missing is None:
        missing = reconcile.missing_names(placement)
    return frozenset(
        name for name in sorted(missing) if placement.ensure_trait(name)
    )


def delete_names(
    placement: client.PlacementClient, outdated: frozenset[str]
) -> frozenset[str]:
    """Delete names that no provider had when they were looked up.

    Placement refuses to delete one that a provider has meanwhile.

    :returns: those that were deleted.
    :raises errors.PlacementError: some remain; calling it again continues.
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
    """Remove all hvfilter traits from every provider, then their names.

    A failure for one provider does not affect the others. Placement keeps
    names that a provider still has. A provider that was deleted meanwhile
    counts as clean.

    :param progress: called with the number of providers that are done.
    :param keep_names: delete no name: requests that forbid one remain valid.
    """
    failures: list[tuple[str, errors.PlacementError]] = []
    desired = traits.withdrawn()
    for done, uuid in enumerate(sorted(usage.providers), 1):
        ref = reconcile.ProviderRef(uuid=uuid)
        try:
            reconciler.reconcile(ref, desired, await_provider=False)
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
