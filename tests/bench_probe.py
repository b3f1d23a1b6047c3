# SPDX-License-Identifier: Apache-2.0
"""What does a look at this host cost? ``python -m tests.bench_probe``

Two measures, CPU time of user and system together, the least of several
runs, so that a busy machine does not matter much:

* the probe's own work, without and with the smoke run, beyond interpreter
  start and imports;
* ``hvfilter probe`` as a whole process, against a process that does nothing
  but ``import oslo_config.cfg, oslo_log.log, stevedore``.

Exit status 1 when a limit is exceeded.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import resource
import subprocess
import sys
import time
from collections.abc import Sequence

from hvfilter.host.live import LiveHost
from hvfilter.probes import run
from hvfilter.probes.host_report import probe_host

QUIET_LIMIT_MS = 10.0
SMOKE_LIMIT_MS = 50.0
PROCESS_LIMIT = 1.2

BASELINE = 'import oslo_config.cfg, oslo_log.log, stevedore'


def own_work_ms(smoke: bool, rounds: int) -> tuple[float, float]:
    """CPU time of one look: the first one's and the least."""
    probes = run.registered()
    spent = []
    for _ in range(rounds):
        before = time.process_time()
        probe_host(LiveHost(smoke=smoke), probes=probes)
        spent.append(1000 * (time.process_time() - before))
    return spent[0], min(spent)


def process_ms(commands: Sequence[Sequence[str]], rounds: int) -> list[float]:
    """The least CPU time of each command, run in turns."""
    least = [float('inf')] * len(commands)
    for _ in range(rounds):
        for index, command in enumerate(commands):
            before = _children()
            subprocess.run(
                command, stdout=subprocess.DEVNULL, check=True, close_fds=True
            )
            least[index] = min(least[index], 1000 * (_children() - before))
    return least


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=11)
    rounds = parser.parse_args().rounds
    python = sys.executable
    script = pathlib.Path(python).parent / 'hvfilter'
    load = os.getloadavg()[0]
    print(f'{os.cpu_count()} CPUs, load {load:.1f}, {rounds} rounds each')

    within = True

    def line(what: str, value: float, limit: float, unit: str) -> None:
        nonlocal within
        held = value <= limit
        within = within and held
        word = 'ok' if held else 'EXCEEDED'
        print(f'{what:<44}{value:8.2f} {unit:<3} limit {limit:g}: {word}')

    measures: tuple[tuple[str, bool, float], ...] = (
        ('own work without the smoke run', False, QUIET_LIMIT_MS),
        ('own work with the smoke run', True, SMOKE_LIMIT_MS),
    )
    for what, smoke, limit in measures:
        first, least = own_work_ms(smoke, rounds)
        line(what, least, limit, 'ms')
        print(f'  (the first look, imports included: {first:.2f} ms)')

    baseline, table, document, quiet = process_ms(
        (
            (python, '-c', BASELINE),
            (str(script), 'probe'),
            (str(script), 'probe', '-f', 'json'),
            (str(script), 'probe', '--no-smoke'),
        ),
        rounds,
    )
    print(f'{"the baseline process":<44}{baseline:8.2f} ms')
    for what, spent in (
        ('hvfilter probe', table),
        ('hvfilter probe -f json', document),
        ('hvfilter probe --no-smoke', quiet),
    ):
        print(f'{what:<44}{spent:8.2f} ms')
        line('  against the baseline', spent / baseline, PROCESS_LIMIT, '')
    return 0 if within else 1


if __name__ == '__main__':
    sys.exit(main())
