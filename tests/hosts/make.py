# SPDX-License-Identifier: Apache-2.0
"""Write the made snapshots, and the reports on all of them in short.

``python -m tests.hosts.make`` after a change of ``tests/hosts/made``; the
difference that version control then shows is what is to be reviewed.
"""

from __future__ import annotations

import json
import pathlib
import sys

from hvfilter.host import snapshot
from hvfilter.host.recorded import RecordedHost
from hvfilter.model.finding import Finding, HostReport, State
from hvfilter.report.examine import examine
from tests.hosts.made.hosts import HOSTS

FOLDER = pathlib.Path(__file__).parent
EXPECTED = FOLDER / 'expected'


def brief(report: HostReport) -> dict[str, str]:
    """Each capability's state, and at which stage unless it is present."""
    return {f.capability: _brief(f) for f in report.findings}


def _brief(finding: Finding) -> str:
    if finding.state is State.PRESENT:
        return 'present'
    return f'{finding.state.value} at {finding.deciding.stage.value}'


def main() -> int:
    """Write all files."""
    for name, make in HOSTS.items():
        text = snapshot.dumps(make().snapshot())
        (FOLDER / f'{name}.json').write_text(text)
    for path in sorted(FOLDER.glob('*.json')):
        host = RecordedHost(snapshot.loads(path.read_text()))
        text = json.dumps(brief(examine(host)), indent=1) + '\n'
        (EXPECTED / path.name).write_text(text)
    return 0


if __name__ == '__main__':
    sys.exit(main())
