# SPDX-License-Identifier: Apache-2.0
"""One host of which there are several partial recordings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from hvfilter.host.base import NOT_RECORDED, UNKNOWN, Denied, Host
from hvfilter.host.facts import Machine
from hvfilter.host.question import Question

FactT = TypeVar('FactT')


class LayeredHost(Host):
    """Each fact comes from the first recording that holds it.

    A denial is held like any fact; only what was not recorded is looked for
    in the next. What none holds, the first does not hold: it is the fullest.

    :param hosts: at least one
    """

    def __init__(self, hosts: Sequence[Host]) -> None:
        self._hosts = tuple(hosts)
        self.origin = ' and '.join(host.origin for host in hosts)

    def machine(self) -> Machine:
        """Architecture and kernel, each from the first that knows it."""
        machines = [host.machine() for host in self._hosts]
        archs = [one.arch for one in machines if one.arch != UNKNOWN]
        kernels = [one.kernel for one in machines if one.kernel != UNKNOWN]
        return Machine(
            next(iter(archs), UNKNOWN), next(iter(kernels), UNKNOWN)
        )

    def ask(self, question: Question[FactT]) -> FactT:
        not_held: list[Denied] = []
        for host in self._hosts:
            try:
                return host.ask(question)
            except Denied as denied:
                if denied.error != NOT_RECORDED:
                    raise
                not_held.append(denied)
        raise not_held[0]
