# SPDX-License-Identifier: Apache-2.0
"""Build the RPM packages where Debian's rpmbuild is.

Fedora's macros are not there: rpm_macros has stand-ins, so this shows that the
spec file is complete and its lists of files are right, not that Fedora builds.
"""

from __future__ import annotations

import pathlib
import shutil

from tests.packages import rootfs, source
from tests.systemd import results

TOOLS = ('rpm', 'rpmlint')
PLACE = '/srv/rpm'
# They ran while the Debian packages were built.
_WITHOUT = ('--without', 'tests')
_STAND_INS = ('rpm_macros', 'rpm_install.py', 'rpmlint.toml')
_SPEC = f'{PLACE}/hvfilter.spec'
_LINT = ('rpmlint', '-c', f'{PLACE}/rpmlint.toml')
_LINT += ('-r', f'{PLACE}/hvfilter.rpmlintrc', _SPEC)


class Build:
    """One build, in a root file system with the needs of the others."""

    def __init__(
        self,
        root: rootfs.Root,
        judge: results.Results,
        sources: source.Sources,
    ) -> None:
        self._root = root
        self._judge = judge
        self._sources = sources

    def run(self) -> list[pathlib.Path]:
        """Parse, build, and let rpmlint judge; the packages."""
        place = self._root.path(PLACE)
        shutil.rmtree(place, ignore_errors=True)
        (place / 'SOURCES').mkdir(parents=True)
        shutil.copy(self._sources.sdist, place / 'SOURCES')
        for name in _STAND_INS:
            shutil.copy(pathlib.Path(__file__).parent / name, place)
        for path in (self._sources.clone / 'packaging' / 'rpm').iterdir():
            shutil.copy(path, place)
        load = f'--load={PLACE}/rpm_macros'
        for what, command in (
            ('the spec file parses', ('rpmspec', load, '-P', _SPEC)),
            (
                'the RPM packages build',
                (*('rpmbuild', '-ba', '--nodeps', load), *_WITHOUT, _SPEC),
            ),
        ):
            if not self._works(what, *command):
                return []
        packages = sorted(place.glob('RPMS/noarch/*.rpm'))
        self._look(packages)
        return packages

    def _works(self, what: str, *command: str) -> bool:
        try:
            self._root.run(*command)
        except rootfs.Failed as error:
            self._judge.check(what, False, error)
            return False
        self._judge.check(what, True)
        return True

    def _look(self, packages: list[pathlib.Path]) -> None:
        inside = [f'{PLACE}/RPMS/noarch/{path.name}' for path in packages]
        self._works(
            'rpmlint is content with the RPM packages and the spec file',
            *(*_LINT, *inside),
        )
        needed = self._root.run('rpm', '-qp', '--requires', *inside)
        wanted = (self._sources.clone / 'requirements.txt').read_text()
        names = [
            line.split('>=')[0].lower()
            for line in wanted.splitlines()
            if not line.startswith('#')
        ]
        self._judge.check(
            'the RPM packages require what requirements.txt does',
            all(f'dist({name})' in needed for name in names),
            needed,
        )
