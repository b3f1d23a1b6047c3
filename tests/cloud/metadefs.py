# SPDX-License-Identifier: Apache-2.0
"""Loads our metadata definitions with Glance's command; its API shows them."""

from __future__ import annotations

import json
from typing import Any

from tests.cloud import guests, processes
from tests.cloud.cloud import Cloud
from tests.cloud.installing import by_the_book
from tests.cloud.layout import ROOT

FOLDER = ROOT / 'etc' / 'glance'
_LOAD = 'glance-manage db_load_metadefs /usr/share/hvfilter/glance true true'


def load(cloud: Cloud) -> str:
    """Twice, as after an upgrade; then all that Horizon reads is there."""
    arguments = by_the_book('install.rst', _LOAD).split()[1:]
    arguments[1] = str(FOLDER)
    for _ in range(2):
        cloud.manage_glance(*arguments)
    shown = 0
    for file in sorted(FOLDER.iterdir()):
        namespace = json.loads(file.read_text())
        (kind,) = namespace['resource_type_associations']
        expected = {
            kind['prefix'] + name: schema
            for name, schema in namespace['properties'].items()
        }
        found = _read(cloud, namespace['namespace'], kind['name'])
        if found != expected:
            raise guests.Wrong(
                f'Glance shows {namespace["namespace"]} as {found}'
            )
        shown += len(found)
    return f'glance-manage, twice; the API shows {shown} properties'


def _read(cloud: Cloud, namespace: str, kind: str) -> dict[str, Any]:
    answer = cloud.admin.image.get(
        f'/metadefs/namespaces/{namespace}', params={'resource_type': kind}
    )
    if answer.status_code != 200:
        raise processes.Failed(
            f'{namespace}: {answer.status_code} {answer.text[:200]}'
        )
    properties: dict[str, Any] = answer.json()['properties']
    return properties
