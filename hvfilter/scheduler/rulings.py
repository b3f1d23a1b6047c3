# SPDX-License-Identifier: Apache-2.0
"""Verdicts on hosts, remembered: what makes the filter fast.

A verdict follows from what is asked, the policy, and what is known of the
host. The first two are the same for all hosts of a request and for most
requests, and what is known changes rarely; so each host is judged once in a
while, and in between it is only looked up.
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

ACCEPTED = Verdict()

_MOST_CASES = 64
_MOST_HOSTS = 500_000
"""Uuids remembered over all cases: some tens of MiB."""
_MOST_PROCESSORS = 1_000


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

        On rebuild only what the image asks: flavor and policy were judged
        when the guest landed, and a rebuild does not move it.
        """
        if self.rebuild:
            return requests.image_requirements(self.asked)
        return requests.requirements(self.asked, self.policy)


class HostReader:
    """Reads Nova's host states, and remembers processors it has seen."""

    def __init__(self) -> None:
        self._seen: dict[str, infer.Processor] = {}

    def facts(self, host: Any) -> infer.HostFacts:
        """All that a nova.scheduler.host_manager.HostState tells."""
        processor = self._processor(host.cpu_info)
        return infer.HostFacts(
            infer.may_use_kvm(host.hypervisor_type),
            processor.machine,
            processor.vendor,
            processor.virtual,
            infer.native(host.supported_instances),
        )

    def _processor(self, cpu_info: object) -> infer.Processor:
        if not isinstance(cpu_info, str):
            return infer.Processor()
        found = self._seen.get(cpu_info)
        if found is None:
            found = infer.processor(cpu_info)
            if len(self._seen) >= _MOST_PROCESSORS:
                self._seen.clear()
            self._seen[cpu_info] = found
        return found


class Ruling:
    """Verdicts under one question and one snapshot."""

    def __init__(
        self,
        question: Question,
        snapshot_of: Callable[[frozenset[str]], Snapshot],
        reader: HostReader,
    ) -> None:
        self.policy = question.policy
        self.requirements = question.requirements
        reserved = () if question.rebuild else self.policy.reserved
        #: Whether any verdict can be against a host.
        self.matters = self.requirements.hard or bool(reserved)
        self._reader = reader
        self._known: dict[Any, Verdict] = {}
        self.snapshot: Snapshot | None = None
        self._holders: list[tuple[str, frozenset[str]]] = []
        self._unheard: frozenset[str] = frozenset()
        self.traits: frozenset[str] = frozenset()
        if not self.matters:
            return
        keys = self.requirements.capabilities.union(reserved)
        trait_of = {key: catalogue.BY_KEY[key].trait for key in keys}
        self.traits = frozenset(trait_of.values())
        self.snapshot = snapshot_of(self.traits)
        answers = self.snapshot.holders or {}
        self._holders = [
            (key, answers[trait])
            for key, trait in sorted(trait_of.items())
            if trait in answers
        ]
        self._unheard = frozenset(
            key for key, trait in trait_of.items() if trait not in answers
        )

    def holds(self, snapshot: Snapshot) -> bool:
        """Whether the verdicts would be the same under another snapshot."""
        mine = self.snapshot
        if mine is None:
            return True
        known = (snapshot.holders or {}).keys()
        return mine.epoch == snapshot.epoch and (
            bool(self._unheard) != (self.traits <= known)
        )

    @property
    def _traits_tell_all(self) -> bool:
        """Of a host that reported, that is."""
        return not self._unheard and not self.requirements.architecture

    def verdict(self, host: Any) -> Verdict:
        """May the guest land on this host (a HostState)."""
        if self.snapshot is None:
            return ACCEPTED
        uuid = host.uuid
        has = tuple([key for key, held in self._holders if uuid in held])
        reported = uuid in self.snapshot.reported
        if reported and self._traits_tell_all:
            facts: Any = infer.may_use_kvm(host.hypervisor_type)
        else:
            facts = self._reader.facts(host)
        known = self._known.get((has, reported, facts))
        if known is None:
            known = self._judge(has, reported, facts)
            self._known[has, reported, facts] = known
        return known

    def _judge(
        self, has: tuple[str, ...], reported: bool, facts: Any
    ) -> Verdict:
        if isinstance(facts, bool):
            facts = infer.HostFacts(kvm_host=facts)
        nothing = self.snapshot is None or self.snapshot.holders is None
        advertised = infer.advertised(
            None if nothing else has,
            reported,
            facts,
            self.policy,
            unheard=self._unheard,
            stale=self.snapshot is not None and self.snapshot.stale,
        )
        return judge(self.requirements, advertised, self.policy)


class Case:
    """All verdicts on one question, for as long as they are good.

    :ivar accepted: uuids of hosts that may be taken without another look;
        only ever grows, so threads may share it
    """

    def __init__(
        self,
        ruling: Ruling,
        question: Question,
        born_s: float,
        ruling_for: Callable[[Question], Ruling],
        complain: Callable[[str], None],
    ) -> None:
        self.ruling = ruling
        self.born_s = born_s
        self.accepted: set[str] = set()
        self._against: dict[str, tuple[Verdict, bool]] = {}
        self._question = question
        self._ruling_for = ruling_for
        self._complain = complain
        self._overruled: dict[Policy, Ruling] = {}

    def __len__(self) -> int:
        return len(self.accepted) + len(self._against)

    @property
    def rulings(self) -> list[Ruling]:
        """The configured policy's first, then those of aggregates."""
        return [self.ruling, *self._overruled.values()]

    def look(self, host: Any) -> tuple[Verdict, bool]:
        """The verdict on a host, and whether it passes."""
        uuid = host.uuid
        known = self._against.get(uuid)
        if known is not None:
            return known
        ruling = self.ruling
        if host.aggregates:
            policy = policies.for_host(
                host.aggregates, ruling.policy, self._complain
            )
            if policy != ruling.policy:
                ruling = self._under(policy)
        verdict = ruling.verdict(host)
        passes = verdict.accepted or ruling.policy.mode is Mode.PERMISSIVE
        if uuid is not None:
            if verdict.accepted:
                self.accepted.add(uuid)
            else:
                self._against[uuid] = verdict, passes
        return verdict, passes

    def _under(self, policy: Policy) -> Ruling:
        ruling = self._overruled.get(policy)
        if ruling is None:
            ruling = self._ruling_for(self._question.under(policy))
            self._overruled[policy] = ruling
        return ruling


class Docket:
    """The cases of the last questions; safe to use by many threads."""

    def __init__(self, holders: Holders, clock: Callable[[], float]) -> None:
        self._holders = holders
        self._clock = clock
        self._reader = HostReader()
        self._complain = policies.complain
        self._lock = threading.Lock()
        self._cases: collections.OrderedDict[Question, Case]
        self._cases = collections.OrderedDict()

    def case(self, question: Question, ages: Ages) -> Case:
        """The case of a question, a new one where things may have changed."""
        now_s = self._clock()

        def snapshot_of(traits: frozenset[str]) -> Snapshot:
            return self._holders.snapshot(traits, ages)

        def ruling_for(question: Question) -> Ruling:
            return Ruling(question, snapshot_of, self._reader)

        with self._lock:
            case = self._cases.get(question)
            if case is not None:
                self._cases.move_to_end(question)
        if (
            case is not None
            and now_s - case.born_s < ages.soft_s
            and all(
                ruling.holds(snapshot_of(ruling.traits))
                for ruling in case.rulings
                if ruling.matters
            )
        ):
            return case
        # Not under the lock: Placement may have to be asked.
        ruling = ruling_for(question)
        case = Case(ruling, question, now_s, ruling_for, self._complain)
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
