# SPDX-License-Identifier: Apache-2.0
"""Files that others read while they are written: old or new, never half."""

from __future__ import annotations

import os
from pathlib import Path

from hvfilter.publish import atomic_file, base

LIMIT = 4 << 20
"""Bytes of a file that is read back; ours have a few thousand."""


def read(path: Path) -> bytes | None:
    """The content, None when there is no such file.

    Only a regular file of ordinary size is read: whoever put a pipe, a device
    or a huge file in its place does not hold us up.

    :raises hvfilter.publish.base.Failed: it is there and cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, 'rb') as file:
            atomic_file.refuse_irregular(os.fstat(descriptor))
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

    See :func:`hvfilter.publish.atomic_file.put`.

    :raises hvfilter.publish.base.Failed: it was not done.
    """
    try:
        atomic_file.put(path, content, mode)
    except OSError as error:
        raise _failed('write', path, error) from error


def remove(path: Path) -> None:
    """Make sure that there is no such file.

    :raises hvfilter.publish.base.Failed: it is still there.
    """
    try:
        path.unlink(missing_ok=True)
        atomic_file.sync_folder(path.parent)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _failed('remove', path, error) from error


def _failed(what: str, path: Path, error: OSError) -> base.Failed:
    reason = error.strerror or type(error).__name__
    return base.Failed(
        f'Cannot {what} {path}: {reason}',
        f'Check that the folder {path.parent} exists, that the disk is not '
        'full, and that this user may write there.',
        code='file',
    )
