# SPDX-License-Identifier: Apache-2.0
"""A Debian release in namespaces of its own, with systemd as process 1."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import time
from collections.abc import Sequence

PACKAGES = (
    'systemd',
    'systemd-sysv',
    'dbus',
    'udev',
    'python3',
    'python3-venv',
    'ca-certificates',
)
READY_S = 60.0
CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt'
PIP_FILES = ('/etc/pip.conf', '~/.config/pip/pip.conf', '~/.pip/pip.conf')

# pivot_root, not chroot: systemd must not see the machine outside. What it
# mounts goes with the namespace.
BOOT = """
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mount --rbind /dev dev
mkdir -p outside
pivot_root . outside
umount -l outside
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --show-status=no
"""


def missing() -> str:
    """Why this cannot run here; '' when it can."""
    if os.geteuid():
        return 'it needs root: namespaces, mounts and chroot'
    for tool in ('mmdebstrap', 'unshare', 'nsenter'):
        if shutil.which(tool) is None:
            return f'it needs {tool} (Debian: {_PACKAGE_OF[tool]})'
    return ''


_PACKAGE_OF = {
    'mmdebstrap': 'mmdebstrap',
    'unshare': 'util-linux',
    'nsenter': 'util-linux',
}


def install_tools() -> None:
    """Install what is missing, where that is possible."""
    if os.geteuid() == 0 and shutil.which('mmdebstrap') is None:
        subprocess.run(['apt-get', 'update', '-qq'], check=False)
        command = ['apt-get', 'install', '-y', '-qq']
        command += ['--no-install-recommends', 'mmdebstrap']
        subprocess.run(command, check=False, stdout=subprocess.DEVNULL)


def bootstrap(
    release: str, folder: pathlib.Path, packages: Sequence[str] = PACKAGES
) -> None:
    """Install a Debian release into a folder, once."""
    done = folder.parent / f'{folder.name}.done'
    if done.exists():
        return
    if folder.exists():
        shutil.rmtree(folder)
    subprocess.run(
        [
            'mmdebstrap',
            '--quiet',
            '--variant=minbase',
            f'--include={",".join(packages)}',
            release,
            str(folder),
        ],
        check=True,
    )
    done.touch()


class Machine:
    """One boot of a folder; a context manager."""

    def __init__(self, root: pathlib.Path, log: pathlib.Path) -> None:
        self._root = root
        self._log = log
        self._outside: subprocess.Popen[bytes] | None = None
        self._pid = 0

    def __enter__(self) -> Machine:
        for name in PIP_FILES:
            file = pathlib.Path(name).expanduser()
            if file.exists():
                shutil.copy(file, self._root / 'etc' / 'pip.conf')
        # Packages come the way they come to the machine outside.
        for name in ('/etc/resolv.conf', CERTIFICATES):
            shutil.copy(name, self._root / name.lstrip('/'))
        command = ['unshare', '--fork', '--pid', '--mount', '--uts', '--ipc']
        command += ['--cgroup', '--kill-child=KILL', 'sh', '-c', BOOT, 'boot']
        with self._log.open('wb') as log:
            self._outside = subprocess.Popen(
                [*command, str(self._root)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait()
        return self

    def _wait(self) -> None:
        assert self._outside is not None
        children = pathlib.Path(
            f'/proc/{self._outside.pid}/task/{self._outside.pid}/children'
        )
        end = time.monotonic() + READY_S
        while time.monotonic() < end:
            if self._outside.poll() is not None:
                break
            found = children.read_text().split()
            if found:
                self._pid = int(found[0])
                state = self.run('systemctl', 'is-system-running')
                if state.stdout.strip() in ('running', 'degraded'):
                    return
            time.sleep(0.3)
        self._end()
        raise SystemExit(
            f'systemd does not start here; see {self._log}:\n'
            f'{self._log.read_text()[-2000:]}'
        )

    @property
    def pid(self) -> int:
        """Of process 1, as seen from outside."""
        return self._pid

    def run(
        self, *command: str, user: str = ''
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside."""
        inside = ['nsenter', '--target', str(self._pid), '--all', 'env', '-i']
        inside += ['PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin']
        inside += [f'PIP_CERT={CERTIFICATES}']
        inside += [
            f'{name}={value}'
            for name, value in os.environ.items()
            if name.startswith('PIP_') and name != 'PIP_CERT'
        ]
        if user:
            inside += ['runuser', '-u', user, '--']
        return subprocess.run(
            [*inside, *command], capture_output=True, text=True
        )

    def shell(self, *lines: str) -> subprocess.CompletedProcess[str]:
        """Run a few lines of shell inside, stopping at the first failure."""
        return self.run('sh', '-ec', '\n'.join(lines))

    def write(self, path: str, text: str) -> None:
        """Make a file inside."""
        file = self._root / path.lstrip('/')
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        if self._outside is not None:
            self._outside.kill()
            self._outside.wait()


def build_wheel(python: str, root: pathlib.Path, to: pathlib.Path) -> str:
    """Build this checkout's wheel; its file name."""
    to.mkdir(parents=True, exist_ok=True)
    for old in to.glob('hvfilter-*.whl'):
        old.unlink()
    command: Sequence[str] = [python, '-m', 'pip', 'wheel', '--quiet']
    subprocess.run(
        [*command, '--no-deps', '--wheel-dir', str(to), str(root)], check=True
    )
    (wheel,) = to.glob('hvfilter-*.whl')
    return wheel.name
