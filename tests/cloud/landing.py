# SPDX-License-Identifier: Apache-2.0
"""Checks of where new guests land."""

from __future__ import annotations

import re
import threading
import uuid

from tests.cloud import guests
from tests.cloud.cloud import Cloud
from tests.cloud.hosts import ALL, KVM, NESTED, REAL, TCG

QEMU = {'img_hv_type': 'qemu'}
ZONE = 'real'
"""The availability zone of the hosts with a real libvirt."""

# Checks that run side by side want it.
_ZONING = threading.Lock()
_TEN = 10
_TRAIT = 'trait:CUSTOM_HVFILTER_NESTED'
_ASKED = (
    ('plain', {}, {}, KVM),
    ('hvfilter:nested=required', {'hvfilter:nested': 'required'}, {}, NESTED),
    (f'{_TRAIT}=required', {_TRAIT: 'required'}, {}, NESTED),
    (
        'hvfilter:nested=forbidden',
        {'hvfilter:nested': 'forbidden'},
        {},
        KVM - NESTED,
    ),
    ('hvfilter:tcg=required', {'hvfilter:tcg': 'required'}, QEMU, TCG),
    ('image img_hv_type=qemu', {}, QEMU, TCG | KVM),
    (
        'image img_hv_type=qemu, hvfilter:nested=required',
        {'hvfilter:nested': 'required'},
        QEMU,
        NESTED,
    ),
    (
        'hvfilter:amdv=required',
        {'hvfilter:amdv': 'required'},
        {},
        frozenset({'amd'}),
    ),
)


def landing(cloud: Cloud) -> str:
    """Each lands on the host that Nova prefers of those that will do."""
    speaking = []
    for what, specs, properties, among in _ASKED:
        (server,) = guests.boot(cloud, specs, properties)
        best = frozenset({guests.best(among)})
        host = guests.landed(server, best, what)
        cloud.tell(f'{what}: on {host}')
        if host in TCG:
            speaking.append(server)
        else:
            # It need not be gone when the next one comes: hosts differ by
            # more memory than two guests take.
            guests.delete(cloud, server)
    for server in speaking:
        cloud.tell(f'{guests.host_of(server)}: {guests.speaks(cloud, server)}')
    return f'{len(_ASKED)} guests on {len(ALL)} hosts'


def zone(cloud: Cloud) -> None:
    """Put the hosts with a real libvirt into a zone of their own."""
    with _ZONING:
        there = cloud.get('/os-aggregates')['aggregates']
        if not any(each['name'] == ZONE for each in there):
            guests.aggregate(cloud, ZONE, REAL, {'availability_zone': ZONE})


def refused(cloud: Cloud) -> str:
    """The guest that was silent is refused there, and lands elsewhere."""
    zone(cloud)
    flavor = guests.flavor(cloud)
    for name, properties in (
        ('plain', {}),
        ('img_hv_type=kvm', {'img_hv_type': 'kvm'}),
        ('img_hv_type=qemu', QEMU),
    ):
        image = guests.image(cloud, properties)
        where = {'host': 'emulating'}
        begun = cloud.scheduler_log_size()
        (server,) = guests.boot_of(cloud, flavor, image, where=where)
        guests.refused(server, f'a {name} guest on emulating')
        cloud.tell(f'{name}, host=emulating: {why(cloud, begun, server)}')
    begun = cloud.scheduler_log_size()
    where = {'availability_zone': ZONE}
    image = guests.image(cloud)
    (server,) = guests.boot_of(cloud, flavor, image, where=where)
    guests.refused(server, 'a plain guest in the zone of libvirt hosts')
    cloud.tell(f'plain, in zone {ZONE}: {why(cloud, begun, server)}')
    (server,) = guests.boot_of(cloud, flavor, image)
    host = guests.landed(server, KVM, 'a plain guest')
    return (
        f'refused on emulating; unpinned it lands on {host}, which is '
        'pretended: no processor here has VT-x or AMD-V'
    )


def ten(cloud: Cloud) -> str:
    """Emulation will do for them: each runs, wherever in the zone."""
    zone(cloud)
    cloud.tell(
        'no processor here has VT-x or AMD-V: hosts that can run KVM guests '
        f'are the pretended ones, {", ".join(sorted(KVM))}'
    )
    servers = guests.boot(
        cloud, {}, QEMU, count=_TEN, where={'availability_zone': ZONE}
    )
    for server in servers:
        host = guests.landed(server, REAL, 'an img_hv_type=qemu guest')
        cloud.tell(f'{host}: {guests.speaks(cloud, server)}')
    return f'{_TEN} of {_TEN} run'


def multi_create(cloud: Cloud) -> str:
    """One request for several: all on hosts that will do, or none."""
    names = guests.boot_many(cloud, 3, {'hvfilter:nested': 'required'})
    hosts = sorted(
        guests.landed(server, NESTED, 'a nested guest') for server in names
    )
    begun = cloud.scheduler_log_size()
    lost = guests.boot_many(
        cloud, 3, {'hvfilter:sev_snp': 'required', 'hvfilter:vtx': 'required'}
    )
    for server in lost:
        guests.refused(server, 'a guest for nobody')
    found = why(cloud, begun, *lost)
    return f'3 nested guests on {", ".join(hosts)}; 3 for nobody: {found}'


def nobody(cloud: Cloud) -> str:
    """No valid host, and one line in the log with the reason."""
    begun = cloud.scheduler_log_size()
    what = 'hvfilter:sev_snp=required and hvfilter:vtx=required'
    specs = {'hvfilter:sev_snp': 'required', 'hvfilter:vtx': 'required'}
    (server,) = guests.boot(cloud, specs)
    guests.refused(server, what)
    return f'{what}: {why(cloud, begun, server)}'


def why(cloud: Cloud, begun: int, *servers: dict) -> str:
    """The one line of hvfilter about a request that it narrowed.

    :param servers: all of the request
    :raises Wrong: there is none, or more than one
    """
    lines = [
        line
        for line in re.findall(
            r' INFO hvfilter\.\S+ \[[^]]*\] (.*)', cloud.scheduler_log(begun)
        )
        if any(str(uuid.UUID(each['id'])) in line for each in servers)
    ]
    if len(lines) != 1:
        raise guests.Wrong(
            f'{len(lines)} lines give the reason, not one: {lines}'
        )
    return lines[0]
