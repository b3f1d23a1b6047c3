# SPDX-License-Identifier: Apache-2.0
"""What it costs to ask a cloud of ten thousand hosts.

``python -m tests.fleet.asking [--providers N] [--workers N]``

Real: Placement, its database server, and the ``openstack`` command as a
process of its own. Made: the providers with their inventories and traits, and
Nova's list of hypervisors, which is served as Nova's API pages it.
"""

from __future__ import annotations

import argparse
import dataclasses
import http.server
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy
from placement.db.sqlalchemy import models

from hvfilter.model import catalogue, dated
from hvfilter.model.nested_registers import Kind, Registers
from hvfilter.placement import census, client
from tests.fleet import __main__ as fleet
from tests.fleet import database

ROUNDS = 3
VALUES = ('-f', 'value')
LARGEST_PAGE = 1000
"""Nova's [api] max_limit."""

NESTED = catalogue.BY_KEY['nested'].trait
_COMMON = ('KVM', 'HVM', 'SLAT', 'NESTED', 'NESTED_SLAT', 'REPORTED')
_INTEL = ('VTX', 'EPT', 'VPID', 'APICV', 'POSTED_INTERRUPTS', 'PML', 'EPT_AD')
_AMD = ('AMDV', 'NPT', 'AVIC', 'VGIF', 'VLS', 'LBRV', 'NRIPS', 'VNMI')
_SETS = tuple(
    registers.trait.removeprefix(catalogue.TRAIT_PREFIX)
    for registers in (
        Registers(Kind.VMX, ((0x480, 0xD8100011E57ED0), (0x485, 0x20000165))),
        Registers(Kind.VMX, ((0x480, 0xD8100011E57ED0), (0x485, 0x20000065))),
        Registers.svm(0x10000021),
        Registers.svm(0x10000020),
    )
)
"""Nested sets, each of one kind of hosts."""

KINDS = (
    (
        *(*_COMMON, *_INTEL, 'SHADOW_VMCS', 'TSC_SCALING', 'MBEC', 'IOMMU'),
        _SETS[0],
    ),
    (*_COMMON, *_INTEL, _SETS[1]),
    (*_COMMON, *_AMD, _SETS[2]),
    (*_COMMON, *_AMD, 'X2AVIC', 'SEV', 'SEV_ES', _SETS[3]),
    ('KVM', 'HVM', 'SLAT', 'REPORTED', 'VTX', 'EPT', 'NESTED_UNKNOWN'),
    (),
)
"""Hosts of six kinds, the last of which never reported."""

FLAVOR = {
    'id': 'nested-small',
    'name': 'nested.small',
    'vcpus': 2,
    'ram': 4096,
    'disk': 0,
    'extra_specs': {'hvfilter:nested': 'required'},
}

ZONES, AGGREGATES = 3, 20

_FOREIGN = 30
"""Traits of nova-compute's on each provider."""


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of a command.

    :ivar memory_mib: the most that it held
    """

    seconds: float
    cpu_seconds: float
    memory_mib: float
    lines: int


class Nova(http.server.BaseHTTPRequestHandler):
    """Answers as Nova's API."""

    protocol_version = 'HTTP/1.1'
    hypervisors: list[dict[str, Any]] = []
    numbers: dict[str, int] = {}

    def log_message(self, *args: object) -> None:
        """Nothing is logged."""

    def do_GET(self) -> None:
        """Every command only reads."""
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        body = json.dumps(self._answer(url.path, query)).encode()
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self, path: str, query: Mapping[str, str]) -> Any:
        if path.endswith('/os-hypervisors/detail'):
            first = 0
            if 'marker' in query:
                first = self.numbers[query['marker']] + 1
            most = min(int(query['limit']), LARGEST_PAGE)
            return {'hypervisors': self.hypervisors[first : first + most]}
        if path.endswith('/flavors/detail'):
            return {'flavors': [] if 'marker' in query else [FLAVOR]}
        hosts = [each['service']['host'] for each in self.hypervisors]
        if path.endswith('/os-aggregates'):
            return {
                'aggregates': [
                    {
                        'name': f'aggregate-{number}',
                        'uuid': str(UUID(int=number)),
                        'hosts': hosts[number::AGGREGATES],
                        'metadata': {},
                    }
                    for number in range(AGGREGATES)
                ]
            }
        return {
            'availabilityZoneInfo': [
                {
                    'zoneName': f'zone-{number}',
                    'hosts': {
                        host: {'nova-compute': {}}
                        for host in hosts[number::ZONES]
                    },
                }
                for number in range(ZONES)
            ]
        }


def carry(cloud: fleet.Cloud) -> None:
    """Give each provider an inventory and the traits of its kind."""
    placement = client.PlacementClient(cloud.transport())
    week = dated.reported_in(census.this_week())
    ours = {
        catalogue.TRAIT_PREFIX + each for kind in KINDS for each in kind
    } | {week}
    foreign = {f'CUSTOM_NOVA_{number}' for number in range(_FOREIGN)}
    for name in sorted(ours | foreign):
        placement.ensure_trait(name)
    with cloud.engine.begin() as connection:
        known = dict(
            connection.execute(
                sqlalchemy.select(models.Trait.name, models.Trait.id)
            ).all()
        )
        classes = models.ResourceClass.__table__
        numbers = dict(
            connection.execute(
                sqlalchemy.select(classes.c.name, classes.c.id)
            ).all()
        )
        connection.execute(
            models.ResourceProviderTrait.__table__.insert(),
            [
                {'resource_provider_id': number, 'trait_id': known[name]}
                for number in range(1, len(cloud.uuids) + 1)
                for name in _names(number, week) | foreign
            ],
        )
        connection.execute(
            models.Inventory.__table__.insert(),
            [
                {
                    'resource_provider_id': number,
                    'resource_class_id': numbers[name],
                    'total': total,
                    'reserved': 0,
                    'min_unit': 1,
                    'max_unit': total,
                    'step_size': 1,
                    'allocation_ratio': 1.0,
                }
                for number in range(1, len(cloud.uuids) + 1)
                for name, total in (('VCPU', 64), ('MEMORY_MB', 1 << 18))
            ],
        )
    with cloud.engine.connect().execution_options(
        isolation_level='AUTOCOMMIT'
    ) as connection:
        connection.execute(sqlalchemy.text('ANALYZE'))


def _names(number: int, week: str) -> set[str]:
    kind = KINDS[number % len(KINDS)]
    names = {catalogue.TRAIT_PREFIX + each for each in kind}
    return names | {week} if kind else names


def hypervisors(uuids: Sequence[str]) -> Iterator[dict[str, Any]]:
    """As Nova shows them, with a cpu_info of the usual size."""
    features = [f'feature-{number}' for number in range(100)]
    for number, uuid in enumerate(uuids, 1):
        kind = KINDS[number % len(KINDS)]
        vendor = 'AMD' if 'AMDV' in kind else 'Intel'
        yield {
            'id': uuid,
            'hypervisor_hostname': f'n{number}.example',
            'hypervisor_type': 'QEMU',
            'state': 'up',
            'status': 'enabled',
            'service': {'id': uuid, 'host': f'n{number}'},
            'cpu_info': {
                'arch': 'x86_64',
                'vendor': vendor,
                'model': 'a model',
                'features': features,
            },
        }


def run(environ: Mapping[str, str], *arguments: str, code: int = 0) -> Run:
    """One command, as a person starts it.

    :param code: the exit code that it is to have
    """
    began = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [pathlib.Path(sys.executable).with_name('openstack'), *arguments],
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        took = time.monotonic() - began
        output.seek(0)
        lines = len(output.readlines())
    if process.returncode != code:
        raise RuntimeError(f'openstack {arguments}: {process.returncode}')
    return Run(
        took,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss / 1024,
        lines,
    )


def requests(environ: Mapping[str, str], *arguments: str) -> int:
    """How many requests a command sends, by its own log."""
    with tempfile.NamedTemporaryFile('r') as log:
        run(environ, '--debug', '--log-file', log.name, *arguments)
        return sum('REQ: curl' in line for line in log)


def serve(
    cloud: fleet.Cloud, folder: pathlib.Path, handler: type[Nova]
) -> dict[str, str]:
    """Answer as Nova: the environment in which ``openstack`` finds all."""
    nova = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
    threading.Thread(target=nova.serve_forever, daemon=True).start()
    here = f'http://127.0.0.1:{nova.server_port}'
    file = folder / 'clouds.yaml'
    settings = {
        'auth_type': 'admin_token',
        'auth': {'endpoint': cloud.url, 'token': 'admin'},
        'placement_endpoint_override': cloud.url,
        'compute_endpoint_override': f'{here}/v2.1',
        'image_endpoint_override': here,
    }
    file.write_text(json.dumps({'clouds': {'fleet': settings}}))
    return {'OS_CLIENT_CONFIG_FILE': str(file), 'OS_CLOUD': 'fleet'}


def measure(cloud: fleet.Cloud, folder: pathlib.Path) -> bool:
    """Print the table: True where the bounds are kept."""
    Nova.hypervisors = list(hypervisors(cloud.uuids))
    Nova.numbers = {
        each['id']: place for place, each in enumerate(Nova.hypervisors)
    }
    environ = serve(cloud, folder, Nova)
    ours = ('hypervisor', 'capability')
    commands = {
        'resource provider list --required': (
            *('--os-placement-api-version', '1.18'),
            *('resource', 'provider', 'list', '--required', NESTED),
            *VALUES,
        ),
        'list --has nested': (*ours, 'list', '--has', 'nested', *VALUES),
        'list --long': (*ours, 'list', '--long', *VALUES),
        'summary': (*ours, 'summary', *VALUES),
        **{
            f'{name} --flavor': (
                *(*ours, name, '--flavor', FLAVOR['name'], *VALUES),
            )
            for name in ('summary', 'explain')
        },
        'classes': (*ours, 'classes', *VALUES),
        'metrics': (*ours, 'metrics'),
    }
    found: dict[str, list[Run]] = {name: [] for name in commands}
    sent = {
        name: requests(environ, *arguments)
        for name, arguments in commands.items()
    }
    # In turns, so that what else the machine does falls on all of them.
    for _ in range(ROUNDS):
        for name, arguments in commands.items():
            found[name].append(run(environ, *arguments))
    print(f'{"openstack ...":34}     s  CPU s   MiB  requests  lines')
    for name, runs in found.items():
        print(
            f'{name:34} {_middle(runs, "seconds"):5.1f} '
            f'{_middle(runs, "cpu_seconds"):6.1f} '
            f'{max(each.memory_mib for each in runs):5.0f} '
            f'{sent[name]:9} {runs[-1].lines:6}'
        )
    plain, ratio = found['resource provider list --required'], 0.0
    ratio = _middle(found['list --has nested'], 'seconds')
    ratio /= _middle(plain, 'seconds')
    print(f'list --has nested takes {ratio:.2f} times as long (at most 1.3)')
    costs = {
        name: _middle(found[name], 'cpu_seconds')
        for name in ('summary', 'classes', 'metrics')
    }
    others = max(costs['classes'], costs['metrics']) / costs['summary']
    print(f'classes, metrics: {others:.2f} times summary (at most 1.3)')
    most = max(sent[name] for name in costs)
    return max(ratio, others) <= 1.3 and costs['summary'] < 5 and most <= 40


def _middle(runs: Sequence[Run], name: str) -> float:
    return statistics.median(getattr(each, name) for each in runs)


def main() -> int:
    """Fill a Placement and ask it: 0 where the bounds are kept."""
    parser = argparse.ArgumentParser(prog='tests.fleet.asking')
    parser.add_argument('--providers', type=int, default=10_000)
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
            carry(cloud)
            print(f'{options.providers} providers, {server.release}')
            return 0 if measure(cloud, pathlib.Path(folder)) else 1
        finally:
            cloud.stop()


if __name__ == '__main__':
    sys.exit(main())
