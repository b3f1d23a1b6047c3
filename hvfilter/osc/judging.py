# SPDX-License-Identifier: Apache-2.0
"""The filter's verdicts on the hosts of a fleet.

Most servers ask the same, and most hosts are alike: each kind of request is
judged once for each kind of host, however many there are of either.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

from hvfilter.model.policy import Policy
from hvfilter.model.requirement import Requirements
from hvfilter.model.verdict import HostCapabilities, Verdict
from hvfilter.osc.fleet import Host
from hvfilter.rules import infer, requests, standing
from hvfilter.rules.judge import judge

_Kind = tuple[frozenset[str], str, infer.HostFacts | None]


class Judge:
    """Verdicts by the function that HardwareVirtFilter runs.

    Nova's API does not show all of what nova-scheduler knows of a host:
    see :attr:`hvfilter.osc.compute.Hypervisor.facts`.
    """

    def __init__(self) -> None:
        self._verdicts: dict[tuple[Requirements, Policy, _Kind], Verdict] = {}
        self._known: dict[tuple[Policy, _Kind], HostCapabilities] = {}
        self._kinds: dict[int, tuple[Host, _Kind]] = {}
        self.requirements = functools.lru_cache(maxsize=4096)(
            requests.requirements
        )

    def verdict(
        self, requirements: Requirements, policy: Policy, host: Host
    ) -> Verdict:
        """That on one host.

        :param requirements: as from :meth:`requirements`, under this policy
        """
        kind = self._kind(host)
        key = requirements, policy, kind
        found = self._verdicts.get(key)
        if found is None:
            found = judge(requirements, self._advertised(policy, kind), policy)
            self._verdicts[key] = found
        return found

    def rejected(
        self, requirements: Requirements, policy: Policy, hosts: Iterable[Host]
    ) -> dict[Verdict, list[str]]:
        """The names of the hosts that are rejected, by verdict."""
        found: dict[Verdict, list[str]] = {}
        for host in hosts:
            verdict = self.verdict(requirements, policy, host)
            if not verdict.accepted:
                found.setdefault(verdict, []).append(host.name)
        return found

    def _kind(self, host: Host) -> _Kind:
        """All of a host that matters; reading cpu_info takes a while."""
        seen = self._kinds.get(id(host))
        if seen is None:
            nova = host.hypervisor
            facts = None if nova is None else nova.facts
            # The host is kept, so its id stays its own.
            seen = host, (host.names, host.known.expired, facts)
            self._kinds[id(host)] = seen
        return seen[1]

    def _advertised(self, policy: Policy, kind: _Kind) -> HostCapabilities:
        key = policy, kind
        if key not in self._known:
            self._known[key] = standing.advertised(*kind, policy)
        return self._known[key]
