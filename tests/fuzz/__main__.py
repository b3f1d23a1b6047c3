# SPDX-License-Identifier: Apache-2.0
"""Fuzz all targets, or those named: ``python -m tests.fuzz [TARGET...]``.

Prints a line for each. A failure leaves its input in a file whose name is
printed, and ``python -m tests.fuzz.one TARGET FILE`` runs it again.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from tests.fuzz.targets import TARGETS, seeds

MEMORY_MB = 1024
HANG_S = 10


def fuzz(target: str, seconds: int, folder: pathlib.Path) -> bool:
    """Fuzz one target in a process of its own; whether it held."""
    corpus = folder / target
    corpus.mkdir()
    for number, seed in enumerate(seeds(target)):
        (corpus / f'seed{number}').write_bytes(seed)
    done = subprocess.run(
        [
            sys.executable,
            '-m',
            'tests.fuzz.one',
            target,
            f'-max_total_time={seconds}',
            f'-rss_limit_mb={MEMORY_MB}',
            f'-timeout={HANG_S}',
            f'-artifact_prefix={folder}/{target}-',
            '-print_final_stats=1',
            str(corpus),
        ],
        capture_output=True,
        text=True,
        errors='replace',
        check=False,
    )
    runs = re.search(r'number_of_executed_units: *(\d+)', done.stderr)
    count = runs[1] if runs else '?'
    held = done.returncode == 0
    print(f'{target:<10}{count:>9} runs: {"held" if held else "FAILED"}')
    if not held:
        print(done.stderr[-6000:])
    sys.stdout.flush()
    return held


def main() -> int:
    """Fuzz, and tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seconds', type=int, default=20, help='for each')
    parser.add_argument('target', nargs='*')
    given = parser.parse_args()
    unknown = sorted(set(given.target) - set(TARGETS))
    if unknown:
        parser.error(f'no such target: {", ".join(unknown)}')
    root = pathlib.Path(tempfile.mkdtemp(prefix='hvfilter-fuzz-'))
    names = given.target or list(TARGETS)
    held = [fuzz(name, given.seconds, root) for name in names]
    if all(held):
        shutil.rmtree(root)
        return 0
    print(f'The inputs that failed are in {root}')
    return 1


if __name__ == '__main__':
    sys.exit(main())
