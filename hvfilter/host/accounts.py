# SPDX-License-Identifier: Apache-2.0
"""The groups of one local account, and nothing of any other (passwd(5),
group(5))."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hvfilter.host import question
from hvfilter.host.base import Denied

ACCOUNTS = '/etc/passwd'
GROUP = '/etc/group'


def groups(user: str, read: Callable[[str], bytes]) -> tuple[str, ...]:
    """The account's own group first, then the others in order of name.

    A group without a name is given by its number.

    :param read: the content of a file; raises Denied
    :raises Denied: ENOENT when there is no such account
    """
    accounts = _fields(read(ACCOUNTS), 4)
    own = next((gid for name, _, _, gid in accounts if name == user), None)
    if own is None:
        raise Denied(str(question.groups(user)), 'ENOENT')
    first = own
    others = set()
    for name, _, gid, members in _fields(read(GROUP), 4):
        if gid == own:
            first = name
        elif user in members.split(','):
            others.add(name)
    return first, *sorted(others - {first})


def _fields(data: bytes, wanted: int) -> Iterator[list[str]]:
    for line in data.decode('utf-8', 'replace').splitlines():
        fields = line.split(':')
        if len(fields) >= wanted:
            yield [field.strip() for field in fields[:wanted]]
