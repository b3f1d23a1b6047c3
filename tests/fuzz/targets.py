# SPDX-License-Identifier: Apache-2.0
"""What is fuzzed. Each target takes bytes and raises only when it fails.

A target runs probes without the runner's safety net, so that an exception in
one is seen.
"""

from __future__ import annotations

import contextlib
import functools
import pathlib
from collections.abc import Callable, Iterator, Mapping

from hvfilter.host import ini, snapshot
from hvfilter.host.answers import Refusal
from hvfilter.host.base import Host
from hvfilter.host.cpuid_dump import DumpHost, NoDump
from hvfilter.host.facts import Machine
from hvfilter.host.recorded import RecordedHost
from hvfilter.host.redact import Redaction
from hvfilter.host.snapshot import Making, Provenance, Snapshot
from hvfilter.model import document, form
from hvfilter.model.finding import HostReport
from hvfilter.probes import run
from hvfilter.probes.context import ProbeContext
from hvfilter.rules import combine
from tests import recordings
from tests.recordings import changed, tables

HOSTS = pathlib.Path(__file__).parent.parent / 'hosts'
MACHINES = (
    'x86_64', 'aarch64', 's390x', 'ppc64le', 'riscv64', 'loongarch64',
    'ia64', 'vax',
)  # fmt: skip


@functools.cache
def hosts() -> tuple[Snapshot, ...]:
    """The hosts of the replay tests."""
    return tuple(
        snapshot.loads(path.read_bytes())
        for path in sorted(HOSTS.glob('*.json'))
    )


@functools.cache
def probes() -> tuple[run.Probe, ...]:
    """All of them."""
    return run.registered()


def look_at(host: Host, room: str = '') -> HostReport:
    """The report; what a probe raises comes through.

    :param room: only the probes whose module's name has this in it
    """
    look = ProbeContext(host)
    machine = host.machine()
    observations = [
        observation
        for probe in probes()
        if look.arch in probe.archs and room in type(probe).__module__
        for observation in probe.observe(look)
    ]
    return combine.report(
        machine.arch, machine.kernel, host.origin, observations
    )


def cpuinfo(data: bytes) -> None:
    """A host of which only cpuinfo is known."""
    machine = MACHINES[data[0] % len(MACHINES)] if data else 'x86_64'
    look_at(
        RecordedHost(
            recordings.a_snapshot(
                Provenance(Making.MADE),
                Machine(machine, '6.1'),
                files={'/proc/cpuinfo': data[1:]},
            )
        )
    )


def one_file(data: bytes) -> None:
    """A host whose files are good, but for one."""
    if len(data) < 2:
        return
    good = hosts()[data[0] % len(hosts())]
    paths = [
        path
        for path, content in sorted(tables(good).files.items())
        if not isinstance(content, Refusal)
    ]
    if not paths:
        return
    path = paths[data[1] % len(paths)]
    Redaction(['node17']).content(path, data[2:])
    bad = changed(good, files={**tables(good).files, path: data[2:]})
    look_at(RecordedHost(bad))


def options(data: bytes) -> None:
    """Nova's configuration."""
    names = ('virt_type', 'cpu_mode', 'cpu_models', 'cpu_model_extra_flags')
    wanted = {'libvirt': names, 'DEFAULT': ('compute_driver',)}
    text = data.decode('utf-8', 'replace')
    try:
        found = ini.wanted_options(text, wanted)
    except ini.MalformedFile:
        return
    good = hosts()[0]
    conf: Mapping[str, Mapping[str, tuple[str, ...]]] = {
        section: {name: found.get(section, {}).get(name, ()) for name in names}
        for section, names in wanted.items()
    }
    bad = changed(good, options={'/etc/nova/nova.conf': conf})
    look_at(RecordedHost(bad), 'nova')


def a_snapshot(data: bytes) -> None:
    """A recording from a stranger."""
    with contextlib.suppress(form.DocumentError):
        recorded = snapshot.loads(data)
        assert snapshot.loads(snapshot.dumps(recorded)) == recorded
        look_at(RecordedHost(recorded))


def a_report(data: bytes) -> None:
    """A report from a stranger."""
    with contextlib.suppress(form.DocumentError):
        report = document.loads(data)
        assert document.loads(document.dumps(report)) == report


def cpuid(data: bytes) -> None:
    """Registers as text."""
    with contextlib.suppress(NoDump):
        look_at(DumpHost(data.decode('utf-8', 'replace'), 'x'))


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    'cpuinfo': cpuinfo,
    'file': one_file,
    'options': options,
    'snapshot': a_snapshot,
    'report': a_report,
    'cpuid': cpuid,
}


def seeds(target: str) -> Iterator[bytes]:
    """Good inputs to start from."""
    seen = set()
    for index, host in enumerate(hosts()):
        if target == 'snapshot':
            yield snapshot.dumps(host).encode()
        elif target == 'report':
            yield document.dumps(look_at(RecordedHost(host))).encode()
        elif target == 'cpuinfo':
            content = tables(host).files.get('/proc/cpuinfo')
            if isinstance(content, bytes):
                yield bytes([index]) + content
        elif target == 'file':
            contents = [
                (path, content)
                for path, content in sorted(tables(host).files.items())
                if isinstance(content, bytes)
            ]
            for number, (path, content) in enumerate(contents[:256]):
                if path not in seen:
                    seen.add(path)
                    yield bytes([index, number]) + content
        elif target == 'cpuid':
            for cpu, table in tables(host).cpuid.items():
                lines = [f'CPU {cpu}:']
                lines += [
                    f'   0x{leaf:08x} 0x{subleaf:02x}: '
                    f'eax=0x{regs.eax:08x} ebx=0x{regs.ebx:08x} '
                    f'ecx=0x{regs.ecx:08x} edx=0x{regs.edx:08x}'
                    for (leaf, subleaf), regs in table.items()
                    if not isinstance(regs, Refusal)
                ]
                yield '\n'.join(lines).encode()
        else:
            yield b'[libvirt]\nvirt_type = kvm\ncpu_models = a,b\n'
