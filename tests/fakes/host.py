# SPDX-License-Identifier: Apache-2.0
"""A host with the answers that a test gives it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hvfilter.host.answers import Refusal
from hvfilter.host.base import NOT_RECORDED, Denied, Host
from hvfilter.host.facts import Machine
from hvfilter.host.question import Question


class AnsweringHost(Host):
    """Answers exactly these questions.

    :ivar answers: question to answer or refusal, as a live host gives it:
        none that a recording arranges otherwise
    """

    origin = 'made up'

    def __init__(self, answers: Mapping[Question[Any], Any]) -> None:
        self.answers = answers

    def machine(self) -> Machine:
        return Machine('x86_64', '6.12')

    def ask(self, question: Question[Any]) -> Any:
        answer = self.answers.get(question)
        if answer is None:
            raise Denied(str(question), NOT_RECORDED)
        if isinstance(answer, Refusal):
            raise answer.denied(str(question))
        return answer
