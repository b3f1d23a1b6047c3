# SPDX-License-Identifier: Apache-2.0
"""The agent's state directory: the history of the host, bounded.

systemd makes it (``StateDirectory=``) and names it in ``STATE_DIRECTORY``.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from hvfilter.model.problem import Problem
from hvfilter.publish import atomic_file

DEFAULT = '/var/lib/hvfilter'

TEXT_LIMIT = 256 << 10
SNAPSHOTS_LIMIT = 512 << 10
"""Bytes. With one text set aside it is 1 MiB, however often a host changes."""

WAIT_S = 30.0
"""Seconds to wait for another run to finish its probe."""

_MODE = 0o640
_FOLDER_MODE = 0o750
_NAME = 'history.json'
_BROKEN = 'history.json.broken'
_SNAPSHOTS = 'snapshots'
_PATTERN = '*.json.gz'
_POLL_S = 0.1
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class NotHistory(Exception):
    """What has the name of the history is none; says why."""


def default() -> Path:
    """Where the agent keeps its state."""
    # systemd separates several by colons; the units name one.
    named = os.environ.get('STATE_DIRECTORY', '').partition(':')[0]
    return Path(named or DEFAULT)


class StateDirectory:
    """One such directory. It is never created: systemd does that."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path / _NAME
        self._snapshots = path / _SNAPSHOTS

    def owner(self) -> int | None:
        """The user id of its owner; None if there is no such directory.

        :raises OSError: that cannot be found out.
        """
        try:
            return self.path.stat().st_uid
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def locked(self, wait_s: float = WAIT_S) -> Iterator[bool]:
        """Keep other runs out; False if another one stays in.

        :param wait_s: seconds to wait for the other one
        :raises OSError: the directory cannot be opened.
        """
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield _lock(descriptor, time.monotonic() + wait_s)
        finally:
            os.close(descriptor)

    def read(self) -> bytes | None:
        """The history's text, None when there is none yet.

        :raises NotHistory: it is a link, a pipe, too large or another
            user's, which no run of the owner has written.
        :raises hvfilter.model.problem.Problem: it cannot be read.
        """
        try:
            descriptor = os.open(self.file, _READ)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unreadable(error) from None
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise NotHistory('it is not a regular file')
            with open(descriptor, 'rb', closefd=False) as file:
                text = file.read(TEXT_LIMIT + 1)
        except OSError as error:
            raise self._unreadable(error) from None
        finally:
            os.close(descriptor)
        if len(text) > TEXT_LIMIT:
            raise NotHistory(f'it is larger than {TEXT_LIMIT >> 10} KiB')
        return text

    def _unreadable(self, error: OSError) -> Exception:
        if error.errno == errno.ELOOP:
            return NotHistory('it is a symbolic link')
        if error.errno == errno.ENXIO:
            return NotHistory('it is not a regular file')
        if error.errno == errno.EACCES and self._is_own():
            return NotHistory('it belongs to another user')
        text = error.strerror or type(error).__name__
        return Problem(
            f'Cannot read {self.file}: {text}',
            'Run this command as root or as a member of the group of '
            f'{self.path}.',
        )

    def _is_own(self) -> bool:
        try:
            return self.owner() == os.geteuid()
        except OSError:
            return False

    def set_aside(self) -> Path:
        """Move what is not a history away, over an earlier one.

        Of a large file only the beginning is kept.

        :raises OSError: it cannot be moved.
        """
        aside = self.path / _BROKEN
        self.file.replace(aside)
        with contextlib.suppress(OSError):
            flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            descriptor = os.open(aside, flags | os.O_CLOEXEC)
            with open(descriptor, 'wb', buffering=0) as file:
                size = os.fstat(descriptor).st_size
                file.truncate(min(size, TEXT_LIMIT))
        return aside

    def write(
        self, text: bytes, names: Sequence[str], snapshot: bytes
    ) -> None:
        """Keep a recording, then the history that names it.

        The oldest recordings are removed then, if there are too many.

        :param names: of the recordings in the history, this one last
        :raises OSError: the folder cannot be made or listed.
        :raises hvfilter.model.problem.Problem: nothing was written, or only
            the recording.
        """
        self._make_folder()
        atomic_file.replace(self._snapshots / names[-1], snapshot, _MODE)
        atomic_file.replace(self.file, text, _MODE)
        # Only now: until here the earlier history needed them.
        self._forget(names)

    def write_text(self, text: bytes) -> None:
        """Keep the history without another recording.

        :raises hvfilter.model.problem.Problem: it was not written.
        """
        atomic_file.replace(self.file, text, _MODE)

    def recordings(self) -> frozenset[str]:
        """The names of those that are there."""
        return frozenset(path.name for path in self._snapshots.glob(_PATTERN))

    def _make_folder(self) -> None:
        if self._snapshots.is_symlink():
            raise OSError(errno.ELOOP, f'{self._snapshots} is a symbolic link')
        self._snapshots.mkdir(exist_ok=True)
        # Not with mkdir: the unit's UMask would take the group's.
        self._snapshots.chmod(_FOLDER_MODE)

    def _forget(self, names: Sequence[str]) -> None:
        # Not by their times: the clock may have been set back.
        age = {name: -at for at, name in enumerate(names)}
        room = SNAPSHOTS_LIMIT
        for path in sorted(
            self._snapshots.glob(_PATTERN),
            key=lambda path: (age.get(path.name, 1), path.name),
        ):
            room -= path.lstat().st_size
            if room < 0 and path.name != names[-1]:
                path.unlink()


def _lock(descriptor: int, end_s: float) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end_s:
                return False
            time.sleep(_POLL_S)
        else:
            return True
