# SPDX-License-Identifier: Apache-2.0
"""Guests in guests that were run many times on the hosts of the lab.

``python -m tests.lab.nested_table NAME...`` prints the table of what the last
``python -m tests.lab --repeat`` kept of these hosts.

A host whose guests get nested virtualization must never fail such a guest,
and one whose guests do not get it must never run one: either is wrong. A run
that settles nothing is not wrong, but counted.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tests.lab import image, table

KEYS = ('nested', 'nested_slat')
COLUMNS = (
    'host',
    'guest',
    'offered',
    'native',
    'unsettled',
    'ratio min',
    'median',
    'max',
    'ms median',
    'max',
)

Results = Mapping[str, Any]
Row = tuple[str, ...]


def rows(host: table.LabHost, results: Results) -> Iterator[Row]:
    """One row for the plain guest and each nested one."""
    for key, runs in (results.get('smoke_runs') or {}).items():
        offered = _offered(key, results)
        if isinstance(runs, str):
            yield (host.name, key, offered, runs[:60])
            continue
        outcomes = [outcome for outcome, *_ in runs]
        ratios = sorted(ratio for _, ratio, *_ in runs if ratio)
        times = sorted(elapsed / 1e6 for _, _, elapsed, _ in runs)
        yield (
            host.name,
            key,
            offered,
            f'{outcomes.count("native")} of {len(runs)}',
            str(outcomes.count('inconclusive')),
            *_spread(ratios, '.2f'),
            f'{statistics.median(times):.0f}',
            f'{times[-1]:.0f}',
        )


def _spread(values: Sequence[float], form: str) -> Row:
    if not values:
        return ('-', '-', '-')
    middle = statistics.median(values)
    return tuple(format(v, form) for v in (values[0], middle, values[-1]))


def _offered(key: str, results: Results) -> str:
    """What KVM itself says, whatever was run."""
    if results['probe']['status']:
        return '?'
    report = json.loads(results['probe']['out'])
    states = [
        evidence['state']
        for evidence in report['capabilities'][key]['evidence']
        if evidence['stage'] == 'kvm'
        and evidence['strength'] == 'ioctl'
        and evidence['source'] != 'nested smoke run'
    ]
    return states[0] if states else '-'


def wrong(host: table.LabHost, results: Results) -> Iterator[str]:
    """Runs that show something else than what is true of the host."""
    for key, runs in (results.get('smoke_runs') or {}).items():
        state = host.expected.get(key)
        if isinstance(runs, str):
            if state == table.P:
                yield f'{key}: no guest was run: {runs}'
            continue
        allowed = {'native', 'inconclusive'}
        if state != table.P:
            allowed = {'failed', 'emulated', 'inconclusive'}
        bad = [run for run in runs if run[0] not in allowed]
        if bad:
            yield f'{key}: {len(bad)} of {len(runs)} runs: {bad[0]}'


def lines(found: Iterable[Row]) -> Iterator[str]:
    """The table as text."""
    cells = [COLUMNS, *found]
    widths = [
        max(len(row[at]) for row in cells if at < len(row))
        for at in range(len(COLUMNS))
    ]
    for row in cells:
        yield '  '.join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=False)
        ).rstrip()


def kept(names: Iterable[str]) -> Iterator[Row]:
    """The rows of hosts whose results are kept."""
    for name in names:
        path = image.FOLDER / 'results' / name / 'results.json'
        yield from rows(table.BY_NAME[name], json.loads(path.read_text()))


if __name__ == '__main__':
    print(*lines(kept(sys.argv[1:])), sep='\n')
