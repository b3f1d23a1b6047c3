# SPDX-License-Identifier: Apache-2.0
"""Build the image of the agent, and compare what it reports with the host.

``python -m tests.container``: podman builds ``packaging/container`` on a
Debian made by mmdebstrap, so that no registry is needed, and runs it with the
arguments of ``doc/source/deployment_tools.rst``.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from tests.systemd import machine

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = ROOT / '.container'
FOLDER = ROOT / 'packaging' / 'container'
GUIDE = ROOT / 'doc' / 'source' / 'deployment_tools.rst'
BASE = 'localhost/debian:bookworm'
IMAGE = 'localhost/hvfilter'
LIMITS = ('--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=4096:4096')
"""Podman's own are above what a sandbox may set."""

ENVIRONMENT = {'PATH', 'HOME', 'http_proxy', 'https_proxy', 'no_proxy'}


def podman(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run podman with storage of our own."""
    runtime = ('--runtime', 'runc') if shutil.which('runc') else ()
    return subprocess.run(
        [
            'podman',
            *('--root', str(WORK / 'storage'), '--runroot', str(WORK / 'run')),
            *('--storage-driver', 'vfs', '--cgroup-manager', 'cgroupfs'),
            *runtime,
            *arguments,
        ],
        cwd=ROOT,
        env={
            name: value
            for name, value in os.environ.items()
            if name in ENVIRONMENT
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def guide() -> list[str]:
    """The arguments of the documented "podman run", up to the image."""
    found = re.search(r'podman run ((?:.*\\\n)*.*)\n', GUIDE.read_text())
    assert found is not None
    words = subprocess.run(
        ['sh', '-c', f'printf "%s\\n" {found[1]}'],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    ).stdout.split()
    return words[: words.index('hvfilter')]


def usable(arguments: Sequence[str]) -> list[str]:
    """Without what this machine does not have."""
    kept: list[str] = []
    for argument in arguments:
        if argument == '--group-add=':
            continue
        if argument.startswith('--volume='):
            source = argument.removeprefix('--volume=').split(':')[0]
            if source.startswith('/') and not pathlib.Path(source).exists():
                continue
        kept.append(argument)
    return kept


def states(report: dict[str, Any]) -> dict[str, str]:
    """The state of each capability of a report."""
    return {key: each['state'] for key, each in report['capabilities'].items()}


class Checks:
    """What must hold, one line each."""

    def __init__(self) -> None:
        self.wrong = 0

    def check(self, what: str, right: object, seen: object = '') -> bool:
        """Print one result."""
        print(f'{"ok   " if right else "WRONG"} {what}', flush=True)
        if not right:
            self.wrong += 1
            print(f'      {str(seen)[-3000:]}')
        return bool(right)

    def base(self) -> None:
        """An image of Debian."""
        folder = WORK / 'bookworm'
        machine.bootstrap('bookworm', folder)
        shutil.copy(machine.CERTIFICATES, folder / 'etc/ssl/certs')
        (folder / 'etc/pip.conf').write_text(
            f'[global]\ncert = {machine.CERTIFICATES}\n'
        )
        archive = WORK / 'bookworm.tar'
        subprocess.run(
            ['tar', '-C', str(folder), '-cf', str(archive), '.'], check=True
        )
        run = podman('import', str(archive), BASE)
        archive.unlink()
        self.check('a base image is there', not run.returncode, run)

    def build(self) -> bool:
        wheel = machine.build_wheel(sys.executable, ROOT, ROOT / 'dist')
        run = podman(
            'build',
            *('--network', 'host', '--isolation', 'chroot', *LIMITS),
            *('--build-arg', f'BASE={BASE}', '--build-arg', f'WHEEL={wheel}'),
            *('-f', str(FOLDER / 'Containerfile'), '-t', IMAGE, '.'),
        )
        return self.check('the image builds', not run.returncode, run)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run hvfilter in the container, as documented."""
        return podman('run', *LIMITS, *usable(guide()), IMAGE, *command)

    def probe(self) -> None:
        run = self.run('probe', '-f', 'json')
        if not self.check('the container probes', not run.returncode, run):
            return
        inside = states(json.loads(run.stdout))
        outside = states(
            json.loads(
                subprocess.run(
                    [
                        str(pathlib.Path(sys.executable).parent / 'hvfilter'),
                        *('probe', '-f', 'json'),
                    ],
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
            )
        )
        self.check('kvm is decided', inside['kvm'] != 'unknown', run.stdout)
        different = {
            key: (state, inside[key])
            for key, state in outside.items()
            if inside[key] not in (state, 'unknown')
        }
        self.check('nothing contradicts the host', not different, different)
        unknown = [
            key for key, state in inside.items() if state != outside[key]
        ]
        print(
            f'      {len(inside) - len(unknown)} of {len(inside)} have '
            'the state that root sees on the host'
            + (f'; unknown: {", ".join(unknown)}' if unknown else '')
        )

    def user(self) -> None:
        run = podman(
            'run', '--rm', *LIMITS, '--entrypoint=/usr/bin/id', IMAGE, '-u'
        )
        self.check(
            'its user is not root', run.stdout.strip() not in ('', '0'), run
        )

    def volume(self) -> None:
        """Where the history goes."""
        run = podman(
            *('run', *LIMITS, *usable(guide()), '--entrypoint=/usr/bin/test'),
            *(IMAGE, '-w', '/var/lib/hvfilter'),
        )
        self.check('its user may write the volume', not run.returncode, run)


def main() -> int:
    for tool in ('podman', 'mmdebstrap'):
        if os.geteuid() or shutil.which(tool) is None:
            print(f'make container cannot run: it needs root and {tool}')
            return 1
    WORK.mkdir(exist_ok=True)
    checks = Checks()
    checks.base()
    if checks.build():
        checks.user()
        checks.probe()
        checks.volume()
    print(f'{checks.wrong} wrong')
    return 1 if checks.wrong else 0


if __name__ == '__main__':
    sys.exit(main())
