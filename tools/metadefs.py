# SPDX-License-Identifier: Apache-2.0
"""Write Glance's metadata definitions from the catalogue into etc/glance.

``python tools/metadefs.py``. The form is that of Glance's own files in
``etc/metadefs``, which ``glance-manage db_load_metadefs`` loads: the name of
a property follows the prefix of the resource type.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from hvfilter.model import catalogue
from hvfilter.model.catalogue import Capability, Vendor
from hvfilter.model.requirement import Demand

FOLDER = pathlib.Path(__file__).parent.parent / 'etc' / 'glance'
FLAVORS = 'compute-hvfilter.json'
IMAGES = 'image-hvfilter-traits.json'

_STRENGTHS = (
    'required: only hosts that have it; forbidden: only hosts that do not '
    'have it; preferred: hosts that have it first.'
)


def documents() -> dict[str, dict[str, Any]]:
    """File name to its content."""
    return {
        FLAVORS: _namespace(
            'OS::Compute::HVFilter',
            'Host Virtualization (hvfilter)',
            'Virtualization capabilities of the compute host, as hvfilter '
            f'detects them. {_STRENGTHS}',
            {'name': 'OS::Nova::Flavor', 'prefix': 'hvfilter:'},
            {
                each.key: _property(each, [demand.value for demand in Demand])
                for each in catalogue.CATALOGUE
            },
        ),
        IMAGES: _namespace(
            'OS::Compute::HVFilterTraits',
            'Host Virtualization Required (hvfilter)',
            'Placement traits that hvfilter publishes. A server of the image '
            'only lands on hosts that have the trait.',
            {'name': 'OS::Glance::Image', 'prefix': 'trait:'},
            # Nova knows no other value of a trait of an image.
            {
                each.trait: _property(each, [Demand.REQUIRED.value])
                for each in catalogue.CATALOGUE
            },
        ),
    }


def text(document: Mapping[str, Any]) -> str:
    """A document as its file holds it."""
    return json.dumps(document, indent=4) + '\n'


def _namespace(
    name: str,
    title: str,
    description: str,
    resource_type: Mapping[str, str],
    properties: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    return {
        'namespace': name,
        'display_name': title,
        'description': description,
        'visibility': 'public',
        'protected': True,
        'resource_type_associations': [resource_type],
        'properties': properties,
    }


def _property(capability: Capability, values: list[str]) -> dict[str, Any]:
    meaning = capability.meaning[0].upper() + capability.meaning[1:]
    return {
        'title': capability.name[0].upper() + capability.name[1:],
        'description': f'{meaning}.{_makers(capability)}',
        'type': 'string',
        'enum': values,
    }


def _makers(capability: Capability) -> str:
    if capability.archs != catalogue.X86 or capability.vendors == set(Vendor):
        return ''
    (vendor,) = capability.vendors
    return f' Only processors of {vendor.makers} have it.'


def main() -> None:
    """Write all files."""
    FOLDER.mkdir(exist_ok=True)
    for name, document in documents().items():
        (FOLDER / name).write_text(text(document))


if __name__ == '__main__':
    main()
