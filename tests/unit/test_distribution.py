# SPDX-License-Identifier: Apache-2.0
"""A checkout, its source distribution and a bare tarball build the same."""

import os
import pathlib
import subprocess
import sys
import tarfile
import zipfile

import fixtures
import testtools

ROOT = pathlib.Path(__file__).parents[2]
GENERATED = {'AUTHORS', 'ChangeLog', 'PKG-INFO'}


def run(
    folder: pathlib.Path, *command: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(('PBR_', 'GIT_'))
    }
    return subprocess.run(
        command,
        cwd=folder,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def in_wheel(path: pathlib.Path) -> dict[str, bytes]:
    """Content by name, without what names the version."""
    with zipfile.ZipFile(path) as wheel:
        return {
            name.partition('.data/')[2] or name: wheel.read(name)
            for name in wheel.namelist()
            if '.dist-info/' not in name
        }


def in_sdist(path: pathlib.Path) -> set[str]:
    with tarfile.open(path) as tar:
        names = {
            name.partition('/')[2]
            for name in (each.name for each in tar if each.isfile())
        }
    return {
        name
        for name in names
        if '.egg-info/' not in name and name not in GENERATED
    }


class DistributionTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        if run(ROOT, 'git', 'rev-parse', '--git-dir').returncode:
            # One of the three that are compared is made by git.
            self.skipTest('this is no git checkout')
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)

    def build(self, source: pathlib.Path, **variables: str) -> pathlib.Path:
        out = self.folder / f'{source.name}.out'
        done = run(
            source, sys.executable, 'tools/dist.py', str(out), **variables
        )
        self.assertEqual(0, done.returncode, done.stderr[-3000:])
        return out

    def test_three_sources_give_the_same_files(self) -> None:
        checkout = self.folder / 'checkout'
        run(ROOT, 'git', 'clone', '-q', str(ROOT), str(checkout))
        # What is not committed yet counts, too.
        changed = run(ROOT, 'git', 'ls-files', '-mco', '--exclude-standard')
        for name in changed.stdout.splitlines():
            if (ROOT / name).is_file():
                target = checkout / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes((ROOT / name).read_bytes())
        run(checkout, 'git', 'add', '-A')
        tarball = self.folder / 'tarball'
        tarball.mkdir()
        names = run(checkout, 'git', 'ls-files').stdout.splitlines()
        for name in names:
            target = tarball / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((checkout / name).read_bytes())
        from_git = self.build(checkout)
        [sdist] = from_git.glob('*.tar.gz')
        with tarfile.open(sdist) as tar:
            tar.extractall(self.folder, filter='data')
        unpacked = self.folder / sdist.name.removesuffix('.tar.gz')
        outs = (
            from_git,
            self.build(unpacked),
            self.build(tarball, PBR_VERSION='1.0.0'),
        )
        wheels = [in_wheel(next(out.glob('*.whl'))) for out in outs]
        data = {
            *ROOT.glob('hvfilter/*/schemas/*.json'),
            *ROOT.glob('hvfilter/**/assets/*'),
        }
        for path in data:
            self.assertIn(str(path.relative_to(ROOT)), wheels[0])
        self.assertIn('hvfilter/py.typed', wheels[0])
        self.assertEqual(set(wheels[0]), set(wheels[1]))
        self.assertEqual(set(wheels[0]), set(wheels[2]))
        self.assertEqual(wheels[0], wheels[1])
        self.assertEqual(wheels[0], wheels[2])
        sdists = [in_sdist(next(out.glob('*.tar.gz'))) for out in outs]
        self.assertEqual(set(names), sdists[0])
        self.assertEqual(sdists[0], sdists[1])
        self.assertEqual(sdists[0], sdists[2])
        self.assertTrue((outs[2] / 'hvfilter-1.0.0.tar.gz').exists())

    def test_tarball_without_git_asks_for_the_version(self) -> None:
        for name in ('setup.cfg', 'setup.py', 'pyproject.toml', 'README.rst'):
            (self.folder / name).write_bytes((ROOT / name).read_bytes())
        done = run(
            self.folder,
            sys.executable,
            str(ROOT / 'tools/dist.py'),
            GIT_CEILING_DIRECTORIES=str(self.folder.parent),
        )
        self.assertNotEqual(0, done.returncode)
        self.assertIn('Versioning for this project requires', done.stderr)
