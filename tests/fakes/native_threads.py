# SPDX-License-Identifier: Apache-2.0
"""What Nova's fixtures need on native threads before Nova 34.

They keep their databases in memory, each behind a single connection: green
threads take turns on it, native ones get into each other's transactions. And
they look for the sender of a notification among green threads. From 34 on
Nova's fixtures do themselves what is done here.
"""

from __future__ import annotations

import collections
import contextlib
import pathlib
import sqlite3
import threading
import types
from collections.abc import Iterator
from typing import Any

import fixtures
import sqlalchemy
from oslo_db.sqlalchemy import enginefacade, engines


class NativeThreads(fixtures.Fixture):
    """For a test case of Nova's, before it is set up."""

    def __init__(self, test_id: str) -> None:
        self._test_id = test_id

    def _setUp(self) -> None:
        self.useFixture(FileDatabases())
        current = types.SimpleNamespace(test_case_id=self._test_id)
        self.useFixture(
            fixtures.MonkeyPatch(
                'nova.tests.fixtures.notifications.eventlet',
                types.SimpleNamespace(getcurrent=lambda: current),
            )
        )


class FileDatabases(fixtures.Fixture):
    """All that would be in memory is in files, each with one writer."""

    def _setUp(self) -> None:
        self._directory = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path
        )
        self._lock = threading.Lock()
        self._made = 0
        self._writers: dict[str, Any]
        self._writers = collections.defaultdict(threading.RLock)
        self._create_engine = engines.create_engine
        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_db.sqlalchemy.engines.create_engine', self._engine
            )
        )
        # oslo.db offers nothing public around a whole transaction.
        self._scope = (
            enginefacade._TransactionContextManager._transaction_scope
        )
        fixture = self

        @contextlib.contextmanager
        def scope(manager: Any, context: Any) -> Iterator[Any]:
            with (
                fixture._turn(manager),
                fixture._scope(manager, context) as it,
            ):
                yield it

        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_db.sqlalchemy.enginefacade._TransactionContextManager.'
                '_transaction_scope',
                scope,
            )
        )

    def _engine(self, sql_connection: object, **kwargs: Any) -> Any:
        if str(sql_connection) not in ('sqlite://', 'sqlite:///'):
            return self._create_engine(sql_connection, **kwargs)
        with self._lock:
            self._made += 1
            path = self._directory / f'{self._made}.sqlite'
        _make(path)
        engine = self._create_engine(f'sqlite:///{path}', **kwargs)
        # As one in memory does, it forgets everything then.
        sqlalchemy.event.listen(
            engine, 'engine_disposed', lambda engine: _make(path)
        )
        return engine

    def _turn(self, manager: Any) -> contextlib.AbstractContextManager[Any]:
        if manager._mode is not enginefacade._WRITER:
            return contextlib.nullcontext()
        url = str(manager.reader.get_engine().url)
        with self._lock:
            return self._writers[url]


def _make(path: pathlib.Path) -> None:
    """An empty database, in place of the one that is there."""
    if not path.parent.is_dir():
        # The test is over.
        return
    for old in path.parent.glob(f'{path.name}*'):
        old.unlink()
    # Readers do not wait for the writer then.
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute('PRAGMA journal_mode=WAL')
