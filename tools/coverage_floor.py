# SPDX-License-Identifier: Apache-2.0
"""Fail when a package that must be covered is not: what none may lose.

``coverage report`` holds one figure for all; a package that matters could
sink unseen below it. Lines and branches count apart, so that many lines
cannot make up for branches that were never taken. ``tox -e cover`` calls
``tools/coverage_floor.py cover/coverage.json``.
"""

import json
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

FLOORS = {
    'hvfilter/model': 98,
    'hvfilter/rules': 98,
    'hvfilter/host': 98,
    'hvfilter/probes': 98,
}
"""Folder to percent."""

COUNTS = {
    'lines': ('covered_lines', 'num_statements'),
    'branches': ('covered_branches', 'num_branches'),
}
"""What counts, in the words of coverage's JSON report (format 2 and 3)."""


def percent(
    files: Mapping[str, Any], folder: str, covered: str, of: str
) -> float:
    """How much of a folder is covered; nothing when it has nothing."""
    summaries = [
        file['summary']
        for path, file in files.items()
        if pathlib.PurePath(path).is_relative_to(folder)
    ]
    whole = sum(summary[of] for summary in summaries)
    if not whole:
        return 0.0
    return 100 * sum(summary[covered] for summary in summaries) / whole


def main() -> int:
    if len(sys.argv) != 2:
        print('usage: coverage_floor.py COVERAGE.JSON', file=sys.stderr)
        return 2
    files = json.loads(pathlib.Path(sys.argv[1]).read_text())['files']
    missed = 0
    for folder, floor in FLOORS.items():
        for name, counts in COUNTS.items():
            found = percent(files, folder, *counts)
            low = found < floor
            missed += low
            # Cut off, not rounded: 97.96 is not 98.
            shown = int(found * 10) / 10
            verdict = f'BELOW {floor} %' if low else 'ok'
            print(f'{folder}: {shown:.1f} % of {name}: {verdict}')
    return 1 if missed else 0


if __name__ == '__main__':
    sys.exit(main())
