# SPDX-License-Identifier: Apache-2.0
"""Flavors, servers, aggregates and images that name hvfilter traits.

Placement finds no host for a request with an unknown trait name, even if the
name is forbidden. Nova copies a flavor into each server and uses the copy when
the server is moved; removing the extra spec from the flavor does not change
the servers.

Source: Nova API reference (``GET /servers/detail``, 2.47 shows the embedded
flavor; ``GET /os-aggregates``); Glance API reference (``GET /v2/images``);
Nova ``nova/scheduler/request_filter.py``, ``isolate_aggregates``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from hvfilter.placement import client, errors, flavors, listing


@dataclasses.dataclass(frozen=True)
class TraitUser:
    """Something that names hvfilter traits or capabilities.

    :ivar who: its kind and name, as in ``flavor m1.nested``
    :ivar specs: its extra specs or properties, as in
        ``trait:CUSTOM_HVFILTER_KVM=required``
    """

    who: str
    specs: tuple[str, ...]

    def __str__(self) -> str:
        return f'{self.who}: {", ".join(self.specs)}'


@dataclasses.dataclass(frozen=True)
class TraitUsers:
    """All of them, as far as this user may see.

    :ivar users: those that were found
    :ivar unchecked: what could not be read, and why
    """

    users: tuple[TraitUser, ...]
    unchecked: tuple[errors.PlacementError, ...]


Connect = Callable[[str], client.Transport]
"""Takes a service type, returns a transport to that service."""


def find_users(connect: Connect) -> TraitUsers:
    """Search flavors, servers, aggregates and images.

    What this user may not see is part of the result, not an error.
    """
    users: list[TraitUser] = []
    unchecked: list[errors.PlacementError] = []
    for service, read in (
        ('compute', _flavors),
        ('compute', _servers),
        ('compute', _aggregates),
        ('image', _images),
    ):
        try:
            users.extend(read(connect(service)))
        except errors.PlacementError as error:
            unchecked.append(error)
    if any(isinstance(error, errors.Forbidden) for error in unchecked):
        # Nova and Glance omit these silently.
        unchecked.append(
            errors.Forbidden(
                'Private flavors and images of other projects are not listed '
                'for this user',
                'Use credentials with the role "admin".',
            )
        )
    return TraitUsers(tuple(users), tuple(unchecked))


def _flavors(nova: client.Transport) -> Iterator[TraitUser]:
    for each in flavors.using_traits(nova):
        yield TraitUser(f'flavor {each.flavor}', each.specs)


def _servers(nova: client.Transport) -> Iterator[TraitUser]:
    for server in listing.pages(
        nova, '/servers/detail', 'servers', {'all_tenants': '1'}
    ):
        flavor = server.get('flavor')
        specs = flavors.own_specs(
            flavor if isinstance(flavor, dict) else {}, 'servers'
        )
        if specs:
            name, uuid = server.get('name'), server.get('id')
            yield TraitUser(f'server {name} ({uuid})', specs)


def _aggregates(nova: client.Transport) -> Iterator[TraitUser]:
    for each in listing.items(nova, '/os-aggregates', 'aggregates'):
        metadata = each.get('metadata')
        specs = flavors.own_properties(
            metadata if isinstance(metadata, dict) else {}
        )
        if specs:
            yield TraitUser(f'aggregate {each.get("name")}', specs)


def _images(glance: client.Transport) -> Iterator[TraitUser]:
    # Hidden images have a separate list.
    for hidden in ('false', 'true'):
        for image in listing.pages(
            glance, '/v2/images', 'images', {'os_hidden': hidden}
        ):
            specs = flavors.own_properties(image)
            if specs:
                name, uuid = image.get('name'), image.get('id')
                yield TraitUser(f'image {name} ({uuid})', specs)
