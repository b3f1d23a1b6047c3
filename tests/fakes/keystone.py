# SPDX-License-Identifier: Apache-2.0
"""As much of Keystone as a service user sees: a token and the catalogue."""

from __future__ import annotations

import http.server
import json
import threading

import fixtures


class Keystone(fixtures.Fixture):
    """Gives a new token at each request.

    Placement's own test authentication takes ``admin:<anything>`` for the
    admin.

    :ivar url: what goes into ``auth_url``
    :ivar services: the catalogue: service type to endpoint
    :ivar issued: the tokens given so far
    :ivar refuse: an HTTP status to answer with instead
    """

    PASSWORD = 'correct-horse-battery'

    def __init__(self, placement_url: str, region: str = 'RegionOne') -> None:
        self.services = {'placement': placement_url}
        self.region = region
        self.issued: list[str] = []
        self.refuse = 0

    def _setUp(self) -> None:
        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), _Handler)
        server.daemon_threads = True
        server.keystone = self
        self.url = f'http://127.0.0.1:{server.server_port}/v3'
        thread = threading.Thread(
            target=server.serve_forever,
            kwargs={'poll_interval': 0.02},
            daemon=True,
        )
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)

    def versions(self) -> dict[str, object]:
        """The version document."""
        links = [{'rel': 'self', 'href': f'{self.url}/'}]
        version = {'id': 'v3.14', 'status': 'stable', 'links': links}
        return {'version': version}

    def token(self) -> dict[str, object]:
        """What a token says."""
        catalogue = [
            {
                'id': service,
                'type': service,
                'name': service,
                'endpoints': [
                    {
                        'id': service,
                        'interface': 'internal',
                        'region': self.region,
                        'region_id': self.region,
                        'url': url,
                    }
                ],
            }
            for service, url in self.services.items()
        ]
        return {
            'token': {
                'methods': ['password'],
                'user': {'id': 'u', 'name': 'nova', 'domain': {'id': 'd'}},
                'project': {'id': 'p', 'name': 'service'},
                'roles': [{'id': 'r', 'name': 'service'}],
                'issued_at': '2020-01-01T00:00:00.000000Z',
                'expires_at': '2999-01-01T00:00:00.000000Z',
                'catalog': catalogue,
            }
        }


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(200, self.server.keystone.versions())

    def do_POST(self) -> None:
        keystone = self.server.keystone
        length = int(self.headers.get('Content-Length') or 0)
        asked = json.loads(self.rfile.read(length))
        user = asked['auth']['identity']['password']['user']
        if keystone.refuse:
            self._answer(keystone.refuse, {'error': {'message': 'no'}})
        elif user['password'] != keystone.PASSWORD:
            self._answer(401, {'error': {'message': 'no'}})
        else:
            token = f'admin:{len(keystone.issued)}-secret-token'
            keystone.issued.append(token)
            self._answer(201, keystone.token(), token)

    def _answer(self, status: int, value: object, token: str = '') -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        if token:
            self.send_header('X-Subject-Token', token)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args) -> None:
        pass
