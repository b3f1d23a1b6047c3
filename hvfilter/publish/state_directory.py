# SPDX-License-Identifier: Apache-2.0
"""The agent's state directory: the history of the host, bounded.

systemd makes it (``StateDirectory=``) and names it in ``STATE_DIRECTORY``.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from hvfilter.publish import atomic_file

DEFAULT = '/var/lib/hvfilter'

TEXT_LIMIT = 256 << 10
SNAPSHOTS_LIMIT = 512 << 10
"""Bytes. With one text set aside it is 1 MiB, however often a host changes."""

_MODE = 0o640
_NAME = 'history.json'
_BROKEN = 'history.json.broken'
_SNAPSHOTS = 'snapshots'


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

    def exists(self) -> bool:
        """Whether there is one.

        :raises OSError: that cannot be found out.
        """
        try:
            self.path.stat()
        except FileNotFoundError:
            return False
        return True

    @contextlib.contextmanager
    def locked(self) -> Iterator[bool]:
        """Keep other runs out; False if another one is in.

        :raises OSError: the directory cannot be opened.
        """
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)

    def read(self) -> bytes | None:
        """The history's text, None when there is none yet.

        :raises hvfilter.model.problem.Problem: it cannot be read.
        """
        return atomic_file.read(self.file)

    def set_aside(self) -> Path:
        """Move a history that is of no use away, over an earlier one.

        :raises OSError: it cannot be moved.
        """
        return self.file.replace(self.path / _BROKEN)

    def write(self, text: bytes, name: str, snapshot: bytes) -> None:
        """Keep a recording, then the history that names it.

        The oldest recordings are removed then, if there are too many.

        :raises OSError: the folder cannot be made or listed.
        :raises hvfilter.model.problem.Problem: nothing was written, or only
            the recording.
        """
        self._snapshots.mkdir(mode=0o750, exist_ok=True)
        atomic_file.replace(self._snapshots / name, snapshot, _MODE)
        atomic_file.replace(self.file, text, _MODE)
        # Only now: until here the earlier history needed them.
        self._forget(name)

    def write_text(self, text: bytes) -> None:
        """Keep the history without another recording.

        :raises hvfilter.model.problem.Problem: it was not written.
        """
        atomic_file.replace(self.file, text, _MODE)

    def _forget(self, latest: str) -> None:
        room = SNAPSHOTS_LIMIT
        for path in sorted(self._snapshots.glob('*.json.gz'), reverse=True):
            room -= path.stat().st_size
            if room < 0 and path.name != latest:
                path.unlink()
