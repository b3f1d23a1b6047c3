# SPDX-License-Identifier: Apache-2.0
"""The hosts that Ansible manages, and the playbooks run on them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from tests.systemd import machine

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = ROOT / '.ansible-hosts'
PLAYBOOKS = ROOT / 'packaging' / 'ansible'
ENTER = pathlib.Path(__file__).parent / 'enter'
NOVA_VENV = '/opt/nova'

_RECAP = re.compile(
    r'^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)',
    re.MULTILINE,
)


@dataclasses.dataclass(frozen=True)
class Host:
    """One managed host.

    :ivar release: of Debian
    :ivar groups: of the inventory
    :ivar variables: of the role, for this host alone
    """

    name: str
    release: str
    groups: tuple[str, ...]
    variables: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def controller(self) -> bool:
        return 'nova_scheduler' in self.groups


@dataclasses.dataclass(frozen=True)
class Run:
    """What a playbook did.

    :ivar changed: how many tasks changed something, by host
    :ivar failed: hosts on which a task failed, or that were unreachable
    """

    code: int
    output: str
    changed: Mapping[str, int]
    failed: frozenset[str]

    @property
    def good(self) -> bool:
        return self.code == 0 and bool(self.changed) and not self.failed


def _base(host: Host) -> pathlib.Path:
    """The host as it is before hvfilter; made once."""
    base = WORK / f'{host.release}.base'
    # What Ansible itself needs of a Debian in check mode.
    packages = (*machine.PACKAGES, 'python3-apt')
    machine.bootstrap(host.release, base, packages)
    if not host.controller:
        return base
    nova = WORK / f'{host.release}-nova.base'
    done = WORK / f'{nova.name}.done'
    if not done.exists():
        _copy(base, nova)
        with machine.Machine(nova, WORK / 'nova.log') as inside:
            run = inside.shell(
                f'python3 -m venv {NOVA_VENV}',
                f'{NOVA_VENV}/bin/pip install -q --no-compile "nova<35"',
            )
        if run.returncode:
            raise SystemExit(f'Nova does not install: {run.stderr[-2000:]}')
        done.touch()
    return nova


def _copy(base: pathlib.Path, to: pathlib.Path) -> None:
    if to.exists():
        shutil.rmtree(to)
    subprocess.run(['cp', '-a', '--reflink=auto', base, to], check=True)


@contextlib.contextmanager
def started(hosts: list[Host]) -> Iterator[dict[str, machine.Machine]]:
    """Boot a fresh copy of each host."""
    WORK.mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:
        machines = {}
        for host in hosts:
            folder = WORK / host.name
            _copy(_base(host), folder)
            inside = stack.enter_context(
                machine.Machine(folder, WORK / f'{host.name}.log')
            )
            (WORK / f'{host.name}.pid').write_text(str(inside.pid))
            machines[host.name] = inside
        yield machines


def write_inventory(hosts: list[Host], variables: Mapping[str, Any]) -> None:
    """Of these hosts, with variables for all of them."""
    groups: dict[str, Any] = {}
    for host in hosts:
        for group in host.groups:
            members = groups.setdefault(group, {'hosts': {}})['hosts']
            members[host.name] = dict(host.variables)
    common = {
        'ansible_become': False,
        'ansible_connection': 'ssh',
        'ansible_ssh_executable': str(ENTER),
        'ansible_ssh_transfer_method': 'piped',
        'ansible_python_interpreter': '/usr/bin/python3',
    }
    inventory = {'all': {'children': groups, 'vars': common | variables}}
    (WORK / 'inventory.json').write_text(json.dumps(inventory, indent=1))


def pip_environment() -> dict[str, str]:
    """How this machine's pip reaches its index, for pip on the hosts."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith('PIP_') and name != 'PIP_FIND_LINKS'
    } | {'PIP_CERT': machine.CERTIFICATES}


def tool(name: str) -> str:
    """A program of this environment."""
    return str(pathlib.Path(sys.executable).parent / name)


def play(name: str, *arguments: str) -> Run:
    """Run a playbook of the project."""
    done = subprocess.run(
        [
            tool('ansible-playbook'),
            '-i',
            str(WORK / 'inventory.json'),
            name,
            *arguments,
        ],
        cwd=PLAYBOOKS,
        env=os.environ
        | {
            'ANSIBLE_NOCOLOR': '1',
            'ANSIBLE_PIPELINING': '1',
            'ANSIBLE_LOCALHOST_WARNING': 'False',
            'HVFILTER_MACHINES': str(WORK),
            'PATH': f'{tool("")}:{os.environ["PATH"]}',
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    rows = _RECAP.findall(done.stdout)
    return Run(
        done.returncode,
        done.stdout,
        {host: int(changed) for host, _, changed, _, _ in rows},
        frozenset(
            host for host, _, _, lost, bad in rows if int(lost) + int(bad)
        ),
    )
