# SPDX-License-Identifier: Apache-2.0
"""Files that others read while they are written: old or new, never half."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
import time
from pathlib import Path

from hvfilter.publish import base

LIMIT = 4 << 20
"""Bytes of a file that is read back; ours have a few thousand."""

STALE_S = 600
"""A part file that is older was left behind by a process that was killed."""


def read(path: Path) -> bytes | None:
    """The content, None when there is no such file.

    Only a regular file of ordinary size is read: whoever put a pipe, a device
    or a huge file in its place does not hold us up.

    :raises hvfilter.publish.base.Failed: it is there and cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, 'rb') as file:
            _refuse_irregular(os.fstat(descriptor))
            content = file.read(LIMIT + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _failed('read', path, error) from error
    if len(content) > LIMIT:
        raise base.Failed(
            f'Cannot read {path}: it is larger than {LIMIT >> 20} MiB',
            'Remove the file, or name another one in [hvfilter].',
        )
    return content


def replace(path: Path, content: bytes, mode: int) -> None:
    """Put a whole new file in the place of the old one, if there was any.

    See :func:`put`.

    :raises hvfilter.publish.base.Failed: it was not done.
    """
    try:
        put(path, content, mode)
    except OSError as error:
        raise _failed('write', path, error) from error


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
        _refuse_irregular(path.stat())
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
        _sync_folder(path.parent)
    finally:
        if part is not None:
            with contextlib.suppress(OSError):
                Path(part).unlink()


def remove(path: Path) -> None:
    """Make sure that there is no such file.

    :raises hvfilter.publish.base.Failed: it is still there.
    """
    try:
        path.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _failed('remove', path, error) from error


def _sync_folder(folder: Path) -> None:
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


def _refuse_irregular(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, 'it is a device, a socket or a pipe')


def _failed(what: str, path: Path, error: OSError) -> base.Failed:
    reason = error.strerror or type(error).__name__
    return base.Failed(
        f'Cannot {what} {path}: {reason}',
        f'Check that the folder {path.parent} exists, that the disk is not '
        'full, and that this user may write there.',
        code='file',
    )
