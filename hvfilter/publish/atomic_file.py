# SPDX-License-Identifier: Apache-2.0
"""Write files that others read meanwhile: old or new, never half."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
import time
from pathlib import Path

STALE_S = 600
"""A part file that is older was left behind by a process that was killed."""


def put(path: Path, content: bytes, mode: int) -> None:
    """Put a whole new file in the place of the old one, if there was any.

    It is on the disk when this returns. Whoever looks meanwhile, and whatever
    is killed meanwhile, sees the old content or the new; what fails leaves
    nothing behind.

    :param mode: permission bits.
    :raises OSError: it was not done; EINVAL when something that is no
        regular file is in its place.
    """
    part = None
    with contextlib.suppress(FileNotFoundError):
        refuse_irregular(path.stat())
    try:
        _remove_stale(path)
        descriptor, part = tempfile.mkstemp(
            suffix='.tmp', prefix=f'.{path.name}.', dir=path.parent
        )
        with os.fdopen(descriptor, 'wb') as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(part).replace(path)
        part = None
        sync_folder(path.parent)
    finally:
        if part is not None:
            with contextlib.suppress(OSError):
                Path(part).unlink()


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_stale(path: Path) -> None:
    for part in path.parent.glob(f'.{path.name}.*.tmp'):
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > STALE_S:
                part.unlink()


def refuse_irregular(status: os.stat_result) -> None:
    """Refuse what is no regular file, without opening it.

    :raises OSError: it is none.
    """
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, 'it is a device, a socket or a pipe')
