# SPDX-License-Identifier: Apache-2.0
"""A gate before the real Placement: counts, refuses, lets others go first."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator

import fixtures
from placement import deploy


@dataclasses.dataclass(frozen=True)
class Request:
    """What Placement was asked."""

    method: str
    path: str
    query: str


When = Callable[[Request], bool]


def anything(request: Request) -> bool:
    """Every request."""
    return True


def looks_up_holders(request: Request) -> bool:
    """Who carries a trait: the question that our scheduler filter asks."""
    return (
        request.method == 'GET'
        and request.path == '/resource_providers'
        and 'required=' in request.query
    )


def writes_traits(request: Request) -> bool:
    """A provider's trait set is about to be replaced."""
    return request.method == 'PUT' and (
        request.path.startswith('/resource_providers/')
        and request.path.endswith('/traits')
    )


class Gate:
    """WSGI middleware."""

    def __init__(self) -> None:
        self.application = None
        self.requests: list[Request] = []
        self.refused: list[Request] = []
        self._refusals: list[tuple[When, str]] = []
        self._errands: list[tuple[When, Callable[[], object]]] = []

    def __call__(self, environ, start_response):
        request = Request(
            environ['REQUEST_METHOD'],
            # wsgi-intercept leaves the path of its own url in place
            '/' + environ['PATH_INFO'].lstrip('/'),
            environ.get('QUERY_STRING', ''),
        )
        self.requests.append(request)
        self._run_errands(request)
        for when, status in self._refusals:
            if when(request):
                self.refused.append(request)
                start_response(status, [('Content-Type', 'text/plain')])
                return [b'refused by the test']
        return self.application(environ, start_response)

    def _run_errands(self, request: Request) -> None:
        due = [errand for errand in self._errands if errand[0](request)]
        for errand in due:
            self._errands.remove(errand)
            errand[1]()

    @contextlib.contextmanager
    def refusing(
        self, when: When = anything, status: str = '503 Service Unavailable'
    ) -> Iterator[None]:
        """Placement answers so many requests with an error in the block."""
        refusal = (when, status)
        self._refusals.append(refusal)
        try:
            yield
        finally:
            self._refusals.remove(refusal)

    def before(self, when: When, errand: Callable[[], object]) -> None:
        """Run something once, just before the next such request arrives.

        Two parties that race for one provider race in a known order so.
        """
        self._errands.append((when, errand))


class PlacementGate(fixtures.Fixture):
    """Puts a :class:`Gate` before every Placement loaded meanwhile."""

    def _setUp(self) -> None:
        self.gate = Gate()
        self._load = deploy.loadapp
        self.useFixture(
            fixtures.MonkeyPatch('placement.deploy.loadapp', self._gated)
        )

    def _gated(self, config):
        self.gate.application = self._load(config)
        return self.gate
