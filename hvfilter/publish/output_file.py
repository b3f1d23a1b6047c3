# SPDX-License-Identifier: Apache-2.0
"""Write what a command was asked to put into a file that the user names."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from hvfilter.model.problem import Problem
from hvfilter.publish import atomic_file


def write(path: Path, text: str) -> None:
    """Write a whole file or none; into a device or a pipe, if it is one.

    :raises Problem: it cannot be written
    """
    data = text.encode()
    if _takes_data(path):
        _write_into(path, data)
        return
    mask = os.umask(0)
    os.umask(mask)
    atomic_file.replace(path, data, 0o666 & ~mask)


def _takes_data(path: Path) -> bool:
    """Whether it is a device or a pipe."""
    try:
        kind = path.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(kind) and not stat.S_ISDIR(kind)


def _write_into(path: Path, data: bytes) -> None:
    # Opening a pipe without a reader would block.
    flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
        os.set_blocking(descriptor, True)
        with open(descriptor, 'wb') as stream:
            stream.write(data)
    except OSError as error:
        raise Problem(
            f'Cannot write into {path}: {error.strerror}',
            'Check that it accepts data and, if it is a pipe, that a program '
            'reads from it.',
        ) from None
