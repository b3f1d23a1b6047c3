# SPDX-License-Identifier: Apache-2.0
"""Checks of agents that die, are cloned, lose permissions, and leave.

After each it is shown what the scheduler believes.
"""

from __future__ import annotations

import datetime
import re
import time

from hvfilter.model import catalogue
from tests.cloud import configuration, guests, installing, landing, machines
from tests.cloud.cloud import Cloud
from tests.cloud.hosts import BY_NAME, KVM, NESTED, TCG
from tests.cloud.installing import HVFILTER, on

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
    cloud.tell(f'emulating: {printed.partition("+--")[0].strip()}')
    if before != {host: cloud.traits(host) for host in BY_NAME}:
        raise guests.Wrong('the clone changed traits')
    return 'refused, and no trait changed'


def blind(cloud: Cloud) -> str:
    """The agent may no longer read nova.conf: an error at once.

    Nothing is changed, so that the report grows old: see ``died``.
    """
    landing.zone(cloud)
    before = cloud.traits('qemu')
    cloud.hosts['qemu'].path(machines.NOVA_CONF).chmod(0o600)
    printed = on(
        cloud,
        *('qemu', 'setpriv', '--reuid=nobody', '--regid=nogroup'),
        *('--clear-groups', HVFILTER, 'publish'),
        status=1,
    )
    cloud.tell(f'qemu, as nobody: {printed.strip()}')
    if str(machines.NOVA_CONF) not in printed:
        raise guests.Wrong('it does not name the file')
    if cloud.traits('qemu') != before:
        raise guests.Wrong('it changed traits all the same')
    (server,) = guests.boot(cloud, {}, landing.QEMU, where=_ZONE)
    guests.landed(server, TCG, 'the emulated guest')
    return 'exit status 1 with the file and the remedy; no trait changed'


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
