# SPDX-License-Identifier: Apache-2.0
"""From what a flavor, an image and the policy say to Requirements."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

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
_OURS = (f'{SCOPE}:', f'trait:{catalogue.TRAIT_PREFIX}')
_TRAIT_DEMANDS = {
    'required': Demand.REQUIRED,
    'forbidden': Demand.FORBIDDEN,
}
_LONGEST_WORDS = 120


@dataclasses.dataclass(frozen=True)
class Asked:
    """The parts of a request that can matter here; see :meth:`of`.

    Requests that say the same are equal, whatever else they say, so that
    what follows from one is worth remembering.

    :ivar extra_specs: the flavor's, ours only, sorted
    :ivar image_traits: trait name and 'required' or 'forbidden', of the
        image, ours only, sorted
    :ivar img_hv_type: the image property, None when it is not set
    :ivar hw_architecture: likewise, in Nova's name
    :ivar emulated: the image has ``hw_emulation_architecture``: it is to be
        emulated, whatever the host could do
    """

    extra_specs: tuple[tuple[str, str], ...] = ()
    image_traits: tuple[tuple[str, str], ...] = ()
    img_hv_type: str | None = None
    hw_architecture: str | None = None
    emulated: bool = False

    @classmethod
    def of(
        cls,
        extra_specs: Mapping[str, str] | None = None,
        image_traits: Mapping[str, str] | None = None,
        img_hv_type: str | None = None,
        hw_architecture: str | None = None,
        emulated: bool = False,
    ) -> Asked:
        """From all that a flavor and an image say."""
        return cls(
            tuple(
                (name, str(value))
                for name, value in sorted((extra_specs or {}).items())
                if name.startswith(_OURS)
            ),
            tuple(
                (name, str(value))
                for name, value in sorted((image_traits or {}).items())
                if name.startswith(catalogue.TRAIT_PREFIX)
            ),
            img_hv_type,
            hw_architecture,
            emulated,
        )

    @property
    def explicit(self) -> bool:
        """Whether anything is said in hvfilter's own words."""
        return bool(self.extra_specs or self.image_traits)


def requirements(asked: Asked, policy: Policy) -> Requirements:
    """All that one guest asks, in the order flavor, image, policy.

    The policy's default is for KVM guests: an image that names another
    hypervisor type or wants to be emulated is left alone, and a default
    never contradicts what the flavor or the image says of the same
    capability.
    """
    items, misfits = _sorted([*_flavor(asked.extra_specs), *_image(asked)])
    if is_kvm(asked.img_hv_type) and not asked.emulated:
        items += tuple(_defaults(policy, items))
    return Requirements(items, misfits, _architecture(asked, items))


def image_requirements(asked: Asked) -> Requirements:
    """What the image alone asks: all that a rebuild can change.

    A rebuild leaves the guest where it is: flavor and policy were judged
    when it landed there.
    """
    items, misfits = _sorted(_image(asked))
    architecture = _architecture(asked, items)
    return Requirements(items, misfits, architecture, landed=True)


def is_kvm(img_hv_type: str | None) -> bool:
    """Whether an image may become a KVM guest: 'kvm', or not said."""
    return img_hv_type is None or img_hv_type.strip().lower() in ('', 'kvm')


def _architecture(asked: Asked, items: Iterable[Requirement]) -> str | None:
    """KVM executes guests of the host's own kind only; QEMU emulates all."""
    if not asked.hw_architecture:
        return None
    for item in items:
        if item.capability == 'kvm' and item.demand is Demand.REQUIRED:
            return asked.hw_architecture
    return None


def _flavor(
    specs: Iterable[tuple[str, str]],
) -> Iterator[Requirement | Misfit]:
    # Granular groups (trait1:, trait_NAME:) mean nested providers, which
    # never carry our traits: Placement alone decides them.
    for name, value in specs:
        scope, _, rest = name.partition(':')
        words = shorten(f'{name}={value}')
        if scope == SCOPE:
            yield _own_spec(rest, value, words)
        else:
            yield from _trait(rest, value, Asker.FLAVOR, words)


def _own_spec(key: str, value: str, words: str) -> Requirement | Misfit:
    if key not in catalogue.BY_KEY:
        known = ', '.join(catalogue.BY_KEY)
        problem = f'no such capability; known are: {known}'
        return Misfit(Asker.FLAVOR, words, problem)
    try:
        demand = Demand(value.strip().lower())
    except ValueError:
        values = ', '.join(d.value for d in Demand)
        return Misfit(
            Asker.FLAVOR, words, f'the value must be one of {values}'
        )
    return Requirement(key, demand, Asker.FLAVOR, words)


def _trait(
    trait: str, value: str, asker: Asker, words: str
) -> Iterator[Requirement | Misfit]:
    """One of ours; Placement alone decides the other traits."""
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
    for trait, value in asked.image_traits:
        words = shorten(f'trait:{trait}={value}')
        yield from _trait(trait, value, Asker.IMAGE, words)
    hv_type = asked.img_hv_type
    if hv_type is not None and hv_type.strip().lower() == 'kvm':
        words = 'img_hv_type=kvm'
        yield Requirement(
            'kvm', Demand.REQUIRED, Asker.IMAGE, words, explicit=False
        )


def _sorted(
    parts: Iterable[Requirement | Misfit],
) -> tuple[tuple[Requirement, ...], tuple[Misfit, ...]]:
    """Each once, in the order in which they were said."""
    once = tuple(dict.fromkeys(parts))
    return (
        tuple(part for part in once if isinstance(part, Requirement)),
        tuple(part for part in once if isinstance(part, Misfit)),
    )


def _defaults(
    policy: Policy, items: Iterable[Requirement]
) -> Iterator[Requirement]:
    said = {i.capability for i in items if i.demand is not Demand.PREFERRED}
    for key in policy.required:
        if key not in said:
            yield Requirement(
                key,
                Demand.REQUIRED,
                Asker.POLICY,
                f'[hvfilter] required = {key}',
                explicit=False,
            )


def shorten(words: str, longest: int = _LONGEST_WORDS) -> str:
    """Printable and of bounded length: a tenant may have written it."""
    printable = ''.join(c if c.isprintable() else '?' for c in words)
    if len(printable) <= longest:
        return printable
    return printable[: longest - 3] + '...'
