# SPDX-License-Identifier: Apache-2.0
"""The images of a cloud, as far as their properties matter here.

Source: Glance API reference, ``GET /v2/images``.
"""

from __future__ import annotations

import dataclasses
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

from hvfilter.osc.compute import text
from hvfilter.placement import client, errors, listing
from hvfilter.rules import image

_PAGE = 1000
"""Glance's api_limit_max."""


@dataclasses.dataclass(frozen=True)
class Image:
    """An image.

    :ivar properties: those that :func:`hvfilter.rules.image.matters` names
    """

    uuid: str
    name: str
    properties: Mapping[str, str]


def images(transport: client.Transport) -> Iterator[Image]:
    """All images that this user may see, hidden ones too.

    :raises errors.PlacementError: they could not be read
    """
    # Hidden images have a separate list.
    for hidden in ('false', 'true'):
        for each in listing.pages(
            transport,
            '/v2/images',
            'images',
            {'os_hidden': hidden},
            limit=_PAGE,
        ):
            yield parsed(each)


def find(transport: client.Transport, name: str) -> Image:
    """The image of an id or else of a name, one or two requests.

    :raises errors.NotFound: there is none, or several have the name
    """
    quoted = urllib.parse.quote(name, safe='')
    answer = transport.request(
        'GET', f'/v2/images/{quoted}', microversion=listing.MICROVERSION
    )
    if answer.status == 200:
        return parsed(client.json_object(answer, f'image {name}'))
    named = [
        parsed(each)
        for each in listing.pages(
            transport, '/v2/images', 'images', {'name': name}, limit=_PAGE
        )
    ]
    if len(named) == 1:
        return named[0]
    if named:
        raise errors.NotFound(
            f'Several images are named {name!r}: '
            + ', '.join(each.uuid for each in named[:5]),
            'Give the ID of one.',
        )
    raise errors.NotFound(
        f'Glance has no image {name!r}, or this user may not see it',
        'See "openstack image list".',
    )


def parsed(item: Mapping[str, Any]) -> Image:
    """From Glance's JSON, where properties stand among the other keys."""
    return Image(
        text(item, 'id'),
        text(item, 'name'),
        {
            name: str(value)
            for name, value in item.items()
            if image.matters(name)
        },
    )
