# SPDX-License-Identifier: Apache-2.0
"""Verdicts on hosts, remembered: what makes the filter fast.

A verdict follows from what is asked, the policy, and what is known of the
host. The first two are the same for all hosts of a request and for most
requests, and what is known changes rarely; so each host is judged once in a
while, and in between it is only looked up. What is known of hosts is the same
for all questions, and is kept in :mod:`hvfilter.scheduler.hosts`.
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
from hvfilter.placement.holders import Ages, Holders, Snapshot
from hvfilter.rules import infer, requests
from hvfilter.rules.judge import judge
from hvfilter.scheduler import policies
from hvfilter.scheduler.hosts import HostReader, Kind, Table

ACCEPTED = Verdict()

_MOST_CASES = 64
_MOST_HOSTS = 500_000
"""Uuids remembered over all cases: some tens of MiB."""

TableOf = Callable[[frozenset[str]], Table]
"""Takes traits, returns the hosts' kinds as far as these are known."""


@dataclasses.dataclass(frozen=True)
class Question:
    """What verdicts depend on, the hosts apart.

    :ivar rebuild: the guest stays where it is and gets another image
    """

    asked: requests.Asked
    rebuild: bool
    policy: Policy

    def under(self, policy: Policy) -> Question:
        """The same under another policy."""
        return dataclasses.replace(self, policy=policy)

    @property
    def requirements(self) -> Requirements:
        """What is required of a host.

        On rebuild only what the image decides: what the flavor asks was
        judged when the guest landed, and a rebuild does not move it.
        """
        if self.rebuild:
            return requests.image_requirements(self.asked, self.policy)
        return requests.requirements(self.asked, self.policy)


class Ruling:
    """Verdicts under one question and one snapshot."""

    def __init__(self, question: Question, table_of: TableOf) -> None:
        self.policy = question.policy
        self.requirements = question.requirements
        reserved = () if question.rebuild else self.policy.reserved
        #: Whether any verdict can be against a host.
        self.matters = self.requirements.hard or bool(reserved)
        self._verdicts: dict[Kind, Verdict] = {}
        self._table: Table | None = None
        self._unheard: frozenset[str] = frozenset()
        self.traits: frozenset[str] = frozenset()
        if not self.matters:
            return
        keys = self.requirements.capabilities.union(reserved)
        trait_of = {key: catalogue.BY_KEY[key].trait for key in keys}
        doubt_of = {
            key: catalogue.BY_KEY[key].unknown_trait
            for key in self.requirements.doubtful
        }
        self.traits = frozenset([*trait_of.values(), *doubt_of.values()])
        self._table = table_of(self.traits)
        answers = self._table.snapshot.holders or {}
        self._unheard = frozenset(
            key
            for key, trait in (*trait_of.items(), *doubt_of.items())
            if trait not in answers
        )

    def holds(self, snapshot: Snapshot) -> bool:
        """Whether the verdicts would be the same under another snapshot."""
        if self._table is None:
            return True
        known = (snapshot.holders or {}).keys()
        return self._table.snapshot.epoch == snapshot.epoch and (
            bool(self._unheard) != (self.traits <= known)
        )

    def verdict(self, host: Any) -> Verdict:
        """May the guest land on this host (a HostState)."""
        table = self._table
        if table is None:
            return ACCEPTED
        # As Table.kind has it, without the call.
        seen = table.known.get(host.uuid)
        if seen is not None and seen[0] == host.updated:
            kind = seen[1]
        else:
            kind = table.read(host)
        known = self._verdicts.get(kind)
        if known is None:
            known = self._judge(kind, table.snapshot)
            self._verdicts[kind] = known
        return known

    def _judge(self, kind: Kind, snapshot: Snapshot) -> Verdict:
        advertised = infer.advertised(
            None if snapshot.holders is None else kind.has,
            kind.reported,
            kind.facts,
            self.policy,
            unknown=kind.unknown,
            unheard=self._unheard,
            expired=kind.expired,
        )
        return judge(self.requirements, advertised, self.policy)


@dataclasses.dataclass(frozen=True)
class Sifted:
    """What came of the hosts of one request.

    :ivar passed: in the order given
    :ivar against: the hosts by the verdict against them
    :ivar let_pass: how many of these passed, since their mode is permissive
    """

    passed: list[Any]
    against: dict[Verdict, list[Any]]
    let_pass: int


class Case:
    """All verdicts on one question, for as long as they are good.

    :ivar accepted: uuids of hosts that may be taken without another look;
        only ever grows, so threads may share it
    """

    def __init__(
        self, ruling: Ruling, question: Question, born_s: float
    ) -> None:
        self.ruling = ruling
        self.born_s = born_s
        self.accepted: set[str] = set()
        self._question = question
        self._overruled: dict[Policy, Ruling] = {}

    def __len__(self) -> int:
        return len(self.accepted)

    @property
    def rulings(self) -> list[Ruling]:
        """The configured policy's first, then those of aggregates."""
        return [self.ruling, *self._overruled.values()]

    def sift(self, hosts: list[Any], table_of: TableOf) -> Sifted:
        """Judge hosts, as their aggregates want it.

        :param hosts: of type nova.scheduler.host_manager.HostState
        """
        passed = []
        # By identity: to hash each host's verdict anew takes longest of all.
        rejected: dict[int, tuple[Verdict, list[Any]]] = {}
        let_pass = 0
        accepted = self.accepted
        # Nova gives hosts of an aggregate one and the same object; not for
        # longer than this request, but so long no other has its id.
        known: dict[tuple[int, ...], Ruling] = {}
        for host in hosts:
            uuid, aggregates = host.uuid, host.aggregates
            if uuid in accepted:
                passed.append(host)
                continue
            ruling = self.ruling
            if aggregates:
                which = tuple(map(id, aggregates))
                try:
                    ruling = known[which]
                except KeyError:
                    ruling = self._under(aggregates, table_of)
                    known[which] = ruling
            verdict = ruling.verdict(host)
            # As Verdict.accepted has it, without the call.
            if not verdict.reasons:
                passed.append(host)
                if uuid is not None:
                    accepted.add(uuid)
                continue
            found = rejected.get(id(verdict))
            if found is None:
                found = rejected[id(verdict)] = verdict, []
            found[1].append(host)
            if ruling.policy.mode is Mode.PERMISSIVE:
                passed.append(host)
                let_pass += 1
        against: dict[Verdict, list[Any]] = {}
        for verdict, found_hosts in rejected.values():
            against.setdefault(verdict, []).extend(found_hosts)
        return Sifted(passed, against, let_pass)

    def _under(self, aggregates: Any, table_of: TableOf) -> Ruling:
        policy = policies.for_host(
            aggregates, self.ruling.policy, policies.complain
        )
        if policy == self.ruling.policy:
            return self.ruling
        ruling = self._overruled.get(policy)
        if ruling is None:
            ruling = Ruling(self._question.under(policy), table_of)
            self._overruled[policy] = ruling
        return ruling


class Docket:
    """The cases of the last questions; safe to use by many threads."""

    def __init__(self, holders: Holders, clock: Callable[[], float]) -> None:
        self._holders = holders
        self._clock = clock
        self._table = Table(holders.peek(), HostReader())
        self._lock = threading.Lock()
        self._cases: collections.OrderedDict[Question, Case]
        self._cases = collections.OrderedDict()

    def table_of(self, traits: frozenset[str], ages: Ages) -> Table:
        """The hosts' kinds, as far as these traits and others are known."""
        snapshot = self._holders.snapshot(traits, ages)
        table = self._table
        if table.snapshot is not snapshot:
            table = self._table = table.after(snapshot)
        return table

    def case(self, question: Question, ages: Ages) -> Case:
        """The case of a question, a new one where things may have changed."""
        now_s = self._clock()
        with self._lock:
            case = self._cases.get(question)
            if case is not None:
                self._cases.move_to_end(question)
        if (
            case is not None
            and now_s - case.born_s < ages.soft_s
            and all(
                ruling.holds(self._holders.snapshot(ruling.traits, ages))
                for ruling in case.rulings
                if ruling.matters
            )
        ):
            return case
        # Not under the lock: Placement may have to be asked.
        ruling = Ruling(question, lambda traits: self.table_of(traits, ages))
        case = Case(ruling, question, now_s)
        with self._lock:
            self._cases[question] = case
            self._cases.move_to_end(question)
            self._shrink()
        return case

    def _shrink(self) -> None:
        while len(self._cases) > 1 and (
            len(self._cases) > _MOST_CASES
            or sum(map(len, self._cases.values())) > _MOST_HOSTS
        ):
            self._cases.popitem(last=False)
