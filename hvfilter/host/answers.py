# SPDX-License-Identifier: Apache-2.0
"""Answers as they are kept: by question, a denial like any other.

The options of a file are kept together, whoever asked for which of them; all
other answers stand under their question.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, MutableMapping
from typing import Any, TypeVar, cast

from hvfilter.host.base import NOT_RECORDED, Denied, error_text
from hvfilter.host.question import Kind, Options, Question, Wanted

FactT = TypeVar('FactT')


@dataclasses.dataclass(frozen=True)
class Refusal:
    """A denial, kept.

    :ivar error: the errno's name
    :ivar what: what was tried, '' for the obvious
    :ivar text: the errno's text, '' for the usual
    """

    error: str
    what: str = ''
    text: str = ''

    @classmethod
    def of(cls, denied: Denied, obvious: str) -> Refusal:
        """The refusal in a denial; ``obvious`` is what it would say was
        tried if nothing were kept."""
        return cls(
            denied.error,
            '' if denied.what == obvious else denied.what,
            '' if denied.text == error_text(denied.error) else denied.text,
        )

    def denied(self, obvious: str) -> Denied:
        """The denial, to be raised."""
        return Denied(self.what or obvious, self.error, self.text)


Answers = Mapping[Question[Any], Any]
"""Question to its answer or :class:`Refusal`. The key of an OPTIONS question
is only the path; its answer holds () for an option that is not set."""


def keep(
    answers: MutableMapping[Question[Any], Any],
    question: Question[FactT],
    answer: FactT | Refusal,
) -> None:
    """Put an answer among others; the last one counts."""
    if question.kind is not Kind.OPTIONS:
        answers[question] = answer
        return
    path, wanted = question.key
    place: Question[Options] = Question(Kind.OPTIONS, (path,))
    if isinstance(answer, Refusal):
        answers[place] = answer
        return
    before = answers.get(place, {})
    known = {} if isinstance(before, Refusal) else before
    answers[place] = _merged(known, wanted, cast(Options, answer))


def _merged(known: Options, wanted: Wanted, answer: Options) -> Options:
    names_by_section = dict(wanted)
    return {
        section: {
            **known.get(section, {}),
            **{
                name: tuple(answer.get(section, {}).get(name, ()))
                for name in names_by_section.get(section, ())
            },
        }
        for section in dict.fromkeys([*known, *names_by_section])
    }


def look_up(answers: Answers, question: Question[FactT]) -> FactT:
    """The answer to a question.

    :raises Denied: as it was denied; NOT_RECORDED when it is not there
    """
    place = question
    if question.kind is Kind.OPTIONS:
        place = Question(Kind.OPTIONS, question.key[:1])
    answer = answers.get(place)
    if answer is None:
        raise Denied(str(question), NOT_RECORDED)
    if isinstance(answer, Refusal):
        raise answer.denied(str(question))
    if question.kind is Kind.OPTIONS:
        answer = _set_ones(answer, question)
    return cast(FactT, answer)


def _set_ones(kept: Options, question: Question[Any]) -> Options:
    """Of the wanted options those that are set."""
    answer: dict[str, dict[str, tuple[str, ...]]] = {}
    for section, names in question.key[1]:
        for name in names:
            values = kept.get(section, {}).get(name)
            if values is None:
                what = f'{question} [{section}]{name}'
                raise Denied(what, NOT_RECORDED)
            if values:
                answer.setdefault(section, {})[name] = values
    return answer
