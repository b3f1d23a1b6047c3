# SPDX-License-Identifier: Apache-2.0
"""A recorded host: its values and its form ``hvfilter/snapshot/1``.

One JSON file that a person can review and post in a bug report;
``doc/source/snapshot.rst`` explains it.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib.resources
import json
from collections.abc import Mapping
from typing import Any

from hvfilter.host import content
from hvfilter.host.answers import Answers, Refusal
from hvfilter.host.facts import Machine
from hvfilter.host.question import Kind, Question
from hvfilter.host.rows import ROWS
from hvfilter.model import form

SCHEMA = 'hvfilter/snapshot/1'

_SCHEMA_FRAME = 'assets/snapshot-1.json'
"""The JSON Schema without what follows from the rows."""

_NO_LONGER_READ = 'links'
"""What earlier releases recorded, and nothing asks for."""

_MEMBERS = tuple(dict.fromkeys(row.member[0] for row in ROWS))


class Making(enum.Enum):
    """How a snapshot came to be."""

    RECORDED = 'recorded'
    MADE = 'made'


@dataclasses.dataclass(frozen=True)
class Provenance:
    """Where a snapshot comes from.

    :ivar how: recorded on a machine, or made up by hand
    :ivar by: the program or the person
    :ivar where: the machine, in words that give no name away
    :ivar note: what is remarkable about it
    """

    how: Making
    by: str = ''
    where: str = ''
    note: str = ''

    def __str__(self) -> str:
        about = self.note or self.where or self.by
        return f'{self.how.value}: {about}' if about else self.how.value


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """Everything that was asked of one host, with the answers.

    :ivar answers: question to its answer or refusal
    """

    origin: Provenance
    machine: Machine
    answers: Answers = dataclasses.field(default_factory=dict)

    def facts(self, kind: Kind) -> dict[Any, Any]:
        """The answers and refusals of one kind, by the questions' keys."""
        return {
            question.key: answer
            for question, answer in self.answers.items()
            if question.kind is kind
        }

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """Every denial in it."""
        return tuple(
            answer
            for answer in self.answers.values()
            if isinstance(answer, Refusal)
        )


def dumps(snapshot: Snapshot) -> str:
    """The snapshot as text: sorted, so that two compare line by line."""
    return form.dumps(to_document(snapshot))


def loads(text: str | bytes) -> Snapshot:
    """The snapshot of a text.

    :raises DocumentError: naming the place that is wrong
    """
    return from_document(form.parse(text))


def to_document(snapshot: Snapshot) -> dict[str, Any]:
    """The JSON document of a snapshot. What is empty is left out."""
    document: dict[str, Any] = {
        'schema': SCHEMA,
        'origin': _provenance(snapshot.origin),
        'machine': dataclasses.asdict(snapshot.machine),
    }
    by_kind: dict[Kind, dict[Any, Any]] = {}
    for question, answer in snapshot.answers.items():
        by_kind.setdefault(question.kind, {})[question.key] = answer
    for row in ROWS:
        if facts := by_kind.get(row.kind):
            *way, name = row.member
            place = document
            for member in way:
                place = place.setdefault(member, {})
            place[name] = row.write(facts)
    return document


def from_document(whole: form.JsonNode) -> Snapshot:
    """The snapshot of a JSON document.

    :raises DocumentError: naming the place that is wrong
    """
    whole.schema(SCHEMA)
    members = whole.members(
        ('schema', 'origin', 'machine'), (*_MEMBERS, _NO_LONGER_READ)
    )
    machine = members['machine'].members(('arch', 'kernel'))
    answers: dict[Question[Any], Any] = {}
    decoder = content.Decoder()
    for row in ROWS:
        part = _below(members, row.member)
        if part is not None:
            for key, answer in row.read(part, decoder):
                answers[Question(row.kind, key)] = answer
    return Snapshot(
        _read_provenance(members['origin']),
        Machine(machine['arch'].text(), machine['kernel'].text()),
        answers,
    )


def schema() -> dict[str, Any]:
    """The JSON Schema: its frame with a member for each row."""
    frame = importlib.resources.files('hvfilter.host').joinpath(_SCHEMA_FRAME)
    whole: dict[str, Any] = json.loads(frame.read_text('utf-8'))
    for row in ROWS:
        *way, name = row.member
        place = whole['properties']
        for member in way:
            place = place[member]['properties']
        place[name] = row.schema
    return whole


def _below(
    members: Mapping[str, form.JsonNode], member: tuple[str, ...]
) -> form.JsonNode | None:
    name, *further = member
    part = members.get(name)
    if part is None or not further:
        return part
    names = [row.member[1] for row in ROWS if row.member[0] == name]
    return part.members((), names).get(further[0])


def _provenance(origin: Provenance) -> dict[str, str]:
    document = {
        'how': origin.how.value,
        'by': origin.by,
        'where': origin.where,
        'note': origin.note,
    }
    return {name: value for name, value in document.items() if value}


def _optional(members: Mapping[str, form.JsonNode], name: str) -> str:
    return members[name].text() if name in members else ''


def _read_provenance(part: form.JsonNode) -> Provenance:
    members = part.members(('how',), ('by', 'where', 'note'))
    return Provenance(
        members['how'].choice(Making),
        *(_optional(members, name) for name in ('by', 'where', 'note')),
    )
