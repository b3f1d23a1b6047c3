# SPDX-License-Identifier: Apache-2.0
"""Output streams that escape what is not printable.

The output of commands contains text from recordings, directories, servers and
configuration files. All of it goes to standard output, standard error or a log
through this module.
"""

from __future__ import annotations

import copy
import logging
import re
from collections.abc import Iterable
from typing import Any, TextIO, cast

from hvfilter.model.plain import plain, plain_lines

_COLOUR = re.compile('(\033\\[(?:0|3[1-3])m)')
"""The colours of states, and no other sequence."""


class PlainStream:
    """A text stream that only prints what is printable, and newlines.

    :ivar stream: what is written to
    :ivar coloured: whether the colours of states are kept; set by a command
        that escapes all other text itself
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.coloured = False

    def write(self, text: str) -> int:
        """Write the text, escaped. Returns the length of the text."""
        if self.coloured:
            shown = ''.join(
                part if at % 2 else plain_lines(part)
                for at, part in enumerate(_COLOUR.split(text))
            )
        else:
            shown = plain_lines(text)
        encoding = getattr(self.stream, 'encoding', None) or 'utf-8'
        data = shown.encode(encoding, 'backslashreplace')
        self.stream.write(data.decode(encoding))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def plain_stream(stream: TextIO) -> TextIO:
    """The stream, behind a :class:`PlainStream`."""
    return cast('TextIO', PlainStream(stream))


def keep_colours(stream: TextIO) -> None:
    """Keep colours from now on; the caller escapes all other text."""
    if isinstance(stream, PlainStream):
        stream.coloured = True


def rewrite_line(stream: TextIO, text: str) -> None:
    """Replace the last line of the terminal by a trusted text."""
    raw = stream.stream if isinstance(stream, PlainStream) else stream
    raw.write(f'\r{text}')
    raw.flush()


class PlainFormatter(logging.Formatter):
    """Makes each record one printable line; tracebacks stay several.

    :param tracebacks: False leaves them out
    """

    def __init__(self, pattern: str, *, tracebacks: bool) -> None:
        super().__init__(pattern)
        self._tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        """See ``logging.Formatter``."""
        shown = copy.copy(record)
        shown.msg, shown.args = plain(record.getMessage()), None
        if not self._tracebacks:
            shown.exc_info = shown.exc_text = shown.stack_info = None
        return plain_lines(super().format(shown))
