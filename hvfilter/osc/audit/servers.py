# SPDX-License-Identifier: Apache-2.0
"""Servers that sit where they would not be put today."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hvfilter.model.verdict import Cause, Verdict
from hvfilter.osc.audit.finding import Kind, Problem, Row, row
from hvfilter.osc.audit.hosts import Hosts, RequestVerdicts
from hvfilter.osc.compute import Flavor
from hvfilter.osc.fleet import Host
from hvfilter.osc.servers import Server
from hvfilter.rules import image

_OFF_HOST = 'SHELVED_OFFLOADED'
_DOUBT = frozenset(
    {Cause.UNKNOWN, Cause.UNREPORTED, Cause.STALE, Cause.NO_KNOWLEDGE}
)
"""Causes that say nothing against a host."""


@dataclasses.dataclass(frozen=True)
class Misplaced:
    """A server that is to move.

    :ivar server: with a flavor
    :ivar source: where it is
    :ivar request: what it asks; shared by servers that ask the same
    """

    server: Server
    flavor: Flavor
    source: Host
    request: RequestVerdicts


class ServerAudit:
    """Judges servers one after another.

    :ivar misplaced: those that another host would take
    :ivar skipped: how many could not be judged
    """

    def __init__(
        self,
        hosts: Hosts,
        properties: Mapping[str, Mapping[str, str]] | None,
    ) -> None:
        """Judge nothing yet.

        :param properties: of each image by its id; None where images could
            not be read
        """
        self._hosts = hosts
        self._images = properties
        self._requests: dict[
            tuple[Any, ...], tuple[Flavor, RequestVerdicts]
        ] = {}
        self._remarks: collections.Counter[str] = collections.Counter()
        self.skipped = 0
        self.misplaced: list[Misplaced] = []

    def rows(self, servers: Iterable[Server]) -> Iterator[Row]:
        """One row for each that is not where it should be."""
        for server in servers:
            found = self._row(server)
            if found is not None:
                yield found

    @property
    def notes(self) -> list[str]:
        """Sentences about what was not judged, or not with all it asks."""
        return [
            f'{count} {"server was" if count == 1 else "servers were"} '
            f'{words}.'
            for words, count in sorted(self._remarks.items())
        ]

    def _row(self, server: Server) -> Row | None:
        flavor = server.flavor
        if flavor is None:
            self._skip('their cell does not answer')
            return None
        if not flavor.specs_shown:
            self._skip('this user may not see extra specs')
            return None
        flavor, request = self._request(server, flavor)
        if not server.host:
            off = server.status == _OFF_HOST and not request.accepting
            return self._on_no_host(server, request) if off else None
        host = self._hosts.of(server.host, server.node)
        if host is None:
            self._skip('Nova lists no hypervisor for their host')
            return None
        verdict = request.verdict(host)
        if verdict.accepted:
            return None
        if not request.accepting:
            return self._on_no_host(server, request, host, verdict)
        if {reason.cause for reason in verdict.reasons} <= _DOUBT:
            return _unverified(server, host, verdict)
        self.misplaced.append(Misplaced(server, flavor, host, request))
        return row(
            Kind.SERVER,
            Problem.MISPLACED,
            server.name,
            f'{host.name} {_clause(verdict)}',
            'Move it: --plan names a host that takes it.',
            uuid=server.uuid,
            host=host.name,
        )

    def _skip(self, why: str) -> None:
        self.skipped += 1
        self._remarks[f'not judged: {why}'] += 1

    def _on_no_host(
        self,
        server: Server,
        request: RequestVerdicts,
        host: Host | None = None,
        verdict: Verdict | None = None,
    ) -> Row:
        if host is None or verdict is None:
            finding = 'no host of the cloud could take it back'
        else:
            finding = f'{host.name} {_clause(verdict)}, and no other host '
            finding += 'could take it'
        return row(
            Kind.SERVER,
            Problem.NO_HOST,
            server.name,
            finding,
            'Resize it to another flavor, or change the hosts or the policy.',
            uuid=server.uuid,
            host='' if host is None else host.name,
        )

    def _request(
        self, server: Server, flavor: Flavor
    ) -> tuple[Flavor, RequestVerdicts]:
        """What it asks, and its flavor; one of each for all servers alike."""
        properties = self._properties(server)
        key = (
            flavor.vcpus,
            flavor.ram_mb,
            flavor.disk_gb,
            flavor.ephemeral_gb,
            flavor.swap_mb,
            tuple(sorted(flavor.specs.items())),
            tuple(sorted(properties.items())),
        )
        found = self._requests.get(key)
        if found is None:
            guest_request = image.guest_request(flavor.specs, properties)
            found = self._requests[key] = (
                flavor,
                RequestVerdicts(guest_request, self._hosts),
            )
        return found

    def _properties(self, server: Server) -> Mapping[str, str]:
        """Of its image: those that Nova kept, and the traits of today's.

        Nova does not show the traits that it kept.
        """
        if not server.image:
            self._remarks[
                'judged without image properties, since Nova does not show '
                'those of servers that boot from a volume'
            ] += 1
            return {}
        today = (self._images or {}).get(server.image)
        if today is None:
            self._remarks[
                'judged without the traits of their image, which '
                + (
                    'Glance no longer has'
                    if self._images is not None
                    else 'could not be read'
                )
            ] += 1
            today = {}
        if server.properties is None:
            return today
        kept = {
            name: value
            for name, value in server.properties.items()
            if image.matters(name)
        }
        traits = {
            name: value
            for name, value in today.items()
            if name.startswith('trait:')
        }
        return {**traits, **kept}


def _unverified(server: Server, host: Host, verdict: Verdict) -> Row:
    return row(
        Kind.SERVER,
        Problem.UNVERIFIED,
        server.name,
        f'{host.name} {_clause(verdict)}',
        'Run "hvfilter publish" on the host first, then audit again.',
        uuid=server.uuid,
        host=host.name,
    )


def _clause(verdict: Verdict) -> str:
    """As in "lacks nested (hvfilter:nested=required)"."""
    return '; '.join(map(str, verdict.reasons))
