# SPDX-License-Identifier: Apache-2.0
"""Files that the command line names, read as hosts or documents."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterator
from typing import BinaryIO

from hvfilter.host.base import Host
from hvfilter.model import form
from hvfilter.model.problem import Problem


def open_snapshot(path: str) -> Host:
    """A recorded host.

    :raises Problem: when the file is not there or is no snapshot
    """
    from hvfilter.host import snapshot
    from hvfilter.host.recorded import RecordedHost

    data = read_input(path)
    try:
        return RecordedHost(snapshot.loads(data), path)
    except form.DocumentError as error:
        raise Problem(
            f'{path} is not a snapshot: {error}',
            'Write one with "hvfilter record <file>".',
        ) from None


def open_sysroot(path: str) -> Host:
    """A host whose files a directory holds.

    :raises Problem: when it is none
    """
    from hvfilter.host.sysroot import SysrootHost

    try:
        return SysrootHost(path)
    except (OSError, ValueError) as error:
        problem = getattr(error, 'strerror', None) or str(error)
        raise Problem(
            f'Cannot use {path!r} as --sysroot: {problem}',
            'Name a directory laid out like the root file system of a host.',
        ) from None


def open_cpuid(path: str) -> Host:
    """A host of which only CPUID leaves are known.

    :raises Problem: when there is none in it
    """
    from hvfilter.host import cpuid_dump

    text = cpuid_dump.text_of(read_input(path))
    try:
        return cpuid_dump.DumpHost(text, f'cpuid {path}')
    except cpuid_dump.NoDump as error:
        raise Problem(
            f'Cannot use {path} as --cpuid: {error}',
            'Write one with "cpuid -r > <file>".',
        ) from None


def read_input(path: str) -> bytes:
    """The bytes of an input file, or of standard input for "-".

    :raises Problem: when it cannot be read, or no document is that large
    """
    try:
        with _opened(path) as file:
            data = file.read(form.SIZE_LIMIT + 1)
    except OSError as error:
        problem = error.strerror or type(error).__name__
        raise _unreadable(path, problem) from None
    except ValueError as error:
        raise _unreadable(repr(path), str(error)) from None
    if len(data) > form.SIZE_LIMIT:
        raise _unreadable(
            path,
            f'it is larger than {form.SIZE_LIMIT >> 20} MiB, and no hvfilter '
            'document is',
        )
    return data


def _unreadable(path: str, reason: str) -> Problem:
    return Problem(
        f'Cannot read {path}: {reason}',
        'Check that it is the right file and that this user may read it.',
    )


@contextlib.contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    """An input that cannot block forever: a pipe must have a writer."""
    if path == '-':
        yield sys.stdin.buffer
        return
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    descriptor = os.open(path, flags)
    with open(descriptor, 'rb') as file:
        kind = os.fstat(descriptor).st_mode
        if stat.S_ISCHR(kind) or stat.S_ISBLK(kind):
            raise OSError(errno.EINVAL, 'it is a device')
        os.set_blocking(descriptor, True)
        yield file
