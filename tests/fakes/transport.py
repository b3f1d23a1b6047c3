# SPDX-License-Identifier: Apache-2.0
"""Transports for unit tests of the Placement client: no network at all.

What Placement really answers is tested against the real one, in
``tests/functional/placement``.
"""

from __future__ import annotations

import dataclasses
import json
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hvfilter.placement import client


def answer(
    status: int = 200,
    value: Any = None,
    *,
    body: bytes | None = None,
    **headers: str,
) -> client.Response:
    """An answer with a JSON value, or with a body as it stands."""
    if body is None:
        body = b'' if value is None else json.dumps(value).encode()
    named = {
        name.replace('_', '-').lower(): text for name, text in headers.items()
    }
    return client.Response(
        status, {'content-type': 'application/json', **named}, body
    )


def problem(status: int, detail: str = 'why', **more: str) -> client.Response:
    """An error in Placement's own form."""
    told = {'status': status, 'title': 'title', 'detail': detail, **more}
    return answer(status, {'errors': [told]})


@dataclasses.dataclass(frozen=True)
class Sent:
    """What a client sent."""

    method: str
    path: str
    microversion: str
    body: Mapping[str, Any] | None


class ScriptedTransport:
    """Gives prepared answers in turn, and keeps what was asked."""

    def __init__(self, *script: client.Response | Exception) -> None:
        self.script = list(script)
        self.sent: list[Sent] = []

    def request(self, method, path, *, microversion, body=None):
        self.sent.append(Sent(method, path, microversion, body))
        following = self.script.pop(0)
        if isinstance(following, Exception):
            raise following
        return following


class MemoryPlacement:
    """One provider and the known trait names, checked as Placement checks.

    :param before: called with each request, before it is served; may change
        this object (another writer) or return an answer or an exception that
        takes the place of serving it.
    """

    UUID = '6b8d6a2e-4f0b-4c86-9d4f-0e6f7f0f1c11'
    NAME = 'node1.example.org'

    def __init__(
        self,
        traits: Iterable[str] = (),
        known: Iterable[str] = (),
        before: Callable[[Sent], client.Response | Exception | None]
        | None = None,
    ) -> None:
        self.traits = frozenset(traits)
        self.known = frozenset(known) | self.traits
        self.generation = 1
        self.exists = True
        self.before = before
        #: Other providers, which only their names find: name to uuid.
        self.others: dict[str, str] = {}
        self.sent: list[Sent] = []

    def write(self, traits: Iterable[str]) -> None:
        """Somebody replaces the set of traits."""
        self.traits = frozenset(traits)
        self.known |= self.traits
        self.generation += 1

    def request(self, method, path, *, microversion, body=None):
        sent = Sent(method, path, microversion, body)
        self.sent.append(sent)
        instead = self.before(sent) if self.before else None
        if isinstance(instead, Exception):
            raise instead
        return instead or self._serve(sent)

    @property
    def methods(self) -> list[str]:
        """The methods of all requests, in their order."""
        return [sent.method for sent in self.sent]

    def _serve(self, sent: Sent) -> client.Response:
        url = urllib.parse.urlsplit(sent.path)
        query = urllib.parse.parse_qs(url.query)
        steps = url.path.strip('/').split('/')
        if steps == ['resource_providers']:
            (name,) = query['name']
            found = self.exists and name == self.NAME
            listed = [self._provider()] if found else []
            if name in self.others:
                other = {'name': name, 'uuid': self.others[name]}
                listed.append({**self._provider(), **other})
            return answer(value={'resource_providers': listed})
        if steps[0] == 'traits':
            return self._serve_names(sent, steps[1:])
        if not self.exists or steps[1] != self.UUID:
            return problem(404, f'No resource provider with uuid {steps[1]}')
        if steps[2:] == []:
            return answer(value=self._provider())
        if sent.method == 'GET':
            return self._set()
        return self._replace(sent.body)

    def _serve_names(self, sent: Sent, steps: list[str]) -> client.Response:
        if sent.method == 'PUT':
            status = 204 if steps[0] in self.known else 201
            self.known |= {steps[0]}
            return answer(status)
        return answer(value={'traits': sorted(self.known)})

    def _replace(self, body) -> client.Response:
        if body['resource_provider_generation'] != self.generation:
            return problem(409, code='placement.concurrent_update')
        unknown = set(body['traits']) - self.known
        if unknown:
            return problem(400, f'No such trait {", ".join(sorted(unknown))}')
        self.write(body['traits'])
        return self._set()

    def _set(self) -> client.Response:
        return answer(
            value={
                'traits': sorted(self.traits),
                'resource_provider_generation': self.generation,
            }
        )

    def _provider(self) -> dict[str, Any]:
        return {
            'uuid': self.UUID,
            'name': self.NAME,
            'generation': self.generation,
            'root_provider_uuid': self.UUID,
        }
