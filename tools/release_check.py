# SPDX-License-Identifier: Apache-2.0
"""Run everything that a release needs, and print one table.

``release_check.py [STEP...]``: all steps, or the named ones. A step that fails
stops none of the others; what each printed is in .release/STEP.log. Exit code
1 if one failed. Wants root, /dev/kvm, Debian, tox, and some hours.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import time
from typing import IO

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOGS = ROOT / '.release'
STEPS = {
    'test': 'make test',
    'test-green': 'make test-green',
    'test-oldest': 'make test-oldest',
    'demo': 'make demo',
    'releases': 'make releases',
    'lab': 'make lab',
    'systemd': 'make systemd',
    'packages': 'make packages ARGS=--tests',
    'lower': 'tox -e lower',
    'ansible': 'make ansible',
    'container': 'make container',
    'e2e': 'make e2e ARGS=--patient',
    'fleet': 'make fleet',
    'docs': 'make docs',
    'dist': 'make dist',
    'audit': 'tox -e audit',
}


def run(name: str) -> tuple[str, float, str]:
    """One step: how it ended, its seconds, and the last line it printed."""
    started = time.monotonic()
    log = LOGS / f'{name}.log'
    with log.open('wb') as output:
        status = _status(STEPS[name].split(), output)
    lines = log.read_text(errors='replace').split('\n')
    last = next((line for line in reversed(lines) if line.strip()), '')
    ended = 'ok' if status == 0 else f'FAILED ({status})'
    return ended, time.monotonic() - started, last.strip()


def _status(command: list[str], output: IO[bytes]) -> int:
    """The exit status; as in a shell, 127 if there is no such command."""
    try:
        return subprocess.run(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, 'MAKEFLAGS': '--no-print-directory'},
            check=False,
        ).returncode
    except FileNotFoundError:
        output.write(f'{command[0]}: command not found'.encode())
        return 127


def main() -> int:
    names = sys.argv[1:] or list(STEPS)
    unknown = sorted(set(names) - set(STEPS))
    if unknown:
        print(
            f'No step named {", ".join(unknown)}; there are: '
            f'{", ".join(STEPS)}.',
            file=sys.stderr,
        )
        return 2
    LOGS.mkdir(exist_ok=True)
    rows = []
    for name in names:
        print(f'{name} ...', file=sys.stderr, flush=True)
        rows.append((name, *run(name)))
    print(f'{"step":12} {"result":12} {"seconds":>7}  last line')
    for name, ended, seconds, last in rows:
        print(f'{name:12} {ended:12} {seconds:7.0f}  {last[:79]}')
    return 0 if all(row[1] == 'ok' for row in rows) else 1


if __name__ == '__main__':
    sys.exit(main())
