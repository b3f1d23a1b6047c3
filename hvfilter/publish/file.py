# SPDX-License-Identifier: Apache-2.0
"""Files that others read while they are written: old or new, never half."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from pathlib import Path

from hvfilter.publish import base

STALE_S = 600
"""A part file that is older was left behind by a process that was killed."""


def read(path: Path) -> bytes | None:
    """The content, None when there is no such file.

    :raises hvfilter.publish.base.Failed: it is there and cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _failed('read', path, error) from error


def replace(path: Path, content: bytes, mode: int) -> None:
    """Put a whole new file in the place of the old one, if there was any.

    It is on the disk when this returns. Whoever looks meanwhile, and whatever
    is killed meanwhile, sees the old content or the new.

    :param mode: permission bits.
    :raises hvfilter.publish.base.Failed: it was not done.
    """
    part = None
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
    except OSError as error:
        raise _failed('write', path, error) from error
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


def _failed(what: str, path: Path, error: OSError) -> base.Failed:
    reason = error.strerror or type(error).__name__
    return base.Failed(
        f'Cannot {what} {path}: {reason}',
        f'Check that the folder {path.parent} exists, that the disk is not '
        'full, and that this user may write there.',
        code='file',
    )
