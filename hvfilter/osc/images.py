# SPDX-License-Identifier: Apache-2.0
"""The images of a cloud, as far as their properties matter here.

Source: Glance API reference, ``GET /v2/images``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from hvfilter.osc.compute import text
from hvfilter.placement import client, listing
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
