# SPDX-License-Identifier: Apache-2.0
"""From Nova's request spec to what hvfilter takes from it."""

from __future__ import annotations

from typing import Any

from hvfilter.rules import encryption
from hvfilter.rules.requests import GuestRequest


def from_spec(spec: Any) -> GuestRequest:
    """What flavor and image say; ``spec`` is a nova.objects.RequestSpec.

    Nova keeps neither unknown image properties nor forbidden image traits.
    """
    properties = _image_properties(spec)
    traits = _get(properties, 'traits_required') or ()
    return GuestRequest.of(
        extra_specs=_extra_specs(spec),
        image_traits=dict.fromkeys(traits, 'required'),
        img_hv_type=_get(properties, 'img_hv_type'),
        hw_architecture=_get(properties, 'hw_architecture'),
        emulation_architecture=_get(properties, 'hw_emulation_architecture'),
        encrypted=_get(properties, encryption.IMAGE_PROPERTY),
        encryption_model=_get(properties, encryption.IMAGE_MODEL),
    )


def server_uuid(spec: Any) -> str:
    """The uuid of the server that is to be placed, for the log."""
    return str(spec.instance_uuid) if 'instance_uuid' in spec else 'unknown'


def forced(spec: Any) -> bool:
    """Whether an administrator forced the host, so that no filter judges.

    As ``nova/scheduler/host_manager.py`` ``get_filtered_hosts`` has it.
    """
    named = any(
        name in spec and getattr(spec, name)
        for name in ('force_hosts', 'force_nodes')
    )
    if not named:
        return False
    hints = spec.scheduler_hints if 'scheduler_hints' in spec else None
    return not (hints or {}).get('_nova_check_type')


def source_host(spec: Any) -> str:
    """The nova-compute that a server is to leave; '' where it is on none.

    Nova puts it first into ``ignore_hosts``, and fills that for moves only.
    """
    ignored = spec.ignore_hosts if 'ignore_hosts' in spec else None
    return str(ignored[0]) if ignored else ''


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
    # A property of a later Nova is no field here.
    if properties is None or name not in properties.fields:
        return None
    return properties.get(name)
