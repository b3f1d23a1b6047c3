# SPDX-License-Identifier: Apache-2.0
"""``python -m tests.lab``: see :mod:`tests.lab`."""

from __future__ import annotations

import argparse
import concurrent.futures
import fnmatch
import json
import os
import pathlib
import sys
import tempfile
import time

from tests.hosts import make
from tests.lab import (
    changes,
    debian,
    history,
    image,
    nested_checks,
    nested_table,
    run,
    table,
)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='make lab')
    parser.add_argument('host', nargs='*', help='name or pattern')
    for flag, text in (
        ('--list', 'only tell which hosts there are'),
        ('--quick', 'only those that tell most in little time'),
        ('--shell', 'a shell in the first host instead'),
        ('--record', 'put the recordings among tests/hosts'),
        ('--if-possible', 'where it cannot run, say so and succeed'),
    ):
        parser.add_argument(flag, action='store_true', help=text)
    parser.add_argument(
        '--jobs',
        type=int,
        default=os.cpu_count() or 1,
        help='hosts at a time (default: processors)',
    )
    parser.add_argument(
        '--repeat',
        type=int,
        default=0,
        help='run each small guest so many times more, and show how it went',
    )
    parser.add_argument(
        '--mutate',
        type=int,
        default=0,
        help='run so many guests in guests with changed memory',
    )
    parser.add_argument(
        '--patience',
        type=float,
        default=1.0,
        help='give each host so many times longer, on a busy machine',
    )
    parser.add_argument(
        '--nice',
        type=int,
        default=10,
        help='niceness of the emulators (default: 10)',
    )
    return parser.parse_args()


def chosen(
    arguments: argparse.Namespace,
) -> tuple[list[table.LabHost], list[changes.Series]]:
    """The hosts asked for, and the machines that change.

    :raises Missing: there is none of that name
    """
    if not arguments.host:
        if arguments.quick:
            return [h for h in table.HOSTS if h.quick], []
        return list(table.HOSTS), list(changes.SERIES)

    def named(name: str) -> bool:
        return any(fnmatch.fnmatch(name, each) for each in arguments.host)

    hosts = [host for host in table.HOSTS if named(host.name)]
    series = [each for each in changes.SERIES if named(each.name)]
    if not hosts and not series:
        known = (*table.BY_NAME, *(each.name for each in changes.SERIES))
        raise debian.Missing(
            f'no host of the lab is called {" ".join(arguments.host)}; '
            f'there are: {", ".join(known)}'
        )
    return hosts, series


def examine_series(
    images: image.Images, chosen: list[changes.Series], jobs: int
) -> int:
    """Machines that change: print their histories; how many are wrong."""
    if not chosen:
        return 0
    keep = image.FOLDER / 'results'
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        outcomes = list(
            pool.map(
                lambda series: history.examine(images, series, keep), chosen
            )
        )
    for outcome in outcomes:
        word = 'WRONG' if outcome.problems else 'ok'
        print(
            f'{word:5} {outcome.series.name:20} {outcome.seconds:4.0f} s, '
            f'{len(outcome.lines)} changes in '
            f'{len(outcome.series.boots)} boots, each on one line:'
        )
        for line in outcome.lines:
            print(f'      {line}')
        for problem in outcome.problems:
            print(f'        {problem}')
    wrong = sum(bool(outcome.problems) for outcome in outcomes)
    number = sum(len(outcome.lines) for outcome in outcomes)
    print(
        f'lab: {number} changes of {len(outcomes)} machines remembered, '
        f'{wrong} machines wrong'
    )
    return wrong


def shell(images: image.Images, host: table.LabHost) -> int:
    with tempfile.TemporaryDirectory(prefix='hvfilter-lab-') as folder:
        run.boot(images, host, pathlib.Path(folder), shell=True)
    return 0


def prepare(images: image.Images, hosts: list[table.LabHost]) -> None:
    """Everything from the network, before the first host boots."""
    start = time.monotonic()
    programs = {p for host in hosts for p in host.emulator.programs}
    installed = debian.install([*programs, debian.OBJCOPY])
    if installed:
        print(f'lab: installed {" ".join(installed)}', flush=True)
    needed = {(host.emulator.arch, host.kernel) for host in hosts}
    for arch, version in sorted(needed):
        print(f'lab: kernel {version} and userland for {arch}', flush=True)
        images.kernel(arch, version)
        images.modules(arch, version)
        images.userland(arch)
    print(f'lab: ready after {time.monotonic() - start:.0f} s', flush=True)


def examine_all(
    images: image.Images,
    hosts: list[table.LabHost],
    arguments: argparse.Namespace,
) -> int:
    more = run.More(
        arguments.repeat,
        arguments.mutate,
        arguments.patience,
        arguments.nice,
    )
    rows: list[nested_table.Row] = []
    start = time.monotonic()
    failed: list[str] = []
    busy: list[str] = []
    passed: list[run.Outcome] = []
    keep = image.FOLDER / 'results'
    # The slow ones first, lest one of them is left for the end.
    hosts.sort(key=lambda host: -host.emulator.limit_s)
    print(f'lab: {len(hosts)} hosts, {arguments.jobs} at a time', flush=True)
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        futures = [
            pool.submit(run.examine, images, host, keep, more)
            for host in hosts
        ]
        for done in concurrent.futures.as_completed(futures):
            outcome = done.result()
            print(
                f'{time.monotonic() - start:4.0f} s  {outcome.word:5} '
                f'{outcome.host.name:28} {outcome.seconds:3.0f} s, '
                f'{summary(outcome)}',
                flush=True,
            )
            rows += nested_table.rows(outcome.host, outcome.results)
            for problem in outcome.problems:
                print(f'        {problem}')
            if outcome.problems:
                failed.append(outcome.host.name)
            elif outcome.unsettled:
                busy.append(outcome.host.name)
            else:
                passed.append(outcome)
    if rows:
        print(*nested_table.lines(sorted(rows)), sep='\n')
    if arguments.record:
        for outcome in passed:
            run.keep_recording(outcome)
        make.main()
    print(
        f'lab: {len(passed)} hosts as their kernels say, {len(failed)} not, '
        f'{len(busy)} settled nothing in {run.BOOTS} boots, in '
        f'{time.monotonic() - start:.0f} s'
    )
    if busy:
        print(f'lab: try again on a less busy machine: {" ".join(busy)}')
    return 1 if failed or busy else 0


def summary(outcome: run.Outcome) -> str:
    """One line about a host."""
    probe = outcome.results.get('probe')
    if not probe or probe['status']:
        return ''
    capabilities = json.loads(probe['out'])['capabilities']
    present = [
        key
        for key, finding in capabilities.items()
        if finding['state'] == 'present'
    ]
    text = f'probe {probe["seconds"]:.1f} s: {" ".join(present) or "nothing"}'
    if outcome.boots > 1:
        text = f'{outcome.boots} boots, {text}'
    if outcome.unsettled:
        text += f'; not known: {" ".join(outcome.unsettled)}'
    return '\n        '.join([text, *nested_checks.summary(outcome.results)])


def main() -> int:
    arguments = parsed()
    if arguments.list:
        for host in table.HOSTS:
            print(f'{host.name:30} {host.emulator}')
        for each in changes.SERIES:
            print(f'{each.name:30} {len(each.boots)} boots')
        return 0
    try:
        hosts, series = chosen(arguments)
        images = image.Images(image.FOLDER)
        booted = [boot.host for each in series for boot in each.boots]
        prepare(images, [*hosts, *booted])
        if arguments.shell:
            return shell(images, [*hosts, *booted][0])
        failed = examine_all(images, hosts, arguments) if hosts else 0
        wrong = examine_series(images, series, arguments.jobs)
        return 1 if failed or wrong else 0
    except debian.Missing as missing:
        print(f'lab: {missing}', file=sys.stderr)
        if arguments.if_possible:
            line = '*' * 72
            print(f'{line}\n** THE LAB DID NOT RUN. See above why.\n{line}')
            return 0
        return 2


if __name__ == '__main__':
    sys.exit(main())
