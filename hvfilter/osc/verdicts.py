# SPDX-License-Identifier: Apache-2.0
"""Verdicts of HardwareVirtFilter on the hosts of a fleet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from hvfilter.model.policy import Policy
from hvfilter.model.requirement import Requirements
from hvfilter.model.verdict import Verdict
from hvfilter.osc.compute import Aggregate
from hvfilter.osc.fleet import Host
from hvfilter.rules import capability_state, requests
from hvfilter.rules.judge import judge


class PolicyOf(Protocol):
    """The policy for each host."""

    def under(self, aggregates: Sequence[Aggregate]) -> Policy:
        """See :meth:`hvfilter.osc.policies.Policies.under`."""


class Judge:
    """Judges hosts for one request, by the functions that the filter runs.

    Hosts of the same kind under the same policy share one verdict.
    """

    def __init__(
        self, request: requests.GuestRequest, policies: PolicyOf
    ) -> None:
        """Judge nothing yet.

        :param request: what flavor and image request
        """
        self._request = request
        self._policies = policies
        self._requirements: dict[Policy, Requirements] = {}
        self._verdicts: dict[tuple[Any, ...], Verdict] = {}

    def policy(self, host: Host) -> Policy:
        """That of nova.conf, as the host's aggregates change it."""
        return self._policies.under(host.aggregates)

    def requirements(self, policy: Policy) -> Requirements:
        """What is required of a host under this policy."""
        if policy not in self._requirements:
            self._requirements[policy] = requests.requirements(
                self._request, policy
            )
        return self._requirements[policy]

    def verdict(self, host: Host) -> Verdict:
        """Whether the filter accepts a host, and every reason if not."""
        policy = self.policy(host)
        kind = host.names, host.known.expired, host.facts, policy
        if kind not in self._verdicts:
            known = capability_state.advertised(*kind)
            self._verdicts[kind] = judge(
                self.requirements(policy), known, policy
            )
        return self._verdicts[kind]
