# SPDX-License-Identifier: Apache-2.0
"""A few options out of an oslo.config file, and nothing else of it.

The rules are those of ``oslo_config.iniparser`` and of the lookup in
``oslo_config.cfg``, whose import costs more than the whole look at a host.
Two differences, both wanted: a line that oslo.config would refuse is passed
over, because a host must be looked at even when its configuration is broken;
and what was not asked for is dropped while parsing, because such files hold
passwords.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence

Found = dict[str, dict[str, tuple[str, ...]]]


def wanted_options(text: str, wanted: Mapping[str, Sequence[str]]) -> Found:
    """The values that a file gives to the wanted options.

    :param text: the file
    :param wanted: section to option names, both as the code of the service
        spells them (``virt_type``, with underscores)
    :returns: section to option name to all its values in the order of the
        file; what the file does not set is left out
    """
    names = {
        _normal_section(section): (section, frozenset(options))
        for section, options in wanted.items()
    }
    found: dict[str, dict[str, list[str]]] = {}
    for section, key, value in _assignments(text):
        asked, options = names.get(section, ('', frozenset()))
        if key in options:
            found.setdefault(asked, {}).setdefault(key, []).append(value)
    return {
        section: {key: tuple(values) for key, values in options.items()}
        for section, options in found.items()
    }


def _normal_section(name: str) -> str:
    """Sections match whatever their case, except DEFAULT."""
    return name if name == 'DEFAULT' else name.lower()


def _assignments(text: str) -> Iterator[tuple[str, str, str]]:
    """Section, key and value of each assignment."""
    section = ''
    for statement in _statements(io.StringIO(text, newline=None)):
        first = statement[0]
        if first.startswith('['):
            # An unreadable heading must not lend its options to the
            # section before it.
            whole = first.endswith(']') and len(first) > 2
            section = _normal_section(first[1:-1]) if whole else ''
            continue
        key, value = _split(first)
        if key and section:
            yield section, key, '\n'.join([value, *statement[1:]])


def _statements(lines: Iterable[str]) -> Iterator[list[str]]:
    """Lines put together with those that continue them."""
    statement: list[str] = []
    for raw in lines:
        line = raw.rstrip()
        if line.startswith((' ', '\t')):
            if statement:
                statement.append(line.lstrip())
            continue
        if statement:
            yield statement
        statement = []
        if line and not line.startswith(('#', ';')):
            statement = [line]
            if line.startswith('['):
                yield statement
                statement = []
    if statement:
        yield statement


def _split(line: str) -> tuple[str, str]:
    """Key and value, parted by the first '=' or ':'; quotes taken off."""
    ends = [at for at in (line.find('='), line.find(':')) if at >= 0]
    if not ends:
        return '', ''
    value = line[min(ends) + 1 :].strip()
    if value and value[0] == value[-1] and value[0] in '"\'':
        value = value[1:-1]
    return line[: min(ends)].strip(), value
