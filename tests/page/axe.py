# SPDX-License-Identifier: Apache-2.0
"""axe-core, which finds accessibility faults in a page.

It is too large to be committed, and its licence is another one (MPL-2.0):
npm fetches one exact release into the environment that runs the tests, once.
``HVFILTER_AXE`` names an ``axe.min.js`` to use instead.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import io
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

VERSION = '4.14.1'
INTEGRITY = (
    'FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFoo'
    'JpZe37OgudVGtQ=='
)
"""SHA-512 of the package, as the npm registry publishes it."""

PATIENCE_S = 90


class Unavailable(Exception):
    """Why there is no axe-core."""


def source() -> str:
    """The script.

    :raises Unavailable: it is not here and cannot be fetched
    """
    named = os.environ.get('HVFILTER_AXE')
    if named:
        return pathlib.Path(named).read_text('utf-8')
    folder = pathlib.Path(sys.prefix) / 'share' / 'axe-core'
    kept = folder / f'axe-{VERSION}.min.js'
    folder.mkdir(parents=True, exist_ok=True)
    # Two workers at once: the second waits, then finds the file.
    with (folder / 'lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            part = kept.with_suffix('.part')
            part.write_bytes(_script(_fetch()))
            part.replace(kept)
    return kept.read_text('utf-8')


def _fetch() -> bytes:
    npm = shutil.which('npm')
    if npm is None:
        raise Unavailable(
            f'axe-core {VERSION} is not here and there is no npm to fetch it: '
            'install npm, or name an axe.min.js in HVFILTER_AXE'
        )
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                [npm, 'pack', '--silent', f'axe-core@{VERSION}'],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Unavailable(f'npm: no answer for {PATIENCE_S} s') from None
        found = list(pathlib.Path(folder).glob('*.tgz'))
        if done.returncode or len(found) != 1:
            last = (done.stderr.strip().splitlines() or ['no output'])[-1]
            raise Unavailable(f'npm cannot fetch axe-core {VERSION}: {last}')
        return found[0].read_bytes()


def _script(package: bytes) -> bytes:
    digest = base64.b64encode(hashlib.sha512(package).digest()).decode()
    if digest != INTEGRITY:
        raise Unavailable(f'axe-core {VERSION} from npm is not the known one')
    with tarfile.open(fileobj=io.BytesIO(package)) as tar:
        file = tar.extractfile('package/axe.min.js')
        assert file is not None
        return file.read()
