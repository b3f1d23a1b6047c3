# SPDX-License-Identifier: Apache-2.0
"""Which hosts Placement offers, and which meet each single requirement.

Placement names no reason. So it is asked for each requirement by itself, one
request each whatever the number of hosts, and once for all of them together:
that answer counts where the two differ, as with shared or nested providers.

Source: Placement API reference, ``GET /resource_providers`` (``resources``
from microversion 1.4, ``root_provider_uuid`` from 1.14, ``required`` from
1.18), ``GET /allocation_candidates``.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterable

from hvfilter.placement import capacity, client, errors
from hvfilter.rules.guest import Need

_SHARING = 'MISC_SHARES_VIA_AGGREGATE'


class PlacementStage:
    """Placement's part of scheduling; what was read is remembered.

    :ivar unknown: traits that Placement does not know: no host fits then
    """

    def __init__(self, transport: client.Transport) -> None:
        self._transport = transport
        self._with: dict[str, frozenset[str]] = {}
        self._sharing: frozenset[str] | None = None
        self._shared: set[str] = set()
        self.unknown: set[str] = set()

    def candidates(self, needs: Iterable[Need]) -> frozenset[str]:
        """The root providers that can take all of it.

        :raises errors.PlacementError: Placement did not answer
        """
        listed = tuple(needs)
        resources = {
            each.resource: each.amount for each in listed if each.resource
        }
        required = {
            each.trait for each in listed if each.trait and not each.forbidden
        }
        forbidden = {each.trait for each in listed if each.forbidden}
        if not resources or any(each.trait in self.unknown for each in listed):
            return frozenset()
        try:
            free = capacity.read(self._transport, resources, required)
        except errors.UnknownTrait:
            return frozenset()
        return frozenset(
            uuid for uuid, each in free.items() if not forbidden & each.traits
        )

    def read(self, needs: Iterable[Need]) -> None:
        """Ask Placement about each; one request for each.

        :raises errors.PlacementError: Placement did not answer
        """
        for need in needs:
            if need.words in self._with:
                continue
            if need.resource:
                query = {'resources': f'{need.resource}:{need.amount}'}
            else:
                query = {'required': need.trait}
            try:
                self._with[need.words] = self._roots(need, query)
            except errors.UnknownTrait:
                self.unknown.add(need.trait)
                self._with[need.words] = frozenset()

    def fails(self, need: Need, uuid: str) -> bool:
        """Whether a root provider does not meet a requirement.

        :param need: one that was read
        """
        if need.words in self._shared:
            # Which hosts share that provider is not known here.
            return False
        there = uuid in self._with[need.words]
        if need.forbidden:
            return there or need.trait in self.unknown
        return not there

    def _roots(self, need: Need, query: dict[str, str]) -> frozenset[str]:
        path = '/resource_providers?' + urllib.parse.urlencode(query, safe=':')
        body = client.read_json(
            self._transport, path, client.REQUIRED, need.words
        )
        found = frozenset(_root(each) for each in _listed(body, need.words))
        if need.resource and found & self._sharing_providers():
            self._shared.add(need.words)
        return found

    def _sharing_providers(self) -> frozenset[str]:
        if self._sharing is None:
            placement = client.PlacementClient(self._transport)
            try:
                self._sharing = placement.uuids_with(_SHARING)
            except errors.UnknownTrait:
                self._sharing = frozenset()
        return self._sharing


def _listed(body: dict[str, object], about: str) -> list[dict[str, object]]:
    listed = body.get('resource_providers')
    if isinstance(listed, list) and all(
        isinstance(each, dict) for each in listed
    ):
        return listed
    raise errors.BadAnswer(
        f'The response about {about} is not a list of resource providers',
        'Check the endpoint of Placement in the service catalogue.',
    )


def _root(item: dict[str, object]) -> str:
    return str(item.get('root_provider_uuid') or item.get('uuid'))
