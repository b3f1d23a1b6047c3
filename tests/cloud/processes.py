# SPDX-License-Identifier: Apache-2.0
"""Starts processes and ends all of them, whatever happens in between."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from tests.cloud.layout import ROOT

PATIENCE_S = 120.0
END_S = 20.0
RECORD = ROOT / '.cloud.pids'
"""Who runs, should this process be killed before it can end them."""

_TAIL_LINES = 15
_IMPATIENT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Failed(Exception):
    """A process did not do what it should; names its log."""


class Process:
    """One daemon in a session of its own, and its log."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: pathlib.Path,
        environment: Mapping[str, str],
    ) -> None:
        self.name = name
        self.log = log
        self._asked = self._ended = False
        with log.open('ab') as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                # Ctrl-C is for us: we end the others, in order. And some
                # send signals to their whole process group.
                start_new_session=True,
            )
        with RECORD.open('a') as record:
            record.write(f'{self.pid} {_started(self.pid)}\n')

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def send(self, what: signal.Signals) -> None:
        self._process.send_signal(what)

    @property
    def died(self) -> bool:
        """Whether it ended though nobody asked it to."""
        return not self.running and not self._asked

    def ask_to_end(self) -> None:
        """TERM, if it runs and was not asked before."""
        if self.running and not self._asked:
            self._asked = True
            self._process.terminate()

    def end(self) -> int:
        """TERM, and KILL for what is left of it; the exit code."""
        self.ask_to_end()
        try:
            code = self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            code = -signal.SIGKILL
        if not self._ended:
            # Once: the number may be somebody else's later.
            self._ended = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        return code

    def wait(self) -> int:
        """Until it ends of itself; the exit code."""
        return self._process.wait()

    def wait_until(self, ready: Callable[[], bool], what: str) -> None:
        """Wait for something that this process is to bring about.

        :raises Failed: it ended, or it takes too long
        """
        try:
            wait_until(ready, what, lambda: self.running)
        except Failed as failed:
            raise Failed(f'{failed}; {tail(self.log)}') from None


class Processes:
    """Some processes of a cloud; leaving it ends them, all at once."""

    def __init__(self, logs: pathlib.Path) -> None:
        self._logs = logs
        self._all: list[Process] = []
        self.ending = False

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *exc: object) -> None:
        self.end()

    def end(self) -> None:
        """End all that runs, and start nothing more."""
        self.ending = True
        everybody = list(self._all)
        # Whoever is impatient would leave some of them behind.
        before = {}
        if threading.current_thread() is threading.main_thread():
            before = {
                each: signal.signal(each, signal.SIG_IGN)
                for each in _IMPATIENT
            }
        for each in everybody:
            each.ask_to_end()
        for each in everybody:
            each.end()
        for number, handler in before.items():
            signal.signal(number, handler)

    def start(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
    ) -> Process:
        """Start a daemon that logs to <name>.log.

        :raises Failed: everything is being ended
        """
        if self.ending:
            raise Failed(f'{name} is not started any more')
        log = self._logs / f'{name}.log'
        process = Process(name, command, log, environment or {})
        self._all.append(process)
        return process

    def run(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Run a command to its end.

        :raises Failed: its exit code is not 0
        """
        process = self.start(name, command, environment)
        code = process.wait()
        self._all.remove(process)
        if code:
            raise Failed(
                f'{" ".join(command)} failed with exit code {code}; '
                f'{tail(process.log)}'
            )


def leftovers() -> list[int]:
    """The processes that a run left behind because it was killed."""
    if not RECORD.exists():
        return []
    found = []
    for line in RECORD.read_text().splitlines():
        pid, _, started = line.partition(' ')
        # The number may be somebody else's by now.
        if started and _started(int(pid)) == started:
            found.append(int(pid))
    return found


def end_leftovers() -> None:
    """End them."""
    for pid in leftovers():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    RECORD.unlink(missing_ok=True)


def _started(pid: int) -> str:
    """When a process began, in the kernel's words; nothing if it is gone."""
    try:
        stat = pathlib.Path(f'/proc/{pid}/stat').read_text()
    except OSError:
        return ''
    return stat.rpartition(')')[2].split()[19]


def wait_until(
    ready: Callable[[], bool],
    what: str,
    going: Callable[[], bool] = lambda: True,
    patience_s: float = PATIENCE_S,
) -> None:
    """Ask again and again.

    :raises Failed: it takes too long, or it is not going on any more
    """
    give_up = time.monotonic() + patience_s
    while not ready():
        if not going():
            raise Failed(f'the process ended before {what}')
        if time.monotonic() > give_up:
            raise Failed(f'{what}: not within {patience_s:.0f} s')
        time.sleep(0.2)


def listening(address: str, port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as asking:
        asking.settimeout(1.0)
        return asking.connect_ex((address, port)) == 0


def tail(log: pathlib.Path) -> str:
    """The end of a log, and where it is."""
    lines = log.read_text(errors='replace').splitlines()[-_TAIL_LINES:]
    return f'{log} ends:\n' + '\n'.join(lines)
