# SPDX-License-Identifier: Apache-2.0
"""Flavors, images and servers, as a user of the cloud has them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping

from tests.cloud import guest_image, processes
from tests.cloud.cloud import Cloud
from tests.cloud.hosts import HOSTS

MICROVERSION = '2.87'
"""From 2.86 on nova-api looks at extra specs."""

SPEAKS_S = 120.0
"""An emulated guest takes some seconds; several at once, some more."""

HOST = 'OS-EXT-SRV-ATTR:host'
_SETTLED = frozenset({'ACTIVE', 'ERROR', 'VERIFY_RESIZE', 'SHELVED_OFFLOADED'})
_ADMIN = {'microversion': MICROVERSION}


def _tail() -> str:
    """Makes a name one of its kind."""
    return uuid.uuid4().hex[:8]


class Wrong(Exception):
    """Something is not as it should be; says what."""


def flavor(cloud: Cloud, specs: Mapping[str, str] | None = None) -> str:
    """The id of a new one."""
    compute = cloud.admin.compute
    body = {
        'name': f'flavor-{_tail()}',
        'ram': 192,
        'vcpus': 1,
        'disk': 1,
    }
    answer = compute.post('/flavors', json={'flavor': body}, **_ADMIN)
    answer.raise_for_status()
    found: str = answer.json()['flavor']['id']
    if specs:
        set_specs(cloud, found, specs).raise_for_status()
    return found


def set_specs(cloud: Cloud, flavor_id: str, specs: Mapping[str, str]):
    """The answer of nova-api, whatever it is."""
    return cloud.admin.compute.post(
        f'/flavors/{flavor_id}/os-extra_specs',
        json={'extra_specs': dict(specs)},
        **_ADMIN,
    )


def image(cloud: Cloud, properties: Mapping[str, str] | None = None) -> str:
    """The id of a new one, of the guest that speaks."""
    found = cloud.admin.image.create_image(
        name=f'image-{_tail()}',
        container_format='bare',
        disk_format='raw',
        data=bytes(1 << 20),
        validate_checksum=False,
        os_command_line=guest_image.COMMAND_LINE,
        **cloud.boots_from,
        **(properties or {}),
    )
    return str(found.id)


def upload(cloud: Cloud, built: guest_image.GuestImage) -> None:
    """Kernel and ramdisk of the guest that speaks, for all images."""
    for name, kind, path in (
        ('kernel_id', 'aki', built.kernel),
        ('ramdisk_id', 'ari', built.ramdisk),
    ):
        found = cloud.admin.image.create_image(
            name=name,
            container_format=kind,
            disk_format=kind,
            data=path.read_bytes(),
            validate_checksum=False,
        )
        cloud.boots_from[name] = str(found.id)


def boot(
    cloud: Cloud,
    specs: Mapping[str, str] | None = None,
    properties: Mapping[str, str] | None = None,
    *,
    count: int = 1,
    where: Mapping[str, object] | None = None,
) -> list[dict]:
    """Servers of one flavor, as they came out; each a request of its own.

    :param where: what else nova-api is asked: host, availability_zone
    """
    return boot_of(
        cloud,
        flavor(cloud, specs),
        image(cloud, properties),
        count=count,
        where=where,
    )


def boot_of(
    cloud: Cloud,
    flavor_id: str,
    image_id: str,
    *,
    count: int = 1,
    where: Mapping[str, object] | None = None,
) -> list[dict]:
    """Servers of a flavor and an image that are there."""
    ids = [request(cloud, flavor_id, image_id, where) for _ in range(count)]
    return [settled(cloud, each) for each in ids]


def request(
    cloud: Cloud,
    flavor_id: str,
    image_id: str,
    where: Mapping[str, object] | None = None,
) -> str:
    """Ask for a server, and do not wait for it; its id."""
    answer = cloud.admin.compute.post(
        '/servers',
        json={
            'server': {
                'name': f'guest-{_tail()}',
                'flavorRef': flavor_id,
                'imageRef': image_id,
                'networks': 'none',
                **(where or {}),
            }
        },
        **_ADMIN,
    )
    answer.raise_for_status()
    made = str(answer.json()['server']['id'])
    cloud.made.add(made)
    return made


def delete_flavors(cloud: Cloud) -> None:
    """All that there are."""
    for each in cloud.get('/flavors')['flavors']:
        cloud.admin.compute.delete(f'/flavors/{each["id"]}', **_ADMIN)


def boot_many(
    cloud: Cloud, count: int, specs: Mapping[str, str]
) -> list[dict]:
    """Servers of one request, as they came out."""
    name = f'many-{_tail()}'
    answer = cloud.admin.compute.post(
        '/servers',
        json={
            'server': {
                'name': name,
                'flavorRef': flavor(cloud, specs),
                'imageRef': image(cloud),
                'networks': 'none',
                'min_count': count,
                'max_count': count,
            }
        },
        **_ADMIN,
    )
    answer.raise_for_status()
    there = cloud.get(f'/servers?name={name}')['servers']
    cloud.made.update(each['id'] for each in there)
    if len(there) != count:
        raise Wrong(f'{len(there)} servers are there, not {count}')
    return [settled(cloud, each['id']) for each in there]


def aggregate(
    cloud: Cloud,
    name: str,
    hosts: Iterable[str],
    metadata: Mapping[str, str],
) -> str:
    """The id of a new one."""
    compute = cloud.admin.compute
    answer = compute.post(
        '/os-aggregates', json={'aggregate': {'name': name}}, **_ADMIN
    )
    answer.raise_for_status()
    found = str(answer.json()['aggregate']['id'])
    for host in hosts:
        _aggregate_action(cloud, found, 'add_host', {'host': host})
    set_metadata(cloud, found, metadata)
    return found


def set_metadata(
    cloud: Cloud, aggregate_id: str, metadata: Mapping[str, str | None]
) -> None:
    """Set keys of an aggregate, or remove those with None."""
    _aggregate_action(
        cloud, aggregate_id, 'set_metadata', {'metadata': dict(metadata)}
    )


def _aggregate_action(
    cloud: Cloud, aggregate_id: str, action: str, arguments: object
) -> None:
    cloud.admin.compute.post(
        f'/os-aggregates/{aggregate_id}/action',
        json={action: arguments},
        **_ADMIN,
    ).raise_for_status()


def settled(cloud: Cloud, server_id: str, *, status: str = '') -> dict:
    """A server, once nothing is under way with it.

    :param status: wait for this one
    """
    found: dict = {}

    def ready() -> bool:
        found.update(cloud.get(f'/servers/{server_id}')['server'])
        if found['OS-EXT-STS:task_state'] is not None:
            return False
        return found['status'] in ({status} if status else _SETTLED)

    processes.wait_until(
        ready, f'server {server_id} settles; see {cloud.layout.logs}'
    )
    return found


def act(
    cloud: Cloud,
    server: Mapping[str, object],
    action: str,
    arguments: object = None,
    *,
    status: str = '',
) -> dict:
    """Let nova-api do something with a server; how it came out."""
    answer = cloud.admin.compute.post(
        f'/servers/{server["id"]}/action', json={action: arguments}, **_ADMIN
    )
    if answer.status_code >= 400:
        raise Wrong(f'{action} is refused: {answer.text[:300]}')
    return settled(cloud, str(server['id']), status=status)


def console(cloud: Cloud, server: Mapping[str, object]) -> str:
    """All that a guest printed."""
    answer = cloud.admin.compute.post(
        f'/servers/{server["id"]}/action',
        json={'os-getConsoleOutput': {}},
        **_ADMIN,
    )
    return str(answer.json().get('output', '')) if answer.ok else ''


def spoken(cloud: Cloud, server: Mapping[str, object]) -> str:
    """The line that a guest prints once it runs, or nothing."""
    for line in console(cloud, server).splitlines():
        if guest_image.SPOKEN in line and str(server['id']) in line.lower():
            return line.strip()
    return ''


def speaks(cloud: Cloud, server: Mapping[str, object]) -> str:
    """That it runs: its line.

    :raises Failed: it says nothing
    """
    processes.wait_until(
        lambda: bool(spoken(cloud, server)),
        f'guest {server["id"]} on {host_of(server)} speaks',
        patience_s=SPEAKS_S,
    )
    return spoken(cloud, server)


def delete(cloud: Cloud, server: Mapping[str, object]) -> None:
    """Ask for its end, and do not wait for it."""
    cloud.admin.compute.delete(f'/servers/{server["id"]}', **_ADMIN)


def delete_all(cloud: Cloud) -> None:
    """What this check made, so that the next one finds empty hosts.

    Asks again where Nova gave up: gunicorn closes an idle connection to
    Placement perhaps just when nova-compute uses it, and Nova does not repeat
    what it asked there.
    """

    def all_gone() -> bool:
        there = [
            each
            for each in cloud.get('/servers/detail')['servers']
            if each['id'] in cloud.made
        ]
        for each in there:
            if each['OS-EXT-STS:task_state'] != 'deleting':
                delete(cloud, each)
        return not there

    processes.wait_until(
        all_gone, f'servers are deleted; see {cloud.layout.logs}'
    )


def host_of(server: Mapping[str, object]) -> str | None:
    """Where it is."""
    found = server[HOST]
    return None if found is None else str(found)


def best(among: frozenset[str]) -> str:
    """Whom Nova likes best of these."""
    return next(host.name for host in HOSTS if host.name in among)


def landed(server: dict, among: frozenset[str], what: str) -> str:
    """That it is where it should be; where that is.

    :raises Wrong: it is not
    """
    if server['status'] == 'ERROR':
        told = server.get('fault', {}).get('message', '')
        raise Wrong(f'{what} landed nowhere: {told[:200]}')
    host = host_of(server)
    if host not in among:
        raise Wrong(f'{what} landed on {host}, not on one of {sorted(among)}')
    return str(host)


def refused(server: dict, what: str) -> None:
    """That no host was found for it.

    :raises Wrong: one was, or it failed otherwise
    """
    if server['status'] != 'ERROR':
        raise Wrong(f'{what} landed on {host_of(server)}')
    told = server.get('fault', {}).get('message', '')
    if 'No valid host' not in told:
        raise Wrong(f'{what} failed otherwise: {told[:200]}')
