# SPDX-License-Identifier: Apache-2.0
"""Installs hvfilter as a user does: a wheel, by the words of the guide."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

from tests.cloud import processes
from tests.cloud.layout import ROOT, Layout, program

GUIDE = ROOT / 'doc' / 'source' / 'install.rst'
_BINDING = 'libvirt-python'


def bindings(layout: Layout) -> str:
    """libvirt for Python, of the version of this machine's libvirt.

    :raises Failed: it does not compile
    """
    version = _output('pkg-config', '--modversion', 'libvirt').strip()
    wanted = f'{_BINDING}=={version}'
    if wanted not in _output(program('pip'), 'freeze').splitlines():
        pip(layout, 'install', wanted)
    return wanted


def build_wheel(layout: Layout) -> pathlib.Path:
    """The wheel of this checkout, with what is not committed yet."""
    source = layout.folder / 'source'
    _output('git', 'clone', '-q', str(ROOT), str(source))
    changed = _output(
        *('git', '-C', str(ROOT), 'ls-files', '-z', '--modified', '--others'),
        '--exclude-standard',
    )
    for name in filter(None, changed.split('\0')):
        target = source / name
        if (ROOT / name).exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
        else:
            target.unlink()
    _output('git', '-C', str(source), 'add', '--all')
    folder = layout.folder_of('wheel')
    pip(layout, 'wheel', '--no-deps', '-w', str(folder), str(source))
    (wheel,) = folder.glob('*.whl')
    return wheel


def pip(layout: Layout, *arguments: str) -> None:
    """Of the environment of the services."""
    _output(
        program('pip'),
        *('--disable-pip-version-check', '-q', *arguments),
        log=layout.logs / 'pip.log',
    )


def _output(*command: str, log: pathlib.Path | None = None) -> str:
    done = subprocess.run(
        command,
        # Nobody's checkout is ours to trust, but our own.
        env={
            **os.environ,
            'GIT_CONFIG_COUNT': '1',
            'GIT_CONFIG_KEY_0': 'safe.directory',
            'GIT_CONFIG_VALUE_0': '*',
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if log:
        with log.open('a') as file:
            file.write(f'$ {" ".join(command)}\n{done.stdout}{done.stderr}')
    if done.returncode:
        raise processes.Failed(
            f'{" ".join(command)} failed with exit code {done.returncode}: '
            f'{done.stderr[-1500:]}'
        )
    return done.stdout
