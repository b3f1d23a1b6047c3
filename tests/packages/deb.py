# SPDX-License-Identifier: Apache-2.0
"""Build the Debian packages from both sources, and let lintian judge them."""

from __future__ import annotations

import pathlib
import shutil
import tarfile

from tests.packages import rootfs, source
from tests.systemd import results

# Beside what debian/control asks for.
TOOLS = ('build-essential', 'fakeroot', 'lintian', 'ca-certificates')
PLACE = '/srv/packages'


class Build:
    """Builds for one release, in its own root file system."""

    def __init__(
        self,
        root: rootfs.Root,
        judge: results.Results,
        sources: source.Sources,
        with_tests: bool,
    ) -> None:
        self._root = root
        self._judge = judge
        self._sources = sources
        self._options = '' if with_tests else 'nocheck'
        self._place = root.path(PLACE)

    def run(self) -> list[pathlib.Path]:
        """Build, check, and return the packages; none after a failure."""
        shutil.rmtree(self._place, ignore_errors=True)
        self._place.mkdir(parents=True)
        try:
            from_clone = self._from_clone()
            from_sdist = self._from_sdist()
        except rootfs.Failed as error:
            self._judge.check('the packages build', False, error)
            return []
        self._judge.check('the packages build', True)
        self._compare(from_clone, from_sdist)
        self._lintian()
        return from_sdist

    def _from_clone(self) -> list[pathlib.Path]:
        """As in a checkout: debian is a link, and binaries are enough."""
        tree = self._place / 'clone' / 'hvfilter'
        shutil.copytree(self._sources.clone, tree, symlinks=True)
        (tree / 'debian').symlink_to('packaging/debian')
        self._install_needs(tree)
        return self._build(tree, '-b', 'nocheck')

    def _from_sdist(self) -> list[pathlib.Path]:
        """As a distribution does it: the source package too."""
        folder = self._place / 'sdist'
        folder.mkdir()
        version = source.version()
        shutil.copy(
            self._sources.sdist, folder / f'hvfilter_{version}.orig.tar.gz'
        )
        with tarfile.open(self._sources.sdist) as tar:
            tar.extractall(folder, filter='data')
        tree = folder / f'hvfilter-{version}'
        shutil.copytree(tree / 'packaging' / 'debian', tree / 'debian')
        return self._build(tree, '-F', self._options)

    def _install_needs(self, tree: pathlib.Path) -> None:
        self._root.run('apt-get', 'update', '-qq', online=True)
        self._root.run(
            *('apt-get', 'build-dep', '-y', '-qq', '--no-install-recommends'),
            self._inside(tree),
            online=True,
        )

    def _build(
        self, tree: pathlib.Path, what: str, options: str
    ) -> list[pathlib.Path]:
        self._root.run(
            *('dpkg-buildpackage', '-us', '-uc', what),
            cwd=self._inside(tree),
            DEB_BUILD_OPTIONS=options,
        )
        return sorted(tree.parent.glob('*.deb'))

    def _inside(self, path: pathlib.Path) -> str:
        return f'/{path.relative_to(self._root.folder)}'

    def _compare(
        self, one: list[pathlib.Path], other: list[pathlib.Path]
    ) -> None:
        contents = [
            self._root.run('dpkg-deb', '--contents', self._inside(path))
            for path in one + other
        ]
        names = [
            [line.split(maxsplit=5)[-1] for line in text.splitlines()]
            for text in contents
        ]
        half = len(one)
        self._judge.check(
            'a checkout and the source distribution give the same files',
            names[:half] == names[half:],
            [
                set(left) ^ set(right)
                for left, right in zip(names[:half], names[half:], strict=True)
            ],
        )

    def _lintian(self) -> None:
        changes = sorted((self._place / 'sdist').glob('*.changes'))
        try:
            told = self._root.run(
                *('lintian', '--allow-root', '--fail-on', 'error,warning'),
                # Not --show-overrides: with it, lintian of Debian 12 counts
                # what is overridden, too.
                *('--pedantic', '--display-info'),
                *map(self._inside, changes),
            )
        except rootfs.Failed as error:
            self._judge.check('lintian is content', False, error)
            return
        self._judge.check('lintian is content', True)
        print(told, end='')
