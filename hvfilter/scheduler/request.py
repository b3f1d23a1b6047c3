# SPDX-License-Identifier: Apache-2.0
"""From Nova's request spec to what hvfilter takes from it."""

from __future__ import annotations

from typing import Any

from hvfilter.rules.requests import Asked


def asked(spec: Any) -> Asked:
    """What flavor and image say; ``spec`` is a nova.objects.RequestSpec.

    Nova keeps neither unknown image properties nor forbidden image traits.
    """
    properties = _image_properties(spec)
    traits = _get(properties, 'traits_required') or ()
    return Asked.of(
        extra_specs=_extra_specs(spec),
        image_traits=dict.fromkeys(traits, 'required'),
        img_hv_type=_get(properties, 'img_hv_type'),
        hw_architecture=_get(properties, 'hw_architecture'),
        emulation_architecture=_get(properties, 'hw_emulation_architecture'),
    )


def server(spec: Any) -> str:
    """The uuid of the server that is to be placed, for the log."""
    return str(spec.instance_uuid) if 'instance_uuid' in spec else 'unknown'


def _extra_specs(spec: Any) -> dict[str, str] | None:
    flavor = spec.flavor if 'flavor' in spec else None
    if flavor is None or 'extra_specs' not in flavor:
        return None
    specs: dict[str, str] | None = flavor.extra_specs
    return specs


def _image_properties(spec: Any) -> Any:
    image = spec.image if 'image' in spec else None
    if image is None or 'properties' not in image:
        return None
    return image.properties


def _get(properties: Any, name: str) -> Any:
    return None if properties is None else properties.get(name)
