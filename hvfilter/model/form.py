# SPDX-License-Identifier: Apache-2.0
"""JSON documents: validated when read, formatted for review.

A document may come from a stranger's bug report or from an editor, so every
error names the place in the document and what is expected there.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeVar

SIZE_LIMIT = 16 * 1024 * 1024
"""Bytes or characters of one document that are accepted."""

VALUES_LIMIT = 300_000
"""Values of one document that are accepted: commas and opening brackets are
counted. An empty array takes two characters and 60 bytes of memory."""

ESCAPES_LIMIT = 1_000_000
"""Backslashes that are accepted; each makes the parser part a string."""

WIDTH = 79
"""Columns of a written document, where a value can be broken at all."""

_PLAIN_NAME = re.compile(r'[A-Za-z_][A-Za-z0-9_]*')
_SHOWN = 40
_LONGEST_PATH = 300

EnumT = TypeVar('EnumT', bound=enum.Enum)


class DocumentError(Exception):
    """A document is invalid.

    :ivar path: the place, such as ``capabilities.kvm.state``; '' is the whole
    :ivar problem: what is wrong there, and what is expected
    """

    def __init__(self, path: str, problem: str) -> None:
        self.path = path
        self.problem = problem
        where = (
            path
            if len(path) <= _LONGEST_PATH
            else (f'{path[:_LONGEST_PATH]}...')
        )
        super().__init__(f'{where}: {problem}' if path else problem)


class JsonNode:
    """One value of a document, and its path.

    Each method returns the value in the expected type or raises DocumentError.
    """

    __slots__ = ('path', 'value')

    def __init__(self, value: object, path: str = '') -> None:
        self.value = value
        self.path = path

    def fail(self, problem: str) -> DocumentError:
        """The error about this place, to be raised."""
        return DocumentError(self.path, problem)

    def entries(self) -> dict[str, JsonNode]:
        """The members of an object whose names are data."""
        if not isinstance(self.value, dict):
            raise self.fail(f'must be an object, not {_shown(self.value)}')
        return {
            name: JsonNode(value, _below(self.path, name))
            for name, value in self.value.items()
        }

    def members(
        self, required: Sequence[str], optional: Sequence[str] = ()
    ) -> dict[str, JsonNode]:
        """The members of an object whose names are fixed."""
        entries = self.entries()
        for name in required:
            if name not in entries:
                raise self.fail(f'the member "{name}" is missing')
        for name, part in entries.items():
            if name not in required and name not in optional:
                known = ', '.join((*required, *optional))
                raise part.fail(f'no such member; there are: {known}')
        return entries

    def items(self) -> list[JsonNode]:
        """The items of an array."""
        if not isinstance(self.value, list):
            raise self.fail(f'must be an array, not {_shown(self.value)}')
        return [
            JsonNode(value, f'{self.path}[{index}]')
            for index, value in enumerate(self.value)
        ]

    def text(self) -> str:
        """A string."""
        if not isinstance(self.value, str):
            raise self.fail(f'must be a string, not {_shown(self.value)}')
        return self.value

    def integer(self, low: int = 0, high: int = 2**64 - 1) -> int:
        """A whole number between two bounds, both included."""
        value = self.value
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.fail(f'must be a whole number, not {_shown(value)}')
        if not low <= value <= high:
            raise self.fail(f'must be between {low} and {high}')
        return value

    def boolean(self) -> bool:
        """true or false."""
        if not isinstance(self.value, bool):
            raise self.fail(f'must be true or false, not {_shown(self.value)}')
        return self.value

    def choice(self, values: type[EnumT]) -> EnumT:
        """The member of an enumeration whose value this is."""
        for member in values:
            if member.value == self.value:
                return member
        known = ', '.join(str(member.value) for member in values)
        raise self.fail(f'must be one of {known}, not {_shown(self.value)}')

    def schema(self, name: str) -> None:
        """Check the schema that an object names."""
        entries = self.entries()
        if 'schema' not in entries:
            raise self.fail(f'not a "{name}" document: "schema" is missing')
        schema = entries['schema']
        if schema.value != name:
            raise schema.fail(f'must be "{name}", not {_shown(schema.value)}')


def parse(text: str | bytes) -> JsonNode:
    """The whole of a JSON document.

    Stricter than the json module: names are unique, numbers are finite, and
    size and depth are bounded.
    """
    if len(text) > SIZE_LIMIT:
        raise DocumentError('', f'larger than {SIZE_LIMIT >> 20} MiB')
    _check_amount(text)
    try:
        value = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_finite
        )
    except json.JSONDecodeError as error:
        raise DocumentError(
            '',
            f'not JSON: {error.msg} at line {error.lineno}, '
            f'column {error.colno}',
        ) from None
    except UnicodeDecodeError as error:
        raise DocumentError(
            '', f'not JSON: not UTF-8 at byte {error.start}'
        ) from None
    except RecursionError:
        raise DocumentError('', 'nested too deeply') from None
    except ValueError as error:
        # A number of thousands of digits, which int() refuses.
        raise DocumentError('', f'not JSON: {error}') from None
    return JsonNode(value)


def _check_amount(text: str | bytes) -> None:
    """Before it is parsed: values can take far more memory than the text."""
    data = text.encode('utf-8', 'replace') if isinstance(text, str) else text
    if sum(map(data.count, (b',', b'[', b'{'))) > VALUES_LIMIT:
        raise DocumentError('', f'more than {VALUES_LIMIT} values')
    if data.count(b'\\') > ESCAPES_LIMIT:
        raise DocumentError('', f'more than {ESCAPES_LIMIT} escapes')


def dumps(value: object) -> str:
    """A document as text: ASCII, one short thing a line, newline at the end.

    What fits on a line stays on it, so a difference between two documents
    shows on few lines. Member order is kept.
    """
    lines: list[str] = []
    _write(value, 0, '', '', lines)
    lines.append('')
    return '\n'.join(lines)


def _write(
    value: object, indent: int, lead: str, tail: str, lines: list[str]
) -> None:
    margin = ' ' * indent + lead
    if not isinstance(value, Mapping | list | tuple) or not value:
        lines.append(f'{margin}{_compact(value)}{tail}')
        return
    short = _short(value, WIDTH - len(margin) - len(tail))
    if short is not None:
        lines.append(f'{margin}{short}{tail}')
        return
    if isinstance(value, Mapping):
        lines.append(f'{margin}{{')
        leads = [f'{_compact(name)}: ' for name in value]
        parts = list(value.values())
        close = '}'
    else:
        lines.append(f'{margin}[')
        leads = [''] * len(value)
        parts = list(value)
        close = ']'
    last = len(parts) - 1
    for index, part in enumerate(parts):
        comma = '' if index == last else ','
        _write(part, indent + 2, leads[index], comma, lines)
    lines.append(f'{" " * indent}{close}{tail}')


def _short(
    value: Mapping[str, object] | Sequence[object], room: int
) -> str | None:
    """The one-line form when it fits. Long values are not even tried."""
    if len(value) * 3 > room:
        return None
    text = _compact(value)
    return text if len(text) <= room else None


def _compact(value: object) -> str:
    return json.dumps(value)


def _below(path: str, name: str) -> str:
    if _PLAIN_NAME.fullmatch(name):
        return f'{path}.{name}' if path else name
    return f'{path}[{json.dumps(name)}]'


def _shown(value: object) -> str:
    names = {dict: 'an object', list: 'an array', type(None): 'null'}
    if type(value) in names:
        return names[type(value)]
    text = _compact(value)
    return text if len(text) <= _SHOWN else f'{text[:_SHOWN]}...'


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise DocumentError(
                '', f'the member {_shown(name)} is there twice'
            )
        members[name] = value
    return members


def _finite(word: str) -> NoReturn:
    raise DocumentError('', f'{word} is no JSON number')
