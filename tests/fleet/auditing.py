# SPDX-License-Identifier: Apache-2.0
"""What it costs to audit ten thousand hosts with a hundred thousand servers.

``python -m tests.fleet.auditing [--providers N] [--servers N] [--workers N]``

Real: Placement, its database server, and the ``openstack`` command as a
process of its own. Made: the providers, and what Nova and Glance list, which
is served as their APIs page it; one server in a hundred is misplaced.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping
from typing import Any

from tests.fleet import __main__ as fleet
from tests.fleet import asking, database

MOST_MIB = 500
FLAVORS = 200
IMAGES = 1000
MISPLACED_EVERY = 100

TOMORROW = '[hvfilter]\nrequired = kvm,tdx\n'
"""No host has tdx: the worst that can be found, a row for each server."""


class Apis(asking.Nova):
    """Answers as Nova's API and Glance's."""

    servers = 0

    def _answer(self, path: str, query: Mapping[str, str]) -> Any:
        if path.endswith('/servers/detail'):
            return {'servers': self._page(query, self.servers, self._server)}
        if path.endswith('/flavors/detail'):
            return {'flavors': self._page(query, FLAVORS, _flavor)}
        if path.endswith('/v2/images'):
            count = IMAGES if query['os_hidden'] == 'false' else 0
            return {'images': self._page(query, count, _image)}
        return super()._answer(path, query)

    @staticmethod
    def _page(query: Mapping[str, str], count: int, make: Any) -> list[Any]:
        first = 0
        if 'marker' in query:
            first = uuid.UUID(query['marker']).int + 1
        most = min(int(query['limit']), asking.LARGEST_PAGE)
        return [make(each) for each in range(first, min(first + most, count))]

    def _server(self, number: int) -> dict[str, Any]:
        """As Nova shows them with microversion 2.98."""
        place = number % len(self.hypervisors)
        hypervisor = self.hypervisors[place]
        kind = asking.KINDS[(place + 1) % len(asking.KINDS)]
        specs = {'hvfilter:nested': 'required'} if 'NESTED' in kind else {}
        if number % MISPLACED_EVERY == 0 and kind and 'SEV' not in kind:
            specs = {'hvfilter:sev': 'required'}
        return {
            'id': str(uuid.UUID(int=number)),
            'name': f'server-{number}',
            'status': 'ACTIVE',
            'tenant_id': f'{number % 500:032x}',
            'user_id': f'{number % 700:032x}',
            'metadata': {'role': 'web', 'owner': f'team-{number % 50}'},
            'hostId': f'{place:056x}',
            'flavor': {**_size(number), 'extra_specs': specs},
            'image': {
                'id': str(uuid.UUID(int=number % IMAGES)),
                'links': [{'rel': 'bookmark', 'href': 'http://nova/images'}],
                'properties': {
                    'hw_machine_type': 'q35',
                    'hw_disk_bus': 'virtio',
                },
            },
            'addresses': {
                'net': [
                    {
                        'version': 4,
                        'addr': '10.0.0.1',
                        'OS-EXT-IPS:type': 'fixed',
                        'OS-EXT-IPS-MAC:mac_addr': 'fa:16:3e:00:00:01',
                    }
                ]
            },
            'security_groups': [{'name': 'default'}],
            'OS-EXT-SRV-ATTR:host': hypervisor['service']['host'],
            'OS-EXT-SRV-ATTR:hypervisor_hostname': hypervisor[
                'hypervisor_hostname'
            ],
            'OS-EXT-SRV-ATTR:user_data': None,
            'OS-EXT-AZ:availability_zone': 'nova',
            'pinned_availability_zone': None,
            'OS-EXT-STS:task_state': None,
            'OS-EXT-STS:vm_state': 'active',
            'OS-EXT-STS:power_state': 1,
        }


def _size(number: int) -> dict[str, Any]:
    return {
        'original_name': f'm1.size-{number % 20}',
        'vcpus': 1 + number % 4,
        'ram': 1024 * (1 + number % 5),
        'disk': 20,
        'ephemeral': 0,
        'swap': 0,
    }


def _flavor(number: int) -> dict[str, Any]:
    return {
        **_size(number),
        'id': str(uuid.UUID(int=number)),
        'name': f'm1.flavor-{number}',
        'extra_specs': {'hvfilter:nested': 'required'} if number % 2 else {},
    }


def _image(number: int) -> dict[str, Any]:
    traits = {'trait:CUSTOM_HVFILTER_KVM': 'required'} if number % 9 else {}
    return {
        'id': str(uuid.UUID(int=number)),
        'name': f'image-{number}',
        'os_hidden': False,
        **traits,
    }


def measure(cloud: fleet.Cloud, folder: pathlib.Path, servers: int) -> bool:
    """Print the table: True where the bound is kept."""
    Apis.hypervisors = list(asking.hypervisors(cloud.uuids))
    Apis.numbers = {
        each['id']: place for place, each in enumerate(Apis.hypervisors)
    }
    Apis.servers = servers
    environ = asking.serve(cloud, folder, Apis)
    tomorrow = folder / 'tomorrow.conf'
    tomorrow.write_text(TOMORROW)
    most = 0.0
    print(f'{"openstack hypervisor capability":34}     s  CPU s   MiB   lines')
    for name, more in (
        ('audit', ('-f', 'value')),
        ('audit --plan', ('--plan',)),
        (
            'audit --policy tomorrow',
            ('--policy', str(tomorrow), '-f', 'value'),
        ),
    ):
        arguments = ('hypervisor', 'capability', 'audit', *more)
        found = asking.run(environ, *arguments, code=1)
        most = max(most, found.memory_mib)
        print(
            f'{name:34} {found.seconds:5.1f} {found.cpu_seconds:6.1f} '
            f'{found.memory_mib:5.0f} {found.lines:7}'
        )
    print(f'{_requests(environ)} requests')
    print(f'{most:.0f} MiB at most (of {MOST_MIB})')
    return most < MOST_MIB


def _requests(environ: Mapping[str, str]) -> int:
    """How many requests an audit sends, by the timing of ``openstack``."""
    done = subprocess.run(
        [
            pathlib.Path(sys.executable).with_name('openstack'),
            *('--timing', 'hypervisor', 'capability', 'audit', '-f', 'value'),
        ],
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return sum('GET http' in line for line in done.stdout.splitlines())


def main() -> int:
    """Fill a Placement and audit it: 0 where the bound is kept."""
    parser = argparse.ArgumentParser(prog='tests.fleet.auditing')
    parser.add_argument('--providers', type=int, default=10_000)
    parser.add_argument('--servers', type=int, default=100_000)
    parser.add_argument('--workers', type=int, default=2)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        server = database.PostgreSQL()
    except database.Missing as missing:
        print(missing, file=sys.stderr)
        return 1
    with server, tempfile.TemporaryDirectory() as folder:
        cloud = fleet.Cloud(server.url, options.providers, options.workers)
        try:
            asking.carry(cloud)
            print(
                f'{options.providers} providers, {options.servers} servers, '
                f'{server.release}'
            )
            here = pathlib.Path(folder)
            return 0 if measure(cloud, here, options.servers) else 1
        finally:
            cloud.stop()


if __name__ == '__main__':
    sys.exit(main())
