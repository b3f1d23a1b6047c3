# SPDX-License-Identifier: Apache-2.0
"""Make the virtual environment of this checkout, or bring it up to date.

``environment.py demo|lab|test`` installs hvfilter in editable mode into
``.make-venv`` with what that purpose needs. A stamp keeps the digest of
everything that went in, so that a second run has nothing to do. Standard
library only: it runs before anything is installed.
"""

import argparse
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import time
import venv

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Not ".venv": tox leaves a file of that name.
VENV = ROOT / '.make-venv'
LOG = VENV / 'install.log'
INTERPRETER_STAMP = VENV / 'interpreter.stamp'

# Each holds all of the one before it, so that is content with either.
REQUIREMENTS = {
    'lab': ('requirements.txt',),
    'demo': ('requirements.txt', 'functional-requirements.txt'),
    'fleet': (
        'requirements.txt',
        'functional-requirements.txt',
        'fleet-requirements.txt',
    ),
    'test': (
        'requirements.txt',
        'functional-requirements.txt',
        'test-requirements.txt',
        'lint-requirements.txt',
    ),
}
SATISFIED_BY = {
    'lab': ('lab', 'demo', 'test'),
    'demo': ('demo', 'test'),
    'fleet': ('fleet',),
    'test': ('test',),
}
# Entry points and package data are read at install time.
METADATA = ('setup.cfg', 'setup.py', 'pyproject.toml')
PROGRESS_S = 10.0
LOG_TAIL_LINES = 25


def constraints_file() -> pathlib.Path:
    """Return the constraints: $TOX_CONSTRAINTS_FILE, or the project's."""
    named = os.environ.get('TOX_CONSTRAINTS_FILE')
    return pathlib.Path(named) if named else ROOT / 'constraints.txt'


def interpreter() -> str:
    """Return what must stay the same for the environment to be usable."""
    return f'{sys.executable} {sys.version} {ROOT}'


def digest(purpose: str) -> str:
    """Return the digest of everything that the installation depends on."""
    names = METADATA + REQUIREMENTS[purpose]
    inputs = [ROOT / name for name in names] + [constraints_file()]
    total = hashlib.sha256(interpreter().encode())
    for path in inputs:
        total.update(path.read_bytes())
    return total.hexdigest()


def stamp(purpose: str) -> pathlib.Path:
    return VENV / f'{purpose}.stamp'


def holds(path: pathlib.Path, wanted: str) -> bool:
    return path.is_file() and path.read_text() == wanted


def create() -> None:
    """Make an empty environment, in place of one of another Python."""
    if holds(INTERPRETER_STAMP, interpreter()):
        return
    shutil.rmtree(VENV, ignore_errors=True)
    venv.EnvBuilder(with_pip=True, symlinks=True).create(VENV)
    INTERPRETER_STAMP.write_text(interpreter())


def pip_install(purpose: str) -> int:
    """Run pip, tell what it is at now and then, and return its exit code."""
    command = [str(VENV / 'bin' / 'python'), '-m', 'pip', 'install']
    command += ['--disable-pip-version-check', '--progress-bar', 'off']
    # Modules compile when first imported: most of Nova's never are.
    command += ['--no-compile', '-c', str(constraints_file())]
    for name in REQUIREMENTS[purpose]:
        command += ['-r', name]
    command += ['-e', '.']
    started = told = time.monotonic()
    with (
        LOG.open('w') as log,
        subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as pip,
    ):
        assert pip.stdout is not None
        for line in pip.stdout:
            log.write(line)
            now = time.monotonic()
            if now - told >= PROGRESS_S and not line.startswith('WARNING'):
                told = now
                print(f'  {now - started:3.0f} s: {line.strip()[:60]}')
    return pip.returncode


def install(purpose: str) -> int:
    version = '.'.join(map(str, sys.version_info[:3]))
    if 'functional-requirements.txt' in REQUIREMENTS[purpose]:
        needs = 'Nova and Placement among it. It takes a minute or two, once.'
    else:
        needs = 'which takes some seconds, once.'
    print(
        f'Python {version} at {sys.executable}: installing into {VENV.name} '
        f'what "make {purpose}" needs, {needs}',
        flush=True,
    )
    started = time.monotonic()
    create()
    code = pip_install(purpose)
    if code != 0:
        tail = LOG.read_text().splitlines()[-LOG_TAIL_LINES:]
        print(*tail, sep='\n', file=sys.stderr)
        print(
            f'pip failed; all it said is in {LOG.relative_to(ROOT)}. Packages '
            'come from the index that pip is configured for: look at the '
            'network and at "pip config list".',
            file=sys.stderr,
        )
        return code
    stamp(purpose).write_text(digest(purpose))
    print(f'Installed in {time.monotonic() - started:.0f} s.', flush=True)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('purpose', choices=sorted(REQUIREMENTS))
    purpose = parser.parse_args().purpose
    # Two makes at once: the second waits, then finds the work done.
    with pathlib.Path(__file__).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in SATISFIED_BY[purpose]:
            if holds(stamp(name), digest(name)):
                return 0
        return install(purpose)


if __name__ == '__main__':
    sys.exit(main())
