# SPDX-License-Identifier: Apache-2.0
"""Checks of what goes on while others are away, and after restarts."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from tests.cloud import configuration, guests, installing, landing
from tests.cloud.cloud import Cloud
from tests.cloud.hosts import BY_NAME, HOSTS, NESTED, TCG
from tests.cloud.policies import warned

AWAY_S = 10.0
"""Enough to show all: refresh_s is 2 here and retry_s is shorter too."""
LONG_AWAY_S = 60.0

_RETRY_S = 5.0
"""The default of the option."""

_NESTED = {'hvfilter:nested': 'required'}
_LATER = 75


def outages(cloud: Cloud) -> str:
    """Each is away for a while; afterwards all is as before."""
    for service, away, back in (
        ('placement', _without_placement, cloud.start_api),
        ('keystone', _without_keystone, cloud.start_api),
        ('rabbitmq', _without_broker, lambda _: cloud.start_broker()),
    ):
        _outage(cloud, service, away, back)
    return f'each for {_away_s(cloud):.0f} s; no trait was lost meanwhile'


def _away_s(cloud: Cloud) -> float:
    return LONG_AWAY_S if cloud.patient else AWAY_S


def _outage(
    cloud: Cloud,
    service: str,
    away: Callable[[Cloud], str],
    back: Callable[[str], None],
) -> None:
    traits = {host.name: cloud.traits(host.name) for host in HOSTS}
    (there,) = guests.boot(cloud)
    cloud.there = there
    cloud.end(service)
    began = time.monotonic()
    try:
        seen = away(cloud)
        time.sleep(max(0.0, _away_s(cloud) - (time.monotonic() - began)))
    finally:
        back(service)
    cloud.tell(f'{service} is away: {seen}')
    # A worker does not ask again at once after a failure: retry_s.
    time.sleep(_RETRY_S)
    cloud.wait_for_reports()
    _works(cloud, f'{service} is back')
    for host, before in traits.items():
        if cloud.traits(host) != before:
            changed = sorted(cloud.traits(host) ^ before)
            raise guests.Wrong(f'traits of {host} changed: {changed}')


def _works(cloud: Cloud, what: str) -> None:
    """Guests land as they should, and one runs."""
    (server,) = guests.boot(cloud, _NESTED)
    host = guests.landed(server, NESTED, 'the nested guest')
    cloud.tell(f'{what}: a nested guest lands on {host}')
    guests.delete_all(cloud)


def _without_placement(cloud: Cloud) -> str:
    """No new host; a rebuild, of which Nova asks the filters, goes on."""
    other = guests.image(cloud, {'img_hv_type': 'kvm'})
    begun = cloud.scheduler_log_size()
    time.sleep(configuration.REFRESH_S)
    for server in guests.boot(cloud, _NESTED, count=2):
        guests.refused(server, 'a guest without Placement')
    after = guests.act(cloud, cloud.there, 'rebuild', {'imageRef': other})
    if after['status'] != 'ACTIVE' or after['image']['id'] != other:
        raise guests.Wrong(f'the rebuild came to {after["status"]}')
    warnings = warned(cloud.scheduler_log(begun))
    if not warnings:
        raise guests.Wrong('the log does not warn that Placement is away')
    _publish_later(cloud)
    return f'new guests are refused, a rebuild goes on ("{warnings[0]}")'


def _without_keystone(cloud: Cloud) -> str:
    """Nobody can ask for anything; the agent tries again later."""
    return _publish_later(cloud)


def _publish_later(cloud: Cloud) -> str:
    printed = installing.on(
        cloud,
        *('qemu', installing.HVFILTER, 'publish', '--wait', '3'),
        status=_LATER,
    )
    (line,) = re.findall(r'^placement: (.*)$', printed, re.MULTILINE)
    return f'publish ends with {_LATER}: {line}'


def _without_broker(cloud: Cloud) -> str:
    """The agent does not care."""
    installing.publish(cloud, BY_NAME['qemu'])
    return 'publish works'


def restarts(cloud: Cloud) -> str:
    """Every service ends and starts again, some at a time."""
    for names in (
        (
            *('keystone', 'placement', 'glance', 'nova-api'),
            *('nova-conductor', 'nova-scheduler'),
        ),
        (
            *('mariadb', 'rabbitmq'),
            *(f'libvirtd-{host.name}' for host in HOSTS if host.virt_type),
        ),
    ):
        cloud.restart(*names)
        cloud.wait_for_reports()
        _works(cloud, f'restarted {", ".join(names)}')
    cloud.restart_computes()
    _works(cloud, 'restarted all nova-compute')
    (server,) = guests.boot(cloud, {}, landing.QEMU, where={'host': 'qemu'})
    guests.landed(server, TCG, 'the emulated guest')
    cloud.tell(f'qemu: {guests.speaks(cloud, server)}')
    return 'all of them'
