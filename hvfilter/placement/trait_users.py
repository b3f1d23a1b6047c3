# SPDX-License-Identifier: Apache-2.0
"""Who in a cloud still names our traits: they would find no host without.

Placement finds no host for a request with a trait name that it does not know,
even where the name is forbidden. A flavor is copied into each server made
from it and used again when the server is moved; taking the extra spec off
the flavor does not change the servers.

Source: Nova API reference (``GET /servers/detail``, 2.47 shows the embedded
flavor; ``GET /os-aggregates``); Glance API reference (``GET /v2/images``);
Nova ``nova/scheduler/request_filter.py``, ``isolate_aggregates``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from hvfilter.placement import client, errors, flavors, listing


@dataclasses.dataclass(frozen=True)
class Demand:
    """Something that names our traits or capabilities.

    :ivar who: what it is and how it is called, as in ``flavor m1.nested``
    :ivar specs: what it says, as in ``trait:CUSTOM_HVFILTER_KVM=required``
    """

    who: str
    specs: tuple[str, ...]

    def __str__(self) -> str:
        return f'{self.who}: {", ".join(self.specs)}'


@dataclasses.dataclass(frozen=True)
class Demands:
    """All who do, as far as this user may see.

    :ivar found: those that were found
    :ivar unseen: what could not be seen, and why
    """

    found: tuple[Demand, ...]
    unseen: tuple[errors.PlacementError, ...]


Connect = Callable[[str], client.Transport]
"""Takes a service type, returns the way to that service."""


def demands(connect: Connect) -> Demands:
    """Look through flavors, servers, aggregates and images.

    What this user may not see is in the result, never an error.
    """
    found: list[Demand] = []
    unseen: list[errors.PlacementError] = []
    for service, look in (
        ('compute', _flavors),
        ('compute', _servers),
        ('compute', _aggregates),
        ('image', _images),
    ):
        try:
            found.extend(look(connect(service)))
        except errors.PlacementError as error:
            unseen.append(error)
    if any(isinstance(error, errors.Forbidden) for error in unseen):
        # Nova and Glance leave these out without a word.
        unseen.append(
            errors.Forbidden(
                'Private flavors and images of other projects are not listed '
                'for this user',
                'Use credentials with the role "admin".',
            )
        )
    return Demands(tuple(found), tuple(unseen))


def _flavors(nova: client.Transport) -> Iterator[Demand]:
    for each in flavors.asking(nova):
        yield Demand(f'flavor {each.flavor}', each.specs)


def _servers(nova: client.Transport) -> Iterator[Demand]:
    for server in listing.pages(
        nova, '/servers/detail', 'servers', {'all_tenants': '1'}
    ):
        flavor = server.get('flavor')
        specs = flavors.specs_of(
            flavor if isinstance(flavor, dict) else {}, 'servers'
        )
        if specs:
            name, uuid = server.get('name'), server.get('id')
            yield Demand(f'server {name} ({uuid})', specs)


def _aggregates(nova: client.Transport) -> Iterator[Demand]:
    for each in listing.items(nova, '/os-aggregates', 'aggregates'):
        metadata = each.get('metadata')
        specs = flavors.named_in(
            metadata if isinstance(metadata, dict) else {}
        )
        if specs:
            yield Demand(f'aggregate {each.get("name")}', specs)


def _images(glance: client.Transport) -> Iterator[Demand]:
    # Hidden images are in a list of their own.
    for hidden in ('false', 'true'):
        for image in listing.pages(
            glance, '/v2/images', 'images', {'os_hidden': hidden}
        ):
            specs = flavors.named_in(image)
            if specs:
                name, uuid = image.get('name'), image.get('id')
                yield Demand(f'image {name} ({uuid})', specs)
