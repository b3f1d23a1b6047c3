# SPDX-License-Identifier: Apache-2.0
"""Where misplaced servers could go, as commands that somebody may run.

Nova checks each move again: with a host that is named in the request,
nova-scheduler still runs its filters (live migration from microversion 2.30,
cold migration from 2.56).
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterable, Iterator, Sequence

from hvfilter.osc.audit.free_resources import FreeResources
from hvfilter.osc.audit.hosts import Hosts, service
from hvfilter.osc.audit.servers import Misplaced
from hvfilter.osc.fleet import Host
from hvfilter.rules import (
    encryption,
    flavor_resources,
    nested_move,
    nested_set,
    requests,
)
from hvfilter.rules.nested_move import Fit

COLUMNS = ('Server', 'Name', 'From', 'To', 'How', 'Command', 'Note')

NOT_COUNTED = (
    'Not counted: affinity (server groups), NUMA, PCI devices, shared disks, '
    'processor models, cells. Nova checks each move again; '
    'nothing was executed.'
)

_LIVE = (
    'openstack --os-compute-api-version 2.30 server migrate --live-migration'
)
_COLD = 'openstack --os-compute-api-version 2.56 server migrate'
_RUNNING = frozenset({'ACTIVE', 'PAUSED'})
_STOPPED = 'SHUTOFF'


@dataclasses.dataclass(frozen=True)
class Move:
    """One server's way.

    :ivar target: None: there is none, or the server cannot move now
    :ivar live: it goes on running while it moves
    :ivar note: what a person should know
    """

    misplaced: Misplaced
    target: Host | None
    live: bool = False
    note: str = ''

    @property
    def command(self) -> str:
        """A line for a shell; '' where there is none."""
        if self.target is None:
            return ''
        host = shlex.quote(service(self.target))
        uuid = self.misplaced.server.uuid
        if self.live:
            return f'{_LIVE} --host {host} --wait {uuid}'
        return (
            f'{_COLD} --host {host} --wait {uuid} && '
            f'openstack server migration confirm {uuid}'
        )

    @property
    def row(self) -> tuple[str, ...]:
        """In the order of :data:`COLUMNS`."""
        server = self.misplaced.server
        how = '' if self.target is None else 'live' if self.live else 'cold'
        return (
            server.uuid,
            server.name,
            self.misplaced.source.name,
            '' if self.target is None else self.target.name,
            how,
            self.command,
            self.note,
        )

    @property
    def line(self) -> str:
        """For a script: the command, or a comment that says why not."""
        server, source = self.misplaced.server, self.misplaced.source
        name = requests.shorten(server.name)
        if self.target is None:
            return f'# {server.uuid} ({name}) on {source.name}: {self.note}'
        note = f'; {self.note}' if self.note else ''
        return f'{self.command}  # {name}, from {source.name}{note}'


class Planner:
    """Chooses targets one after another, with what is left on each."""

    def __init__(self, hosts: Hosts, free: FreeResources) -> None:
        self._hosts = hosts
        self._free = free
        self._queues: dict[tuple[object, ...], list[Host]] = {}

    def moves(self, misplaced: Iterable[Misplaced]) -> Iterator[Move]:
        """One for each, the largest server first."""
        for each in sorted(
            misplaced,
            key=lambda each: (
                -each.flavor.ram_mb,
                -each.flavor.vcpus,
                each.server.uuid,
            ),
        ):
            yield self._move(each)

    def _move(self, each: Misplaced) -> Move:
        status = each.server.status
        if status != _STOPPED and status not in _RUNNING:
            return Move(each, None, note=f'a server in {status} cannot move')
        request = resources(each)
        for kinds in _kinds(each):
            target = self._target(each, kinds, request)
            if target is not None:
                live, note = _way(each, target)
                return Move(each, target, live, note)
        return Move(each, None, note='no host that takes it has room')

    def _target(
        self,
        each: Misplaced,
        kinds: Sequence[Host],
        request: flavor_resources.ResourceRequest,
    ) -> Host | None:
        zone = each.server.pinned
        if zone is None:
            # Nova does not say if the server may leave its zone.
            zone = each.server.zone
        for kind in kinds:
            queue = self._queue(kind, zone, request)
            while queue:
                if self._free.take(queue[-1].uuid, request):
                    return queue[-1]
                # What is left only becomes less.
                queue.pop()
        return None

    def _queue(
        self, kind: Host, zone: str, request: flavor_resources.ResourceRequest
    ) -> list[Host]:
        """Hosts that may still have room, the emptiest last."""
        key = (
            kind.uuid,
            zone,
            request.required,
            request.forbidden,
            tuple(sorted(request.resources.items())),
        )
        if key not in self._queues:
            self._queues[key] = sorted(
                (
                    host
                    for host in self._hosts.members(kind)
                    if _usable(host)
                    and (not zone or host.zone == zone)
                    and self._free.suits(host.uuid, request)
                ),
                key=lambda host: (self._free.memory(host.uuid), host.name),
            )
        return self._queues[key]


def resources(each: Misplaced) -> flavor_resources.ResourceRequest:
    """What Nova will ask Placement for on behalf of a server."""
    flavor = each.flavor
    # A root disk on a volume takes nothing of the host.
    root_gb = flavor.disk_gb if each.server.image else 0
    return flavor_resources.request(
        flavor.vcpus,
        flavor.ram_mb,
        flavor_resources.disk(root_gb, flavor.ephemeral_gb, flavor.swap_mb),
        flavor.specs,
    )


def processors(misplaced: Iterable[Misplaced]) -> frozenset[str]:
    """The classes of processors that these servers take."""
    return frozenset(
        name
        for each in misplaced
        for name in resources(each).resources
        if name in ('VCPU', 'PCPU')
    )


def _usable(host: Host) -> bool:
    nova = host.hypervisor
    return nova is not None and nova.up and nova.enabled


def _processor(host: Host) -> tuple[str, str]:
    facts = host.facts
    return ('', '') if facts is None else (facts.machine, facts.vendor)


def _kinds(each: Misplaced) -> tuple[list[Host], list[Host]]:
    """Kinds of hosts to which it can move live, and the others."""
    live: list[Host] = []
    cold: list[Host] = []
    for kind in each.request.accepting:
        (cold if _barrier(each, kind) else live).append(kind)
    live.sort(key=lambda kind: -_nested_fit(each, kind).value)
    return live, cold


def _barrier(each: Misplaced, target: Host) -> str:
    """Why it cannot run on while it moves there, '' if nothing is known."""
    if _processor(target) != _processor(each.source):
        return 'the processors are of another make'
    if _nested_fit(each, target) is Fit.LACKS:
        return 'nested guests would lack processor features there'
    asked = {item.capability for item in each.request.requirements.items}
    if asked.intersection(encryption.CAPABILITY_OF_MODEL.values()):
        return 'its memory is encrypted'
    return ''


def _nested_fit(each: Misplaced, target: Host) -> Fit:
    """Whether a guest with nested guests finds there what it has here."""
    if not nested_move.requests_nested(each.request.requirements):
        return Fit.UNKNOWN
    return nested_move.fit(
        nested_set.of_traits(target.names),
        nested_set.of_traits(each.source.names),
    )


def _way(each: Misplaced, target: Host) -> tuple[bool, str]:
    """Whether it can move while it runs, and why not."""
    if each.server.status == _STOPPED:
        return False, ''
    barrier = _barrier(each, target)
    return not barrier, f'it stops: {barrier}' if barrier else ''
