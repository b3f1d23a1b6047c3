# SPDX-License-Identifier: Apache-2.0

import os
import pathlib
import random
import threading
from unittest import mock

import fixtures
import testtools

from hvfilter.model.problem import Problem
from hvfilter.publish import state_directory
from hvfilter.publish.state_directory import (
    SNAPSHOTS_LIMIT,
    TEXT_LIMIT,
    NotHistory,
    StateDirectory,
)

CAP = 1 << 20
WRITES = 200


class StateDirectoryTestCase(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.path = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.directory = StateDirectory(self.path)
        self.snapshots = self.path / 'snapshots'

    def size(self):
        files = (p for p in self.path.rglob('*') if p.is_file())
        return sum(path.lstat().st_size for path in files)

    def aside(self):
        return self.path / 'history.json.broken'


class BoundTest(StateDirectoryTestCase):
    def test_one_mebibyte_whatever_is_written(self):
        source = random.Random(3)
        self.directory.file.write_bytes(b'x' * (3 << 20))
        self.directory.set_aside()
        names = []
        with mock.patch.object(os, 'fsync'):
            for number in range(WRITES):
                # The clock is set back now and then.
                stamp = number if source.random() > 0.1 else -number
                names.append(f'{stamp:06}.json.gz')
                data = bytes(source.randrange(60_000))
                text = bytes(source.randrange(TEXT_LIMIT))
                self.directory.write(text, names, data)
                self.assertLess(self.size(), CAP)
                self.assertIn(names[-1], self.directory.recordings())
        # What is there are the latest, without a gap.
        there = self.directory.recordings()
        self.assertEqual(set(names[-len(there) :]), there)
        self.assertGreater(len(there), SNAPSHOTS_LIMIT // 60_000 - 2)

    def test_a_recording_that_no_entry_names_is_the_oldest(self):
        with mock.patch.object(state_directory, 'SNAPSHOTS_LIMIT', 10):
            self.directory.write(b'', ['9.json.gz'], b'12345')
            self.directory.write(b'', ['1.json.gz'], b'12345')
            self.directory.write(b'', ['1.json.gz', '2.json.gz'], b'12345')
        self.assertEqual(
            {'1.json.gz', '2.json.gz'}, self.directory.recordings()
        )


class ModesTest(StateDirectoryTestCase):
    def test_the_group_may_read_whatever_the_mask_is(self):
        self.addCleanup(os.umask, os.umask(0o077))
        self.directory.write(b'{}', ['1.json.gz'], b'1')
        for path, mode in (
            (self.directory.file, 0o640),
            (self.snapshots, 0o750),
            (self.snapshots / '1.json.gz', 0o640),
        ):
            self.assertEqual(mode, path.stat().st_mode & 0o777, path)


class HostileTest(StateDirectoryTestCase):
    def assert_no_history(self, reason):
        error = self.assertRaises(NotHistory, self.directory.read)
        self.assertIn(reason, str(error))
        self.assertEqual(self.aside(), self.directory.set_aside())
        self.assertIsNone(self.directory.read())

    def test_a_link_is_not_followed(self):
        other = self.path / 'other'
        other.write_bytes(b'secret' * TEXT_LIMIT)
        self.directory.file.symlink_to(other)
        self.assert_no_history('a symbolic link')
        self.assertEqual(6 * TEXT_LIMIT, other.stat().st_size)
        self.assertTrue(self.aside().is_symlink())

    def test_a_huge_file_keeps_its_beginning(self):
        with self.directory.file.open('wb') as file:
            file.write(b'begin')
            file.truncate(1 << 40)
        self.assert_no_history('larger than 256 KiB')
        self.assertEqual(TEXT_LIMIT, self.aside().stat().st_size)
        self.assertTrue(self.aside().read_bytes().startswith(b'begin'))

    def test_a_pipe_does_not_block(self):
        os.mkfifo(self.directory.file)
        self.assert_no_history('not a regular file')

    def test_a_directory_in_its_place(self):
        self.directory.file.mkdir()
        self.assert_no_history('not a regular file')

    def test_a_file_of_another_user(self):
        self.directory.file.write_bytes(b'{}')
        denied = PermissionError(13, 'Permission denied')
        with mock.patch.object(os, 'open', side_effect=denied):
            error = self.assertRaises(NotHistory, self.directory.read)
        self.assertIn('another user', str(error))

    def test_who_may_not_read_gets_the_group_named(self):
        self.directory.file.write_bytes(b'{}')
        denied = PermissionError(13, 'Permission denied')
        with (
            mock.patch.object(os, 'open', side_effect=denied),
            mock.patch.object(os, 'geteuid', return_value=12345),
        ):
            error = self.assertRaises(Problem, self.directory.read)
        self.assertIn('Permission denied', error.what)
        self.assertIn(f'the group of {self.path}', error.remedy)

    def test_no_recording_is_written_where_a_link_leads(self):
        other = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.snapshots.symlink_to(other)
        error = self.assertRaises(
            OSError, self.directory.write, b'', ['1.json.gz'], b''
        )
        self.assertIn('a symbolic link', error.strerror)
        self.assertEqual([], list(other.iterdir()))


class LockTest(StateDirectoryTestCase):
    def test_the_second_waits_for_the_first(self):
        entered = threading.Event()
        order = []

        def second():
            entered.set()
            with self.directory.locked() as ours:
                order.append(('second', ours))

        thread = threading.Thread(target=second)
        with self.directory.locked() as ours:
            self.assertTrue(ours)
            thread.start()
            entered.wait()
            order.append(('first', True))
        thread.join()
        self.assertEqual([('first', True), ('second', True)], order)

    def test_not_for_ever(self):
        with (
            self.directory.locked(),
            StateDirectory(self.path).locked(0) as ours,
        ):
            self.assertFalse(ours)
