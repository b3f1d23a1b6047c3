# SPDX-License-Identifier: Apache-2.0
"""Commands in the root file system of another Debian release."""

from __future__ import annotations

import pathlib
import subprocess

# The mounts go with the namespace, whatever way the command ends.
_ENTER = """
set -e
mount --make-rprivate /
mount -t proc proc "$1/proc"
mount -t sysfs -o ro sysfs "$1/sys"
mount --rbind /dev "$1/dev"
mount -t tmpfs tmpfs "$1/tmp"
ip link set lo up
exec chroot "$@"
"""
_VARIABLES = (
    'HOME=/root',
    'LC_ALL=C.UTF-8',
    'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
    'DEBIAN_FRONTEND=noninteractive',
)


class Failed(Exception):
    """A command failed: which, and the end of what it printed."""


class Root:
    """One root file system.

    :ivar folder: where it is
    :ivar log: the output of all commands, one after the other
    """

    def __init__(self, folder: pathlib.Path, log: pathlib.Path) -> None:
        self.folder = folder
        self.log = log
        log.write_text('')

    def run(
        self,
        *command: str,
        cwd: str = '/',
        online: bool = False,
        **variables: str,
    ) -> str:
        """Run a command inside; what it printed.

        :param cwd: the working directory, inside
        :param online: with the network of this machine. Without it, nothing
            that a build needs can be downloaded by it
        :param variables: of its environment
        :raises Failed: with its output, if it does not exit with 0
        """
        outside = ['unshare', '--fork', '--pid', '--mount']
        outside += ['--kill-child=KILL', *([] if online else ['--net'])]
        inside = ['env', '-i', f'--chdir={cwd}', *_VARIABLES]
        inside += [f'{name}={value}' for name, value in variables.items()]
        arguments = [*outside, 'sh', '-c', _ENTER, 'enter', str(self.folder)]
        done = subprocess.run(
            [*arguments, *inside, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors='replace',
            check=False,
        )
        with self.log.open('a') as log:
            log.write(f'\n$ {" ".join(command)}\n{done.stdout}')
        if done.returncode:
            raise Failed(f'{" ".join(command)}: {done.stdout[-1500:]}')
        return done.stdout

    def path(self, name: str) -> pathlib.Path:
        """Where a file of it is outside."""
        return self.folder / name.lstrip('/')
