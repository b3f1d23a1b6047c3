# SPDX-License-Identifier: Apache-2.0
"""Checks of agents that die, are cloned, lose permissions, and leave.

After each it is shown what the scheduler believes.
"""

from __future__ import annotations

import contextlib
import datetime
import re
import time
from collections.abc import Iterator

from hvfilter.model import catalogue
from tests.cloud import configuration, guests, installing, landing, machines
from tests.cloud.cloud import Cloud
from tests.cloud.hosts import BY_NAME, KVM, NESTED, TCG
from tests.cloud.installing import HVFILTER, on

_LATER = 75
_TCG = catalogue.BY_KEY['tcg'].trait
_ZONE = {'availability_zone': landing.ZONE}
_OLD = 5
"""Weeks: more than the default of [hvfilter]report_max_age_weeks."""


def died(cloud: Cloud) -> str:
    """No report for weeks: the host counts as one that never reported."""
    amd = BY_NAME['amd']
    _age(cloud, 'amd', f'{catalogue.REPORTED_TRAIT}_')
    time.sleep(configuration.REFRESH_S)
    try:
        begun = cloud.scheduler_log_size()
        specs = {'hvfilter:amdv': 'required', 'hvfilter:nested': 'required'}
        (server,) = guests.boot(cloud, specs)
        guests.refused(server, 'a nested guest where the report is old')
        cloud.tell(landing.why(cloud, begun, server))
    finally:
        installing.publish(cloud, amd)
    time.sleep(configuration.REFRESH_S)
    _renew(cloud)
    (server,) = guests.boot(cloud, specs)
    guests.landed(server, frozenset({'amd'}), 'a nested guest')
    return f'a report of {_OLD} weeks ago counts for nothing; a new one does'


def cloned(cloud: Cloud) -> str:
    """A copy of another host's compute_id is refused."""
    here = cloud.hosts['emulating'].path('/var/lib/nova/compute_id')
    own = here.read_text()
    before = {host: cloud.traits(host) for host in BY_NAME}
    theirs = cloud.hosts['qemu'].path('/var/lib/nova/compute_id')
    here.write_text(theirs.read_text())
    try:
        printed = on(cloud, 'emulating', HVFILTER, 'publish', status=1)
    finally:
        here.write_text(own)
    for name in ('emulating', 'qemu'):
        if name not in printed:
            raise guests.Wrong(f'{name} is not named: {printed}')
    cloud.tell(f'emulating: {printed.strip()[-300:]}')
    if before != {host: cloud.traits(host) for host in BY_NAME}:
        raise guests.Wrong('the clone changed traits')
    return 'refused, and no trait changed'


def blind(cloud: Cloud) -> str:
    """The agent may no longer read nova.conf: said at once, and it ends."""
    with _unreadable(cloud, 'qemu') as publish:
        printed = publish(_LATER)
        cloud.tell(f'qemu: {printed.strip()[-400:]}')
        if not any(
            name.startswith(f'{_TCG}_UNKNOWN_')
            for name in cloud.traits('qemu')
        ):
            raise guests.Wrong(f'{sorted(cloud.traits("qemu"))}')
        time.sleep(configuration.REFRESH_S)
        _renew(cloud)
        (server,) = guests.boot(cloud, {}, landing.QEMU, where=_ZONE)
        guests.landed(server, TCG, 'what was known a while ago')
        _age(cloud, 'qemu', f'{_TCG}_UNKNOWN_')
        publish(_LATER)
        if _TCG in cloud.traits('qemu'):
            raise guests.Wrong(f'{_TCG} is still there')
        time.sleep(configuration.REFRESH_S)
        _renew(cloud)
        begun = cloud.scheduler_log_size()
        (server,) = guests.boot(cloud, {}, landing.QEMU, where=_ZONE)
        guests.refused(server, 'an emulated guest where nothing is known')
        cloud.tell(landing.why(cloud, begun, server))
    installing.publish(cloud, BY_NAME['qemu'])
    time.sleep(configuration.REFRESH_S)
    _renew(cloud)
    (server,) = guests.boot(cloud, {}, landing.QEMU, where=_ZONE)
    guests.landed(server, TCG, 'the emulated guest')
    return f'kept for a while, removed {_OLD} weeks later, and back'


def left(cloud: Cloud) -> str:
    """One host withdraws: it counts as one that never reported."""
    on(cloud, 'intel', HVFILTER, 'withdraw', '--provider-name', 'intel')
    remaining = catalogue.own(cloud.traits('intel'))
    try:
        if remaining & catalogue.OWN_TRAITS:
            raise guests.Wrong(f'intel still has {sorted(remaining)}')
        time.sleep(configuration.REFRESH_S)
        _renew(cloud)
        (server,) = guests.boot(cloud, {'hvfilter:nested': 'required'})
        guests.landed(server, NESTED - {'intel'}, 'a nested guest')
        (server,) = guests.boot(cloud, where={'host': 'intel'})
        guests.landed(server, KVM, 'a plain guest on an unreported host')
    finally:
        installing.publish(cloud, BY_NAME['intel'])
    time.sleep(configuration.REFRESH_S)
    _renew(cloud)
    (server,) = guests.boot(cloud, {'hvfilter:nested': 'required'})
    guests.landed(server, frozenset({'intel'}), 'a nested guest')
    return 'nested guests go elsewhere, until it publishes again'


def _renew(cloud: Cloud) -> None:
    """Let each worker meet a request, and renew what it knows."""
    guests.boot(cloud, count=4)
    guests.delete_all(cloud)


def _age(cloud: Cloud, host: str, prefix: str) -> None:
    """Make the week in a trait name of a host an older one."""
    now = datetime.datetime.now(datetime.timezone.utc)
    old = now - datetime.timedelta(weeks=_OLD)
    traits = cloud.traits(host)
    (name,) = (
        trait
        for trait in traits
        if re.fullmatch(rf'{prefix}\d{{4}}W\d\d', trait)
    )
    year, week, _ = old.isocalendar()
    older = f'{prefix}{year}W{week:02}'
    cloud.set_traits(host, traits - {name} | {older})
    cloud.tell(f'{host}: {older} instead of {name}')


@contextlib.contextmanager
def _unreadable(cloud: Cloud, host: str) -> Iterator:
    """Publish as a user who may read credentials, and not nova.conf."""
    machine = cloud.hosts[host]
    conf = machine.path('/etc/hvfilter/hvfilter.conf')
    conf.parent.mkdir(exist_ok=True)
    nova = machine.path(machines.NOVA_CONF)
    conf.write_text(configuration.placement_of(cloud.layout))
    conf.chmod(0o644)
    nova.chmod(0o600)
    try:
        yield lambda status: on(
            cloud,
            host,
            *('setpriv', '--reuid=nobody', '--regid=nogroup'),
            *('--clear-groups', HVFILTER, 'publish'),
            *('--provider-name', host),
            status=status,
        )
    finally:
        conf.unlink()
