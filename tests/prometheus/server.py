# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus on the loopback interface that scrapes given pages."""

from __future__ import annotations

import contextlib
import http.server
import json
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

from tests.prometheus import tool

PROMETHEUS = shutil.which('prometheus')
MISSING = 'needs prometheus (Debian: prometheus)'
PATIENCE_S = 180


class Server:
    """Its HTTP API."""

    def __init__(self, url: str) -> None:
        self._url = url

    def get(self, path: str, **parameters: str) -> Any:
        """What is in ``data``.

        :raises ValueError: Prometheus refuses it, and why
        :raises OSError: it does not answer, or not yet
        """
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(
                f'{self._url}/api/v1/{path}?{query}', timeout=PATIENCE_S
            ) as answer:
                return json.load(answer)['data']
        except urllib.error.HTTPError as error:
            if error.code == http.HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            raise ValueError(f'{parameters}: {error.read()!r}') from None

    def query(self, expression: str) -> list[Any]:
        """The series that it has now."""
        found: list[Any] = self.get('query', query=expression)['result']
        return found

    def wait_for(self, expression: str) -> None:
        """Until an expression has series."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                if self.query(expression):
                    return
            time.sleep(0.5)
        raise AssertionError(f'nothing came of {expression}')


@contextlib.contextmanager
def scraping(pages: Mapping[str, bytes]) -> Iterator[Server]:
    """Prometheus with our rules; each page is a target of the job "node".

    Returns when each was scraped twice and the rules were evaluated.
    """

    class Pages(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing is logged."""

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header('Content-Type', 'text/plain; version=0.0.4')
            self.end_headers()
            self.wfile.write(pages[self.path.removeprefix('/')])

    web = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Pages)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as name, web:
        folder = pathlib.Path(name)
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            port = free.getsockname()[1]
        config = folder / 'prometheus.yml'
        config.write_text(json.dumps(_config(web.server_port, pages)))
        with (folder / 'log').open('wb') as log:
            process = subprocess.Popen(
                [
                    str(PROMETHEUS),
                    f'--config.file={config}',
                    f'--storage.tsdb.path={folder / "data"}',
                    f'--web.listen-address=127.0.0.1:{port}',
                ],
                stdout=log,
                stderr=log,
            )
        try:
            server = Server(f'http://127.0.0.1:{port}')
            server.wait_for(
                'count(count_over_time(up[1h]) > 1) == '
                f'{len(pages)} and count(ALERTS) > 0'
            )
            yield server
        finally:
            process.terminate()
            process.wait()
            web.shutdown()


def _config(port: int, pages: Mapping[str, bytes]) -> dict[str, Any]:
    every = {'scrape_interval': '1s', 'evaluation_interval': '1s'}
    targets = [
        {
            'targets': [f'127.0.0.1:{port}'],
            'labels': {
                '__metrics_path__': f'/{name}',
                'instance': name,
                'hvfilter': 'expected',
            },
        }
        for name in pages
    ]
    return {
        'global': {**every, 'scrape_timeout': '1s'},
        'rule_files': [str(tool.RULES)],
        'scrape_configs': [{'job_name': 'node', 'static_configs': targets}],
    }
