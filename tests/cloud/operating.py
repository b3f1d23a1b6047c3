# SPDX-License-Identifier: Apache-2.0
"""Checks of what an operator does: publish, configure, restart, look."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time

from hvfilter.model import catalogue
from tests.cloud import configuration, guests, processes
from tests.cloud.cloud import Cloud
from tests.cloud.hosts import HOSTS, KVM, NESTED, Host, recording
from tests.cloud.layout import ROOT, program

REFRESH_S = 2.0
"""As in nova.conf; see ``configuration.write_scheduler``."""

RETRY_S = 5.0
"""The default of the option."""

_NESTED = {'hvfilter:nested': 'required'}
_NOBODY = {'hvfilter:sev': 'required'}
_ROUNDS = 8
"""So many requests that each worker gets one."""


def _hvfilter(cloud: Cloud, *arguments: str) -> None:
    done = subprocess.run(
        [program('hvfilter'), *arguments],
        env={
            **os.environ,
            'OS_CLOUD': 'hvfilter',
            'OS_CLIENT_CONFIG_FILE': str(cloud.layout.clouds_yaml),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    with (cloud.layout.logs / 'hvfilter.log').open('a') as log:
        log.write(f'$ hvfilter {" ".join(arguments)}\n{done.stdout}\n')
    if done.returncode:
        raise guests.Wrong(
            f'hvfilter {" ".join(arguments)} ended with '
            f'{done.returncode}: {done.stdout[-500:]}'
        )


def _publish(cloud: Cloud, host: Host, recorded: str) -> None:
    conf = cloud.layout.nova_conf(f'nova-compute-{host.name}')
    _hvfilter(
        cloud,
        'publish',
        *('--config-file', str(conf)),
        *('--snapshot', str(recording(recorded))),
        *('--provider-name', host.name),
    )
    expected = recording(f'expected/{recorded}')
    found = cloud.traits(host.name) & catalogue.OWN_TRAITS
    wanted = {
        catalogue.BY_KEY[key].trait
        for key, state in json.loads(expected.read_text()).items()
        if state == 'present'
    }
    wanted.add(catalogue.REPORTED_TRAIT)
    if found != wanted:
        raise guests.Wrong(
            f'{host.name} has {sorted(found)}, not {sorted(wanted)}'
        )


def publish(cloud: Cloud) -> str:
    """The command line: with clouds.yaml, and with nova-compute's own file."""
    _hvfilter(cloud, 'prepare')
    for host in HOSTS:
        _publish(cloud, host, host.recorded)
    return '; '.join(f'{host.name} as {host.recorded}' for host in HOSTS)


def loaded(cloud: Cloud) -> str:
    """nova-scheduler runs with our excerpt, and uses the filter."""
    begun = cloud.scheduler_log_size()
    guests.boot(cloud)
    said = cloud.scheduler_log(begun)
    if 'Filter HardwareVirtFilter returned' not in said:
        raise guests.Wrong('Nova does not tell that it asked the filter')
    return f'{configuration.WORKERS} workers, HardwareVirtFilter is asked'


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


def permissive(cloud: Cloud) -> str:
    """By SIGHUP there and back, in each worker, without a restart of ours."""
    guests.refused(guests.boot(cloud, _NOBODY)[0], 'a guest for nobody')
    begun = cloud.scheduler_log_size()
    try:
        cloud.reload_scheduler({'mode': 'permissive'})
        _settle(cloud, begun)
        begun = cloud.scheduler_log_size()
        for server in guests.boot(cloud, _NOBODY, count=_ROUNDS):
            guests.landed(
                server, frozenset(h.name for h in HOSTS), 'in permissive mode'
            )
        said = cloud.scheduler_log(begun)
        workers = _workers(said, 'let pass, for the mode is permissive')
    finally:
        begun = cloud.scheduler_log_size()
        cloud.reload_scheduler({})
        _settle(cloud, begun)
    for server in guests.boot(cloud, _NOBODY, count=_ROUNDS):
        guests.refused(server, 'a guest for nobody, enforcing again')
    if len(workers) < configuration.WORKERS:
        raise guests.Wrong(f'only the workers {sorted(workers)} were seen')
    return (
        f'{_ROUNDS} guests for nobody land by {len(workers)} workers, and '
        f'{_ROUNDS} are refused once it is enforcing again'
    )


def _settle(cloud: Cloud, begun: int) -> None:
    """Until SIGHUP has arrived everywhere."""
    processes.wait_until(
        lambda: 'Option hvfilter.mode changed' in cloud.scheduler_log(begun),
        'nova-scheduler reads its configuration at SIGHUP',
        patience_s=15.0,
    )
    # On native threads each worker ends now, and a new one takes its place.
    time.sleep(REFRESH_S * 2)


def _workers(said: str, words: str) -> set[str]:
    """The process ids that logged such lines."""
    return {
        line.split()[2]
        for line in said.splitlines()
        if words in line and len(line.split()) > 2
    }


def report(cloud: Cloud) -> str:
    """SIGUSR2 to each worker: Nova's report has our section."""
    begun = cloud.scheduler_log_size()
    guests.boot(cloud, _NESTED, count=_ROUNDS)
    workers = _workers(cloud.scheduler_log(begun), 'HardwareVirtFilter')
    begun = cloud.scheduler_log_size()
    for pid in workers:
        os.kill(int(pid), signal.SIGUSR2)
    processes.wait_until(
        lambda: (
            cloud.scheduler_log(begun).count('hosts by trait') >= len(workers)
        ),
        'a report of each worker with our section is in the log',
        patience_s=15.0,
    )
    counted = re.findall(r'hosts_passed = (\d+)', cloud.scheduler_log(begun))
    return f'{len(workers)} workers; hosts passed: {", ".join(counted)}'


def lost(cloud: Cloud) -> str:
    """What is published anew counts within refresh_s."""
    intel = next(host for host in HOSTS if host.name == 'intel')
    before = guests.boot(cloud, _NESTED)[0]
    guests.landed(before, frozenset({'intel'}), 'the nested guest')
    guests.delete_all(cloud)
    _publish(cloud, intel, 'intel-nested-off')
    try:
        time.sleep(REFRESH_S)
        # The first that a worker meets now renews what it knows; those that
        # come meanwhile go by the old, as the documentation has it.
        guests.boot(cloud, _NESTED, count=_ROUNDS)
        guests.delete_all(cloud)
        for server in guests.boot(cloud, _NESTED, count=_ROUNDS):
            guests.landed(server, NESTED - {'intel'}, 'the nested guest')
    finally:
        _publish(cloud, intel, intel.recorded)
    time.sleep(REFRESH_S)
    guests.delete_all(cloud)
    guests.boot(cloud, _NESTED, count=_ROUNDS)
    guests.delete_all(cloud)
    after = guests.boot(cloud, _NESTED)[0]
    guests.landed(after, frozenset({'intel'}), 'the nested guest')
    return f'on intel, then {_ROUNDS} of {_ROUNDS} on amd, then on intel again'


def outage(cloud: Cloud) -> str:
    """Without Placement there is no new host; with it again there is.

    Nova does not even ask the filters then, but for a rebuild it does.
    """
    (there,) = guests.boot(cloud)
    other = guests.image(cloud, {'img_hv_type': 'kvm'})
    code = cloud.end('placement')
    begun = cloud.scheduler_log_size()
    try:
        time.sleep(REFRESH_S)
        for server in guests.boot(cloud, _NESTED, count=2):
            guests.refused(server, 'a guest without Placement')
        rebuilt = guests.act(cloud, there, 'rebuild', {'imageRef': other})
    finally:
        cloud.start_api('placement')
    if rebuilt['status'] != 'ACTIVE' or rebuilt['image']['id'] != other:
        raise guests.Wrong(f'the rebuild came to {rebuilt["status"]}')
    warnings = _ours(cloud.scheduler_log(begun), 'WARNING')
    if not warnings:
        raise guests.Wrong('the log does not warn that Placement is away')
    if warnings[0].count('Connection refused') > 1:
        raise guests.Wrong(f'the log tells it twice: {warnings[0]}')
    # A worker does not ask again at once after a failure: retry_s.
    time.sleep(RETRY_S)
    server = guests.boot(cloud, _NESTED)[0]
    at = guests.landed(server, NESTED, 'the nested guest')
    return (
        f'new guests are refused, a rebuild goes on ("{warnings[0]}"); '
        f'afterwards one lands on {at}; Placement ended with {code}'
    )


def _ours(said: str, level: str) -> list[str]:
    """What we said at a level, without where and when."""
    return re.findall(rf' {level} hvfilter\S* \[[^]]*\] (.*)', said)


def prefilter(cloud: Cloud) -> str:
    """The same landings, and Placement is asked for traits."""
    code = cloud.end('nova-scheduler')
    if code:
        raise guests.Wrong(f'nova-scheduler ended with {code} on TERM')
    cloud.start_scheduler({'prefilter': True})
    begun = cloud.scheduler_log_size()
    server = guests.boot(cloud)[0]
    guests.landed(server, frozenset({guests.best(KVM)}), 'plain')
    server = guests.boot(cloud, _NESTED)[0]
    guests.landed(server, frozenset({guests.best(NESTED)}), 'nested')
    guests.refused(guests.boot(cloud, _NOBODY)[0], 'a guest for nobody')
    asked = re.findall(
        r'Placement is asked for (\[.*\] and not for \[.*\])',
        cloud.scheduler_log(begun),
    )
    if not any('CUSTOM_HVFILTER_NESTED' in each for each in asked):
        raise guests.Wrong(f'it was not asked for nested, but for {asked}')
    return f'asked for {"; ".join(dict.fromkeys(asked))}'


def logs(cloud: Cloud) -> str:
    """nova-scheduler ends at TERM; no log has an error of ours."""
    began = time.monotonic()
    code = cloud.end('nova-scheduler')
    took = time.monotonic() - began
    cloud.start_scheduler()
    found = []
    paths = sorted(cloud.layout.logs.glob('*.log'))
    for path in paths:
        for line in path.read_text(errors='replace').splitlines():
            if re.search(r' (ERROR|CRITICAL) .*hvfilter', line) or re.search(
                rf'File "{ROOT}/hvfilter/', line
            ):
                found.append(f'{path.name}: {line.strip()[:200]}')
    if found:
        raise guests.Wrong(f'{len(found)} lines, first {found[0]}')
    if code:
        raise guests.Wrong(f'nova-scheduler ended with {code} on TERM')
    return (
        f'nova-scheduler ends within {took:.1f} s with {code}; nothing of '
        f'ours in {len(paths)} logs'
    )
