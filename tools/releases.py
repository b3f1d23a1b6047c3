# SPDX-License-Identifier: Apache-2.0
"""The functional tests on each supported release of OpenStack.

``releases.py run [RELEASE...]`` runs them in an environment for each release,
with each kind of threads that its nova-scheduler has, and writes down what
came out in ``tests/releases/results``, of which the table in the
documentation is made. ``releases.py freeze RELEASE`` writes down which
versions are in that environment, as constraints for the next to make one.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterable

import environment

ROOT = environment.ROOT
RESULTS = environment.RELEASES / 'results'
CHOICE = 'OS_NOVA_DISABLE_EVENTLET_PATCHING'
THREADS = {'green': 'false', 'native': 'true'}
"""Value of the variable by which Nova chooses."""
FIRST_NATIVE = '2026.1'
"""The first whose nova-scheduler runs on native threads by default."""

_ASK = """
import json, platform, warnings
from importlib import metadata
warnings.simplefilter('ignore')
from tests import functional
print(json.dumps({
    'threads': 'native' if functional.native() else 'green',
    'nova': metadata.version('nova'),
    'placement': metadata.version('openstack-placement'),
    'python': platform.python_version(),
}))
"""


@dataclasses.dataclass(frozen=True)
class Run:
    """What came out with one kind of threads."""

    threads: str
    passed: int
    failed: int
    skipped: int


@dataclasses.dataclass(frozen=True)
class Record:
    """What came out on one release.

    :ivar date: of the last run, ISO 8601
    """

    release: str
    nova: str
    placement: str
    python: str
    date: str
    runs: tuple[Run, ...]


def kinds_of_threads(release: str) -> list[str]:
    """Those that nova-scheduler of a release may run on."""
    return ['green'] if release < FIRST_NATIVE else ['green', 'native']


def load(path: pathlib.Path) -> Record:
    found = json.loads(path.read_text())
    runs = tuple(Run(**run) for run in found.pop('runs'))
    return Record(**found, runs=runs)


def records() -> list[Record]:
    """All that are written down, oldest release first."""
    return [load(path) for path in sorted(RESULTS.glob('*.json'))]


def table(found: Iterable[Record]) -> list[str]:
    """Lines of reStructuredText: a row for each run."""
    heads = ('Release', 'Nova', 'Placement', 'Python', 'Threads')
    rows = [(*heads, 'Passed', 'Failed', 'Skipped', 'Date')]
    rows += [
        (
            record.release,
            record.nova,
            record.placement,
            record.python,
            'green (eventlet)' if run.threads == 'green' else run.threads,
            str(run.passed),
            str(run.failed),
            str(run.skipped),
            record.date,
        )
        for record in found
        for run in record.runs
    ]
    lines = ['.. list-table::', '   :header-rows: 1', '']
    for row in rows:
        lines += [
            f'   {"* -" if not number else "  -"} {cell}'
            for number, cell in enumerate(row)
        ]
    return lines


def in_environment(
    release: str, threads: str, *command: str, capture: bool = False
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / 'tools' / 'in-env', release, *command],
        cwd=ROOT,
        env={**os.environ, CHOICE: THREADS[threads]},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if capture else None,
        text=True,
        check=False,
    )


def ask(release: str, threads: str) -> dict[str, str]:
    """The versions in its environment, and the threads that Nova chose."""
    done = in_environment(release, threads, 'python', '-c', _ASK, capture=True)
    done.check_returncode()
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    if found.pop('threads') != threads:
        sys.exit(f'Nova of {release} does not run on {threads} threads.')
    return found


def run(release: str, threads: str, workers: int) -> Record:
    """Run the tests, and write down what came out.

    What is written of the other kind of threads stays, if it is of the same
    versions.
    """
    print(f'== {release}, {threads} threads', flush=True)
    versions = ask(release, threads)
    with tempfile.TemporaryDirectory() as directory:
        counts = pathlib.Path(directory) / 'counts.json'
        command = ['python', 'tools/run_tests.py', 'functional']
        command += ['--workers', str(workers), '--results', str(counts)]
        in_environment(release, threads, *command)
        came_out = Run(threads, **json.loads(counts.read_text()))
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    record = Record(release, **versions, date=today, runs=(came_out,))
    path = RESULTS / f'{release}.json'
    if path.is_file():
        record = joined(load(path), record)
    text = json.dumps(dataclasses.asdict(record), indent=2)
    path.write_text(f'{text}\n')
    return record


def joined(old: Record, new: Record) -> Record:
    """The new record, and of the old one what is still worth telling."""
    same = (old.nova, old.placement) == (new.nova, new.placement)
    by_threads = {run.threads: run for run in old.runs if same}
    by_threads.update({run.threads: run for run in new.runs})
    runs = tuple(run for _, run in sorted(by_threads.items()))
    return dataclasses.replace(new, runs=runs)


def freeze(release: str) -> None:
    """Write down the versions that are in the environment."""
    python = environment.environment(release).venv / 'bin' / 'python'
    done = subprocess.run(
        [python, '-m', 'pip', 'freeze', '--exclude-editable'],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    pins = [line for line in done.stdout.splitlines() if '==' in line]
    text = '\n'.join(
        [
            f'# All that the tests on {release} ran with. Written by '
            f'"python3 tools/releases.py freeze {release}".',
            *pins,
        ]
    )
    path = environment.RELEASES / 'constraints' / f'{release}.txt'
    path.write_text(f'{text}\n')


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest='command', required=True)
    of_run = commands.add_parser('run', help='run the tests')
    of_run.add_argument('--workers', type=int, default=0)
    of_run.add_argument('--threads', choices=sorted(THREADS))
    of_freeze = commands.add_parser('freeze', help='write down versions')
    known = environment.releases()
    of_run.add_argument('releases', nargs='*', metavar='RELEASE')
    of_freeze.add_argument('releases', nargs='+', metavar='RELEASE')
    options = parser.parse_args()
    unknown = sorted(set(options.releases) - set(known))
    if unknown:
        parser.error(f'no such release: {unknown}; there are {known}')
    if options.command == 'freeze':
        for release in options.releases:
            freeze(release)
        return 0
    found = {}
    for release in options.releases or known:
        # Tells what it is at, which the question after it could not.
        if in_environment(release, 'green', 'true').returncode:
            return 1
        for threads in kinds_of_threads(release):
            if options.threads in (None, threads):
                found[release] = run(release, threads, options.workers)
    print(*table(found.values()), sep='\n')
    failed = any(
        run.failed for record in found.values() for run in record.runs
    )
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
