# SPDX-License-Identifier: Apache-2.0
"""Filled databases, kept from one run for the next.

Creating the tables of all services takes longer than anything else, and comes
to the same each time. Kept with them are the ports and the password that they
hold. Where anything they depend on has changed they are made again.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import shutil
import sysconfig

from tests.cloud import layout

FOLDER = layout.ROOT / '.cloud-seed'
KEPT = ('mariadb', 'keystone')
_ABOUT = FOLDER / 'about.json'
_HERE = pathlib.Path(__file__).resolve().parent
_SOURCES = ('seed', 'layout', 'servers', 'configuration', 'cloud')


def _digest() -> str:
    total = hashlib.sha256()
    packages = pathlib.Path(sysconfig.get_path('purelib')).glob('*.dist-info')
    for name in sorted(each.name for each in packages):
        if not name.startswith('hvfilter'):
            total.update(name.encode())
    for name in _SOURCES:
        total.update((_HERE / f'{name}.py').read_bytes())
    server = pathlib.Path('/usr/sbin/mariadbd').stat()
    total.update(f'{server.st_size} {server.st_mtime}'.encode())
    return total.hexdigest()


def plant() -> tuple[layout.Layout, bool]:
    """A fresh layout, and whether it has filled databases."""
    try:
        about = json.loads(_ABOUT.read_text())
    except (OSError, ValueError):
        return layout.fresh(), False
    if about.get('digest') != _digest() or not layout.free(about['ports']):
        return layout.fresh(), False
    place = layout.fresh(about['ports'], about['secret'])
    for name in KEPT:
        shutil.copytree(FOLDER / name, place.folder / name, symlinks=True)
    return place, True


def keep(place: layout.Layout) -> None:
    """For the next run; nothing may write to the databases meanwhile."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(mode=0o700)
    for name in KEPT:
        shutil.copytree(place.folder / name, FOLDER / name, symlinks=True)
    about = {
        'digest': _digest(),
        'ports': place.ports,
        'secret': place.secret,
    }
    # Last, so that it is there only if all is.
    _ABOUT.write_text(json.dumps(about))
