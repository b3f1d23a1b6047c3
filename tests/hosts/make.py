# SPDX-License-Identifier: Apache-2.0
"""Write the made snapshots, and what the reports on all of them say.

``expected/NAME.json`` is the report in short: state and deciding stage of each
capability. ``evidence/NAME.txt`` is all that was observed, each observation
once, with the capabilities that it is about.

``python -m tests.hosts.make`` after a change of ``tests/hosts/made``; the
difference that version control then shows is what is to be reviewed.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import pathlib
import sys
from collections.abc import Iterator

from hvfilter.host import snapshot
from hvfilter.host.recorded import RecordedHost
from hvfilter.model.catalogue import Stage
from hvfilter.model.finding import Finding, HostReport, Observation, State
from hvfilter.probes import run
from hvfilter.probes.base import Probe
from hvfilter.report.examine import examine
from tests.hosts.made.hosts import HOSTS

FOLDER = pathlib.Path(__file__).parent
EXPECTED = FOLDER / 'expected'
EVIDENCE = FOLDER / 'evidence'


@functools.cache
def probes() -> tuple[Probe, ...]:
    """All probes, loaded once."""
    return run.registered()


def report_on(recorded: snapshot.Snapshot) -> HostReport:
    """The report on a snapshot."""
    return examine(RecordedHost(recorded), None, probes())


def evidence(report: HostReport) -> str:
    """All observations, stage by stage, the strongest first."""
    lines: list[str] = []
    for stage in Stage:
        groups: dict[Observation, list[str]] = {}
        for finding in report.findings:
            for found in finding.stages:
                for said in found.observations:
                    if found.stage is stage:
                        alike = dataclasses.replace(said, capability='')
                        groups.setdefault(alike, []).append(said.capability)
        for said in sorted(groups, key=lambda said: -said.strength):
            lines += _observation(said, groups[said])
    return '\n'.join(lines) + '\n'


def _observation(said: Observation, keys: list[str]) -> Iterator[str]:
    yield (
        f'{said.stage.value} {said.state.value} {said.strength.name.lower()}: '
        f'{" ".join(keys)}'
    )
    yield f'    {said.source}: {said.asked}'
    yield f'    = {said.value}'
    yield f'    {said.reason}'
    if said.remedy:
        yield f'    > {said.remedy}'


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
        report = report_on(snapshot.loads(path.read_text()))
        text = json.dumps(brief(report), indent=1) + '\n'
        (EXPECTED / path.name).write_text(text)
        (EVIDENCE / f'{path.stem}.txt').write_text(evidence(report))
    return 0


if __name__ == '__main__':
    sys.exit(main())
