# SPDX-License-Identifier: Apache-2.0
"""Checks of what an operator does: publish, configure, restart, look."""

from __future__ import annotations

import os
import re
import signal
import time

from tests.cloud import configuration, guests, installing, processes
from tests.cloud.cloud import Cloud
from tests.cloud.hosts import BY_NAME, NESTED

_NESTED = {'hvfilter:nested': 'required'}
_WRONG = (
    # Bad values of options were put in on purpose.
    r' (ERROR|CRITICAL) hvfilter(?!.* is not valid: )',
    # Nor does it count that cotyledon, which logs all options at SIGHUP, meets
    # these values there.
    r'^(?!.* cotyledon\._utils ).*File ".*/site-packages/hvfilter/',
)
ROUNDS = 4
"""So many requests that each worker gets one."""


def extra_specs(cloud: Cloud) -> str:
    """nova-api refuses what means nothing, with a text that helps."""
    flavor = guests.flavor(cloud)
    told = ''
    for name, value, hint in (
        ('hvfilter:nestd', 'required', 'Did you mean hvfilter:nested?'),
        ('hvfilter:nested', 'maybe', 'required'),
    ):
        answer = guests.set_specs(cloud, flavor, {name: value})
        if answer.status_code != 400 or hint not in answer.text:
            raise guests.Wrong(
                f'{name}={value}: {answer.status_code} {answer.text[:200]}'
            )
        told = told or answer.json()['badRequest']['message'][:90]
    answer = guests.set_specs(cloud, flavor, _NESTED)
    if answer.status_code != 200:
        raise guests.Wrong(f'nested=required is refused: {answer.text}')
    return f'400 {told}...'


def report(cloud: Cloud) -> str:
    """SIGUSR2 to each worker: Nova's report has our section."""
    begun = cloud.scheduler_log_size()
    guests.boot(cloud, _NESTED, count=ROUNDS)
    seen = workers(cloud.scheduler_log(begun), 'HardwareVirtFilter')
    begun = cloud.scheduler_log_size()
    for pid in seen:
        os.kill(int(pid), signal.SIGUSR2)
    processes.wait_until(
        lambda: (
            cloud.scheduler_log(begun).count('hosts by trait') >= len(seen)
        ),
        'a report of each worker with our section is in the log',
        patience_s=15.0,
    )
    counted = re.findall(r'hosts_passed = (\d+)', cloud.scheduler_log(begun))
    return f'{len(seen)} workers; hosts passed: {", ".join(counted)}'


def workers(log: str, pattern: str) -> set[str]:
    """The process ids that logged lines with that."""
    return {
        line.split()[2]
        for line in log.splitlines()
        if re.search(pattern, line) and len(line.split()) > 2
    }


def lost(cloud: Cloud) -> str:
    """What is published anew counts within refresh_s."""
    intel = BY_NAME['intel']
    before = guests.boot(cloud, _NESTED)[0]
    guests.landed(before, frozenset({'intel'}), 'the nested guest')
    guests.delete_all(cloud)
    installing.publish(cloud, intel, 'intel-nested-off')
    try:
        time.sleep(configuration.REFRESH_S)
        # The first that a worker meets now renews what it knows; those that
        # come meanwhile go by the old, as the documentation has it.
        guests.boot(cloud, _NESTED, count=ROUNDS)
        guests.delete_all(cloud)
        for server in guests.boot(cloud, _NESTED, count=ROUNDS):
            guests.landed(server, NESTED - {'intel'}, 'the nested guest')
    finally:
        installing.publish(cloud, intel)
    time.sleep(configuration.REFRESH_S)
    guests.delete_all(cloud)
    guests.boot(cloud, _NESTED, count=ROUNDS)
    guests.delete_all(cloud)
    after = guests.boot(cloud, _NESTED)[0]
    guests.landed(after, frozenset({'intel'}), 'the nested guest')
    return f'on intel, then {ROUNDS} of {ROUNDS} on amd, then on intel again'


def logs(cloud: Cloud) -> str:
    """No log has an error of ours."""
    found = []
    paths = sorted(cloud.layout.logs.glob('*.log'))
    for path in paths:
        for line in path.read_text(errors='replace').splitlines():
            if any(re.search(each, line) for each in _WRONG):
                found.append(f'{path.name}: {line.strip()[:200]}')
    if found:
        raise guests.Wrong(f'{len(found)} lines, first {found[0]}')
    return f'nothing of ours in {len(paths)} logs'
