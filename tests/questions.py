# SPDX-License-Identifier: Apache-2.0
"""Questions of each kind with answers, drawn from their types.

What makes the questions of a kind, a function or a constant of
:mod:`hvfilter.host.question`, has the kind's name, and the types of keys and
answers are annotated there. So a new kind needs nothing here.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from hvfilter.host import facts
from hvfilter.host import question as questions
from hvfilter.host.question import Kind, Question
from tests.strategies import FEW_REGISTERS, REFUSALS

NAME = 'node17'
"""The name of the machine that answers."""

_WORDS = st.sampled_from(['libvirt', 'virt_type', 'cpu_mode'])
TEXTS = st.sampled_from(
    ['', 'a', 'kvm', 'b c', NAME, f'/{NAME}/x', f'{NAME}.example.org', 'é']
)
_NUMBERS = st.integers(1, 0o7777)
"""Small enough for each: a mode, a processor, an MSR, an int32."""

_OF_TYPE: Mapping[Any, st.SearchStrategy[Any]] = {
    str: TEXTS,
    int: _NUMBERS,
    # Names that hvfilter itself has: of sections and of options.
    Mapping[str, Sequence[str]]: st.dictionaries(
        _WORDS, st.lists(_WORDS, max_size=2, unique=True), max_size=2
    ),
    bytes: st.sampled_from([b'', b'\xff\n', NAME.encode(), b'a\nb\n']),
    facts.FileKind: st.sampled_from(facts.FileKind),
    facts.CpuidRegs: FEW_REGISTERS,
}


def of_type(annotated: Any) -> st.SearchStrategy[Any]:
    """Values of a type: plain, a dataclass, or a container of such."""
    if annotated in _OF_TYPE:
        return _OF_TYPE[annotated]
    inner = [of_type(a) for a in typing.get_args(annotated) if a is not ...]
    container = typing.get_origin(annotated)
    if container is collections.abc.Mapping:
        return st.dictionaries(*inner, max_size=3)
    if len(inner) == 1:
        # Sorted, as names in a directory are.
        return st.lists(inner[0], max_size=3, unique=True).map(
            lambda items: tuple(sorted(items, key=repr))
        )
    if container is tuple:
        return st.tuples(*inner)
    hints = typing.get_type_hints(annotated)
    fields = [hints[field.name] for field in dataclasses.fields(annotated)]
    return st.builds(annotated, *map(of_type, fields))


def _of_kind(kind: Kind) -> tuple[st.SearchStrategy[Any], Any]:
    """Its questions, and the type of their answers."""
    make = getattr(questions, kind.name.lower(), None)
    if make is None:
        one = getattr(questions, kind.name)
        made = typing.get_type_hints(questions)[kind.name]
        return st.just(one), *typing.get_args(made)
    keys = typing.get_type_hints(make)
    made = keys.pop('return')
    return (
        st.builds(make, *map(of_type, keys.values())),
        *typing.get_args(made),
    )


@st.composite
def _answers(draw: Any, kind: Kind) -> dict[Question[Any], Any]:
    made, answered = _of_kind(kind)
    asked = draw(
        st.lists(made, min_size=1, max_size=3, unique_by=lambda q: q.key[:1])
    )
    found = {}
    for question in asked:
        answer = draw(of_type(answered) | REFUSALS)
        if kind is Kind.OPTIONS and isinstance(answer, Mapping):
            answer = _options_that_are_set(draw, question)
        found[question] = answer
    return found


ANSWERS = st.tuples(*map(_answers, Kind)).map(
    lambda by_kind: {q: a for each in by_kind for q, a in each.items()}
)
"""One to three questions of each kind, each with its answer or a denial."""


def _options_that_are_set(draw: Any, question: Question[Any]) -> Any:
    """Of the wanted options some: no file answers with others."""
    values = st.lists(TEXTS, max_size=2).map(tuple)
    found = {
        section: {name: draw(values) for name in names}
        for section, names in question.key[1]
    }
    some = {
        section: {name: several for name, several in names.items() if several}
        for section, names in found.items()
    }
    return {section: names for section, names in some.items() if names}
