# SPDX-License-Identifier: Apache-2.0
"""From what a flavor, an image and the policy say to Requirements."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping

from hvfilter.model import catalogue
from hvfilter.model.policy import Policy
from hvfilter.model.requirement import (
    Asker,
    Demand,
    Misfit,
    Requirement,
    Requirements,
)

SCOPE = 'hvfilter'
_TRAIT_DEMANDS = {
    'required': Demand.REQUIRED,
    'forbidden': Demand.FORBIDDEN,
}
_LONGEST_WORDS = 120


@dataclasses.dataclass(frozen=True)
class Asked:
    """The parts of a request that can matter here.

    :ivar extra_specs: the flavor's
    :ivar image_traits: trait name to 'required' or 'forbidden', of the image
    :ivar img_hv_type: the image property, None when it is not set
    """

    extra_specs: Mapping[str, str] = dataclasses.field(default_factory=dict)
    image_traits: Mapping[str, str] = dataclasses.field(default_factory=dict)
    img_hv_type: str | None = None


def requirements(asked: Asked, policy: Policy) -> Requirements:
    """All that one guest asks, in the order flavor, image, policy.

    The policy's default is for KVM guests: an image that names another
    hypervisor type is left alone, and a default never contradicts what the
    flavor or the image says of the same capability in so many words.
    """
    parts = [*_flavor(asked.extra_specs), *_image(asked)]
    items = tuple(dict.fromkeys(p for p in parts if isinstance(p, Requirement)))
    misfits = tuple(p for p in parts if isinstance(p, Misfit))
    if is_kvm(asked.img_hv_type):
        hard = {i.capability for i in items if i.demand is not Demand.PREFERRED}
        items += tuple(_defaults(policy, hard))
    return Requirements(items, misfits)


def image_requirements(asked: Asked) -> Requirements:
    """What the image alone asks: all that a rebuild can change."""
    parts = tuple(_image(asked))
    return Requirements(
        tuple(dict.fromkeys(p for p in parts if isinstance(p, Requirement))),
        tuple(p for p in parts if isinstance(p, Misfit)),
    )


def is_kvm(img_hv_type: str | None) -> bool:
    """Whether an image may become a KVM guest: 'kvm', or not said."""
    return img_hv_type is None or img_hv_type.strip().lower() in ('', 'kvm')


def _flavor(specs: Mapping[str, str]) -> Iterator[Requirement | Misfit]:
    for name, value in sorted(specs.items()):
        scope, _, rest = name.partition(':')
        words = shorten(f'{name}={value}')
        if scope == SCOPE:
            yield _own_spec(rest, str(value), words)
        elif scope == 'trait':
            yield from _trait(rest, str(value), Asker.FLAVOR, words)
        elif scope.startswith('trait') and rest in catalogue.OWN_TRAITS:
            # Granular groups (trait1:, trait_NAME:) mean nested providers,
            # which never carry our traits: Placement alone decides them.
            continue


def _own_spec(key: str, value: str, words: str) -> Requirement | Misfit:
    if key not in catalogue.BY_KEY:
        known = ', '.join(catalogue.BY_KEY)
        problem = f'no such capability; known are: {known}'
        return Misfit(Asker.FLAVOR, words, problem)
    try:
        demand = Demand(value.strip().lower())
    except ValueError:
        values = ', '.join(d.value for d in Demand)
        return Misfit(Asker.FLAVOR, words, f'the value must be one of {values}')
    return Requirement(key, demand, Asker.FLAVOR, words)


def _trait(
    trait: str, value: str, asker: Asker, words: str
) -> Iterator[Requirement | Misfit]:
    """Ours only; Placement alone decides the other traits."""
    if not trait.startswith(catalogue.TRAIT_PREFIX):
        return
    if trait == catalogue.REPORTED_TRAIT:
        # Placement enforces the marker itself; it is no capability.
        return
    if trait not in catalogue.BY_TRAIT:
        yield Misfit(asker, words, 'hvfilter publishes no such trait')
        return
    demand = _TRAIT_DEMANDS.get(value.strip().lower())
    if demand is None:
        yield Misfit(asker, words, 'the value must be required or forbidden')
        return
    yield Requirement(catalogue.BY_TRAIT[trait].key, demand, asker, words)


def _image(asked: Asked) -> Iterator[Requirement | Misfit]:
    for trait, value in sorted(asked.image_traits.items()):
        words = shorten(f'trait:{trait}={value}')
        yield from _trait(trait, value, Asker.IMAGE, words)
    hv_type = asked.img_hv_type
    if hv_type is not None and hv_type.strip().lower() == 'kvm':
        words = f'img_hv_type={hv_type}'
        yield Requirement('kvm', Demand.REQUIRED, Asker.IMAGE, words)


def _defaults(policy: Policy, said: Collection[str]) -> Iterator[Requirement]:
    for key in policy.required:
        if key not in said:
            yield Requirement(
                key,
                Demand.REQUIRED,
                Asker.POLICY,
                f'[hvfilter] required = {key}',
            )


def shorten(words: str) -> str:
    """Printable and of bounded length: a tenant may have written it."""
    printable = ''.join(c if c.isprintable() else '?' for c in words)
    if len(printable) <= _LONGEST_WORDS:
        return printable
    return printable[: _LONGEST_WORDS - 3] + '...'
