# SPDX-License-Identifier: Apache-2.0
"""Installs hvfilter, and removes it, by the words of the documentation."""

from __future__ import annotations

import functools
import json

from hvfilter.model import catalogue
from tests.cloud import guests, installation
from tests.cloud.cloud import Cloud
from tests.cloud.hosts import HOSTS, Host, recording
from tests.cloud.layout import ROOT
from tests.cloud.machines import AGENT

_DOC = ROOT / 'doc' / 'source'
HVFILTER = str(AGENT / 'bin' / 'hvfilter')


def by_the_book(document: str, command: str) -> str:
    """A command, if that document has it in a line of its own.

    :raises Wrong: it has not
    """
    lines = (_DOC / document).read_text().splitlines()
    if not any(line.strip().removeprefix('$ ') == command for line in lines):
        raise guests.Wrong(f'doc/source/{document} does not say "{command}"')
    return command


def on(cloud: Cloud, host: str, *command: str, status: int | None = 0) -> str:
    """Run a command on a host; what it printed.

    :param status: what it has to end with; None: anything
    :raises Wrong: it ended otherwise
    """
    done = cloud.hosts[host].run(*command)
    line = f'{host}$ {" ".join(command)}'
    with (cloud.layout.logs / 'hvfilter.log').open('a') as log:
        log.write(f'{line}\n{done.stdout}[{done.returncode}]\n\n')
    if status is not None and done.returncode != status:
        raise guests.Wrong(
            f'{line} ended with {done.returncode}, not {status}: '
            f'{done.stdout[-500:]}'
        )
    return done.stdout


def install(cloud: Cloud) -> str:
    """The names in Placement, the filter in Nova, and what hosts can do."""
    cloud.together(
        lambda: _into_nova(cloud),
        lambda: _prepare(cloud),
    )
    cloud.policy = {}
    cloud.together(
        lambda: cloud.restart('nova-scheduler', 'nova-api'),
        *(functools.partial(publish, cloud, host) for host in HOSTS),
    )
    begun = cloud.scheduler_log_size()
    guests.boot(cloud)
    if 'Filter HardwareVirtFilter returned' not in cloud.scheduler_log(begun):
        raise guests.Wrong('Nova does not say that it asked the filter')
    return f'{cloud.wheel.name}: Placement, nova-scheduler, nova-api'


def _into_nova(cloud: Cloud) -> None:
    """Into the environment of nova-scheduler and nova-api."""
    installation.pip(cloud.layout, 'install', str(cloud.wheel))


def _words(*arguments: str) -> tuple[str, ...]:
    """The arguments of a command of the guide."""
    by_the_book('install.rst', ' '.join(('hvfilter', *arguments)))
    return arguments


def _prepare(cloud: Cloud) -> None:
    on(cloud, 'qemu', HVFILTER, *_words('prepare'))


def agent(cloud: Cloud) -> str:
    """Its environment, which all hosts here share and which has no Nova."""
    wheel = str(cloud.wheel)
    for line in (
        'python3 -m venv /opt/hvfilter',
        '/opt/hvfilter/bin/pip install "$HVFILTER"',
    ):
        by_the_book('install.rst', line)
        cloud.tell(f'$ {line}')
        words = line.replace('"$HVFILTER"', wheel).split()
        on(cloud, 'qemu', *words)
    python = str(AGENT / 'bin' / 'python')
    on(cloud, 'qemu', python, '-c', 'import nova', status=1)
    _probe(cloud)
    return f'{cloud.wheel.name}, without Nova'


def _probe(cloud: Cloud) -> None:
    """What the agent finds, and what it does not take for KVM."""
    probe = by_the_book('install.rst', '/opt/hvfilter/bin/hvfilter probe')
    for host in ('emulating', 'qemu'):
        printed = on(cloud, host, *probe.split(), status=None)
        cloud.tell(f'{host}$ {probe}')
        cloud.tell(_about(printed, ('kvm', 'tcg', 'hvm')))


def _about(table: str, keys: tuple[str, ...]) -> str:
    """The rows of a table about some capabilities."""
    rows = [
        line
        for line in table.splitlines()
        if any(f'| {key} ' in line for key in keys)
    ]
    return '\n'.join(rows)


def publish(cloud: Cloud, host: Host, recorded: str = '') -> None:
    """By the agent on a host; what Placement has then is what should be.

    :param recorded: a recorded host, if not that of the table
    """
    recorded = recorded or host.recorded
    if recorded:
        path = recording(recorded)
        names = ('--snapshot', str(path), '--provider-name', host.name)
        on(cloud, host.name, HVFILTER, 'publish', *names)
        found = recording(f'expected/{recorded}')
        states = json.loads(found.read_text())
    else:
        on(cloud, host.name, HVFILTER, 'publish')
        states = found_here(cloud, host.name)
    wanted = {
        catalogue.BY_KEY[key].trait
        for key, state in states.items()
        if state == 'present'
    }
    wanted.add(catalogue.REPORTED_TRAIT)
    has = cloud.traits(host.name) & catalogue.OWN_TRAITS
    if has != wanted:
        raise guests.Wrong(
            f'{host.name} has {sorted(has)}, not {sorted(wanted)}'
        )
    cloud.tell(f'{host.name} publishes {", ".join(sorted(_short(has)))}')


def found_here(cloud: Cloud, host: str) -> dict[str, str]:
    """What the agent finds on a host: state by capability."""
    printed = on(
        cloud, host, HVFILTER, '-q', 'probe', '-f', 'json', status=None
    )
    report = json.loads(printed[printed.index('{') :])
    return {
        key: finding['state']
        for key, finding in report['capabilities'].items()
    }


def _short(traits: frozenset[str]) -> list[str]:
    prefix = catalogue.TRAIT_PREFIX
    return [trait.removeprefix(prefix).lower() for trait in traits]
