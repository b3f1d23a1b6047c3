# SPDX-License-Identifier: Apache-2.0
"""A cache of verdicts on hosts.

A verdict depends on the request, the policy and the host's capabilities. The
first two are the same for all hosts of a request and for most requests, and
capabilities change rarely; so each host is judged once per refresh, and
otherwise looked up. What does not depend on the request is in
:mod:`hvfilter.scheduler.host_classes`.
"""

from __future__ import annotations

import collections
import dataclasses
import threading
from collections.abc import Callable
from typing import Any

from hvfilter.model import catalogue
from hvfilter.model.policy import Mode, Policy
from hvfilter.model.requirement import Requirements
from hvfilter.model.verdict import Verdict
from hvfilter.placement.trait_cache import CachedTraits, CacheTimes, TraitCache
from hvfilter.rules import infer, requests
from hvfilter.rules.judge import judge
from hvfilter.scheduler import policies
from hvfilter.scheduler.host_classes import HostClass, HostClasses, HostReader

ACCEPTED = Verdict()

_MAX_ENTRIES = 64
_MAX_HOSTS = 500_000
"""Uuids remembered over all entries: some tens of MiB."""

ReadClasses = Callable[[frozenset[str]], HostClasses]
"""Takes traits, returns the classes of hosts, these traits included."""


@dataclasses.dataclass(frozen=True)
class RequestKey:
    """All that verdicts depend on, except the host.

    :ivar rebuild: the guest stays where it is and gets another image
    """

    guest_request: requests.GuestRequest
    rebuild: bool
    policy: Policy

    def under(self, policy: Policy) -> RequestKey:
        """The same under another policy."""
        return dataclasses.replace(self, policy=policy)

    @property
    def requirements(self) -> Requirements:
        """What is required of a host.

        On rebuild only what the image decides: the flavor was judged when the
        guest was placed, and a rebuild does not move it.
        """
        if self.rebuild:
            return requests.image_requirements(self.guest_request, self.policy)
        return requests.requirements(self.guest_request, self.policy)


class PolicyJudge:
    """Verdicts for one request key and one set of cached traits."""

    def __init__(self, key: RequestKey, classes_with: ReadClasses) -> None:
        self.policy = key.policy
        self.requirements = key.requirements
        reserved = () if key.rebuild else self.policy.reserved
        #: Whether any verdict can reject a host.
        self.matters = self.requirements.hard or bool(reserved)
        self._verdicts: dict[HostClass, Verdict] = {}
        self._classes: HostClasses | None = None
        self._unanswered: frozenset[str] = frozenset()
        self.traits: frozenset[str] = frozenset()
        if not self.matters:
            return
        keys = self.requirements.capabilities.union(reserved)
        trait_of = {key: catalogue.BY_KEY[key].trait for key in keys}
        unknown_trait_of = {
            key: catalogue.BY_KEY[key].unknown_trait
            for key in self.requirements.doubtful
        }
        self.traits = frozenset(
            [*trait_of.values(), *unknown_trait_of.values()]
        )
        self._classes = classes_with(self.traits)
        answers = self._classes.cached.uuids_by_trait or {}
        self._unanswered = frozenset(
            key
            for key, trait in (*trait_of.items(), *unknown_trait_of.items())
            if trait not in answers
        )

    def valid_for(self, cached: CachedTraits) -> bool:
        """Whether the verdicts would be the same with these traits."""
        if self._classes is None:
            return True
        known = (cached.uuids_by_trait or {}).keys()
        return self._classes.cached.epoch == cached.epoch and (
            bool(self._unanswered) != (self.traits <= known)
        )

    def verdict_for(self, host: Any) -> Verdict:
        """The verdict on a nova.scheduler.host_manager.HostState."""
        classes = self._classes
        if classes is None:
            return ACCEPTED
        # As HostClasses.host_class has it, without the call.
        seen = classes.known.get(host.uuid)
        if seen is not None and seen[0] == host.updated:
            host_class = seen[1]
        else:
            host_class = classes.read(host)
        known = self._verdicts.get(host_class)
        if known is None:
            known = self._judge(host_class, classes.cached)
            self._verdicts[host_class] = known
        return known

    def _judge(self, host_class: HostClass, cached: CachedTraits) -> Verdict:
        advertised = infer.advertised(
            None if cached.uuids_by_trait is None else host_class.has,
            host_class.reported,
            host_class.facts,
            self.policy,
            unknown=host_class.unknown,
            unanswered=self._unanswered,
            expired=host_class.expired,
        )
        return judge(self.requirements, advertised, self.policy)


@dataclasses.dataclass(frozen=True)
class FilterResult:
    """The hosts of one request, passed and rejected.

    :ivar passed: in the order given
    :ivar against: the rejected hosts by verdict
    :ivar passed_anyway: number of these that passed (mode = permissive)
    """

    passed: list[Any]
    against: dict[Verdict, list[Any]]
    passed_anyway: int


class CachedVerdicts:
    """The verdicts on the hosts of one request key, while they are valid.

    :ivar accepted: uuids of hosts that pass without another look-up; only
        ever grows, so threads may share it
    :ivar reused: more than one request had this key
    """

    def __init__(
        self, policy_judge: PolicyJudge, key: RequestKey, born_s: float
    ) -> None:
        self.policy_judge = policy_judge
        self.born_s = born_s
        self.accepted: set[str] = set()
        self.reused = False
        self._key = key
        self._by_policy: dict[Policy, PolicyJudge] = {}

    def __len__(self) -> int:
        return len(self.accepted)

    @property
    def judges(self) -> list[PolicyJudge]:
        """The configured policy's first, then those of aggregates."""
        return [self.policy_judge, *self._by_policy.values()]

    def filter_hosts(
        self, hosts: list[Any], classes_with: ReadClasses
    ) -> FilterResult:
        """Judge hosts by the policy of their aggregates.

        :param hosts: of type nova.scheduler.host_manager.HostState
        """
        passed = []
        # By identity: hashing the verdict of each host would dominate.
        rejected: dict[int, tuple[Verdict, list[Any]]] = {}
        passed_anyway = 0
        accepted = self.accepted
        # All hosts of an aggregate share one object, which lives as long as
        # this request, so its id is unique.
        known: dict[tuple[int, ...], PolicyJudge] = {}
        for host in hosts:
            uuid, aggregates = host.uuid, host.aggregates
            if uuid in accepted:
                passed.append(host)
                continue
            policy_judge = self.policy_judge
            if aggregates:
                which = tuple(map(id, aggregates))
                try:
                    policy_judge = known[which]
                except KeyError:
                    policy_judge = self._under(aggregates, classes_with)
                    known[which] = policy_judge
            verdict = policy_judge.verdict_for(host)
            # As Verdict.accepted has it, without the call.
            if not verdict.reasons:
                passed.append(host)
                if uuid is not None:
                    accepted.add(uuid)
                continue
            group = rejected.get(id(verdict))
            if group is None:
                group = rejected[id(verdict)] = verdict, []
            group[1].append(host)
            if policy_judge.policy.mode is Mode.PERMISSIVE:
                passed.append(host)
                passed_anyway += 1
        against: dict[Verdict, list[Any]] = {}
        for verdict, found_hosts in rejected.values():
            against.setdefault(verdict, []).extend(found_hosts)
        return FilterResult(passed, against, passed_anyway)

    def _under(
        self, aggregates: Any, classes_with: ReadClasses
    ) -> PolicyJudge:
        policy = policies.for_host(
            aggregates, self.policy_judge.policy, policies.warn_once
        )
        if policy == self.policy_judge.policy:
            return self.policy_judge
        policy_judge = self._by_policy.get(policy)
        if policy_judge is None:
            policy_judge = PolicyJudge(self._key.under(policy), classes_with)
            self._by_policy[policy] = policy_judge
        return policy_judge


class VerdictCache:
    """The verdicts of recent request keys; safe to use by many threads."""

    def __init__(
        self, trait_cache: TraitCache, clock: Callable[[], float]
    ) -> None:
        self._trait_cache = trait_cache
        self._clock = clock
        self._classes = HostClasses(trait_cache.peek(), HostReader())
        self._lock = threading.Lock()
        self._entries: collections.OrderedDict[RequestKey, CachedVerdicts]
        self._entries = collections.OrderedDict()

    def classes_with(
        self, traits: frozenset[str], times: CacheTimes
    ) -> HostClasses:
        """The classes of hosts, with at least these traits refreshed."""
        cached = self._trait_cache.get(traits, times)
        classes = self._classes
        if classes.cached is not cached:
            classes = self._classes = classes.after(cached)
        return classes

    def verdicts_for(
        self, key: RequestKey, times: CacheTimes
    ) -> CachedVerdicts:
        """The verdicts of a key; new ones if traits may have changed."""
        now_s = self._clock()
        with self._lock:
            verdicts = self._entries.get(key)
            if verdicts is not None:
                verdicts.reused = True
                self._entries.move_to_end(key)
        if (
            verdicts is not None
            and now_s - verdicts.born_s < times.soft_s
            and all(
                policy_judge.valid_for(
                    self._trait_cache.get(policy_judge.traits, times)
                )
                for policy_judge in verdicts.judges
                if policy_judge.matters
            )
        ):
            return verdicts
        # Not under the lock: this may send requests to Placement.
        policy_judge = PolicyJudge(
            key, lambda traits: self.classes_with(traits, times)
        )
        reused = verdicts is not None
        verdicts = CachedVerdicts(policy_judge, key, now_s)
        verdicts.reused = reused
        with self._lock:
            self._entries[key] = verdicts
            self._entries.move_to_end(key)
            self._shrink(now_s - times.soft_s)
        return verdicts

    def _shrink(self, stale_s: float) -> None:
        """Drop what is stale or was used once, then the least recently used.

        One tenant's many images must not evict the requests of all others.

        :param stale_s: entries as old as this are computed anew anyway
        """
        while len(self._entries) > 1 and (
            len(self._entries) > _MAX_ENTRIES
            or sum(map(len, self._entries.values())) > _MAX_HOSTS
        ):
            # All but the newest.
            *evictable, _ = self._entries.items()
            least_useful = (
                key
                for key, verdicts in evictable
                if not verdicts.reused or verdicts.born_s <= stale_s
            )
            del self._entries[next(least_useful, evictable[0][0])]
