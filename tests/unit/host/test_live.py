# SPDX-License-Identifier: Apache-2.0

import os
import pathlib
import re
import tempfile
from unittest import mock

import testtools

from hvfilter.host import base, facts, live, pace


class FilesTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.host = live.LiveHost()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def _error(self, method, *arguments):
        return self.assertRaises(base.Denied, method, *arguments).error

    def test_content_when_it_is_a_file(self):
        (self.folder / 'a').write_bytes(b'\0\xff\n')
        self.assertEqual(b'\0\xff\n', self.host.read(f'{self.folder}/a'))

    def test_whole_of_proc_files_when_their_size_is_zero(self):
        self.assertIn(b'MemTotal', self.host.read('/proc/meminfo'))

    def test_denied_when_there_is_nothing(self):
        path = f'{self.folder}/none'
        for method in (
            self.host.read,
            self.host.listdir,
            self.host.stat,
        ):
            self.assertEqual('ENOENT', self._error(method, path))
        self.assertEqual('ENOENT', self._error(self.host.options, path, {}))

    def test_denied_when_reading_would_block_or_change_something(self):
        os.mkfifo(self.folder / 'fifo')
        self.assertEqual(
            'EINVAL', self._error(self.host.read, f'{self.folder}/fifo')
        )
        self.assertEqual('EINVAL', self._error(self.host.read, '/dev/zero'))
        self.assertEqual('EISDIR', self._error(self.host.read, '/proc'))

    def test_denied_when_it_is_the_log_of_the_kernel(self):
        """Reading it would not end where a container masks it."""
        self.assertIn(
            self._error(self.host.read, '/dev/kmsg'), ('EINVAL', 'ENOENT')
        )

    def test_cut_off_when_it_is_huge(self):
        with (self.folder / 'a').open('wb') as file:
            file.write(b'start')
            file.truncate(100 * 2**20)
        content = self.host.read(f'{self.folder}/a')
        self.assertEqual(base.READ_LIMIT, len(content))
        self.assertTrue(content.startswith(b'start\0'))

    def test_denied_when_the_path_is_no_path(self):
        self.assertEqual('EINVAL', self._error(self.host.read, 'a\0b'))

    def test_names_sorted_when_listed(self):
        for name in ('b', 'a', 'c'):
            (self.folder / name).touch()
        self.assertEqual(('a', 'b', 'c'), self.host.listdir(str(self.folder)))

    def test_kind_and_mode_when_asked(self):
        (self.folder / 'a').touch(mode=0o640)
        (self.folder / 'a').chmod(0o640)
        stat = self.host.stat(f'{self.folder}/a')
        self.assertEqual((facts.FileKind.FILE, 0o640), (stat.kind, stat.mode))
        self.assertIs(facts.FileKind.CHAR, self.host.stat('/dev/null').kind)
        self.assertIs(facts.FileKind.DIRECTORY, self.host.stat('/proc').kind)
        self.assertEqual('root', self.host.stat('/proc').owner)

    def test_other_kind_when_it_is_a_pipe(self):
        os.mkfifo(self.folder / 'fifo')
        stat = self.host.stat(f'{self.folder}/fifo')
        self.assertIs(facts.FileKind.OTHER, stat.kind)

    def test_numbers_when_the_owners_have_no_names(self):
        status = os.stat_result((0o100600, 0, 0, 1, 4242, 4343, 0, 0, 0, 0))
        nobody = mock.Mock(side_effect=KeyError)
        with (
            mock.patch('pathlib.Path.stat', return_value=status),
            mock.patch('pwd.getpwuid', nobody),
            mock.patch('grp.getgrgid', nobody),
        ):
            stat = self.host.stat('/dev/kvm')
        self.assertEqual(('4242', '4343'), (stat.owner, stat.group))

    def test_only_wanted_options_when_read(self):
        (self.folder / 'nova.conf').write_text(
            '[libvirt]\nvirt_type=kvm\nrbd_secret_uuid=s\n'
        )
        self.assertEqual(
            {'libvirt': {'virt_type': ('kvm',)}},
            self.host.options(
                f'{self.folder}/nova.conf',
                {'libvirt': ('virt_type', 'cpu_mode')},
            ),
        )


class SmokeTest(testtools.TestCase):
    def _resources(self):
        """Descriptors, and what is mapped besides the C heap."""
        maps = pathlib.Path('/proc/self/maps').read_text()
        kvm = [line for line in maps.splitlines() if 'kvm' in line]
        executable = re.findall(r'^\S+ ..x. .* 00:00 0\s*$', maps, re.M)
        descriptors = sorted(pathlib.Path('/proc/self/fd').iterdir())
        return descriptors, kvm, executable

    def _smoke(self):
        try:
            return live.LiveHost().smoke()
        except base.Denied as denial:
            return self.skipTest(f'no guest can be run here: {denial}')

    def test_denied_when_told_not_to_run(self):
        host = live.LiveHost(smoke=False)
        denial = self.assertRaises(base.Denied, host.smoke)
        self.assertEqual(
            ('ECANCELED', 'switched off by --no-smoke'),
            (denial.error, denial.text),
        )

    def _pace(self):
        run = self._smoke()
        self.assertEqual(('create_vm', 'ok'), run.steps[0])
        if all(outcome in ('ok', 'IO', 'MMIO') for _, outcome in run.steps):
            return pace.classify(run.samples)[0]
        return None

    def test_settled_when_run_here(self):
        # A busy machine may leave one run or another open.
        paces = {self._pace() for _ in range(3)}
        self.assertNotEqual({pace.Pace.UNSETTLED}, paces)

    def _growth(self):
        """Pages mapped in five runs and not given back."""
        before = self._pages()
        for _ in range(5):
            self._smoke()
        return self._pages() - before

    def _pages(self):
        return int(pathlib.Path('/proc/self/statm').read_text().split()[0])

    def test_nothing_left_when_done(self):
        self._smoke()
        before = self._resources()
        # Python may take memory at any time, but not thrice in a row. One
        # guest alone would be 16 pages and its KVM_RUN area 3.
        growth = min(self._growth() for _ in range(3))
        self.assertEqual(before, self._resources())
        self.assertLess(growth, 5 * 19)
