# SPDX-License-Identifier: Apache-2.0
"""Build the packages, install them, use them, and purge them.

``python -m tests.packages [--tests] [RELEASE...]``: each Debian release has
two root file systems, made once: one to build in, without the network, and
one with its own systemd to install in. The RPM packages are built in the
first one. Packages are left in .packages/RELEASE and .packages/rpm.
"""

from __future__ import annotations

import argparse
import pathlib
import shutil
import sys
import time

from tests.packages import deb, installed, rootfs, rpm, source
from tests.systemd import machine, results

WORK = source.ROOT / '.packages'
RELEASES = ('bookworm', 'trixie')


def build(
    release: str, sources: source.Sources, with_tests: bool
) -> tuple[int, list[pathlib.Path]]:
    """Build in a release; how much is wrong, and the Debian packages."""
    folder = WORK / f'{release}-build'
    with_rpm = release == RELEASES[0]
    tools = rpm.TOOLS if with_rpm else ()
    machine.bootstrap(release, folder, (*deb.TOOLS, *tools))
    root = rootfs.Root(folder, WORK / f'{release}-build.log')
    judge = results.Results(release)
    packages = deb.Build(root, judge, sources, with_tests).run()
    _keep(WORK / release, packages)
    if with_rpm and packages:
        _keep(WORK / 'rpm', rpm.Build(root, judge, sources).run())
    return judge.wrong, packages


def _keep(folder: pathlib.Path, packages: list[pathlib.Path]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path in packages:
        shutil.copy(path, folder)


def install(release: str, packages: list[pathlib.Path]) -> int:
    """Install in a release; how much is wrong."""
    folder = WORK / f'{release}-install'
    machine.bootstrap(release, folder, installed.PACKAGES)
    with machine.Machine(folder, WORK / f'{release}-install.log') as inside:
        checks = installed.Checks(inside, folder, release)
        checks.bring(packages)
        for step in checks.steps():
            step()
    return checks.wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('releases', nargs='*', metavar='RELEASE')
    parser.add_argument(
        '--tests',
        action='store_true',
        help='run the unit tests with the libraries of each release',
    )
    arguments = parser.parse_args()
    machine.install_tools()
    problem = machine.missing()
    if problem:
        print(f'make packages cannot run: {problem}')
        return 1
    WORK.mkdir(exist_ok=True)
    sources = source.make(WORK)
    wrong = 0
    started = time.monotonic()
    for release in arguments.releases or RELEASES:
        print(f'== Debian {release}', flush=True)
        faults, packages = build(release, sources, arguments.tests)
        wrong += faults
        if packages:
            wrong += install(release, packages)
    print(f'{wrong} wrong, {time.monotonic() - started:.0f} s')
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
