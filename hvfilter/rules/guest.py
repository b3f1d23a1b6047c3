# SPDX-License-Identifier: Apache-2.0
"""A guest that is to be placed, and the same guest with one wish fewer."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from hvfilter.rules import flavor_resources, image
from hvfilter.rules.requests import GuestRequest, shorten

_TRAIT = 'trait:'


@dataclasses.dataclass(frozen=True)
class Need:
    """One thing that Nova asks Placement for.

    :ivar words: as a person wrote it: ``trait:X=required``, ``VCPU:2``
    :ivar resource: a resource class, '' for a trait
    :ivar amount: of it
    :ivar trait: a name, '' for a resource
    :ivar forbidden: the trait must not be there
    """

    words: str
    resource: str = ''
    amount: int = 0
    trait: str = ''
    forbidden: bool = False


@dataclasses.dataclass(frozen=True)
class Guest:
    """What decides where a guest may land.

    :ivar vcpus: of the flavor, as ``memory_mb`` and ``disk_gb`` (with
        ephemeral disk and swap; 0 for a server that boots from a volume)
    :ivar specs: the flavor's extra specs
    :ivar properties: the image's, names and values as in Glance
    :ivar zone: the availability zone, '' for any
    :ivar waived: resource classes that are not asked for
    """

    vcpus: int
    memory_mb: int
    disk_gb: int
    specs: Mapping[str, str]
    properties: Mapping[str, str]
    zone: str = ''
    waived: frozenset[str] = frozenset()

    @property
    def guest_request(self) -> GuestRequest:
        """What hvfilter takes from it."""
        return image.guest_request(self.specs, self.properties)

    @property
    def request(self) -> flavor_resources.ResourceRequest:
        """What its flavor takes."""
        return flavor_resources.request(
            self.vcpus, self.memory_mb, self.disk_gb, self.specs
        )

    @property
    def needs(self) -> tuple[Need, ...]:
        """What Nova asks Placement for, as far as it is known here."""
        request = self.request
        needs = {
            Need(f'{name}:{amount}', resource=name, amount=amount): None
            for name, amount in request.resources.items()
            if name not in self.waived
        }
        for names, word in (
            (request.required, 'required'),
            (request.forbidden, 'forbidden'),
        ):
            for name in sorted(names):
                need = Need(
                    f'{_TRAIT}{name}={word}',
                    trait=name,
                    forbidden=word == 'forbidden',
                )
                needs[need] = None
        for name, value in sorted(self.properties.items()):
            # Nova keeps no forbidden trait of an image.
            if name.startswith(_TRAIT) and value == 'required':
                words = f'{name}={value}'
                needs[Need(words, trait=name[len(_TRAIT) :])] = None
        return tuple(needs)

    def with_one_requirement_fewer(self) -> Iterator[tuple[str, Guest]]:
        """Each wish of flavor, image and zone, and the guest without it."""
        for name, amount in self.request.resources.items():
            yield (
                f'{name}:{amount}',
                dataclasses.replace(self, waived=self.waived | {name}),
            )
        read = {name for name, _ in self.guest_request.extra_specs}
        for name, value in sorted(self.specs.items()):
            if name in read or name.startswith(_TRAIT):
                yield (
                    shorten(f'{name}={value}'),
                    dataclasses.replace(self, specs=_less(self.specs, name)),
                )
        for name, value in sorted(self.properties.items()):
            if image.matters(name):
                yield (
                    shorten(f'{name}={value}'),
                    dataclasses.replace(
                        self, properties=_less(self.properties, name)
                    ),
                )
        if self.zone:
            yield (
                f'availability zone {self.zone}',
                dataclasses.replace(self, zone=''),
            )


def _less(pairs: Mapping[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in pairs.items() if key != name}
