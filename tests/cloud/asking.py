# SPDX-License-Identifier: Apache-2.0
"""An operator asks the cloud, with the commands of the documentation."""

from __future__ import annotations

import concurrent.futures
import json
import os
import subprocess
from collections.abc import Collection, Iterable

from tests.cloud import guests
from tests.cloud.cloud import Cloud
from tests.cloud.hosts import ALL, NESTED
from tests.cloud.layout import program

_NESTED = {'hvfilter:nested': 'required'}
_NOBODY = {'hvfilter:sev_snp': 'required', 'hvfilter:vtx': 'required'}


def ask(cloud: Cloud) -> str:
    """Which hosts, why not, how many fit, and what is in the wrong place."""
    flavor = guests.flavor(cloud, _NESTED)
    impossible = guests.flavor(cloud, _NOBODY)
    (server,) = guests.boot_of(cloud, flavor, guests.image(cloud))
    landed = guests.landed(server, NESTED, 'the nested guest')
    # Each takes seconds of a processor before it asks anything.
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        nesting, everybody, explained, summed, audited = pool.map(
            lambda words: _rows(cloud, *words[1:], status=words[0]),
            (
                (0, 'list', '--has', 'nested'),
                (0, 'list'),
                (0, 'explain', '--flavor', flavor, '--long'),
                (0, 'summary', '--flavor', flavor),
                (1, 'audit'),
            ),
        )
    _same(_hosts(nesting), NESTED, 'list --has nested')
    _same(_hosts(everybody), ALL, 'list')
    fits = _hosts(row for row in explained if row['Verdict'] == 'fits')
    _same(fits, NESTED, 'explain --flavor')
    (total,) = summed
    _same({total['Hosts That Fit']}, {len(NESTED)}, 'summary --flavor')
    found = [row for row in audited if row['Kind'] in ('flavor', 'server')]
    _same(
        {(row['Kind'], row['Problem']) for row in found},
        {('flavor', 'contradiction')},
        f'audit, of flavor {impossible}',
    )
    return (
        f'nested: {", ".join(sorted(NESTED))}; a guest of that flavor lands '
        f'on {landed}; {total["More Servers"]} more fit; audit finds the '
        'flavor that contradicts itself, and no server out of place'
    )


def status(cloud: Cloud) -> str:
    """hvfilter-status, with the configuration of nova-scheduler."""
    done = subprocess.run(
        [
            program('hvfilter-status'),
            *('--config-file', str(cloud.layout.nova_conf('nova-scheduler'))),
            *('upgrade', 'check', '--json'),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        checks = json.loads(done.stdout)['checks']
    except ValueError:
        raise guests.Wrong(f'{done.stdout} {done.stderr[-500:]}') from None
    failed = [each for each in checks if each['result'] == 2]
    if failed:
        raise guests.Wrong(str(failed))
    warned = [each['check'] for each in checks if each['result']]
    return f'{len(checks)} checks, none failed; warnings: {warned}'


def _hosts(rows: Iterable[dict]) -> set[str]:
    return {row['Host'] for row in rows}


def _rows(
    cloud: Cloud, command: str, *arguments: str, status: int = 0
) -> list[dict]:
    words = ('hypervisor', 'capability', command, *arguments)
    done = subprocess.run(
        [program('openstack'), *words, '-f', 'json'],
        env={
            **os.environ,
            'OS_CLOUD': 'hvfilter',
            'OS_CLIENT_CONFIG_FILE': str(cloud.layout.clouds_yaml),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    line = f'$ openstack {" ".join(words)}'
    cloud.tell(line)
    if done.returncode != status:
        raise guests.Wrong(
            f'{line} ended with {done.returncode}: {done.stderr[-500:]}'
        )
    rows: list[dict] = json.loads(done.stdout)
    return rows


def _same(
    found: Collection[object], expected: Collection[object], what: str
) -> None:
    if found != expected:
        raise guests.Wrong(f'{what}: {found}, not {expected}')
