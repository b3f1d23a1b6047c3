# SPDX-License-Identifier: Apache-2.0
"""A host that is asked everything once."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from hvfilter.host.base import Denied, Host
from hvfilter.host.facts import Machine
from hvfilter.host.question import Question

FactT = TypeVar('FactT')


class CachedHost(Host):
    """Asks another host each question once; a denial is raised again.

    :param host: who really answers
    """

    def __init__(self, host: Host) -> None:
        self.origin = host.origin
        self.host = host
        self._answers: dict[Question[Any], Any] = {}

    def machine(self) -> Machine:
        return self.host.machine()

    def ask(self, question: Question[FactT]) -> FactT:
        if question not in self._answers:
            try:
                self._answers[question] = self.host.ask(question)
            except Denied as denied:
                denied.question = question
                self._answers[question] = denied
        answer = self._answers[question]
        if isinstance(answer, Denied):
            # Without the traceback, to which each raise would add.
            raise answer.with_traceback(None)
        return cast(FactT, answer)
