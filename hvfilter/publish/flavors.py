# SPDX-License-Identifier: Apache-2.0
"""Which flavors would find no host without our traits.

Source: Nova API reference, ``GET /flavors/detail`` (2.61 shows extra specs);
Nova ``nova/scheduler/utils.py`` (``trait:``, ``trait1:``, ``trait_group:``).
"""

from __future__ import annotations

import dataclasses
import json
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

from hvfilter.model.catalogue import is_own
from hvfilter.placement import client, errors

MICROVERSION = '2.61'
_PAGE = 500
_TRAIT = re.compile(r'trait[A-Za-z0-9_-]{0,64}:(?P<name>[A-Z0-9_]+)\Z')


@dataclasses.dataclass(frozen=True)
class Asking:
    """A flavor and its extra specs that are about us."""

    flavor: str
    specs: tuple[str, ...]


def asking(transport: client.Transport) -> tuple[Asking, ...]:
    """The flavors that name our traits or capabilities.

    :param transport: how to reach the compute API.
    :raises errors.PlacementError: it could not be told.
    """
    found = []
    for flavor in _flavors(transport):
        specs = tuple(
            f'{key}={value}'
            for key, value in sorted(flavor.get('extra_specs', {}).items())
            if is_ours(key)
        )
        if specs:
            found.append(Asking(str(flavor.get('name')), specs))
    return tuple(found)


def is_ours(key: str) -> bool:
    """Whether an extra spec is about one of our traits or capabilities."""
    match = _TRAIT.match(key)
    named = match is not None and is_own(match['name'])
    return named or key.startswith('hvfilter:')


def _flavors(transport: client.Transport) -> Iterator[Mapping[str, Any]]:
    marker = ''
    while True:
        query = {'is_public': 'None', 'limit': str(_PAGE)}
        if marker:
            query['marker'] = marker
        page = _page(transport, urllib.parse.urlencode(query))
        yield from page
        # A deployment may hand out fewer at a time than asked for, so only
        # an empty page is the last.
        last = str(page[-1].get('id')) if page else marker
        if last == marker:
            return
        marker = last


def _page(transport: client.Transport, query: str) -> list[dict[str, Any]]:
    answer = transport.request(
        'GET', f'/flavors/detail?{query}', microversion=MICROVERSION
    )
    if answer.status != 200:
        raise errors.Rejected(
            f'The compute API does not list the flavors (HTTP '
            f'{answer.status})',
            'Use credentials of an administrator, or force it.',
        )
    try:
        listed = json.loads(answer.body)['flavors']
        if all(
            isinstance(each, dict) and isinstance(each['extra_specs'], dict)
            for each in listed
        ):
            return list(listed)
    except (ValueError, KeyError, TypeError):
        pass
    raise errors.BadAnswer(
        'The compute API answers something else than a list of flavors',
        'Check its endpoint in the service catalogue.',
    )
