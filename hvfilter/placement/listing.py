# SPDX-License-Identifier: Apache-2.0
"""Read whole lists from Nova's and Glance's APIs, page by page."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

from hvfilter.placement import client, errors

MICROVERSION = '2.61'
"""Of Queens (2018): flavors with extra specs, servers with their flavor."""

_PAGE = 500


def pages(
    transport: client.Transport,
    path: str,
    key: str,
    query: Mapping[str, str],
    *,
    microversion: str = MICROVERSION,
    limit: int = _PAGE,
) -> Iterator[dict[str, Any]]:
    """All items of a list that takes ``limit`` and ``marker``.

    :param path: as in ``/flavors/detail``
    :param key: of the list in the answer, as in ``flavors``
    :param limit: how many to ask for at a time
    :raises errors.PlacementError: it cannot be read; ``Forbidden`` if this
        user may not.
    """
    marker = ''
    while True:
        parameters = {**query, 'limit': str(limit)}
        if marker:
            parameters['marker'] = marker
        encoded = urllib.parse.urlencode(parameters)
        page = items(
            transport, f'{path}?{encoded}', key, microversion=microversion
        )
        yield from page
        # The server may limit pages to fewer items than requested, so only an
        # empty page is the last.
        last = str(page[-1].get('id')) if page else marker
        if last == marker:
            return
        marker = last


def items(
    transport: client.Transport,
    path: str,
    key: str,
    *,
    microversion: str = MICROVERSION,
) -> list[dict[str, Any]]:
    """The objects of one response.

    :raises errors.PlacementError: as for :func:`pages`.
    """
    response = transport.request('GET', path, microversion=microversion)
    if response.status == 403:
        raise errors.Forbidden(
            f'This user may not list all {key} (HTTP 403)',
            'Use credentials with the role "admin"; "service" does not '
            'suffice.',
        )
    if response.status == 404:
        raise errors.NotFound(
            f'There are no {key} as asked for (HTTP 404)',
            'Check the name.',
        )
    if response.status == 406:
        raise errors.TooOld(
            f'The service does not serve microversion {microversion}, needed '
            f'for {key} (HTTP 406)',
            'Upgrade Nova.',
        )
    if response.status != 200:
        raise errors.Rejected(
            f'Cannot read the list of {key} (HTTP {response.status})',
            'Check the service in the service catalogue and its log.',
        )
    try:
        listed = json.loads(response.body)[key]
        if isinstance(listed, list) and all(
            isinstance(each, dict) for each in listed
        ):
            return listed
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise errors.BadAnswer(
        f'The response is not a list of {key}',
        'Check the endpoint of the service in the service catalogue.',
    )
