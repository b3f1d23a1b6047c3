# SPDX-License-Identifier: Apache-2.0
"""What packages are built of: a clean checkout, and a source distribution."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHANGELOG = 'packaging/debian/changelog'


@dataclasses.dataclass(frozen=True)
class Sources:
    """A clone of this checkout, and its source distribution."""

    clone: pathlib.Path
    sdist: pathlib.Path


def make(folder: pathlib.Path) -> Sources:
    """Make both in a folder."""
    clone = _checkout(folder)
    return Sources(clone, _sdist(clone, folder))


def version() -> str:
    """The version that the packages have, without Debian's revision."""
    heading = re.match(
        r'hvfilter \((.*)-\d+\)', (ROOT / CHANGELOG).read_text()
    )
    assert heading is not None
    return heading[1]


def _checkout(folder: pathlib.Path) -> pathlib.Path:
    """A new clone of this checkout: only what is committed."""
    to = folder / 'checkout'
    shutil.rmtree(to, ignore_errors=True)
    subprocess.run(
        ['git', 'clone', '-q', '--no-hardlinks', str(ROOT), str(to)],
        check=True,
    )
    return to


def _sdist(clone: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """The source distribution of a clone, as a release has it."""
    subprocess.run(
        [sys.executable, 'tools/dist.py', str(folder)],
        cwd=clone,
        env={**os.environ, 'PBR_VERSION': version()},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return folder / f'hvfilter-{version()}.tar.gz'
