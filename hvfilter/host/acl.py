# SPDX-License-Identifier: Apache-2.0
"""A file's POSIX access control list (kernel
include/uapi/linux/posix_acl_xattr.h): a version, then entries of 8 bytes."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable

ATTRIBUTE = 'system.posix_acl_access'

_VERSION = 2
_ENTRY = struct.Struct('<HHI')
_USER, _GROUP, _MASK = 0x02, 0x08, 0x10


def entries(
    path: str, user: Callable[[int], str], group: Callable[[int], str]
) -> tuple[str, ...]:
    """Named users and groups and the mask, as ``getfacl`` prints them.

    What the mode shows already is left out: () for a file without a list, on
    a file system without such lists, and for a list that cannot be read.

    :param user: the name of a user's number
    :param group: the name of a group's number
    """
    try:
        data = os.getxattr(path, ATTRIBUTE)
    except OSError:
        # ENODATA, EOPNOTSUPP: the mode is all there is.
        return ()
    return parse(data, user, group)


def parse(
    data: bytes, user: Callable[[int], str], group: Callable[[int], str]
) -> tuple[str, ...]:
    """The entries of the attribute's value."""
    if len(data) < 4 or int.from_bytes(data[:4], 'little') != _VERSION:
        return ()
    entries = []
    body = data[4 : len(data) - (len(data) - 4) % _ENTRY.size]
    for tag, permissions, number in _ENTRY.iter_unpack(body):
        if tag == _USER:
            entries.append(f'user:{user(number)}:{_letters(permissions)}')
        elif tag == _GROUP:
            entries.append(f'group:{group(number)}:{_letters(permissions)}')
        elif tag == _MASK:
            entries.append(f'mask::{_letters(permissions)}')
    return tuple(entries)


def _letters(permissions: int) -> str:
    return ''.join(
        letter if permissions & bit else '-'
        for letter, bit in (('r', 4), ('w', 2), ('x', 1))
    )
