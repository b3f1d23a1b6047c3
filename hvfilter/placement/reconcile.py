# SPDX-License-Identifier: Apache-2.0
"""Update the hvfilter traits of a resource provider.

Placement replaces the whole trait set of a provider at once, checked against
the provider's generation. So: read the set, change only hvfilter's names in
it, write it back, and after a conflict read again. Any other way could lose
the traits of other writers.

One request if nothing changes, two otherwise. Missing trait names are created
when Placement reports them: once for a cloud and once for each new capability.

Source: placement ``handlers/trait.py`` (the generation is checked first, then
the names, then everything is written or nothing).
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import random
import time
from collections.abc import Callable

from hvfilter.model import catalogue
from hvfilter.placement import client, errors, ownership
from hvfilter.rules.traits import DesiredTraits

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ProviderRef:
    """A provider by uuid or by name.

    :param uuid: its uuid, None to look it up by name.
    :param names: names it may have, the likeliest first.
    :param origin: the file that the uuid was read from. A file can be copied
        to another host, so the provider's name is compared with ``names``
        before the first write; empty: an operator configured the uuid.
    """

    uuid: str | None = None
    names: tuple[str, ...] = ()
    origin: str = ''

    def __post_init__(self) -> None:
        if self.uuid is None and not self.names:
            raise ValueError('a provider reference needs a uuid or a name')

    def __str__(self) -> str:
        return self.uuid or ' or '.join(self.names)


@dataclasses.dataclass(frozen=True)
class Plan:
    """The exact change of one provider's traits.

    :param added: hvfilter names that it lacks and should have.
    :param removed: hvfilter names that it has and should not have.
    :param kept: hvfilter names that it has and keeps.
    :param result: its whole set afterwards, foreign names included.
    :param unverified: names among ``kept`` whose state is UNKNOWN now.
    """

    added: frozenset[str]
    removed: frozenset[str]
    kept: frozenset[str]
    result: frozenset[str]
    unverified: frozenset[str] = frozenset()

    @property
    def idle(self) -> bool:
        """Nothing is to be changed."""
        return not self.added and not self.removed


def plan(current: frozenset[str], desired: DesiredTraits) -> Plan:
    """The change that gives a provider the desired hvfilter traits. Pure.

    :param current: all traits that the provider has.
    :raises ValueError: a name is not hvfilter's, or both desired and not.
    """
    named = desired.present | desired.absent
    foreign = named - catalogue.own(named)
    if foreign:
        raise ValueError(f'not hvfilter traits: {", ".join(sorted(foreign))}')
    both = desired.present & desired.absent
    if both:
        raise ValueError(f'both desired and not: {", ".join(sorted(both))}')
    result = desired.applied_to(current)
    return Plan(
        added=result - current,
        removed=current - result,
        kept=catalogue.own(result & current),
        result=result,
        unverified=desired.unverified(result),
    )


def missing_names(placement: client.PlacementClient) -> frozenset[str]:
    """The trait names of this release that do not exist: one request.

    :raises errors.PlacementError: the request failed.
    """
    return missing_from(placement.traits_known(catalogue.TRAIT_PREFIX))


def missing_from(known: frozenset[str]) -> frozenset[str]:
    """The names of this release that are not among those known. Pure."""
    return catalogue.STATE_TRAITS - catalogue.RETIRED_TRAITS - known


@dataclasses.dataclass(frozen=True)
class Change:
    """What was changed of a provider's traits.

    :param uuid: the provider.
    :param added: hvfilter names that it has now and had not at first.
    :param removed: hvfilter names that it had at first and has not now.
    :param kept: hvfilter names that it had and has.
    :param requests: how many requests were sent to Placement.
    :param conflicts: how many writes failed as another writer was faster.
    :param created: trait names that were created in Placement.
    :param unverified: names among ``kept`` whose state is UNKNOWN now.
    :param unknown_for_too_long: names among ``removed`` that were UNKNOWN
        for longer than they may stay so.
    :param returning: names among ``removed`` that had been removed before.
    """

    uuid: str
    added: frozenset[str]
    removed: frozenset[str]
    kept: frozenset[str]
    requests: int
    conflicts: int = 0
    created: frozenset[str] = frozenset()
    unverified: frozenset[str] = frozenset()
    unknown_for_too_long: frozenset[str] = frozenset()
    returning: frozenset[str] = frozenset()

    @property
    def idle(self) -> bool:
        """Nothing was changed."""
        return not self.added and not self.removed


@dataclasses.dataclass(frozen=True)
class RetryPolicy:
    """How long to retry when Placement cannot take the change now.

    :param deadline_s: total time for a provider that does not exist yet, a
        service that is unreachable or unavailable; 0 tries once.
    :param conflicts: how often to read again after another writer's change.
    :param first_delay_s: about the first pause; each next is twice as long.
    :param longest_delay_s: the longest pause, unless Placement asks for a
        longer one (Retry-After).
    :param conflict_delay_s: about the first pause after a conflict; each
        next is twice as long.
    :param longest_conflict_delay_s: the longest pause after a conflict.
    """

    deadline_s: float = 120.0
    conflicts: int = 20
    first_delay_s: float = 1.0
    longest_delay_s: float = 30.0
    conflict_delay_s: float = 0.05
    longest_conflict_delay_s: float = 2.0


class Reconciler:
    """Reads, merges, writes and retries within bounds.

    :param clock: monotonic seconds.
    :param sleep: waits that many seconds.
    :param random_number: from 0 up to 1, to spread the pauses of many hosts.
    """

    def __init__(
        self,
        placement: client.PlacementClient,
        retry: RetryPolicy | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        random_number: Callable[[], float] = random.random,
    ) -> None:
        self._client = placement
        self._retry = retry or RetryPolicy()
        self._clock = clock
        self._sleep = sleep
        self._random_number = random_number

    def preview(self, ref: ProviderRef, desired: DesiredTraits) -> Change:
        """Return what :meth:`reconcile` would change, and only read.

        :raises errors.PlacementError: at the first failure.
        """
        run = _Run(self._client, ref, desired, self._random_number)
        uuid, _, step = run.read()
        if not step.idle:
            run.check_name()
        return run.change(uuid, step)

    def reconcile(
        self,
        ref: ProviderRef,
        desired: DesiredTraits,
        *,
        await_provider: bool = True,
    ) -> Change:
        """Give the provider the desired hvfilter traits.

        Names in neither set of ``desired`` and names of others stay as they
        are.

        :param await_provider: wait for a provider that does not exist yet.
        :raises errors.WrongProvider: it seems to be another host's.
        :raises errors.PlacementError: the last failure, when the policy ends;
            the provider then has all its old traits or all the new ones.
        """
        run = _Run(self._client, ref, desired, self._random_number)
        began = self._clock()
        while True:
            try:
                return run.attempt()
            except errors.Conflict as error:
                run.conflicts += 1
                if run.conflicts > self._retry.conflicts:
                    raise _gave_up(error, run.conflicts) from None
                pause = self._spread(
                    self._retry.conflict_delay_s,
                    self._retry.longest_conflict_delay_s,
                    run.conflicts,
                )
            except errors.PlacementError as error:
                missing = isinstance(error, errors.NotFound)
                if not (error.transient or (missing and await_provider)):
                    raise
                run.failures += 1
                pause = self._pause(error, run.failures)
                left = self._retry.deadline_s - (self._clock() - began)
                if pause > left:
                    raise
                LOG.warning('%s. Retrying in %.1f s.', error.what, pause)
            self._sleep(pause)

    def _spread(self, first_s: float, longest_s: float, turn: int) -> float:
        pause = min(first_s * 2.0 ** min(turn - 1, 30), longest_s)
        return pause * (0.5 + self._random_number() / 2)

    def _pause(self, error: errors.PlacementError, turn: int) -> float:
        pause = self._spread(
            self._retry.first_delay_s, self._retry.longest_delay_s, turn
        )
        if isinstance(error, errors.Unavailable) and error.retry_after_s:
            pause = max(
                pause, error.retry_after_s * (1 + self._random_number() / 4)
            )
        return pause


class _Run:
    """The state of one reconciliation."""

    def __init__(
        self,
        placement: client.PlacementClient,
        ref: ProviderRef,
        desired: DesiredTraits,
        random_number: Callable[[], float],
    ) -> None:
        self._client = placement
        self._ref = ref
        self._desired = desired
        self._random_number = random_number
        self._first: frozenset[str] | None = None
        self._creating = False
        self._named = False
        self._checked = not ref.origin
        self.created: frozenset[str] = frozenset()
        self.requests = 0
        self.conflicts = 0
        self.failures = 0

    def attempt(self) -> Change:
        uuid, now, step = self.read()
        if not step.idle:
            self.check_name()
            try:
                self._write(uuid, now, step)
            except errors.UnknownTrait as error:
                unknown = error.traits & step.added
                if self._named or not unknown:
                    raise
                self._create(unknown)
                self._write(uuid, now, step)
        if self._creating:
            # An earlier attempt was interrupted here.
            self._create(frozenset())
        return self.change(uuid, step)

    def read(self) -> tuple[str, client.ProviderTraits, Plan]:
        uuid = self._ref.uuid or self._find()
        self.requests += 1
        try:
            now = self._client.traits_of(uuid)
        except errors.NotFound:
            self._refuse_other_uuid()
            raise
        if self._first is None:
            self._first = now.traits
        return uuid, now, plan(now.traits, self._desired)

    def check_name(self) -> None:
        """Refuse a provider that has none of this host's names."""
        if self._checked or self._ref.uuid is None:
            return
        self.requests += 1
        provider = self._client.provider(self._ref.uuid)
        if not ownership.has_name(provider.name, self._ref.names):
            raise ownership.uuid_of_other_host(
                self._ref.origin,
                self._ref.names,
                provider,
                self._providers_by_name(),
            )
        self._checked = True

    def _refuse_other_uuid(self) -> None:
        """No provider has the uuid: refuse if one has this host's name."""
        uuid, origin = self._ref.uuid, self._ref.origin
        if uuid is not None and origin:
            for other in self._providers_by_name():
                raise ownership.uuid_without_provider(origin, uuid, other)

    def _find(self) -> str:
        providers = self._providers_by_name()
        if len(providers) > 1:
            raise ownership.ambiguous_names(providers)
        for provider in providers:
            return provider.uuid
        raise errors.NotFound(
            'Placement has no resource provider named '
            + ' or '.join(repr(name) for name in self._ref.names),
            'nova-compute creates it at its first start, under the name '
            'shown by "openstack hypervisor list"; set [hvfilter] '
            'provider_uuid or provider_name if it differs from this.',
        )

    def _providers_by_name(self) -> list[client.Provider]:
        """The providers that have one of this host's names."""
        providers = []
        for name in self._ref.names:
            self.requests += 1
            with contextlib.suppress(errors.NotFound):
                providers.append(self._client.provider_named(name))
        return providers

    def _write(
        self, uuid: str, now: client.ProviderTraits, step: Plan
    ) -> None:
        self.requests += 1
        after = self._client.set_traits(uuid, now.generation, step.result)
        if after.traits != step.result:
            raise errors.BadAnswer(
                f'Placement returned other traits for {uuid} than it was '
                'given',
                'Check that no proxy in front of Placement caches or rewrites '
                'responses, then publish again.',
            )

    def _create(self, unknown: frozenset[str]) -> None:
        """Create the names that are needed, then perhaps all others.

        All names should exist, since a flavor may forbid what no host has.
        Only hosts that created some name first create the others, so that in
        a cloud that starts at once not every host sends every name. The order
        is random for the same reason.
        """
        interrupted, self._creating = self._creating, True
        self._ensure(unknown)
        if self.created or interrupted:
            self.requests += 1
            self._ensure(missing_names(self._client))
        self._creating, self._named = False, True

    def _ensure(self, names: frozenset[str]) -> None:
        shuffled = sorted((self._random_number(), name) for name in names)
        for _, name in shuffled:
            self.requests += 1
            if self._client.ensure_trait(name):
                self.created |= {name}

    def change(self, uuid: str, step: Plan) -> Change:
        """What this run has changed, or would change, so far."""
        before = catalogue.own(self._first or frozenset())
        after = catalogue.own(step.result)
        returning = self._desired.returning(before)
        return Change(
            uuid,
            added=after - before,
            removed=before - after,
            kept=after & before,
            requests=self.requests,
            conflicts=self.conflicts,
            created=self.created,
            unverified=step.unverified,
            unknown_for_too_long=self._desired.unverified(before - after)
            - returning,
            returning=returning,
        )


def _gave_up(error: errors.Conflict, times: int) -> errors.Conflict:
    return errors.Conflict(
        f'{error.what}, {times} times in a row',
        'Another writer keeps changing this provider: find it in the log of '
        'Placement. Nothing was changed; the next run retries.',
    )
