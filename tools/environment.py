# SPDX-License-Identifier: Apache-2.0
"""Make a virtual environment of this checkout, or bring it up to date.

``environment.py ansible|demo|docs|fleet|lab|test`` installs hvfilter in
editable mode into ``.make-venv`` with what that purpose needs;
``environment.py cloud`` makes ``.make-venv-cloud`` with all of OpenStack and
without hvfilter, which ``make e2e`` installs there as a user does;
``environment.py 2023.1``, or another OpenStack release, ``.make-venv-2023.1``
with the Nova and the Placement of that release. A stamp keeps the digest of
everything that went in, so that a second run has nothing to do. Standard
library only: it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import dataclasses
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.request
import venv

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Not ".venv": tox leaves a file of that name.
VENV = '.make-venv'

FUNCTIONAL = 'functional-requirements.txt'
# Each holds all of the one before it, so that is content with either.
REQUIREMENTS = {
    'lab': ('requirements.txt',),
    'docs': ('requirements.txt', 'doc/requirements.txt'),
    'demo': ('requirements.txt', FUNCTIONAL),
    'fleet': ('requirements.txt', FUNCTIONAL, 'fleet-requirements.txt'),
    'ansible': ('requirements.txt', FUNCTIONAL, 'ansible-requirements.txt'),
    'cloud': (FUNCTIONAL, 'cloud-requirements.txt'),
    'test': (
        'requirements.txt',
        FUNCTIONAL,
        'test-requirements.txt',
        'lint-requirements.txt',
    ),
}
SATISFIED_BY = {
    'lab': ('lab', 'demo', 'test'),
    'docs': ('docs',),
    'demo': ('demo', 'test'),
    'fleet': ('fleet',),
    'ansible': ('ansible',),
    'cloud': ('cloud',),
    'test': ('test',),
}
# The purposes that do not share VENV, and get no hvfilter from the checkout.
APART = ('cloud',)
RELEASES = ROOT / 'tests' / 'releases'
CONSTRAINTS_URL = 'https://releases.openstack.org/constraints/upper/{}'
# Entry points and package data are read at install time.
METADATA = ('setup.cfg', 'setup.py', 'pyproject.toml')
PATIENCE_S = 10.0
PROGRESS_S = 10.0
LOG_TAIL_LINES = 25


def releases() -> list[str]:
    """The OpenStack releases that there are requirements of, oldest first."""
    return sorted(path.stem for path in RELEASES.glob('requirements/*.txt'))


@dataclasses.dataclass(frozen=True)
class Environment:
    """A virtual environment for one purpose.

    :ivar requirements: files of what goes in, relative to the checkout
    :ivar name: of its directory
    :ivar satisfied_by: purposes whose stamp is as good as this one's
    """

    purpose: str
    requirements: tuple[str, ...]
    name: str
    satisfied_by: tuple[str, ...]

    @property
    def venv(self) -> pathlib.Path:
        return ROOT / self.name

    @property
    def log(self) -> pathlib.Path:
        return self.venv / 'install.log'

    @property
    def interpreter_stamp(self) -> pathlib.Path:
        return self.venv / 'interpreter.stamp'

    def stamp(self) -> pathlib.Path:
        return self.venv / f'{self.purpose}.stamp'

    def constraints_at_hand(self) -> pathlib.Path:
        """$TOX_CONSTRAINTS_FILE, or a list of the project's own."""
        named = os.environ.get('TOX_CONSTRAINTS_FILE')
        if named:
            return pathlib.Path(named)
        own = RELEASES / 'constraints' / f'{self.purpose}.txt'
        return own if own.is_file() else ROOT / 'constraints.txt'

    def constraints(self) -> list[pathlib.Path]:
        """What to constrain pip with, best first."""
        named = os.environ.get('TOX_CONSTRAINTS_FILE')
        published = None
        if self.purpose in releases() and not named:
            published = self._published()
        at_hand = self.constraints_at_hand()
        return [published, at_hand] if published else [at_hand]

    def _published(self) -> pathlib.Path | None:
        """The release's own list, from where OpenStack publishes it."""
        url = CONSTRAINTS_URL.format(self.purpose)
        try:
            with urllib.request.urlopen(  # noqa: S310  (the url is ours)
                url, timeout=PATIENCE_S
            ) as answer:
                text = answer.read()
        except OSError as error:
            print(f'{url} is out of reach ({error}).', flush=True)
            return None
        path = self.venv / 'published-constraints.txt'
        path.write_bytes(text)
        return path

    def digest(self) -> str:
        """Of everything that the installation depends on.

        What OpenStack publishes for a release is not asked each time.
        """
        total = hashlib.sha256(interpreter().encode())
        editable = () if self.purpose in APART else METADATA
        for name in editable + self.requirements:
            total.update((ROOT / name).read_bytes())
        total.update(self.constraints_at_hand().read_bytes())
        return total.hexdigest()

    @property
    def ready(self) -> bool:
        return any(
            holds(other.stamp(), other.digest())
            for other in map(environment, self.satisfied_by)
        )


def environment(purpose: str) -> Environment:
    """That of a purpose, which may be the name of a release."""
    if purpose in REQUIREMENTS:
        needed, others = REQUIREMENTS[purpose], SATISFIED_BY[purpose]
        name = f'{VENV}-{purpose}' if purpose in APART else VENV
        return Environment(purpose, needed, name, others)
    return Environment(
        purpose,
        (
            'requirements.txt',
            FUNCTIONAL,
            'test-requirements.txt',
            f'tests/releases/requirements/{purpose}.txt',
        ),
        f'{VENV}-{purpose}',
        (purpose,),
    )


def interpreter() -> str:
    """Return what must stay the same for the environment to be usable."""
    return f'{sys.executable} {sys.version} {ROOT}'


def holds(path: pathlib.Path, wanted: str) -> bool:
    return path.is_file() and path.read_text() == wanted


def create(wanted: Environment) -> None:
    """Make an empty environment, in place of one of another Python."""
    if holds(wanted.interpreter_stamp, interpreter()):
        return
    shutil.rmtree(wanted.venv, ignore_errors=True)
    venv.EnvBuilder(with_pip=True, symlinks=True).create(wanted.venv)
    wanted.interpreter_stamp.write_text(interpreter())


def pip_install(wanted: Environment, constraints: pathlib.Path) -> int:
    """Run pip, tell what it is at now and then, and return its exit code."""
    command = [str(wanted.venv / 'bin' / 'python'), '-m', 'pip', 'install']
    command += ['--disable-pip-version-check', '--progress-bar', 'off']
    # Modules compile when first imported: most of Nova's never are.
    command += ['--no-compile', '-c', str(constraints)]
    for name in wanted.requirements:
        command += ['-r', name]
    if wanted.purpose not in APART:
        # What an earlier installation left here would be found before what
        # this one says, in programs that are started here.
        shutil.rmtree(ROOT / 'hvfilter.egg-info', ignore_errors=True)
        command += ['-e', '.']
    started = told = time.monotonic()
    with (
        wanted.log.open('w') as log,
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


def install(wanted: Environment) -> int:
    version = '.'.join(map(str, sys.version_info[:3]))
    if FUNCTIONAL in wanted.requirements:
        needs = 'Nova and Placement among it. It takes a minute or two, once.'
    else:
        needs = 'which takes some seconds, once.'
    print(
        f'Python {version} at {sys.executable}: installing into {wanted.name} '
        f'what "{wanted.purpose}" needs, {needs}',
        flush=True,
    )
    started = time.monotonic()
    create(wanted)
    for constraints in wanted.constraints():
        print(f'Constraints: {constraints}', flush=True)
        code = pip_install(wanted, constraints)
        if code == 0:
            break
        tail = wanted.log.read_text().splitlines()[-LOG_TAIL_LINES:]
        print(*tail, sep='\n', file=sys.stderr, flush=True)
    else:
        print(
            f'Not installed. All that pip said last is in {wanted.name}/'
            f'{wanted.log.name}. Packages come from the index that pip is '
            'configured for: look at the network and at "pip config list". '
            'TOX_CONSTRAINTS_FILE names a list of constraints to use '
            'instead.',
            file=sys.stderr,
        )
        return 1
    wanted.stamp().write_text(wanted.digest())
    print(f'Installed in {time.monotonic() - started:.0f} s.', flush=True)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'purpose', choices=[*sorted(REQUIREMENTS), *releases()]
    )
    wanted = environment(parser.parse_args().purpose)
    # Two makes at once: the second waits, then finds the work done.
    with pathlib.Path(__file__).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return 0 if wanted.ready else install(wanted)


if __name__ == '__main__':
    sys.exit(main())
