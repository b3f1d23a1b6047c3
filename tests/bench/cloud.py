# SPDX-License-Identifier: Apache-2.0
"""Hosts and requests as nova-scheduler has them."""

from __future__ import annotations

import datetime
import json

from nova import objects
from nova.scheduler import host_manager

FEATURES = 120
CHANGED = datetime.datetime(2026, 1, 1)
"""When Nova last changed the record of a host; it does every minute or so."""
AGGREGATES = 40
ARCHITECTURES = 24
"""Libvirt offers a guest architecture for each QEMU that is installed."""


def cpu_info(number: int) -> str:
    """As libvirt's driver reports it, with features of a present CPU."""
    features = [f'feature-{each}' for each in range(FEATURES - 1)]
    features.insert(90, 'vmx')
    return json.dumps(
        {
            'arch': 'x86_64',
            'model': f'Skylake-Server-{number % 8}',
            'vendor': 'Intel',
            'topology': {'cells': 2, 'sockets': 1, 'cores': 16, 'threads': 2},
            'maxphysaddr': {'mode': 'emulate', 'bits': 46},
            'features': features,
        }
    )


def hosts(count: int) -> list[host_manager.HostState]:
    """Host states with all that filters look at."""
    aggregates = [
        objects.Aggregate(
            id=each,
            uuid=f'{each:08d}-0000-4000-8000-{each:012d}',
            name=f'rack{each}',
            hosts=[],
            metadata={'availability_zone': 'nova'},
        )
        for each in range(AGGREGATES)
    ]
    guests = [['x86_64', 'kvm', 'hvm']]
    guests += [[f'arch{each}', 'qemu', 'hvm'] for each in range(ARCHITECTURES)]
    found = []
    for number in range(count):
        state = host_manager.HostState(
            f'compute-{number:06}', f'compute-{number:06}', None
        )
        state.updated = CHANGED
        state.uuid = f'{number:08x}-1111-4222-8333-{number:012x}'
        state.hypervisor_type = 'QEMU'
        state.hypervisor_version = 10_000_000
        # A string of its own, as it comes out of the database.
        state.cpu_info = cpu_info(number)
        state.supported_instances = [list(guest) for guest in guests]
        state.free_ram_mb = 1_000 * (number % 100)
        state.aggregates = [
            aggregates[number % AGGREGATES],
            aggregates[number * 7 % AGGREGATES],
        ]
        found.append(state)
    return found


def spec(
    extra_specs: dict[str, str] | None = None,
    image: dict[str, str] | None = None,
) -> objects.RequestSpec:
    return objects.RequestSpec(
        instance_uuid='11111111-2222-4333-8444-555555555555',
        flavor=objects.Flavor(extra_specs=dict(extra_specs or {})),
        image=objects.ImageMeta.from_dict({'properties': dict(image or {})}),
        scheduler_hints={},
    )
