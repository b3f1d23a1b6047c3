# SPDX-License-Identifier: Apache-2.0
"""A real Placement behind a real socket, one for each test."""

from __future__ import annotations

import json
import socketserver
import threading
import urllib.request
import uuid
import wsgiref.simple_server
from collections.abc import Iterable

import fixtures
import testtools
from keystoneauth1 import adapter, session, token_endpoint
from placement import deploy
from placement.tests.functional.fixtures import placement as placement_fixture

from hvfilter.model import catalogue, dated
from hvfilter.placement import client, keystone

FOREIGN = frozenset({'OWNER_NOVA', 'HW_CPU_X86_VMX', 'CUSTOM_GOLD'})
"""Traits of others, one of each kind: a provider of every test has them."""


def undated(traits: Iterable[str]) -> frozenset[str]:
    """Those of ours that hold no week."""
    return frozenset(traits) & catalogue.STATE_TRAITS


def weeks(traits: Iterable[str]) -> set[str]:
    """The weeks of the last report that a provider names: one, it should."""
    marks = filter(None, map(dated.parse, traits))
    return {
        str(mark.week) for mark in marks if mark.kind is dated.Kind.REPORTED
    }


class _Handler(wsgiref.simple_server.WSGIRequestHandler):
    protocol_version = 'HTTP/1.0'

    def log_message(self, *args):
        pass


class PlacementServer(fixtures.Fixture):
    """Placement, served one request after the other.

    :ivar url: where it listens
    """

    def _setUp(self) -> None:
        placement = self.useFixture(
            placement_fixture.PlacementFixture(use_intercept=False)
        )
        application = deploy.loadapp(placement.conf_fixture.conf)
        server = wsgiref.simple_server.make_server(
            '127.0.0.1',
            0,
            application,
            handler_class=_Handler,
        )
        server.request_queue_size = 128
        server.socket.listen(128)
        self.url = f'http://127.0.0.1:{server.server_port}'
        thread = threading.Thread(
            target=server.serve_forever,
            kwargs={'poll_interval': 0.05},
            daemon=True,
        )
        thread.start()
        self.addCleanup(stop, server, thread)


def stop(server: socketserver.BaseServer, thread: threading.Thread) -> None:
    """Ends a server and its thread."""
    server.shutdown()
    server.server_close()
    thread.join()


class PlacementTestCase(testtools.TestCase):
    """Has a Placement with one provider that carries ``FOREIGN``."""

    NAME = 'node1.example.org'

    def setUp(self) -> None:
        super().setUp()
        self.server = self.useFixture(PlacementServer())
        self.uuid = self.create_provider(self.NAME)
        self.create_trait('CUSTOM_GOLD')
        self.put_traits(FOREIGN)

    # as others see and do it, past all that is tested

    def ask(self, method: str, path: str, body=None):
        """One request straight to Placement."""
        request = urllib.request.Request(
            self.server.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                'X-Auth-Token': 'admin',
                'OpenStack-API-Version': 'placement 1.39',
                'Content-Type': 'application/json',
                'Accept': 'application/json',
            },
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            text = response.read()
        return json.loads(text) if text else None

    def create_provider(self, name: str) -> str:
        """As nova-compute does at its first start."""
        made = str(uuid.uuid4())
        self.ask('POST', '/resource_providers', {'name': name, 'uuid': made})
        return made

    def create_trait(self, name: str) -> None:
        """Makes a name known."""
        self.ask('PUT', f'/traits/{name}')

    def put_traits(self, traits: Iterable[str], uuid: str = '') -> None:
        """Replaces the set of traits of a provider."""
        path = f'/resource_providers/{uuid or self.uuid}'
        generation = self.ask('GET', path)['generation']
        self.ask(
            'PUT',
            f'{path}/traits',
            {
                'resource_provider_generation': generation,
                'traits': sorted(traits),
            },
        )

    def traits(self, uuid: str = '') -> frozenset[str]:
        """All that a provider carries now."""
        path = f'/resource_providers/{uuid or self.uuid}/traits'
        return frozenset(self.ask('GET', path)['traits'])

    # what is tested

    def transport(self, url: str = '', timeout_s: float = 60, token='admin'):
        """The way to Placement that the client is given."""
        auth = token_endpoint.Token(url or self.server.url, token)
        reach = session.Session(auth=auth, timeout=timeout_s)
        return keystone.KeystoneTransport(
            adapter.Adapter(reach, service_type='placement')
        )

    def client(self, url: str = '', **more) -> client.PlacementClient:
        """A client of the real thing."""
        return client.PlacementClient(self.transport(url, **more))
