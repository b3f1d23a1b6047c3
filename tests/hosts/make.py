# SPDX-License-Identifier: Apache-2.0
"""Write the made snapshots, and what the reports on all of them say.

``expected/NAME.json`` is the report in short: state and deciding stage of each
capability. ``evidence/NAME.txt`` is all that was observed, each observation
once, with the capabilities that it is about.

``python -m tests.hosts.make`` after a change of ``tests/hosts/made``; the
difference that version control then shows is what is to be reviewed.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import pathlib
import sys
from collections.abc import Iterator, Sequence

from hvfilter.host import own_names, snapshot
from hvfilter.host.recorded import RecordedHost
from hvfilter.host.redact import Redaction
from hvfilter.model import form
from hvfilter.model.catalogue import Stage
from hvfilter.model.finding import Finding, HostReport, Observation, State
from hvfilter.model.plain import plain
from hvfilter.probes import run
from hvfilter.probes.base import Probe
from hvfilter.probes.host_report import probe_host
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
    return probe_host(RecordedHost(recorded), None, probes())


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


def main(argv: Sequence[str] = ()) -> int:
    """Write all files, or those of one recording that somebody sent."""
    parser = argparse.ArgumentParser(prog='python -m tests.hosts.make')
    commands = parser.add_subparsers(dest='command')
    adding = commands.add_parser('add', help='take a recording in as a test')
    adding.add_argument('file', type=pathlib.Path, metavar='FILE')
    adding.add_argument('--name', help="the test's name; FILE's by default")
    parsed = parser.parse_args(argv)
    if parsed.command == 'add':
        add(parsed.file, parsed.name or parsed.file.stem)
        return 0
    for name, make in HOSTS.items():
        text = snapshot.dumps(make().snapshot())
        (FOLDER / f'{name}.json').write_text(text)
    for path in sorted(FOLDER.glob('*.json')):
        write(path, report_on(snapshot.loads(path.read_text())))
    return 0


def write(path: pathlib.Path, report: HostReport) -> None:
    """Write what is expected of the host of a path."""
    text = json.dumps(brief(report), indent=1) + '\n'
    (EXPECTED / path.name).write_text(text)
    (EVIDENCE / f'{path.stem}.txt').write_text(evidence(report))


def add(file: pathlib.Path, name: str) -> None:
    """Take a recording in, names and serial numbers left out once more.

    :raises SystemExit: when it is none, or the name is taken
    """
    path = FOLDER / f'{name}.json'
    if path.exists():
        raise SystemExit(f'{path} exists; choose another --name')
    try:
        sent = snapshot.loads(file.read_bytes())
    except (OSError, form.DocumentError) as error:
        raise SystemExit(f'{file}: {plain(str(error))}') from None
    hidden = Redaction(own_names.names(RecordedHost(sent)))
    kept = hidden.snapshot(sent)
    report = report_on(kept)
    if brief(report) != brief(report_on(sent)):
        raise SystemExit(f'{file} gives another report without its names')
    path.write_text(snapshot.dumps(kept))
    write(path, report)
    for key, words in brief(report).items():
        print(f'{key:<24}{words}')
    print(f'Review {path}, expected/ and evidence/, then commit them.')


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
