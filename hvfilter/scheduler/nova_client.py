# SPDX-License-Identifier: Apache-2.0
"""Placement through nova-scheduler's own client of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nova.scheduler.client import report

from hvfilter.model import catalogue
from hvfilter.placement import client, errors, keystone

REPORTED = catalogue.REPORTED_TRAIT


class NovaTransport:
    """A :class:`~hvfilter.placement.client.Transport` that only reads.

    nova-scheduler has credentials for Placement already; with its own client
    its connections, timeouts and TLS settings are ours too.
    """

    def request(
        self,
        method: str,
        path: str,
        *,
        microversion: str,
        body: Mapping[str, Any] | None = None,
    ) -> client.Answer:
        """See :meth:`hvfilter.placement.client.Transport.request`."""
        if method != 'GET' or body is not None:
            raise ValueError('nova-scheduler reads from Placement only')
        with keystone.spoken():
            try:
                nova = report.report_client_singleton()
                response = nova.get(path, version=microversion)
            except OSError as error:
                # requests' own exceptions are of this kind.
                raise errors.Unreachable(
                    f'No answer came from Placement: {error}',
                    'See [placement] in nova.conf.',
                ) from None
        return keystone.answer_of(response)


def holders_of(trait: str) -> frozenset[str]:
    """The uuids of the providers that carry a trait themselves.

    :raises hvfilter.placement.errors.PlacementError: they cannot be told
    """
    placement = client.PlacementClient(NovaTransport())
    providers = placement.providers_with(required=[trait])
    return frozenset(provider.uuid for provider in providers)


def known_traits() -> frozenset[str]:
    """Which of our trait names Placement knows.

    :raises hvfilter.placement.errors.PlacementError: they cannot be told
    """
    placement = client.PlacementClient(NovaTransport())
    return placement.traits_known(catalogue.TRAIT_PREFIX)
