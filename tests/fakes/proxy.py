# SPDX-License-Identifier: Apache-2.0
"""A proxy before a real service that misbehaves on request.

Real sockets: what breaks here breaks for the client as it does in the field.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import http.server
import socket
import struct
import threading
import urllib.parse
from collections.abc import Callable, Mapping

import fixtures


@dataclasses.dataclass(frozen=True)
class Request:
    """What a client sent.

    :ivar headers: names in lower case
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclasses.dataclass(frozen=True)
class Reply:
    """What the service answered."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Exchange:
    """One request on its way, in the hands of a misbehaviour."""

    def __init__(self, handler: _Handler, request: Request, target: str):
        self._handler = handler
        self._target = target
        self.request = request

    def serve(self) -> Reply:
        """Let the service have the request; nobody hears of it yet."""
        place = urllib.parse.urlsplit(self._target)
        connection = http.client.HTTPConnection(
            place.hostname, place.port, timeout=60
        )
        with contextlib.closing(connection):
            connection.request(
                self.request.method,
                place.path + self.request.path,
                self.request.body or None,
                dict(self.request.headers),
            )
            response = connection.getresponse()
            headers = tuple(
                (name, value)
                for name, value in response.getheaders()
                if name.lower()
                not in ('connection', 'content-length', 'transfer-encoding')
            )
            return Reply(response.status, headers, response.read())

    def answer(self, reply: Reply, *, length: int | None = None) -> None:
        """Send an answer; a ``length`` is claimed, right or wrong."""
        handler = self._handler
        handler.send_response_only(reply.status)
        for name, value in reply.headers:
            handler.send_header(name, value)
        if reply.status != 204:
            told = len(reply.body) if length is None else length
            handler.send_header('Content-Length', str(told))
        handler.send_header('Connection', 'close')
        handler.end_headers()
        handler.wfile.write(reply.body)
        handler.wfile.flush()

    def reset(self) -> None:
        """End the connection with RST, as a crashed peer does."""
        connection = self._handler.connection
        connection.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0)
        )
        # Ends it although the handler's files still refer to it.
        self._handler.reset = True


Misbehaviour = Callable[[Exchange], None]


def behave(exchange: Exchange) -> None:
    """Pass the request on and the answer back."""
    exchange.answer(exchange.serve())


def status(code: int, body: bytes = b'', **headers: str) -> Misbehaviour:
    """Answer in the service's place, which hears nothing."""
    named = tuple(
        (name.replace('_', '-'), value) for name, value in headers.items()
    )

    def misbehave(exchange: Exchange) -> None:
        exchange.answer(Reply(code, named, body))

    return misbehave


def reset_at_once(exchange: Exchange) -> None:
    """Reset instead of passing the request on."""
    exchange.reset()


def reset_after_serving(exchange: Exchange) -> None:
    """The service does it, and the client never hears of it."""
    exchange.serve()
    exchange.reset()


def reset_in_mid_body(exchange: Exchange) -> None:
    """The service does it; half of the answer arrives."""
    reply = exchange.serve()
    half = dataclasses.replace(reply, body=reply.body[: len(reply.body) // 2])
    exchange.answer(half, length=len(reply.body))
    exchange.reset()


def truncate(exchange: Exchange) -> None:
    """Half of the answer, passed off as the whole."""
    reply = exchange.serve()
    exchange.answer(
        dataclasses.replace(reply, body=reply.body[: len(reply.body) // 2])
    )


def garble(exchange: Exchange) -> None:
    """The right status with a page for people."""
    reply = exchange.serve()
    page = b'<!DOCTYPE html><title>Welcome</title>'
    exchange.answer(
        Reply(reply.status, (('Content-Type', 'text/html'),), page)
    )


def answer_late(
    wait: Callable[[], object], *, serve: bool = True
) -> Misbehaviour:
    """Answer after ``wait`` returned, when the client may be gone."""

    def misbehave(exchange: Exchange) -> None:
        reply = exchange.serve() if serve else Reply(504, (), b'')
        wait()
        with contextlib.suppress(OSError):
            exchange.answer(reply)

    return misbehave


class _Handler(http.server.BaseHTTPRequestHandler):
    reset = False

    def handle_one_request(self) -> None:
        self.close_connection = True
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            return
        length = int(self.headers.get('Content-Length') or 0)
        request = Request(
            self.command,
            self.path,
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(length),
        )
        self.server.proxy.take(Exchange(self, request, self.server.target))

    def log_message(self, *args) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def shutdown_request(self, request) -> None:
        # The handler chose how to end the connection: plain close() sends
        # RST where lingering was forbidden, shutdown() would send FIN first.
        self.close_request(request)

    def handle_error(self, request, client_address) -> None:
        pass


class Proxy(fixtures.Fixture):
    """Passes requests to ``target`` until told otherwise.

    :ivar url: where it listens
    :ivar requests: what it was sent, in order
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self.requests: list[Request] = []
        self._lock = threading.Lock()
        self._rules: list[
            tuple[Callable[[Request], bool], list[Misbehaviour]]
        ] = []

    def _setUp(self) -> None:
        server = _Server(('127.0.0.1', 0), _Handler)
        server.proxy = self
        server.target = self.target
        self.url = f'http://127.0.0.1:{server.server_port}'
        thread = threading.Thread(
            target=server.serve_forever,
            kwargs={'poll_interval': 0.02},
            daemon=True,
        )
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)

    def misbehave(
        self,
        *turns: Misbehaviour,
        when: Callable[[Request], bool] = lambda request: True,
        times: int = 1,
    ) -> None:
        """Treat the next requests so, one turn each; then behave."""
        with self._lock:
            self._rules.append((when, list(turns) * times))

    def behave(self) -> None:
        """Forget all that was to go wrong."""
        with self._lock:
            self._rules.clear()

    def take(self, exchange: Exchange) -> None:
        """Handle one request; called in a thread of its own."""
        with self._lock:
            self.requests.append(exchange.request)
            turn = self._next(exchange.request)
        turn(exchange)

    def _next(self, request: Request) -> Misbehaviour:
        for when, turns in self._rules:
            if turns and when(request):
                return turns.pop(0)
        return behave
