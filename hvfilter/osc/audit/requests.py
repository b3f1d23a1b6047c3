# SPDX-License-Identifier: Apache-2.0
"""Flavors, images and aggregates whose words nobody could follow."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping

from hvfilter.model import catalogue
from hvfilter.model.policy import Policy
from hvfilter.model.requirement import Demand
from hvfilter.osc.audit.finding import Kind, Problem, Row, row
from hvfilter.osc.audit.hosts import Hosts, RequestVerdicts
from hvfilter.osc.compute import Aggregate, Flavor
from hvfilter.osc.images import Image
from hvfilter.rules import (
    aggregate_policy,
    contradiction,
    explain,
    requests,
    spelling,
)
from hvfilter.rules.requests import GuestRequest

_TRAIT = re.compile(rf'trait:({catalogue.TRAIT_PREFIX}[A-Z0-9_]+)')
_NO_POLICY = Policy(required=())


@dataclasses.dataclass(frozen=True)
class Names:
    """hvfilter's trait names.

    :ivar known: to Placement, which refuses a request with another
    :ivar carried: by some provider
    """

    known: frozenset[str]
    carried: frozenset[str]

    def unknown_in(self, names: Iterable[str]) -> list[str]:
        """The traits of ours among extra specs or properties that Placement
        does not know, nor creates hvfilter them."""
        matches = map(_TRAIT.fullmatch, names)
        traits = {match[1] for match in matches if match}
        return sorted(traits - self.known)


def flavors(
    listed: Iterable[Flavor], hosts: Hosts, names: Names | None
) -> Iterator[Row]:
    """At most one row for each: the first thing to change.

    :param hosts: none where they could not be read
    :param names: None, likewise
    """
    made: dict[GuestRequest, RequestVerdicts] = {}
    for flavor in listed:
        if not flavor.specs_shown:
            continue
        guest_request = GuestRequest.of(dict(flavor.specs))
        found = _contradiction(flavor, guest_request)
        if found is None and names is not None:
            found = _unknown(flavor, names)
        if found is None and len(hosts):
            if _is_for_emulation(guest_request):
                # With other images the policy for KVM guests contradicts it.
                guest_request = dataclasses.replace(
                    guest_request, img_hv_type='qemu'
                )
            request = made.setdefault(
                guest_request, RequestVerdicts(guest_request, hosts)
            )
            found = _impossible(flavor, request, len(hosts))
        if found is not None:
            yield found


def _contradiction(flavor: Flavor, guest_request: GuestRequest) -> Row | None:
    requirements = requests.requirements(guest_request, _NO_POLICY)
    clauses = contradiction.contradictions(requirements)
    if not clauses:
        return None
    return row(
        Kind.FLAVOR,
        Problem.CONTRADICTION,
        flavor.name,
        '; '.join(clauses),
        f'Change it with "openstack flavor capability unset {flavor.name}".',
        uuid=flavor.id,
    )


def _unknown(flavor: Flavor, names: Names) -> Row | None:
    unknown = names.unknown_in(flavor.specs)
    if not unknown:
        return None
    return row(
        Kind.FLAVOR,
        Problem.UNKNOWN_NAME,
        flavor.name,
        f'Placement does not know {", ".join(unknown)}, so it finds no host',
        _NAME_REMEDY,
        uuid=flavor.id,
    )


_NAME_REMEDY = (
    'Correct the name; if it is one of this release of hvfilter, run '
    '"hvfilter prepare".'
)


def _is_for_emulation(guest_request: GuestRequest) -> bool:
    requirements = requests.requirements(guest_request, _NO_POLICY)
    return any(
        item.capability == 'tcg'
        for item in requirements.wanting(Demand.REQUIRED)
    )


def _impossible(
    flavor: Flavor, request: RequestVerdicts, total: int
) -> Row | None:
    if request.accepting:
        return None
    return row(
        Kind.FLAVOR,
        Problem.NO_HOST,
        flavor.name,
        explain.line(request.rejected(), total),
        'Change the flavor or the hosts; see "openstack flavor capability '
        f'show {flavor.name}".',
        uuid=flavor.id,
    )


def images(listed: Iterable[Image], names: Names) -> Iterator[Row]:
    """Properties that name what is not known, or have no effect."""
    for image in listed:
        unknown = names.unknown_in(image.properties)
        if unknown:
            yield row(
                Kind.IMAGE,
                Problem.UNKNOWN_NAME,
                image.name,
                f'Placement does not know {", ".join(unknown)}, so it finds '
                'no host',
                _NAME_REMEDY,
                uuid=image.uuid,
            )
        void = [
            f'{name}={requests.shorten(value, 40)}'
            for name, value in sorted(image.properties.items())
            if spelling.resembles_own(name)
            and not (_TRAIT.fullmatch(name) and value == 'required')
        ]
        if void:
            yield row(
                Kind.IMAGE,
                Problem.NO_EFFECT,
                image.name,
                f'Nova does not read {", ".join(void)}',
                'An image can only require a capability: '
                'trait:CUSTOM_HVFILTER_<CAPABILITY>=required.',
                uuid=image.uuid,
            )


def aggregates(listed: Iterable[Aggregate], names: Names) -> Iterator[Row]:
    """Metadata that names what is not known, or has a wrong value."""
    for aggregate in listed:
        texts: list[str] = []
        aggregate_policy.values(
            aggregate.name, aggregate.metadata, {}, texts.append
        )
        unknown = names.unknown_in(aggregate.metadata)
        for problem, finding in (
            *((Problem.NO_EFFECT, text) for text in texts),
            *((Problem.NO_EFFECT, text) for text in _void(aggregate.metadata)),
            *(
                (
                    Problem.UNKNOWN_NAME,
                    f'the metadata name the trait {name}, which Placement '
                    'does not know',
                )
                for name in unknown
            ),
        ):
            yield row(
                Kind.AGGREGATE,
                problem,
                aggregate.name,
                finding,
                'Correct it with "openstack aggregate set --property" and '
                f'"openstack aggregate unset --property ... '
                f'{aggregate.name}".',
                uuid=aggregate.uuid,
            )


def _void(metadata: Mapping[str, str]) -> Iterator[str]:
    """Traits of ours in metadata that isolate nothing: Nova reads
    ``trait:NAME=required`` only."""
    for name, value in sorted(metadata.items()):
        if aggregate_policy.concerns_hvfilter(
            name
        ) or not spelling.resembles_own(name):
            continue
        if not (_TRAIT.fullmatch(name) and value == 'required'):
            yield (
                f'Nova does not read the metadata '
                f'{requests.shorten(f"{name}={value}", 80)}'
            )
