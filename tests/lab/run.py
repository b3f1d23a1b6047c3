# SPDX-License-Identifier: Apache-2.0
"""Boot a host, have hvfilter look at it, and compare."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import pathlib
import re
import tempfile
import time
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from hvfilter.host import snapshot
from hvfilter.host.recorded import RecordedHost
from hvfilter.model import document
from hvfilter.probes.host_report import probe_host as report_on
from tests.hosts import make
from tests.lab import broken, image, nested_checks, nested_table, table
from tests.lab.emulators import Boot

LOGS = ('console.log', 'results.log', 'emulator.log', 'bochs.log')
SMOKE_ARCHS = ('amd64', 'arm64', 'riscv64')
RECORDINGS = image.ROOT / 'tests' / 'hosts'
BOOTS = 3
"""How often a host is booted until its guests settle the matter."""


@dataclasses.dataclass(frozen=True)
class More:
    """What is done beside looking at each host.

    :ivar smoke_runs: so many further runs of each small guest
    :ivar mutated_guests: so many guests in guests with changed memory
    :ivar patience: how many times longer than usual a host may take
    :ivar nice: see :class:`Boot`
    """

    smoke_runs: int = 0
    mutated_guests: int = 0
    patience: float = 1.0
    nice: int = 10


NO_MORE = More()


def commands(host: table.LabHost) -> dict[str, list[str]]:
    """What is run in a host; each must exit with 0."""
    check = ['check']
    for flag, state in (('--require', table.P), ('--forbid', table.A)):
        keys = [key for key, s in host.expected.items() if s == state]
        if keys:
            check += [flag, ','.join(keys)]
    note = f'host {host.name} of tests/lab: {host.emulator}'
    return {
        'probe': ['probe', '-f', 'json'],
        'check': check,
        'record': ['record', '--note', note, '-'],
    }


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of one host.

    :ivar results: what ``guest/host.py`` told; empty if nothing came out
    :ivar problems: why the host does not count as passed
    :ivar unsettled: capabilities of which a guest settled nothing, in the
        last of all boots
    :ivar boots: how often it was booted, as each settled nothing but the last
    """

    host: table.LabHost
    seconds: float
    results: Mapping[str, Any]
    problems: tuple[str, ...]
    unsettled: tuple[str, ...] = ()
    boots: int = 1

    @property
    def word(self) -> str:
        """The judgement in one word."""
        if self.problems:
            return 'WRONG'
        return 'BUSY' if self.unsettled else 'ok'


def boot(
    images: image.Images,
    host: table.LabHost,
    folder: pathlib.Path,
    *,
    more: More = NO_MORE,
    shell: bool = False,
    changes: Mapping[str, object] | None = None,
    state: Mapping[str, bytes] | None = None,
    longer_s: float = 0.0,
) -> str:
    """Boot a host; what came out of it.

    :param changes: to its description for ``guest/host.py``
    :param state: files that an earlier boot left behind
    :param longer_s: seconds beyond the emulator's limit
    """
    emulator = host.emulator
    description = {
        'module': host.module,
        'parameters': host.load,
        'set_msrs': host.set_msrs,
        'commands': {} if shell else commands(host),
        'smoke_runs': more.smoke_runs,
        'mutated_guests': more.mutated_guests,
        'nested_sets': nested_checks.sets_for(host),
        'results': '/dev/null' if shell else emulator.results,
        'shell': shell,
        'files': {'/etc/nova/nova.conf': table.NOVA_CONF},
        **(changes or {}),
    }
    files = {**broken_module(images, host), **(state or {})}
    content = images.initramfs(emulator.arch, host.kernel, description, files)
    around = getattr(emulator, 'around', None)
    if around is not None:
        content = images.around(host.kernel, content, around)
    initramfs = folder / 'initramfs'
    initramfs.write_bytes(content)
    return emulator.run(
        Boot(
            folder=folder,
            kernel=images.kernel(emulator.arch, host.kernel),
            initramfs=initramfs,
            command_line=host.command_line,
            limit_s=emulator.limit_s * more.patience + longer_s,
            shell=shell,
            nice=more.nice,
        )
    )


def broken_module(
    images: image.Images, host: table.LabHost
) -> dict[str, bytes]:
    """The module that takes the place of the kernel's own, if any."""
    if not host.broken:
        return {}
    arch = host.emulator.arch
    module = images.module(arch, host.kernel, host.module)
    for function, value in host.broken.items():
        module = broken.always(module, function, value)
    return {f'/lab/modules/{host.module}.ko': module}


def examine(
    images: image.Images,
    host: table.LabHost,
    keep: pathlib.Path,
    more: More = NO_MORE,
) -> Outcome:
    """Boot a host and hold what hvfilter says against what is true.

    On a busy machine a guest may settle nothing, and hvfilter then must say
    that it does not know. The host is booted again, and does not count as
    passed where that does not help.
    """
    start = time.monotonic()
    outcome, boots = _examine(images, host, keep, more), 1
    while outcome.word == 'BUSY' and boots < BOOTS:
        outcome, boots = _examine(images, host, keep, more), boots + 1
    seconds = time.monotonic() - start
    return dataclasses.replace(outcome, seconds=seconds, boots=boots)


def _examine(
    images: image.Images,
    host: table.LabHost,
    keep: pathlib.Path,
    more: More,
) -> Outcome:
    with tempfile.TemporaryDirectory(prefix='hvfilter-lab-') as name:
        folder = pathlib.Path(name)
        line = boot(images, host, folder, more=more)
        results = decoded(line)
        own = keep / host.name
        keep_logs(folder, own, results)
    if not results:
        problem = f'nothing came out; see the logs in {own}'
        return Outcome(host, 0.0, results, (problem,))
    problems = (
        *untrue(host, results),
        *wrong(host, results),
        *nested_table.wrong(host, results),
        *nested_checks.wrong(results),
    )
    return Outcome(host, 0.0, results, problems, unsettled(host, results))


def keep_logs(
    folder: pathlib.Path, own: pathlib.Path, results: Mapping[str, Any]
) -> None:
    """Copy the logs of a boot to where they stay, and write its results."""
    own.mkdir(parents=True, exist_ok=True)
    for log in LOGS:
        if (folder / log).exists():
            (own / log).write_bytes((folder / log).read_bytes())
    (own / 'results.json').write_text(json.dumps(results, indent=1))


def decoded(line: str) -> dict[str, Any]:
    """What ``tell`` of ``guest/host.py`` wrote; empty if it is damaged."""
    found = re.search(
        r'LAB-BEGIN ([0-9a-f]{64})\s+([A-Za-z0-9+/=\s]*)\s+LAB-END', line
    )
    if not found:
        return {}
    data = base64.b64decode(found.group(2))
    if hashlib.sha256(data).hexdigest() != found.group(1):
        return {}
    results: dict[str, Any] = json.loads(zlib.decompress(data))
    return results


def untrue(host: table.LabHost, results: Mapping[str, Any]) -> Iterator[str]:
    """Where the host is not what the table says it is."""
    messages = '\n'.join(results['messages'])
    for pattern in host.says:
        if not re.search(pattern, messages):
            yield f'the kernel does not say "{pattern}"'
    for pattern in host.silent:
        if re.search(pattern, messages):
            yield f'the kernel says "{pattern}"'
    for name, value in host.parameters.items():
        found = results['parameters'].get(name)
        if found != value:
            yield f'the parameter {name} is {found}, not {value}'
    if (results['ran'] in ('ran', 'created')) != host.runs:
        yield f'a guest: {results["ran"]}'


def wrong(host: table.LabHost, results: Mapping[str, Any]) -> Iterator[str]:
    """Where hvfilter says something else than what is true."""
    doubtful = unsettled(host, results)
    for name in commands(host):
        done = results[name]
        if done['status'] and not (name == 'check' and doubtful):
            yield f'hvfilter {name} exited with {done["status"]}: ' + (
                done['err'].strip()[-1500:] or done['out'][-500:]
            )
    if results['probe']['status'] or results['record']['status']:
        return
    report = json.loads(results['probe']['out'])
    live = make.brief(document.loads(results['probe']['out']))
    replayed = make.brief(
        report_on(RecordedHost(snapshot.loads(results['record']['out'])))
    )
    for key in live:
        if live[key] != replayed[key]:
            yield (
                f'{key} is {live[key]} live, but {replayed[key]} when the '
                'recording is replayed'
            )
    if host.runs and host.emulator.arch in SMOKE_ARCHS and not doubtful:
        yield from doubted(report)
        yield from unproven(host, report)
    for key, state in host.expected.items():
        if key in doubtful:
            continue
        found = report['capabilities'].get(key)
        if found is None:
            yield f'hvfilter says nothing about {key}'
        elif found['state'] != state:
            yield (
                f'{key} is {state}, but hvfilter says {found["state"]}: '
                f'{found.get("reason", "")}'
            )


def unsettled(
    host: table.LabHost, results: Mapping[str, Any]
) -> tuple[str, ...]:
    """Capabilities that are not known because a guest settled nothing."""
    if results['probe']['status']:
        return ()
    capabilities = json.loads(results['probe']['out'])['capabilities']
    return tuple(
        key
        for key, state in host.expected.items()
        if state != table.U
        and key in capabilities
        and capabilities[key]['state'] == table.U
        and any(
            evidence['strength'] == 'smoke' and evidence['state'] == table.U
            for evidence in capabilities[key]['evidence']
        )
    )


def doubted(report: Mapping[str, Any]) -> Iterator[str]:
    """Where a guest runs natively, the smoke run itself must say so."""
    for evidence in report['capabilities']['kvm']['evidence']:
        if evidence['strength'] == 'smoke' and evidence['state'] != 'present':
            yield f'a guest ran, but of it hvfilter says: {evidence["reason"]}'


def unproven(host: table.LabHost, report: Mapping[str, Any]) -> Iterator[str]:
    """Where guests are offered nested virtualization, one must have tried
    it."""
    if host.emulator.arch != 'amd64':
        return
    for key in ('nested', 'nested_slat'):
        states = [
            evidence['state']
            for evidence in report['capabilities'][key]['evidence']
            if evidence['source'] == 'nested smoke run'
        ]
        run = host.expected[key] == table.P or key in host.disproved
        wanted = [host.expected[key]] if run else []
        if states != wanted:
            yield f'of a nested guest for {key} hvfilter says: {states}'


def keep_recording(outcome: Outcome) -> None:
    """Make the recording one of the hosts that the unit tests replay.

    What the tests hold against it is for ``python -m tests.hosts.make``.
    """
    text = outcome.results['record']['out']
    (RECORDINGS / f'lab-{outcome.host.name}.json').write_text(text)
