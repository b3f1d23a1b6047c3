# SPDX-License-Identifier: Apache-2.0
"""A host that remembers what it was asked, to be kept as a snapshot."""

from __future__ import annotations

from typing import Any, TypeVar

from hvfilter.host import answers, question
from hvfilter.host.answers import Refusal
from hvfilter.host.base import NOT_RECORDED, Denied, Host
from hvfilter.host.facts import Machine
from hvfilter.host.question import Question
from hvfilter.host.redact import Redaction
from hvfilter.host.snapshot import Provenance, Snapshot

FactT = TypeVar('FactT')


class RecordingHost(Host):
    """Passes every question on to another host and keeps the answers.

    The asker gets the answers as they are; the snapshot gets them redacted.
    A fact that a recording does not hold is not held by its copy either.

    :param host: who really answers
    :param redaction: what to hide in the snapshot; None hides nothing
    """

    def __init__(self, host: Host, redaction: Redaction | None) -> None:
        self.origin = host.origin
        self._host = host
        self._redaction = redaction
        self._answers: dict[Question[Any], Any] = {}

    def snapshot(self, origin: Provenance) -> Snapshot:
        """All answers so far."""
        recorded = Snapshot(origin, self.machine(), dict(self._answers))
        if self._redaction is None:
            return recorded
        return self._redaction.snapshot(recorded)

    def machine(self) -> Machine:
        return self._host.machine()

    def ask(self, question: Question[FactT]) -> FactT:
        try:
            answer = self._host.ask(question)
        except Denied as denied:
            if denied.error != NOT_RECORDED:
                refusal = Refusal.of(denied, str(question))
                answers.keep(self._answers, question, refusal)
            raise
        answers.keep(self._answers, question, answer)
        return answer

    def state_versions(self, package: str, versions: tuple[str, ...]) -> None:
        """Keep what a person stated instead of what the host answered."""
        answers.keep(self._answers, question.versions(package), versions)
