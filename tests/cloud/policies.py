# SPDX-License-Identifier: Apache-2.0
"""Checks of the operator's policy, and of how it is changed."""

from __future__ import annotations

import re
import time

from tests.cloud import configuration, guests, processes
from tests.cloud.cloud import Cloud
from tests.cloud.hosts import ALL, KVM, NESTED
from tests.cloud.landing import why
from tests.cloud.operating import ROUNDS, workers

_NESTED = {'hvfilter:nested': 'required'}
_NOBODY = {'hvfilter:sev_snp': 'required', 'hvfilter:vtx': 'required'}
_NONSENSE = (
    ('required', 'kvm,nestd'),
    ('mode', 'permisive'),
    ('refresh_s', '-1'),
)


def aggregates(cloud: Cloud) -> str:
    """The metadata of an aggregate replaces the policy for its hosts."""
    found = guests.aggregate(
        cloud, 'strict', ['flat'], {'hvfilter:required': 'kvm,nested'}
    )
    try:
        time.sleep(configuration.REFRESH_S)
        begun = cloud.scheduler_log_size()
        (server,) = guests.boot(cloud, where={'host': 'flat'})
        guests.refused(server, 'a plain guest where nested is required')
        cloud.tell(
            f'hvfilter:required=kvm,nested: {why(cloud, begun, server)}'
        )
        (server,) = guests.boot(cloud)
        guests.landed(server, NESTED, 'a plain guest')
        begun = cloud.scheduler_log_size()
        guests.set_metadata(cloud, found, {'hvfilter:required': 'kvm,nestd'})
        time.sleep(configuration.REFRESH_S)
        (server,) = guests.boot(cloud)
        guests.landed(server, KVM, 'a plain guest, with a bad value')
        warnings = warned(cloud.scheduler_log(begun))
        if not any('nestd' in each for each in warnings):
            raise guests.Wrong(f'no warning names the bad value: {warnings}')
        cloud.tell(f'hvfilter:required=kvm,nestd: {warnings[0]}')
    finally:
        guests.set_metadata(cloud, found, {'hvfilter:required': None})
    time.sleep(configuration.REFRESH_S)
    (server,) = guests.boot(cloud)
    guests.landed(server, frozenset({'flat'}), 'a plain guest')
    return 'another policy for one host, and back'


def permissive(cloud: Cloud) -> str:
    """By SIGHUP there and back, in each worker, without a restart of ours."""
    begun = cloud.scheduler_log_size()
    try:
        cloud.reload_scheduler({'mode': 'permissive'})
        if 'Option hvfilter.mode changed' not in cloud.scheduler_log(begun):
            raise guests.Wrong('nova-scheduler does not log the change')
        begun = cloud.scheduler_log_size()
        for server in guests.boot(cloud, _NOBODY, count=ROUNDS):
            guests.landed(server, ALL, 'in permissive mode')
        seen = workers(cloud.scheduler_log(begun), r' INFO .*permissive')
    finally:
        cloud.reload_scheduler({})
    for server in guests.boot(cloud, _NOBODY, count=ROUNDS):
        guests.refused(server, 'a guest for nobody, enforcing again')
    if len(seen) < configuration.WORKERS:
        raise guests.Wrong(f'only the workers {sorted(seen)} were seen')
    return (
        f'mode = permissive: {ROUNDS} guests for nobody land by {len(seen)} '
        f'workers, and {ROUNDS} are refused once it is enforcing again'
    )


def nonsense(cloud: Cloud) -> str:
    """The last good policy goes on, and the log names what is wrong."""
    try:
        for option, value in _NONSENSE:
            _one_nonsense(cloud, option, value)
    finally:
        cloud.reload_scheduler({})
    named = ', '.join(option for option, _ in _NONSENSE)
    return f'with bad values of {named} the last good ones hold'


def _one_nonsense(cloud: Cloud, option: str, value: str) -> None:
    word = value.rpartition(',')[2]
    begun = cloud.scheduler_log_size()

    def lines() -> list[str]:
        return [
            line
            for line in warned(cloud.scheduler_log(begun))
            if option in line and word in line
        ]

    cloud.reload_scheduler({option: value})
    processes.wait_until(
        lambda: bool(lines()),
        f'the log names {option} = {value}',
        patience_s=20.0,
    )
    nobody = guests.flavor(cloud, _NOBODY)
    plain, image = guests.flavor(cloud), guests.image(cloud)
    # Four requests at once: each worker gets some.
    asked = {
        guests.request(cloud, flavor, image): flavor
        for flavor in (nobody, plain) * 2
    }
    for server_id, flavor in asked.items():
        server = guests.settled(cloud, server_id)
        if flavor == nobody:
            guests.refused(server, f'a guest for nobody, {option} = {value}')
        else:
            guests.landed(server, KVM, f'a plain guest, {option} = {value}')
    guests.delete_all(cloud)
    found = lines()
    cloud.tell(f'{option} = {value} ({len(found)} lines): {found[0]}')


def prefilter(cloud: Cloud) -> str:
    """Weigher, reservation and prefilter, after a restart with them."""
    try:
        cloud.weigher = True
        cloud.policy = {'prefilter': True, 'reserved': 'nested'}
        cloud.restart('nova-scheduler')
        _prefiltered(cloud)
        cloud.reload_scheduler({'prefilter': True})
        (server,) = guests.boot(cloud, {'hvfilter:nested': 'preferred'})
        host = guests.landed(server, NESTED, 'nested preferred')
        cloud.tell(f'hvfilter:nested=preferred: on {host}')
        (server,) = guests.boot(cloud)
        host = guests.landed(server, KVM - NESTED, 'plain, with the weigher')
        cloud.tell(f'plain: on {host}')
    finally:
        # The next restart brings it.
        cloud.weigher, cloud.policy = False, {}
    return 'each narrows as it should, and says why'


def _prefiltered(cloud: Cloud) -> None:
    begun = cloud.scheduler_log_size()
    (server,) = guests.boot(cloud)
    guests.landed(server, KVM - NESTED, 'a plain guest, nested reserved')
    (server,) = guests.boot(cloud, _NESTED)
    guests.landed(server, NESTED, 'a nested guest')
    log = cloud.scheduler_log(begun)
    if 'CUSTOM_HVFILTER_NESTED' not in log:
        raise guests.Wrong('Placement was not asked for nested')
    for what, specs, where in (
        ('plain on intel', {}, {'host': 'intel'}),
        ('for nobody', _NOBODY, {}),
    ):
        begun = cloud.scheduler_log_size()
        (server,) = guests.boot(cloud, specs, where=where)
        guests.refused(server, what)
        cloud.tell(f'prefilter, {what}: {why(cloud, begun, server)}')


def warned(log: str) -> list[str]:
    """What hvfilter warns of, without where and when."""
    return re.findall(r' (?:WARNING|ERROR) hvfilter\S* \[[^]]*\] (.*)', log)
