# SPDX-License-Identifier: Apache-2.0
"""The content of a file in a snapshot: lines a person can review.

==============================  ============================================
JSON                            content
==============================  ============================================
``"Y"``                         one line, ended by a newline
``["a", "b"]``                  these lines, each ended by a newline
``{"lines": [...],              these lines, the last one without a newline
"unterminated": true}``
``{"base64": ["...", ...]}``    bytes that are not UTF-8
==============================  ============================================

Among lines, an object stands for similar blocks, such as the processors of a
cpuinfo: ``{"block": ["flags\\t: fpu", {"vary": "processor\\t: "}], "rows":
[["0"], ["1"]]}`` is the block once for each row, and the row's values go in
turn behind the texts that vary.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from typing import Any

from hvfilter.host.base import READ_LIMIT, SMALL_LIMIT
from hvfilter.model import form

CPUINFO = '/proc/cpuinfo'

BYTES_LIMIT = 32 * 1024 * 1024
"""Bytes that all files of one document may hold together."""

ALL_LINES_LIMIT = 400_000
"""Lines that all files of one document may hold together."""

_BASE64_WIDTH = 64
_LONG = 60
"""A line longer than this is never a varying one: processors whose flags
differ make another group of blocks."""

_KEY = re.compile(r'[^:]*:[ \t]*')


def encode(data: bytes) -> Any:
    """The JSON value of a file's content."""
    try:
        text = data.decode('utf-8')
    except UnicodeDecodeError:
        code = base64.b64encode(data).decode('ascii')
        chunks = range(0, len(code), _BASE64_WIDTH)
        return {'base64': [code[at : at + _BASE64_WIDTH] for at in chunks]}
    lines = text.split('\n')
    terminated = not lines[-1]
    if terminated:
        lines.pop()
    if terminated and len(lines) == 1:
        return lines[0]
    folded = list(_fold(lines))
    if terminated:
        return folded
    return {'lines': folded, 'unterminated': True}


class Decoder:
    """Decodes the files of one document, whose sum is bounded.

    A short document can stand for very long files.
    """

    def __init__(self) -> None:
        self._bytes_left = BYTES_LIMIT
        self._lines_left = ALL_LINES_LIMIT

    def decode(self, part: form.JsonNode, path: str = CPUINFO) -> bytes:
        """The content that a JSON value stands for.

        :param path: of the file; only a cpuinfo may be large
        :raises DocumentError: when it stands for none, for more than a host
            shows of one file, or for more than all files may hold together
        """
        limit = READ_LIMIT if path == CPUINFO else SMALL_LIMIT
        data = self._decoded(part, limit)
        if len(data) > limit:
            raise part.fail(f'more than {limit >> 20} MiB in one file')
        return data

    def _decoded(self, part: form.JsonNode, limit: int) -> bytes:
        if isinstance(part.value, str):
            return self._join(part, [part], limit)
        if isinstance(part.value, list):
            return self._join(part, part.items(), limit)
        if isinstance(part.value, dict) and 'base64' in part.value:
            data = _decode_base64(part.members(('base64',))['base64'])
            self._spend(part, len(data))
            return data
        if not isinstance(part.value, dict):
            raise part.fail('must be a line, an array of lines or an object')
        members = part.members(('lines',), ('unterminated',))
        data = self._join(part, members['lines'].items(), limit)
        if 'unterminated' in members and members['unterminated'].boolean():
            data = data[:-1]
        return data

    def _join(
        self, part: form.JsonNode, items: Sequence[form.JsonNode], limit: int
    ) -> bytes:
        data = bytearray()
        for item in items:
            for line in _lines(item):
                encoded = _bytes(part, line)
                self._spend(part, len(encoded) + 1, lines=1)
                # The last newline may be one that the file does not have.
                if len(data) + len(encoded) > limit:
                    raise item.fail(f'more than {limit >> 20} MiB in one file')
                data += encoded
                data += b'\n'
        return bytes(data)

    def _spend(self, part: form.JsonNode, size: int, lines: int = 0) -> None:
        self._bytes_left -= size
        self._lines_left -= lines
        if self._bytes_left < 0:
            raise part.fail(
                f'more than {BYTES_LIMIT >> 20} MiB in all files together'
            )
        if self._lines_left < 0:
            raise part.fail(
                f'more than {ALL_LINES_LIMIT} lines in all files together'
            )


def _fold(lines: Sequence[str]) -> Iterator[Any]:
    """Lines, with runs of similar blocks folded."""
    blocks: list[tuple[str, ...]] = []
    start = 0
    for index, line in enumerate(lines):
        if not line or index == len(lines) - 1:
            blocks.append(tuple(lines[start : index + 1]))
            start = index + 1
    run: list[tuple[str, ...]] = []
    shape: tuple[str, ...] = ()
    for block in blocks:
        own = tuple(map(_constant_text, block))
        if run and own != shape:
            yield from _fold_run(run)
            run = []
        shape = own
        run.append(block)
    if run:
        yield from _fold_run(run)


def _constant_text(line: str) -> str:
    """What a line must share with its like in another block."""
    key = _KEY.match(line)
    return key[0] if key and len(line) <= _LONG else line


def _fold_run(run: Sequence[tuple[str, ...]]) -> Iterator[Any]:
    # A block of one line is as short by itself.
    if len(run) < 2 or len(run[0]) < 2:
        for block in run:
            yield from block
        return
    pattern: list[Any] = []
    columns: list[list[str]] = []
    for lines in zip(*run, strict=True):
        if len(set(lines)) == 1:
            pattern.append(lines[0])
        else:
            text = _constant_text(lines[0])
            pattern.append({'vary': text})
            columns.append([line[len(text) :] for line in lines])
    rows = [list(row) for row in zip(*columns, strict=True)]
    yield {'block': pattern, 'rows': rows or [[] for _ in run]}


def _lines(item: form.JsonNode) -> Iterator[str]:
    if isinstance(item.value, str):
        yield _line(item)
        return
    if not isinstance(item.value, dict):
        raise item.fail('must be a line or a block')
    members = item.members(('block', 'rows'))
    block = [_block_line(line) for line in members['block'].items()]
    cells = sum(vary for _, vary in block)
    for row in members['rows'].items():
        values = row.items()
        if len(values) != cells:
            raise row.fail(f'must hold {cells} values, one for each "vary"')
        after = iter(values)
        for text, vary in block:
            yield text + _line(next(after)) if vary else text


def _block_line(line: form.JsonNode) -> tuple[str, bool]:
    if isinstance(line.value, str):
        return _line(line), False
    return _line(line.members(('vary',))['vary']), True


def _line(part: form.JsonNode) -> str:
    text = part.text()
    if '\n' in text:
        raise part.fail('a line must not hold a newline')
    return text


def _bytes(part: form.JsonNode, text: str) -> bytes:
    try:
        return text.encode('utf-8')
    except UnicodeEncodeError:
        raise part.fail(
            'half a surrogate pair: write such bytes as base64'
        ) from None


def _decode_base64(part: form.JsonNode) -> bytes:
    code = ''.join(item.text() for item in part.items())
    if len(code) > 2 * READ_LIMIT:
        raise part.fail(f'more than {READ_LIMIT >> 20} MiB in one file')
    try:
        return base64.b64decode(code, validate=True)
    except (binascii.Error, ValueError) as error:
        raise part.fail(f'not base64: {error}') from None
