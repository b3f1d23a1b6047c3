# SPDX-License-Identifier: Apache-2.0
"""Guests that ask for encrypted memory in Nova's own words.

Source: ``nova/virt/hardware.py``, ``get_mem_encryption_constraint``: a model
alone asks for nothing, the image's model wins over the flavor's, and without
one it is SEV. The traits are those of os-traits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from hvfilter.model.requirement import Demand, Origin, Requirement

FLAVOR_SPEC = 'hw:mem_encryption'
FLAVOR_MODEL = 'hw:mem_encryption_model'
IMAGE_PROPERTY = 'hw_mem_encryption'
IMAGE_MODEL = 'hw_mem_encryption_model'

CAPABILITY_OF_MODEL = {
    'amd-sev': 'sev',
    'amd-sev-es': 'sev_es',
    'amd-sev-snp': 'sev_snp',
    'intel-tdx': 'tdx',
}
CAPABILITY_OF_TRAIT = {
    'HW_CPU_X86_AMD_SEV': 'sev',
    'HW_CPU_X86_AMD_SEV_ES': 'sev_es',
    'HW_CPU_X86_AMD_SEV_SNP': 'sev_snp',
    'HW_CPU_X86_INTEL_TDX': 'tdx',
}
_NAME = re.compile(
    rf'{FLAVOR_SPEC}|{FLAVOR_MODEL}'
    rf'|trait[a-zA-Z0-9_-]{{0,64}}:({"|".join(CAPABILITY_OF_TRAIT)})'
)
"""Any group: Nova has these traits on nested providers as well as on the
root, depending on its release."""
_DEFAULT_MODEL = 'amd-sev'
# oslo_utils.strutils.bool_from_string
_TRUE = frozenset({'1', 't', 'true', 'on', 'y', 'yes'})


def is_true(text: str) -> bool:
    """Whether Nova takes a word for a yes."""
    return text.strip().lower() in _TRUE


def is_about_encryption(name: str) -> bool:
    """Whether an extra spec of this name asks, or says what is asked."""
    return _NAME.fullmatch(name) is not None


def by_flavor(
    specs: Mapping[str, str], image_model: str | None
) -> Iterable[Requirement]:
    """What a flavor asks with Nova's extra specs.

    :param image_model: the image's ``hw_mem_encryption_model``
    """
    if is_true(specs.get(FLAVOR_SPEC, '')):
        own = specs.get(FLAVOR_MODEL)
        words = f'{FLAVOR_SPEC}={specs[FLAVOR_SPEC]}'
        yield from _by_model(image_model or own, Origin.FLAVOR, words)
    for name, value in specs.items():
        match = _NAME.fullmatch(name)
        trait = match[1] if match else None
        if trait and value.strip().lower() == Demand.REQUIRED.value:
            key = CAPABILITY_OF_TRAIT[trait]
            yield _requirement(key, Origin.FLAVOR, f'{name}={value}')


def by_image(
    encrypted: bool,
    model: str | None,
    flavor_model: str | None,
    traits: Iterable[str],
) -> Iterable[Requirement]:
    """What an image asks with Nova's properties.

    :param encrypted: its ``hw_mem_encryption``
    :param model: its ``hw_mem_encryption_model``
    :param traits: names that it requires
    """
    if encrypted:
        words = f'{IMAGE_PROPERTY}=true'
        yield from _by_model(model or flavor_model, Origin.IMAGE, words)
    for trait in traits:
        if trait in CAPABILITY_OF_TRAIT:
            key = CAPABILITY_OF_TRAIT[trait]
            yield _requirement(key, Origin.IMAGE, f'trait:{trait}=required')


def _by_model(
    model: str | None, origin: Origin, words: str
) -> Iterable[Requirement]:
    # Nova refuses another model; what it means is not known here.
    key = CAPABILITY_OF_MODEL.get(model or _DEFAULT_MODEL)
    if key is not None:
        shown = f'{words} ({model})' if model else words
        yield _requirement(key, origin, shown)


def _requirement(key: str, origin: Origin, words: str) -> Requirement:
    """Not explicit: Nova has its own means, and had them before hvfilter."""
    return Requirement(key, Demand.REQUIRED, origin, words, explicit=False)
