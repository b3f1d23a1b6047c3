# SPDX-License-Identifier: Apache-2.0
"""Checks of another way to publish, and of leaving without a trace."""

from __future__ import annotations

import time

from hvfilter.model import catalogue
from tests.cloud import (
    configuration,
    guests,
    installation,
    landing,
    processes,
    without,
)
from tests.cloud.cloud import Cloud, computes
from tests.cloud.hosts import BY_NAME, HOSTS, TCG
from tests.cloud.installing import HVFILTER, by_the_book, on, publish

QUIET_S = 3 * configuration.REFRESH_NOVA_S + 5
"""nova-compute renews its provider three times within it; with Nova's default
of 60 s that is three minutes."""
LONG_QUIET_S = 180

_CONF = """
[hvfilter]
publishers = provider-config
provider_config_file = /etc/nova/provider_config/hvfilter.yaml
"""
_HOST = 'qemu'
_LATER = 75


def _own(cloud: Cloud, host: str) -> frozenset[str]:
    return catalogue.own(cloud.traits(host))


def provider_yaml(cloud: Cloud) -> str:
    """Used instead of Placement's API, changed over from, and removed."""
    machine = cloud.hosts[_HOST]
    before = _own(cloud, _HOST)
    on(cloud, _HOST, HVFILTER, 'withdraw')
    if _own(cloud, _HOST):
        raise guests.Wrong(f'{_HOST} still has {_own(cloud, _HOST)}')
    folder = machine.path('/etc/nova/provider_config')
    folder.mkdir(parents=True, exist_ok=True)
    conf = machine.path('/etc/hvfilter/hvfilter.conf')
    conf.parent.mkdir(exist_ok=True)
    conf.write_text(_CONF)
    try:
        cloud.tell(on(cloud, _HOST, HVFILTER, '-q', 'publish').strip()[-300:])
        cloud.restart_computes(BY_NAME[_HOST])
        processes.wait_until(
            lambda: catalogue.REPORTED_TRAIT in cloud.traits(_HOST),
            f'nova-compute on {_HOST} publishes what the file holds',
        )
        used = _own(cloud, _HOST)
        if catalogue.BY_KEY['tcg'].trait not in used:
            raise guests.Wrong(f'nova-compute published {sorted(used)}')
        cloud.tell(f'nova-compute published {", ".join(sorted(used))}')
        _runs(cloud)
    finally:
        conf.unlink()
    # The file is still there, and nova-compute holds what it read.
    printed = on(cloud, _HOST, HVFILTER, 'publish', status=None)
    if 'provider_config' not in printed and 'hvfilter.yaml' not in printed:
        raise guests.Wrong(f'publish does not speak of the file: {printed}')
    cloud.tell(
        'changed over: '
        + ' '.join(
            line for line in printed.splitlines() if 'provider' in line
        )[:400]
    )
    for file in folder.glob('*.yaml'):
        file.unlink()
    cloud.restart_computes(BY_NAME[_HOST])
    publish(cloud, BY_NAME[_HOST])
    _runs(cloud)
    if _own(cloud, _HOST) != before:
        raise guests.Wrong(f'{_HOST} has {sorted(_own(cloud, _HOST))}')
    return 'used, changed over to the API, and removed'


def _runs(cloud: Cloud) -> None:
    time.sleep(configuration.REFRESH_S)
    (server,) = guests.boot(cloud, {}, landing.QEMU, where={'host': _HOST})
    guests.landed(server, TCG, 'the emulated guest')
    cloud.tell(f'{_HOST}: {guests.speaks(cloud, server)}')
    guests.delete_all(cloud)


def remove(cloud: Cloud) -> str:
    """By removing.rst; and nothing comes back.

    Nobody publishes by itself here, and nova-compute was restarted when the
    provider.yaml was removed: the first two steps are done.
    """
    flavor = guests.flavor(cloud, {'hvfilter:nested': 'required'})
    _end_scheduler(cloud)
    cloud.policy = None
    cloud.restart('nova-scheduler')
    command = by_the_book('removing.rst', 'hvfilter withdraw --all')
    words = (*command.split()[1:], '--yes')
    refusal = cloud.hvfilter(*words, status=1)
    if flavor not in refusal and 'flavor' not in refusal:
        raise guests.Wrong(f'it does not say why: {refusal}')
    cloud.tell(refusal)
    guests.delete_flavors(cloud)
    cloud.tell(cloud.hvfilter('-q', *words))
    installation.pip(cloud.layout, 'uninstall', '-y', 'hvfilter')
    cloud.restart('nova-scheduler', 'nova-api', *computes())
    cloud.wait_for_reports()
    began = time.monotonic()
    seen = without.schedules(cloud)
    guests.delete_all(cloud)
    quiet = LONG_QUIET_S if cloud.patient else QUIET_S
    time.sleep(max(0.0, quiet - (time.monotonic() - began)))
    left = {
        host.name: sorted(_own(cloud, host.name))
        for host in HOSTS
        if _own(cloud, host.name)
    }
    names = cloud.trait_names('CUSTOM_HVFILTER_')
    if left or names:
        raise guests.Wrong(f'came back: {left}; names: {names}')
    took = time.monotonic() - began
    return (
        f'nothing came back in {took:.0f} s, in which nova-compute renewed '
        f'its provider every {configuration.REFRESH_NOVA_S} s instead of 60; '
        f'as before: {seen}'
    )


def _end_scheduler(cloud: Cloud) -> None:
    """With hvfilter in it, it ends at TERM as without."""
    began = time.monotonic()
    code = cloud.end('nova-scheduler')
    if code:
        raise guests.Wrong(f'nova-scheduler ended with {code} on TERM')
    took = time.monotonic() - began
    cloud.tell(f'nova-scheduler ends within {took:.1f} s with {code}')
