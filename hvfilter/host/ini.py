# SPDX-License-Identifier: Apache-2.0
"""A few options out of an oslo.config file, and nothing else of it.

The rules are those of ``oslo_config.iniparser`` and of the lookup in
``oslo_config.cfg``, whose import costs more than all probes together. What
was not asked for is dropped while parsing, because such files hold
passwords; for the same reason no error quotes a line.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence

from hvfilter.host import question
from hvfilter.host.base import Denied

MALFORMED = 'EBADMSG'
"""The error of a denial where oslo.config refuses the file."""

Found = dict[str, dict[str, tuple[str, ...]]]


class MalformedFile(ValueError):
    """A file that oslo.config refuses, and with it the service.

    :ivar line: the number of the line, from 1
    :ivar problem: what is wrong with it, without its text
    """

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f'line {line}: {problem}')
        self.line = line
        self.problem = problem


def text_of(data: bytes) -> str:
    """The text of a file, as Python reads it for oslo.config.

    :raises MalformedFile: it is not UTF-8
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b'\n', 0, error.start) + 1
        raise MalformedFile(line, 'not valid UTF-8') from None


def options(
    path: str, data: bytes, wanted: Mapping[str, Sequence[str]]
) -> Found:
    """What :func:`wanted_options` finds in a file of this content.

    :raises hvfilter.host.base.Denied: oslo.config refuses the file; the
        error is ``MALFORMED``, the text names the line
    """
    try:
        return wanted_options(text_of(data), wanted)
    except MalformedFile as error:
        what = str(question.options(path, wanted))
        raise Denied(what, MALFORMED, str(error)) from None


def wanted_options(text: str, wanted: Mapping[str, Sequence[str]]) -> Found:
    """The values that a file gives to the wanted options.

    :param text: the file
    :param wanted: section to option names, both as the code of the service
        spells them (``virt_type``, with underscores)
    :returns: section to option name to all its values in the order of the
        file; what the file does not set is left out
    :raises MalformedFile: oslo.config refuses the file
    """
    names = {
        _normal_section(section): (section, frozenset(options))
        for section, options in wanted.items()
    }
    set_here: dict[str, dict[str, list[str]]] = {}
    for section, key, value in _assignments(text):
        shown, options = names.get(section, ('', frozenset()))
        if key in options:
            set_here.setdefault(shown, {}).setdefault(key, []).append(value)
    return {
        section: {key: tuple(values) for key, values in options.items()}
        for section, options in set_here.items()
    }


def _normal_section(name: str) -> str:
    """Sections match whatever their case, except DEFAULT."""
    return name if name == 'DEFAULT' else name.lower()


def _assignments(text: str) -> Iterator[tuple[str, str, str]]:
    """Section, key and value of each assignment."""
    section = ''
    for number, statement in _statements(io.StringIO(text, newline=None)):
        first = statement[0]
        if first.startswith('['):
            section = _heading(number, first)
            continue
        key, value = _split(number, first)
        if not section:
            raise MalformedFile(number, 'an option before the first section')
        yield section, key, '\n'.join([value, *statement[1:]])


def _statements(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """The number of the first line, and the lines that belong together."""
    started, statement = 0, list[str]()
    for number, raw in enumerate(lines, 1):
        line = raw.rstrip()
        if line.startswith((' ', '\t')):
            if not statement:
                raise MalformedFile(
                    number, 'indented, but there is no option to continue'
                )
            statement.append(line.lstrip())
            continue
        if statement:
            yield started, statement
            statement = []
        if line.startswith('['):
            yield number, [line]
        elif line and not line.startswith(('#', ';')):
            started, statement = number, [line]
    if statement:
        yield started, statement


def _heading(number: int, line: str) -> str:
    if not line.endswith(']'):
        raise MalformedFile(number, 'a section must end with "]"')
    if len(line) <= len('[]'):
        raise MalformedFile(number, 'a section without a name')
    return _normal_section(line[1:-1])


def _split(number: int, line: str) -> tuple[str, str]:
    """Key and value, parted by the first '=' or ':'; quotes taken off."""
    ends = [at for at in (line.find('='), line.find(':')) if at >= 0]
    if not ends:
        raise MalformedFile(number, 'neither a section nor an option')
    key, value = line[: min(ends)].strip(), line[min(ends) + 1 :].strip()
    if not key:
        raise MalformedFile(number, 'an option without a name')
    if value and value[0] == value[-1] and value[0] in '"\'':
        value = value[1:-1]
    return key, value
