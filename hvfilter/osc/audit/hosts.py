# SPDX-License-Identifier: Apache-2.0
"""Hosts in kinds, and requests in kinds: each pair is judged once.

Most servers ask the same and most hosts are alike, so that a hundred thousand
servers on ten thousand hosts come down to some hundred verdicts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hvfilter.model.requirement import Requirements
from hvfilter.model.verdict import Verdict
from hvfilter.osc.fleet import Host
from hvfilter.osc.policies import Policies
from hvfilter.osc.verdicts import Judge
from hvfilter.rules.requests import GuestRequest

_Kind = tuple[Any, ...]


class Hosts:
    """The hosts of a fleet.

    :ivar policies: under which they are judged
    :ivar kinds: one host of each kind that the filter distinguishes
    """

    def __init__(self, hosts: Iterable[Host], policies: Policies) -> None:
        self.policies = policies
        first: dict[_Kind, Host] = {}
        self._kind: dict[str, Host] = {}
        self._members: dict[str, list[Host]] = {}
        self._by_node: dict[str, Host] = {}
        self._by_service: dict[str, list[Host]] = {}
        for host in hosts:
            kind = first.setdefault(self._alike(host), host)
            self._kind[host.uuid] = kind
            self._members.setdefault(kind.uuid, []).append(host)
            self._by_node.setdefault(host.name, host)
            self._by_service.setdefault(service(host), []).append(host)
        self.kinds: Sequence[Host] = tuple(first.values())

    def __len__(self) -> int:
        return len(self._kind)

    def _alike(self, host: Host) -> _Kind:
        return (
            host.names,
            host.known.expired,
            host.facts,
            self.policies.under(host.aggregates),
        )

    def kind(self, host: Host) -> Host:
        """The host that stands for all like this one."""
        return self._kind[host.uuid]

    def members(self, kind: Host) -> Sequence[Host]:
        """All hosts of a kind."""
        return self._members[kind.uuid]

    def of(self, service_host: str, node: str) -> Host | None:
        """Where a server is; None: Nova lists no such hypervisor.

        :param service_host: the name of its nova-compute
        :param node: the hypervisor's host name
        """
        if node in self._by_node:
            return self._by_node[node]
        found = self._by_service.get(service_host, ())
        return found[0] if len(found) == 1 else None


def service(host: Host) -> str:
    """The name of its nova-compute, where that is known."""
    return '' if host.hypervisor is None else host.hypervisor.host


class RequestVerdicts:
    """What servers of one kind ask, and the verdicts on all kinds of hosts."""

    def __init__(self, guest_request: GuestRequest, hosts: Hosts) -> None:
        self.guest_request = guest_request
        self._judge = Judge(guest_request, hosts.policies)
        self._hosts = hosts
        self._verdicts: dict[str, Verdict] = {}
        self._accepting: list[Host] | None = None

    @property
    def requirements(self) -> Requirements:
        """What is asked under the policy of nova.conf."""
        return self._judge.requirements(self._hosts.policies.base)

    def verdict(self, host: Host) -> Verdict:
        """That on a host."""
        kind = self._hosts.kind(host)
        found = self._verdicts.get(kind.uuid)
        if found is None:
            found = self._verdicts[kind.uuid] = self._judge.verdict(kind)
        return found

    @property
    def accepting(self) -> Sequence[Host]:
        """The kinds of hosts that are accepted."""
        if self._accepting is None:
            self._accepting = [
                kind
                for kind in self._hosts.kinds
                if self.verdict(kind).accepted
            ]
        return self._accepting

    def rejected(self) -> dict[Verdict, list[str]]:
        """The names of the hosts that are rejected, by verdict."""
        found: dict[Verdict, list[str]] = {}
        for kind in self._hosts.kinds:
            verdict = self.verdict(kind)
            if not verdict.accepted:
                found.setdefault(verdict, []).extend(
                    host.name for host in self._hosts.members(kind)
                )
        return found
