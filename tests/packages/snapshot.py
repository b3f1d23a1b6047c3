# SPDX-License-Identifier: Apache-2.0
"""All that is in a root file system, to compare before and after."""

from __future__ import annotations

import hashlib
import os
import pathlib
import stat

# What package management and the running system write anyway. "hvfilter" in
# a name counts even there, see named().
_IGNORED = (
    'dev',
    'proc',
    'root/.cache',
    'run',
    'srv',
    'sys',
    'tmp',
    'etc/ld.so.cache',
    'var/cache',
    'var/lib/apt',
    'var/lib/dpkg',
    'var/lib/systemd',
    'var/log',
    'var/tmp',
)
# Copies of before the last change.
_BACKUPS = ('group-', 'gshadow-', 'passwd-', 'shadow-')
_HISTORY = ('var/cache', 'var/lib/apt', 'var/log', 'srv')


def take(root: pathlib.Path) -> dict[str, tuple[object, ...]]:
    """Mode, owner, access list and digest of each file, by its path."""
    seen = {}
    for path in _walk(root, _IGNORED):
        name = str(path.relative_to(root))
        status = path.lstat()
        attributes = tuple(
            (key, os.getxattr(path, key, follow_symlinks=False))
            for key in os.listxattr(path, follow_symlinks=False)
        )
        content: object = None
        if stat.S_ISLNK(status.st_mode):
            content = path.readlink()
        elif stat.S_ISREG(status.st_mode):
            content = hashlib.sha256(path.read_bytes()).digest()
        owner = (status.st_mode, status.st_uid, status.st_gid)
        seen[name] = (*owner, attributes, content)
    return seen


def named(root: pathlib.Path) -> list[str]:
    """Paths with "hvfilter" in their last part, logs and caches left out."""
    return [
        str(path.relative_to(root))
        for path in _walk(root, ('dev', 'proc', 'sys', *_HISTORY))
        if 'hvfilter' in path.name
    ]


def _walk(root: pathlib.Path, ignored: tuple[str, ...]):
    for folder, folders, files in os.walk(root):
        here = pathlib.Path(folder)
        folders[:] = [
            name
            for name in folders
            if str((here / name).relative_to(root)) not in ignored
        ]
        for name in [*folders, *files]:
            path = here / name
            backup = here == root / 'etc' and name in _BACKUPS
            if str(path.relative_to(root)) not in ignored and not backup:
                yield path
