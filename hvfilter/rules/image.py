# SPDX-License-Identifier: Apache-2.0
"""What a flavor and an image ask, from their properties as the APIs show them.

nova-scheduler sees the same as fields of its request spec, which Nova fills
from these properties: ``nova/objects/image_meta.py`` (``from_dict``,
``_legacy_property_map``), ``nova/objects/fields.py`` (``Architecture``).
"""

from __future__ import annotations

from collections.abc import Mapping

from hvfilter.rules import encryption, spelling
from hvfilter.rules.requests import GuestRequest

_TRAIT = 'trait:'
_HV_TYPE = 'img_hv_type'
_ARCHITECTURE = 'hw_architecture'
_EMULATION = 'hw_emulation_architecture'
_LEGACY = {_ARCHITECTURE: 'architecture', _HV_TYPE: 'hypervisor_type'}
_CANONICAL = {
    **dict.fromkeys(('i386', 'i486', 'i586', 'x86_32', 'x86_32p'), 'i686'),
    'amd64': 'x86_64',
}
_READ = frozenset(
    {
        _HV_TYPE,
        _ARCHITECTURE,
        _EMULATION,
        encryption.IMAGE_PROPERTY,
        encryption.IMAGE_MODEL,
        *_LEGACY.values(),
    }
)


def matters(name: str) -> bool:
    """Whether an image property is read here, or was meant to be."""
    return (
        name in _READ
        or name.startswith(_TRAIT)
        or spelling.resembles_own(name)
    )


def guest_request(
    extra_specs: Mapping[str, str], properties: Mapping[str, str]
) -> GuestRequest:
    """What a server of such a flavor and image requests.

    Nova keeps no forbidden trait of an image.

    :param properties: of the image: names and values as in Glance
    """

    def value(name: str) -> str | None:
        legacy = _LEGACY.get(name, '')
        return properties.get(name, properties.get(legacy))

    return GuestRequest.of(
        extra_specs,
        {
            name[len(_TRAIT) :]: 'required'
            for name, word in properties.items()
            if name.startswith(_TRAIT) and word == 'required'
        },
        _lower(value(_HV_TYPE)),
        _architecture(value(_ARCHITECTURE)),
        _architecture(value(_EMULATION)),
        encryption.is_true(value(encryption.IMAGE_PROPERTY) or ''),
        value(encryption.IMAGE_MODEL),
    )


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()


def _architecture(text: str | None) -> str | None:
    name = _lower(text)
    return None if name is None else _CANONICAL.get(name, name)
