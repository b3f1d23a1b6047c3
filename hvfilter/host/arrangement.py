# SPDX-License-Identifier: Apache-2.0
"""How the answers of one kind stand in a snapshot."""

from __future__ import annotations

import abc
import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hvfilter.host import cpulist
from hvfilter.model import form

Key = tuple[Any, ...]
"""The key of a question of the row's kind."""

Schema = Mapping[str, Any]
"""A JSON Schema of one value."""

HEX32 = '0x[0-9a-f]{1,8}'
"""The pattern of a number of 32 bits in a JSON Schema."""

_DECIMAL = re.compile(r'[0-9]{1,10}')
_CELLS_LIMIT = 600_000
"""CPUID leaves or MSRs, over all processors, that one snapshot may hold."""


def reference(name: str) -> Schema:
    """What the schema defines once, in ``assets/snapshot-1.json``."""
    return {'$ref': f'#/$defs/{name}'}


class Arrangement(abc.ABC):
    """How the answers of one kind stand in a document."""

    @abc.abstractmethod
    def schema(self, answer: Schema) -> Schema:
        """What a JSON Schema says of all answers.

        :param answer: what it says of one answer or refusal
        """

    @abc.abstractmethod
    def write(
        self, facts: Mapping[Key, Any], one: Callable[[Any], Any]
    ) -> Any:
        """The JSON value of all answers, at least one.

        :param one: writes one answer or refusal
        """

    @abc.abstractmethod
    def read(
        self, part: form.JsonNode, one: Callable[[form.JsonNode, Key], Any]
    ) -> Iterable[tuple[Key, Any]]:
        """The answers with their keys.

        :param one: reads one answer or refusal
        :raises DocumentError: naming the place that is wrong
        """


class Single(Arrangement):
    """There is one answer at the most."""

    def schema(self, answer: Schema) -> Schema:
        return answer

    def write(
        self, facts: Mapping[Key, Any], one: Callable[[Any], Any]
    ) -> Any:
        return one(facts[()])

    def read(
        self, part: form.JsonNode, one: Callable[[form.JsonNode, Key], Any]
    ) -> Iterable[tuple[Key, Any]]:
        yield (), one(part, ())


@dataclasses.dataclass(frozen=True)
class Named(Arrangement):
    """An object with a member for each answer.

    :ivar number: whether the names are decimal numbers
    """

    number: bool = False

    def schema(self, answer: Schema) -> Schema:
        names = {'propertyNames': {'pattern': '^[0-9]{1,10}$'}}
        return {
            'type': 'object',
            **(names if self.number else {}),
            'additionalProperties': answer,
        }

    def write(
        self, facts: Mapping[Key, Any], one: Callable[[Any], Any]
    ) -> Any:
        return {str(key[0]): one(facts[key]) for key in sorted(facts)}

    def read(
        self, part: form.JsonNode, one: Callable[[form.JsonNode, Key], Any]
    ) -> Iterable[tuple[Key, Any]]:
        for name, answer in part.entries().items():
            key = (_read_number(answer, name) if self.number else name,)
            yield key, one(answer, key)


@dataclasses.dataclass(frozen=True)
class ByProcessors(Arrangement):
    """Each answer once, with the processors that gave it.

    :ivar member: the name of the answers in each group
    :ivar description: of that member, in the JSON Schema
    :ivar name_schema: what the JSON Schema says of the names in it
    :ivar write_name: of the key without the processor, as a name
    :ivar read_name: the reverse
    """

    member: str
    description: str
    name_schema: Schema
    write_name: Callable[..., str]
    read_name: Callable[[form.JsonNode, str], Key]

    def schema(self, answer: Schema) -> Schema:
        return {
            'type': 'array',
            'items': {
                'type': 'object',
                'additionalProperties': False,
                'required': ['cpus', self.member],
                'properties': {
                    'cpus': reference('cpus'),
                    self.member: {
                        'description': self.description,
                        'type': 'object',
                        'propertyNames': self.name_schema,
                        'additionalProperties': answer,
                    },
                },
            },
        }

    def write(
        self, facts: Mapping[Key, Any], one: Callable[[Any], Any]
    ) -> Any:
        answers: dict[tuple[Key, Any], list[int]] = {}
        for (cpu, *rest), fact in sorted(facts.items(), key=_processor):
            answers.setdefault((tuple(rest), fact), []).append(cpu)
        groups: dict[tuple[int, ...], list[tuple[Key, Any]]] = {}
        for answer, cpus in answers.items():
            groups.setdefault(tuple(cpus), []).append(answer)
        # The answers that most processors share come first.
        ordered = sorted(groups, key=lambda cpus: (-len(cpus), cpus))
        return [
            {
                'cpus': cpulist.render(cpus),
                self.member: {
                    self.write_name(*key): one(fact)
                    for key, fact in sorted(
                        groups[cpus], key=lambda answer: answer[0]
                    )
                },
            }
            for cpus in ordered
        ]

    def read(
        self, part: form.JsonNode, one: Callable[[form.JsonNode, Key], Any]
    ) -> Iterable[tuple[Key, Any]]:
        seen: set[Key] = set()
        cells = 0
        for group in part.items():
            members = group.members(('cpus', self.member))
            try:
                cpus = cpulist.parse(members['cpus'].text())
            except ValueError:
                raise members['cpus'].fail(
                    'must be a list of processors, such as "0-3,8"'
                ) from None
            for name, answer in members[self.member].entries().items():
                rest = self.read_name(answer, name)
                fact = one(answer, rest)
                cells += len(cpus)
                if cells > _CELLS_LIMIT:
                    raise group.fail(
                        f'more than {_CELLS_LIMIT} answers altogether'
                    )
                for cpu in cpus:
                    key = (cpu, *rest)
                    if key in seen:
                        raise answer.fail(
                            f'processor {cpu} has answered that already'
                        )
                    seen.add(key)
                    yield key, fact


def _processor(item: tuple[Key, Any]) -> int:
    cpu: int = item[0][0]
    return cpu


def _read_number(part: form.JsonNode, name: str) -> int:
    if not _DECIMAL.fullmatch(name):
        raise part.fail('an extension is named by its number, such as 235')
    return int(name)
