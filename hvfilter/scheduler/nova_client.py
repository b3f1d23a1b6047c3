# SPDX-License-Identifier: Apache-2.0
"""Placement through nova-scheduler's own client of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from keystoneauth1 import adapter as ksa_adapter
from nova import context as nova_context
from nova import exception, objects
from nova.scheduler.client import report

from hvfilter.model import catalogue
from hvfilter.model.week import Week
from hvfilter.placement import client, errors, expired, keystone, time_limit

_SHORTEST_TIMEOUT_S = 0.1

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
    ) -> client.Response:
        """See :meth:`hvfilter.placement.client.Transport.request`."""
        if method != 'GET' or body is not None:
            raise ValueError('nova-scheduler reads from Placement only')
        with keystone.translate_errors():
            try:
                response = _get(path, microversion)
            except OSError as error:
                # requests' own exceptions are of this kind.
                raise errors.Unreachable(
                    f'No answer came from Placement: {error}',
                    'See [placement] in nova.conf.',
                ) from None
        return keystone.response_of(response)


def _get(path: str, microversion: str) -> Any:
    """Nova's own request, which waits for ever unless it is given a limit.

    Nova's client has no parameter for that, so its adapter is used where it
    is what it is known to be: ``SchedulerReportClient.get`` does no more.
    """
    nova = report.report_client_singleton()
    left_s = time_limit.left_s()
    adapter = getattr(nova, '_client', None)
    if (
        left_s is None
        or not isinstance(adapter, ksa_adapter.Adapter)
        or not _hands_on_to_adapter(type(nova).get)
    ):
        return nova.get(path, version=microversion)
    return adapter.get(
        path,
        microversion=microversion,
        timeout=max(left_s, _SHORTEST_TIMEOUT_S),
        # Each attempt has the time of all.
        connect_retries=0,
    )


def _hands_on_to_adapter(get: Any) -> bool:
    """Whether a method still is Nova's, which calls ``self._client.get``."""
    code = getattr(get, '__code__', None)
    return code is not None and '_client' in code.co_names


def providers_with_trait(trait: str) -> frozenset[str]:
    """The uuids of the providers that carry a trait themselves.

    :raises hvfilter.placement.errors.PlacementError: Placement did not answer
    """
    return client.PlacementClient(NovaTransport()).uuids_with(trait)


def carried_traits() -> frozenset[str]:
    """Which of our trait names any provider carries.

    :raises hvfilter.placement.errors.PlacementError: Placement did not answer
    """
    placement = client.PlacementClient(NovaTransport())
    return placement.traits_known(catalogue.TRAIT_PREFIX, carried=True)


def known_traits() -> frozenset[str]:
    """Which of our trait names Placement knows.

    :raises hvfilter.placement.errors.PlacementError: Placement did not answer
    """
    placement = client.PlacementClient(NovaTransport())
    return placement.traits_known(catalogue.TRAIT_PREFIX)


def node_of(host: str) -> str | None:
    """The uuid of the compute node of a nova-compute, in any cell.

    Read from the database, as nova-conductor does. None if there is none, or
    if it has several, as with Ironic.
    """
    context = nova_context.get_admin_context()
    try:
        mapping = objects.HostMapping.get_by_host(context, host)
        with nova_context.target_cell(context, mapping.cell_mapping) as cell:
            nodes = objects.ComputeNodeList.get_all_by_host(cell, host)
    except exception.NotFound:
        return None
    return str(nodes[0].uuid) if len(nodes) == 1 else None


def expired_reports(max_age_weeks: int) -> expired.Expired:
    """The providers whose last report is older than so many weeks.

    :raises hvfilter.placement.errors.PlacementError: Placement did not answer
    """
    placement = client.PlacementClient(NovaTransport())
    return expired.reports(placement, Week.at(time.time()), max_age_weeks)
