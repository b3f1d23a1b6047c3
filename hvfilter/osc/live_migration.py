# SPDX-License-Identifier: Apache-2.0
"""What stands against moving a running server to a host.

KVM checks the features of each guest that sees VMX, whether it uses them or
not; so every server is compared.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from hvfilter.model.nested_registers import Registers
from hvfilter.osc.explanation import Rejection, Result, Stage
from hvfilter.osc.fleet import Host
from hvfilter.rules import nested_move, nested_set
from hvfilter.rules.capability_state import CapabilityState

OPTION = '--live-migration'

_AT_HOME = Rejection(
    Stage.NOVA, 'the server is on this host', OPTION, 'Choose another host'
)


def known_sets(
    hosts: Iterable[Host], by_uuid: Mapping[str, Registers | None]
) -> dict[str, Registers]:
    """By uuid, of hosts with a valid report that have nested."""
    return {
        host.uuid: registers
        for host in hosts
        if (registers := by_uuid.get(host.uuid)) is not None
        and host.state_of('nested') is CapabilityState.HAS
    }


class Comparison:
    """The host that a server is on, and all others."""

    def __init__(
        self,
        hosts: Sequence[Host],
        home: str,
        by_uuid: Mapping[str, Registers | None],
    ) -> None:
        """Compare nothing yet.

        :param hosts: all of them
        :param home: the uuid of the host that the server is on
        :param by_uuid: the nested set of each provider
        """
        self._hosts = {host.uuid: host for host in hosts}
        self._home = home
        self._sets = known_sets(hosts, by_uuid)

    @property
    def note(self) -> str:
        """What could not be compared, as a sentence; '' if all could."""
        host = self._hosts.get(self._home)
        if (
            host is not None
            and host.state_of('nested') is CapabilityState.LACKS
        ):
            return ''
        if self._home not in self._sets:
            return (
                'Not counted: the VMX or SVM features of the server, since '
                'the nested set of its host is unknown.'
            )
        unknown = len(self._hosts) - len(self._sets)
        if not unknown:
            return ''
        return (
            f'The nested set of {unknown} hosts is unknown; they are not '
            'rejected for that. See "openstack hypervisor capability '
            'classes".'
        )

    def against(self, results: Iterable[Result]) -> list[Result]:
        """With the host that it is on, and hosts that lack features."""
        return [
            dataclasses.replace(
                each, against=(*each.against, *self._more(each.host))
            )
            for each in results
        ]

    def _more(self, host: Host) -> tuple[Rejection, ...]:
        if host.uuid == self._home:
            return (_AT_HOME,)
        source, target = (
            self._sets.get(uuid) for uuid in (self._home, host.uuid)
        )
        if source is None or target is None:
            return ()
        missing = nested_set.missing(target, source)
        if not missing:
            return ()
        return (
            Rejection(
                Stage.KVM,
                f'lacks {nested_move.shortened(missing)}',
                OPTION,
                'See "openstack hypervisor capability classes" for module '
                'parameters and flags, or migrate the server cold',
            ),
        )
