# SPDX-License-Identifier: Apache-2.0
"""Read, write and remove files that other programs read: old or new content,
never a part of it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from hvfilter.model.problem import Problem

LIMIT = 4 << 20
"""Bytes of a file that is read back; ours have a few thousand."""

STALE_S = 600
"""A part file that is older was left behind by a process that was killed."""


def read(path: Path) -> bytes | None:
    """The content, None when there is no such file.

    Only a regular file of ordinary size is read: a pipe, a device or a huge
    file in its place must not block the caller.

    :raises hvfilter.model.problem.Problem: it exists and cannot be read.
    """
    with _translate_errors('read', path):
        try:
            descriptor = os.open(
                path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
            )
        except FileNotFoundError:
            return None
        with open(descriptor, 'rb') as file:
            _refuse_irregular(os.fstat(descriptor))
            content = file.read(LIMIT + 1)
    if len(content) > LIMIT:
        raise Problem(
            f'Cannot read {path}: it is larger than {LIMIT >> 20} MiB',
            'Remove the file, or name another one in [hvfilter].',
        )
    return content


def remove(path: Path) -> None:
    """Make sure that there is no such file.

    :raises hvfilter.model.problem.Problem: it is still there.
    """
    with (
        _translate_errors('remove', path),
        contextlib.suppress(FileNotFoundError),
    ):
        path.unlink(missing_ok=True)
        _sync_folder(path.parent)


def replace(path: Path, content: bytes, mode: int) -> None:
    """Create the file or replace all of its content.

    It is on the disk when this returns. Readers see the old content or the
    new, also when this process is killed; a failure leaves no part file.

    :param mode: permission bits.
    :raises hvfilter.model.problem.Problem: it was not done, for instance
        because something that is not a regular file is in its place.
    """
    with _translate_errors('write', path):
        _replace(path, content, mode)


def _replace(path: Path, content: bytes, mode: int) -> None:
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


def _sync_folder(folder: Path) -> None:
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


def _refuse_irregular(status: os.stat_result) -> None:
    """Raise OSError for what is not a regular file."""
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, 'it is a device, a socket or a pipe')


@contextlib.contextmanager
def _translate_errors(verb: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise Problem(
            f'Cannot {verb} {path}: {reason}',
            f'Check that the folder {path.parent} exists, that the disk is '
            f'not full, and that this user may {verb} there.',
            code='file',
        ) from error
