# SPDX-License-Identifier: Apache-2.0
"""Checks of where a nested guest goes when it has to go somewhere."""

from __future__ import annotations

from tests.cloud import guests, landing, processes
from tests.cloud.cloud import Cloud
from tests.cloud.hosts import HOSTS, NESTED, TCG

_SPECS = {'hvfilter:nested': 'required'}
_WHAT = 'the nested guest'


def _begin(cloud: Cloud, specs: dict[str, str] | None = None) -> dict:
    (server,) = guests.boot(cloud, _SPECS if specs is None else specs)
    return server


def _elsewhere(before: dict) -> frozenset[str]:
    """The other host that nests: there are two."""
    return NESTED - {guests.landed(before, NESTED, _WHAT)}


def _moved(before: dict, after: dict) -> str:
    at = guests.landed(after, _elsewhere(before), _WHAT)
    return f'from {guests.host_of(before)} to {at}'


def resize(cloud: Cloud) -> str:
    """A plain guest on a host that does not nest becomes a nested one."""
    before = _begin(cloud, {})
    start = guests.landed(before, frozenset({'flat'}), 'a plain guest')
    after = guests.act(
        cloud,
        before,
        'resize',
        {'flavorRef': guests.flavor(cloud, _SPECS)},
        status='VERIFY_RESIZE',
    )
    told = f'from {start} to {guests.landed(after, NESTED, _WHAT)}'
    after = guests.act(cloud, after, 'confirmResize', status='ACTIVE')
    guests.landed(after, NESTED, _WHAT)
    return told


def cold_migration(cloud: Cloud) -> str:
    """To the only other host that nests, and not from there to a third."""
    before = _begin(cloud)
    after = guests.act(cloud, before, 'migrate', status='VERIFY_RESIZE')
    told = _moved(before, after)
    guests.act(cloud, after, 'confirmResize', status='ACTIVE')
    return told


def live_migration(cloud: Cloud) -> str:
    """The scheduler chooses; and a host that will not do is refused."""
    before = _begin(cloud)
    _live(cloud, before, None)
    after = _until_moved(cloud, before)
    told = _moved(before, after)
    _live(cloud, after, 'flat')
    still = guests.settled(cloud, str(after['id']))
    if guests.host_of(still) != guests.host_of(after):
        raise guests.Wrong(f'it went to {guests.host_of(still)} when told to')
    return f'{told}, and not to flat when told to'


def _live(cloud: Cloud, server: dict, host: str | None) -> None:
    guests.act(
        cloud,
        server,
        'os-migrateLive',
        {'host': host, 'block_migration': 'auto'},
    )


def _until_moved(cloud: Cloud, before: dict) -> dict:
    found = before

    def gone() -> bool:
        nonlocal found
        found = guests.settled(cloud, str(before['id']))
        return guests.host_of(found) != guests.host_of(before)

    processes.wait_until(gone, 'the guest has moved')
    return found


def unshelve(cloud: Cloud) -> str:
    """A nested guest comes back on a host that nests."""
    before = _begin(cloud)
    guests.landed(before, NESTED, _WHAT)
    after = _shelve_and_back(cloud, before)
    at = guests.landed(after, NESTED, _WHAT)
    return f'from {guests.host_of(before)} to {at}'


def unshelve_emulated(cloud: Cloud) -> str:
    """And one that really runs does so again."""
    landing.zone(cloud)
    where = {'availability_zone': landing.ZONE}
    (server,) = guests.boot(cloud, {}, landing.QEMU, where=where)
    guests.landed(server, TCG, 'the emulated guest')
    cloud.tell(f'qemu: {guests.speaks(cloud, server)}')
    server = _shelve_and_back(cloud, server)
    at = guests.landed(server, TCG, 'the emulated guest, unshelved,')
    cloud.tell(f'{at}, unshelved: {guests.speaks(cloud, server)}')
    return f'back on {at}'


def _shelve_and_back(cloud: Cloud, server: dict) -> dict:
    shelved = guests.act(cloud, server, 'shelve', status='SHELVED_OFFLOADED')
    return guests.act(cloud, shelved, 'unshelve', status='ACTIVE')


def rebuild(cloud: Cloud) -> str:
    """With another image; and not with one that would not have landed there.

    An emulated guest becomes what its host makes of it, so a plain image is
    refused on a host without KVM.
    """
    (server,) = guests.boot(cloud, {}, landing.QEMU, where={'host': 'qemu'})
    guests.landed(server, TCG, 'the emulated guest')
    cloud.tell(f'qemu: {guests.speaks(cloud, server)}')
    other = guests.image(cloud, landing.QEMU)
    server = guests.act(cloud, server, 'rebuild', {'imageRef': other})
    if server['status'] != 'ACTIVE' or server['image']['id'] != other:
        raise guests.Wrong(f'the rebuild came to {server["status"]}')
    cloud.tell(f'qemu, rebuilt: {guests.speaks(cloud, server)}')
    begun = cloud.scheduler_log_size()
    plain = guests.image(cloud)
    after = guests.act(cloud, server, 'rebuild', {'imageRef': plain})
    if after['image']['id'] == plain and after['status'] == 'ACTIVE':
        raise guests.Wrong('a plain image is let onto a host without KVM')
    return (
        'with img_hv_type=qemu again it runs; with a plain image: '
        f'{after["status"]}; {landing.why(cloud, begun, server)}'
    )


def evacuation(cloud: Cloud) -> str:
    """Its host is lost; the other one that nests takes it."""
    before = _begin(cloud)
    start = guests.landed(before, NESTED, _WHAT)
    host = next(host for host in HOSTS if host.name == start)
    cloud.end(f'nova-compute-{start}')
    try:
        # Nova would find out itself, after a while.
        _declare(cloud, start, lost=True)
        guests.act(cloud, before, 'evacuate', {})
        told = _moved(before, _until_moved(cloud, before))
    finally:
        # What was evacuated it has to see to, before it counts again.
        cloud.start_compute(host)
        processes.wait_until(
            lambda: _declare(cloud, start, lost=False),
            f'nova-compute on {start} is up again; see {cloud.layout.logs}',
        )
    return told


def _declare(cloud: Cloud, host: str, *, lost: bool) -> bool:
    """Whether Nova takes it, and the host's state is that."""
    path = f'/os-services?binary=nova-compute&host={host}'
    (service,) = cloud.get(path)['services']
    cloud.admin.compute.put(
        f'/os-services/{service["id"]}',
        json={'forced_down': lost},
        microversion=guests.MICROVERSION,
    )
    (service,) = cloud.get(path)['services']
    return bool(service['state'] == ('down' if lost else 'up'))
