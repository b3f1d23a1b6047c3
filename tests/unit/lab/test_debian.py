# SPDX-License-Identifier: Apache-2.0

import pathlib
import tempfile
from unittest import mock

import testtools

from tests.lab import debian

SHELL = debian.Program('sh', 'dash')
NOWHERE = debian.Program('no-such-emulator', 'no-such-package')


class ProgramTest(testtools.TestCase):
    def test_there_when_it_is_on_the_path_or_matches(self):
        self.assertTrue(SHELL.there())
        self.assertTrue(debian.Program('/proc/sel*/maps', 'none').there())
        self.assertFalse(NOWHERE.there())
        self.assertFalse(debian.Program('/proc/none*', 'none').there())


class InstallTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        if not (debian.APT.there() and debian.DPKG.there()):
            self.skipTest('without apt the lab ends before this')

    def test_nothing_done_when_all_is_there(self):
        with mock.patch.object(debian, '_run') as ran:
            self.assertEqual([], debian.install([SHELL]))
        ran.assert_not_called()

    def test_command_for_root_told_when_not_root(self):
        with mock.patch('os.geteuid', return_value=1000):
            missing = self.assertRaises(
                debian.Missing, debian.install, [SHELL, NOWHERE]
            )
        self.assertIn('only root can install', str(missing))
        self.assertIn(
            'apt-get install --no-install-recommends no-such-package',
            str(missing),
        )

    def test_another_apt_is_waited_for(self):
        done = mock.Mock(returncode=0)
        with (
            mock.patch('os.geteuid', return_value=0),
            mock.patch.object(debian, '_run', return_value=done) as ran,
        ):
            self.assertEqual(['no-such-package'], debian.install([NOWHERE]))
        ((command, _), _) = ran.call_args
        self.assertIn('-oDPkg::Lock::Timeout=600', command)
        self.assertEqual('no-such-package', command[-1])

    def test_debian_asked_for_when_there_is_no_apt(self):
        with mock.patch.object(debian, 'APT', NOWHERE):
            missing = self.assertRaises(debian.Missing, debian.install, [])
        self.assertIn('Debian', str(missing))


class AptTest(testtools.TestCase):
    def _depends(self, said):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        apt = debian.Apt(pathlib.Path(folder.name), 'riscv64', 'trixie')
        with (
            mock.patch.object(debian.Apt, 'update'),
            mock.patch.object(debian.Apt, '_apt', return_value=said),
        ):
            return apt.depends('linux-image-riscv64')

    def test_names_of_both_kinds_when_it_depends(self):
        said = (
            'python3-minimal\n  PreDepends: python3.13-minimal\n'
            '  Depends: dpkg\n |Depends: other\n  Suggests: none\n'
        )
        self.assertEqual(['python3.13-minimal', 'dpkg'], self._depends(said))
