# SPDX-License-Identifier: Apache-2.0
"""From what a flavor, an image and the policy say to Requirements."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable, Iterator, Mapping

from hvfilter.model import catalogue
from hvfilter.model.policy import Policy
from hvfilter.model.requirement import (
    Demand,
    InvalidRequest,
    Origin,
    Requirement,
    Requirements,
)
from hvfilter.rules import encryption, spelling

SCOPE = 'hvfilter'
_OWN_PREFIXES = (f'{SCOPE}:', f'trait:{catalogue.TRAIT_PREFIX}')
_TRAIT_DEMANDS = {
    'required': Demand.REQUIRED,
    'forbidden': Demand.FORBIDDEN,
}
_WELL_FORMED = re.compile(f'{catalogue.TRAIT_PREFIX}[A-Z0-9_]+')
_LONGEST_WORDS = 120


@dataclasses.dataclass(frozen=True)
class GuestRequest:
    """The parts of a request that can matter here; see :meth:`of`.

    Requests that say the same are equal, whatever else they say, so that
    what follows from one is worth remembering.

    :ivar extra_specs: the flavor's, sorted: ours, and those by which Nova is
        asked for encrypted memory
    :ivar image_traits: trait name and 'required' or 'forbidden', of the
        image, likewise
    :ivar img_hv_type: the image property, None when it is not set
    :ivar hw_architecture: likewise, in Nova's name
    :ivar emulation_architecture: likewise, ``hw_emulation_architecture``:
        the guest is emulated on hosts of another architecture
    :ivar encrypted: likewise, ``hw_mem_encryption``
    :ivar encryption_model: likewise, ``hw_mem_encryption_model``
    """

    extra_specs: tuple[tuple[str, str], ...] = ()
    image_traits: tuple[tuple[str, str], ...] = ()
    img_hv_type: str | None = None
    hw_architecture: str | None = None
    emulation_architecture: str | None = None
    encrypted: bool = False
    encryption_model: str | None = None

    @classmethod
    def of(
        cls,
        extra_specs: Mapping[str, str] | None = None,
        image_traits: Mapping[str, str] | None = None,
        img_hv_type: str | None = None,
        hw_architecture: str | None = None,
        emulation_architecture: str | None = None,
        encrypted: bool | None = None,
        encryption_model: str | None = None,
    ) -> GuestRequest:
        """From all that a flavor and an image say."""
        return cls(
            tuple(
                (name, str(value))
                for name, value in sorted((extra_specs or {}).items())
                if _matters(name)
            ),
            tuple(
                (name, str(value))
                for name, value in sorted((image_traits or {}).items())
                if name.startswith(catalogue.TRAIT_PREFIX)
                or name in encryption.CAPABILITY_OF_TRAIT
            ),
            img_hv_type,
            hw_architecture,
            emulation_architecture or None,
            bool(encrypted),
            encryption_model or None,
        )

    @property
    def explicit(self) -> bool:
        """Whether anything is requested by hvfilter's own names."""
        return any(
            name.startswith(_OWN_PREFIXES) for name, _ in self.extra_specs
        ) or any(
            name.startswith(catalogue.TRAIT_PREFIX)
            for name, _ in self.image_traits
        )


@functools.lru_cache(maxsize=1024)
def _matters(name: str) -> bool:
    """Whether an extra spec is read here."""
    return (
        name.startswith(_OWN_PREFIXES)
        or encryption.is_about_encryption(name)
        or spelling.resembles_own(name)
    )


def requirements(request: GuestRequest, policy: Policy) -> Requirements:
    """All that one guest asks, in the order flavor, image, policy.

    The policy's default is for KVM guests: an image that names another
    hypervisor type than QEMU is left alone, and a default never contradicts
    what the flavor or the image says of the same capability.
    """
    items, invalid = _sorted([*_flavor(request), *_image(request)])
    return _complete(request, policy, items, invalid, items)


def image_requirements(request: GuestRequest, policy: Policy) -> Requirements:
    """What the image asks, and what the policy asks of such an image: all
    that a rebuild can change.

    A rebuild leaves the guest where it is: what the flavor asks was judged
    when it landed there. But it may have been exempt from the policy as its
    image was then, and with the new one it is a KVM guest; or it was a KVM
    guest, and with the new one it is emulated and gets less than its flavor
    asks.
    """
    stated, _ = _sorted([*_flavor(request), *_image(request)])
    items, invalid = _sorted(_image(request))
    if request.emulation_architecture:
        items += tuple(
            each for each in stated if each.needs_kvm and each not in items
        )
    needed = _complete(request, policy, items, invalid, stated)
    return dataclasses.replace(needed, in_place=True)


def _complete(
    request: GuestRequest,
    policy: Policy,
    items: tuple[Requirement, ...],
    invalid: tuple[InvalidRequest, ...],
    stated: Iterable[Requirement],
) -> Requirements:
    """With what the policy and the kind of the image add.

    :param stated: what goes instead of the policy's default
    """
    hv_type = (request.img_hv_type or '').strip().lower()
    if hv_type in _QEMU:
        items += tuple(_defaults(policy, stated))
    return Requirements(
        items,
        invalid,
        _architecture(request, items),
        emulable=hv_type == 'qemu' or bool(request.emulation_architecture),
        emulation_architecture=request.emulation_architecture,
    )


_QEMU = frozenset({'', 'kvm', 'qemu'})
"""Values of ``img_hv_type`` of guests for hosts whose hypervisor is QEMU.
Nova starts them under KVM or without it as the host is configured, never as
the image says; libvirt offers both types on hosts with KVM, so Nova's
ImagePropertiesFilter passes either there."""


def _architecture(
    request: GuestRequest, items: Iterable[Requirement]
) -> str | None:
    """KVM executes guests of the host's own kind only; QEMU emulates all.

    Nova takes ``hw_emulation_architecture`` where an image has both.
    """
    requested = request.emulation_architecture or request.hw_architecture
    for item in items:
        if item.needs_kvm:
            return requested or None
    return None


def _flavor(
    request: GuestRequest,
) -> Iterator[Requirement | InvalidRequest]:
    for name, value in request.extra_specs:
        scope, _, rest = name.partition(':')
        words = shorten(f'{name}={value}')
        if scope == SCOPE:
            yield _own_spec(rest, value, words)
        elif name.startswith(_OWN_PREFIXES):
            yield from _trait(rest, value, Origin.FLAVOR, words)
        elif not encryption.is_about_encryption(name):
            # Such as trait1:CUSTOM_HVFILTER_NESTED: a group means a nested
            # provider, and none of these carries a trait of ours.
            problem = 'it would have no effect: write hvfilter:<capability>'
            yield InvalidRequest(Origin.FLAVOR, words, problem)
    yield from encryption.by_flavor(
        dict(request.extra_specs), request.encryption_model
    )


def _own_spec(
    key: str, value: str, words: str
) -> Requirement | InvalidRequest:
    if key not in catalogue.BY_KEY:
        known = ', '.join(catalogue.BY_KEY)
        problem = f'no such capability; known are: {known}'
        return InvalidRequest(Origin.FLAVOR, words, problem)
    try:
        demand = Demand(value.strip().lower())
    except ValueError:
        values = ', '.join(d.value for d in Demand)
        return InvalidRequest(
            Origin.FLAVOR, words, f'the value must be one of {values}'
        )
    return Requirement(key, demand, Origin.FLAVOR, words)


def _trait(
    trait: str, value: str, origin: Origin, words: str
) -> Iterator[Requirement | InvalidRequest]:
    """One of ours; Placement alone decides the other traits."""
    if trait == catalogue.REPORTED_TRAIT:
        # Placement enforces the marker itself; it is no capability.
        return
    known = trait in catalogue.BY_TRAIT
    if not known and not _WELL_FORMED.fullmatch(trait):
        yield InvalidRequest(origin, words, 'hvfilter publishes no such trait')
        return
    demand = _TRAIT_DEMANDS.get(value.strip().lower())
    if demand is None:
        yield InvalidRequest(
            origin, words, 'the value must be required or forbidden'
        )
        return
    if not known:
        # Of a later release, or misspelt: Placement has it or finds no host.
        # On rebuild Nova asks it too (nova/conductor/manager.py,
        # _validate_image_traits_for_rebuild).
        return
    yield Requirement(catalogue.BY_TRAIT[trait].key, demand, origin, words)


def _image(
    request: GuestRequest,
) -> Iterator[Requirement | InvalidRequest]:
    for trait, value in request.image_traits:
        if trait.startswith(catalogue.TRAIT_PREFIX):
            words = shorten(f'trait:{trait}={value}')
            yield from _trait(trait, value, Origin.IMAGE, words)
    yield from encryption.by_image(
        request.encrypted,
        request.encryption_model,
        dict(request.extra_specs).get(encryption.FLAVOR_MODEL),
        [
            trait
            for trait, value in request.image_traits
            if value == 'required'
        ],
    )
    hv_type = request.img_hv_type
    if hv_type is not None and hv_type.strip().lower() == 'kvm':
        words = 'img_hv_type=kvm'
        yield Requirement(
            'kvm', Demand.REQUIRED, Origin.IMAGE, words, explicit=False
        )


def _sorted(
    parts: Iterable[Requirement | InvalidRequest],
) -> tuple[tuple[Requirement, ...], tuple[InvalidRequest, ...]]:
    """Each once, in the order in which they were requested."""
    once = tuple(dict.fromkeys(parts))
    return (
        tuple(part for part in once if isinstance(part, Requirement)),
        tuple(part for part in once if isinstance(part, InvalidRequest)),
    )


def _defaults(
    policy: Policy, items: Iterable[Requirement]
) -> Iterator[Requirement]:
    stated = {i.capability for i in items if i.demand is not Demand.PREFERRED}
    for key in policy.required:
        if key not in stated:
            yield Requirement(
                key,
                Demand.REQUIRED,
                Origin.POLICY,
                f'{policy.required_by} = {key}',
                explicit=False,
            )


def shorten(words: str, longest: int = _LONGEST_WORDS) -> str:
    """Printable and of bounded length: a tenant may have written it."""
    printable = ''.join(c if c.isprintable() else '?' for c in words)
    if len(printable) <= longest:
        return printable
    return printable[: longest - 3] + '...'
