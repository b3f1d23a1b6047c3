# SPDX-License-Identifier: Apache-2.0
"""Chromium, driven by the DevTools protocol through a pair of pipes.

No driver program and no library stands between, so no version has to match,
and no port is open.

Source: https://chromedevtools.github.io/devtools-protocol/ (stable 1.3 and,
for ``Emulation``, tip of tree); ``--remote-debugging-pipe`` in Chromium's
``content/public/common/content_switches.cc``: NUL-terminated JSON, read from
descriptor 3 and written to 4.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from typing import Any

PROGRAMS = ('chromium', 'chromium-browser', 'google-chrome', 'chrome')
PATIENCE_S = 120.0
"""Longer than any step takes on a loaded machine; no test waits for it."""

_QUIET = (
    '--headless',
    '--remote-debugging-pipe',
    '--no-first-run',
    '--no-default-browser-check',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-default-apps',
    '--disable-dev-shm-usage',
    '--disable-extensions',
    '--disable-gpu',
    '--disable-sync',
    '--hide-scrollbars',
    '--mute-audio',
    # Whatever the page asked for would fail, and be seen.
    '--host-resolver-rules=MAP * ~NOTFOUND',
)


class BrowserError(Exception):
    """The browser did not do what it was asked."""


def program() -> str | None:
    """The browser of this machine, None where there is none.

    ``HVFILTER_BROWSER`` names another one.
    """
    named = os.environ.get('HVFILTER_BROWSER')
    for name in (named,) if named else PROGRAMS:
        found = shutil.which(name)
        if found:
            return found
    return None


class Connection:
    """Sends commands and keeps the events that come meanwhile.

    :ivar events: method and parameters of each, in order
    """

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._out = to_browser
        self._in = from_browser
        self._rest = b''
        self._last = 0
        self.events: list[tuple[str, Mapping[str, Any]]] = []

    def call(
        self, method: str, session: str | None = None, **parameters: Any
    ) -> dict[str, Any]:
        """Send one command, and return its result.

        :raises BrowserError: it failed, or the browser ended
        """
        self._last += 1
        message = {'id': self._last, 'method': method, 'params': parameters}
        if session:
            message['sessionId'] = session
        data = json.dumps(message).encode() + b'\0'
        while data:
            data = data[os.write(self._out, data) :]
        deadline = time.monotonic() + PATIENCE_S
        while True:
            answer = self._receive(deadline)
            if answer.get('id') != self._last:
                continue
            if 'error' in answer:
                raise BrowserError(f'{method}: {answer["error"]}')
            result: dict[str, Any] = answer['result']
            return result

    def wait(self, method: str) -> Mapping[str, Any]:
        """The next event of this name, which is taken off the list."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for place, (name, parameters) in enumerate(self.events):
                if name == method:
                    del self.events[place]
                    return parameters
            self._receive(deadline)

    def _receive(self, deadline: float) -> dict[str, Any]:
        while b'\0' not in self._rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._in], [], [], left)[0]:
                raise BrowserError(f'no answer for {PATIENCE_S:.0f} s')
            more = os.read(self._in, 1 << 20)
            if not more:
                raise BrowserError('the browser ended')
            self._rest += more
        text, self._rest = self._rest.split(b'\0', 1)
        message: dict[str, Any] = json.loads(text)
        if 'id' not in message:
            self.events.append((message['method'], message.get('params', {})))
        return message


@contextlib.contextmanager
def started(path: str) -> Iterator[Connection]:
    """A browser with an empty profile, ended and removed afterwards."""
    profile = tempfile.mkdtemp(prefix='page-browser-')
    read_end, to_browser = os.pipe()
    from_browser, write_end = os.pipe()
    arguments = [path, *_QUIET, f'--user-data-dir={profile}']
    if os.geteuid() == 0:
        # Chromium refuses to start its sandbox as root.
        arguments.append('--no-sandbox')
    environment = dict(os.environ, HOME=profile)
    log = pathlib.Path(profile) / 'stderr'
    with log.open('wb') as stderr:
        # The shell gives the pipes the numbers that Chromium expects.
        process = subprocess.Popen(
            [
                'sh',
                '-c',
                f'exec "$@" 3<&{read_end} 4>&{write_end}',
                'sh',
                *arguments,
                'about:blank',
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env=environment,
            pass_fds=(read_end, write_end),
            start_new_session=True,
        )
    os.close(read_end)
    os.close(write_end)
    try:
        connection = Connection(to_browser, from_browser)
        try:
            connection.call('Browser.getVersion')
        except (BrowserError, OSError) as error:
            said = log.read_text(errors='replace')[-2000:]
            raise BrowserError(
                f'{path} does not start: {error}\n{said}'
            ) from None
        yield connection
    finally:
        os.close(to_browser)
        os.close(from_browser)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(profile, ignore_errors=True)
