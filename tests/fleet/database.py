# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL server of our own, gone when we are done."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

HOMES = pathlib.Path('/usr/lib/postgresql')
"""Where Debian keeps the programs of each release."""

ACCOUNT = 'postgres'
"""PostgreSQL does not run as root; Debian's package makes this user."""


class Missing(Exception):
    """Something is not installed."""


class PostgreSQL:
    """Starts in a temporary folder, listens on a socket there only."""

    def __init__(self) -> None:
        self.programs = _programs()
        self._user = ACCOUNT if os.geteuid() == 0 else None
        self.folder = tempfile.mkdtemp(prefix='hvfilter-fleet-')
        if self._user:
            shutil.chown(self.folder, self._user)
        self._data = f'{self.folder}/data'

    def __enter__(self) -> PostgreSQL:
        self._run('initdb', '-D', self._data, '-A', 'trust', '-U', 'fleet')
        settings = (
            f"-c listen_addresses='' -k {self.folder} -c max_connections=200"
        )
        self._run(
            *('pg_ctl', '-D', self._data, '-o', settings, '-w'),
            *('-l', f'{self.folder}/log', 'start'),
        )
        self._run('createdb', '-h', self.folder, '-U', 'fleet', 'placement')
        return self

    def __exit__(self, *exc: object) -> None:
        self._run('pg_ctl', '-D', self._data, '-m', 'fast', '-w', 'stop')
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def url(self) -> str:
        """For SQLAlchemy."""
        return f'postgresql+psycopg2://fleet@/placement?host={self.folder}'

    @property
    def release(self) -> str:
        """As the server tells it."""
        told = subprocess.run(
            [self.programs / 'postgres', '--version'],
            capture_output=True,
            text=True,
            check=True,
        )
        return told.stdout.strip()

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self.programs / program, *arguments],
            user=self._user,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f'{program} failed: {done.stdout}')


def _programs() -> pathlib.Path:
    releases = [
        path / 'bin'
        for path in HOMES.glob('*')
        if re.fullmatch(r'\d+', path.name)
        and (path / 'bin' / 'initdb').exists()
    ]
    if not releases:
        raise Missing(
            f'There is no PostgreSQL in {HOMES}. Install it: '
            '"apt-get install postgresql"'
        )
    return max(releases, key=lambda path: int(path.parent.name))
