# SPDX-License-Identifier: Apache-2.0
"""The servers of a cloud, page by page.

Source: Nova API reference, ``GET /servers/detail``: 2.98 shows the image
properties that Nova kept (those it knows by name, so no traits), 2.69 the
servers of cells that do not answer, 2.47 the flavor as Nova copied it.
"""

from __future__ import annotations

import dataclasses
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

from hvfilter.osc.compute import Flavor, embedded_flavor, text
from hvfilter.placement import client, errors, listing

MICROVERSIONS = ('2.98', '2.69', '2.47')
"""The latest that Nova serves is used."""

_PAGE = 1000
"""Nova's [api] max_limit."""

_EXTENDED = 'OS-EXT-SRV-ATTR:'


@dataclasses.dataclass(frozen=True)
class Server:
    """A server.

    :ivar host: the name of its nova-compute; '' if it is on none, or this
        user may not see it
    :ivar node: the hypervisor's host name, likewise
    :ivar zone: its availability zone
    :ivar pinned: the zone it was created for, '' if it may leave its zone;
        None where Nova does not show that (before 2.96)
    :ivar flavor: as it was when the server was created or resized; None:
        its cell does not answer
    :ivar image: the id of its image; '' if it boots from a volume
    :ivar properties: of its image, as Nova kept them; None: not shown
    """

    uuid: str
    name: str
    status: str
    host: str
    node: str
    zone: str
    pinned: str | None
    flavor: Flavor | None
    image: str
    properties: Mapping[str, str] | None = None


def servers(transport: client.Transport) -> Iterator[Server]:
    """All servers of all projects, one request for each thousand.

    Needs ``os_compute_api:servers:detail:get_all_tenants`` (admin).

    :raises errors.PlacementError: they could not be read; ``Forbidden`` if
        this user may not.
    """
    *newer, oldest = MICROVERSIONS
    for version in newer:
        try:
            yield from _pages(transport, version)
        except errors.TooOld:
            continue
        return
    yield from _pages(transport, oldest)


def find(transport: client.Transport, name: str) -> Server:
    """The server of an id or else of a name.

    Two or three requests; this user's own servers where he may not list those
    of other projects.

    :raises errors.NotFound: there is none, or several have the name
    """
    path = f'/servers/{urllib.parse.quote(name, safe="")}'
    for version in MICROVERSIONS:
        answer = transport.request('GET', path, microversion=version)
        if answer.status == 200:
            found = client.json_object(answer, f'server {name}').get('server')
            return _server(found if isinstance(found, dict) else {})
        if answer.status != 406:
            break
    # Nova takes the name for a regular expression of its database.
    pattern = '^' + re.sub(r'([^A-Za-z0-9_ ])', r'\\\1', name) + '$'
    listed = _named(transport, pattern)
    ids = [str(each.get('id')) for each in listed if each.get('name') == name]
    if len(ids) == 1:
        return find(transport, ids[0])
    if ids:
        raise errors.NotFound(
            f'Several servers are named {name!r}: {", ".join(ids[:5])}',
            'Give the ID of one.',
        )
    raise errors.NotFound(
        f'Nova has no server {name!r}, or this user may not see it',
        'See "openstack server list --all-projects".',
    )


def _named(transport: client.Transport, pattern: str) -> list[dict[str, Any]]:
    for scope in ({'all_tenants': '1'}, {}):
        query = urllib.parse.urlencode({'name': pattern, **scope})
        try:
            return listing.items(
                transport,
                f'/servers?{query}',
                'servers',
                microversion=MICROVERSIONS[-1],
            )
        except errors.Forbidden:
            continue
    return []


def _pages(transport: client.Transport, version: str) -> Iterator[Server]:
    for each in listing.pages(
        transport,
        '/servers/detail',
        'servers',
        {'all_tenants': '1'},
        microversion=version,
        limit=_PAGE,
    ):
        yield _server(each)


def _server(item: Mapping[str, Any]) -> Server:
    image = item.get('image')
    image = image if isinstance(image, dict) else {}
    properties = image.get('properties')
    flavor = item.get('flavor')
    pinned: str | None = None
    if 'pinned_availability_zone' in item:
        pinned = text(item, 'pinned_availability_zone')
    return Server(
        text(item, 'id'),
        text(item, 'name'),
        text(item, 'status'),
        text(item, f'{_EXTENDED}host'),
        text(item, f'{_EXTENDED}hypervisor_hostname'),
        text(item, 'OS-EXT-AZ:availability_zone'),
        pinned,
        embedded_flavor(flavor) if isinstance(flavor, dict) else None,
        text(image, 'id'),
        {str(key): str(value) for key, value in properties.items()}
        if isinstance(properties, dict)
        else None,
    )
