# SPDX-License-Identifier: Apache-2.0

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from unittest import mock

import fixtures
import testtools

from hvfilter.model.problem import Problem
from hvfilter.publish import atomic_file


class FileTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = Path(self.useFixture(fixtures.TempDir()).path)
        self.path = self.folder / 'x.yaml'

    def names(self):
        return sorted(path.name for path in self.folder.iterdir())

    def test_replace_when_new_and_again(self):
        for content, mode in ((b'one', 0o644), (b'two', 0o600)):
            atomic_file.replace(self.path, content, mode)
            self.assertEqual(content, atomic_file.read(self.path))
            self.assertEqual(mode, self.path.stat().st_mode & 0o777)
            self.assertEqual(['x.yaml'], self.names())

    def test_replace_when_umask_is_tight(self):
        self.addCleanup(os.umask, os.umask(0o077))
        atomic_file.replace(self.path, b'one', 0o644)
        self.assertEqual(0o644, self.path.stat().st_mode & 0o777)

    def test_replace_when_folder_is_missing(self):
        path = self.folder / 'no' / 'x'
        failed = self.assertRaises(
            Problem, atomic_file.replace, path, b'', 0o644
        )
        self.assertIn(str(path), str(failed))
        self.assertIn('No such file', str(failed))

    def test_replace_when_renaming_fails(self):
        self.path.mkdir()
        self.assertRaises(Problem, atomic_file.replace, self.path, b'', 0o644)
        self.assertEqual(['x.yaml'], self.names())

    def test_replace_when_part_was_left_behind(self):
        stale = self.folder / '.x.yaml.abc.tmp'
        fresh = self.folder / '.x.yaml.def.tmp'
        stale.touch()
        fresh.touch()
        os.utime(stale, (0, 0))
        atomic_file.replace(self.path, b'one', 0o644)
        self.assertEqual(['.x.yaml.def.tmp', 'x.yaml'], self.names())

    def test_replace_when_others_read(self):
        contents = {b'a' * 300_000, b'b' * 300_000}
        atomic_file.replace(self.path, min(contents), 0o644)
        seen, done = set(), threading.Event()

        def look():
            while not done.is_set():
                seen.add(self.path.read_bytes())

        reader = threading.Thread(target=look)
        reader.start()
        for _ in range(20):
            for content in contents:
                atomic_file.replace(self.path, content, 0o644)
        done.set()
        reader.join()
        self.assertLessEqual(seen, contents)

    def test_replace_when_killed(self):
        atomic_file.replace(self.path, b'old' * 99_999, 0o644)
        writer = subprocess.Popen(
            [
                sys.executable,
                '-c',
                'import pathlib, sys\n'
                'from hvfilter.publish import atomic_file\n'
                'path = pathlib.Path(sys.argv[1])\n'
                'print(flush=True)\n'
                'while True:\n'
                '    atomic_file.replace(path, b"new" * 99_999, 0o644)\n',
                str(self.path),
            ],
            stdout=subprocess.PIPE,
        )
        with writer:
            writer.stdout.readline()
            writer.send_signal(signal.SIGKILL)
        self.assertIn(
            self.path.read_bytes(), (b'old' * 99_999, b'new' * 99_999)
        )

    def test_read_when_there_is_none(self):
        self.assertIsNone(atomic_file.read(self.path))

    def test_read_when_it_is_no_file(self):
        failed = self.assertRaises(Problem, atomic_file.read, self.folder)
        self.assertIn(str(self.folder), str(failed))

    def test_refused_when_a_pipe_or_a_device_is_in_the_way(self):
        os.mkfifo(self.path)
        for path in (self.path, Path('/dev/null')):
            for act, args in (
                (atomic_file.read, ()),
                (atomic_file.replace, (b'', 0o644)),
            ):
                failed = self.assertRaises(Problem, act, path, *args)
                self.assertIn('it is a device, a socket or a', str(failed))
        self.assertEqual(['x.yaml'], self.names())

    def test_refused_when_it_is_huge(self):
        with self.path.open('wb') as huge:
            huge.truncate(atomic_file.LIMIT + 1)
        failed = self.assertRaises(Problem, atomic_file.read, self.path)
        self.assertIn('larger than 4 MiB', str(failed))

    def test_nothing_is_left_when_writing_fails(self):
        self.path.write_bytes(b'old')
        with mock.patch('os.fsync', side_effect=OSError(28, 'No space')):
            failed = self.assertRaises(
                Problem, atomic_file.replace, self.path, b'new', 0o644
            )
        self.assertIn('No space', str(failed))
        self.assertEqual(['x.yaml'], self.names())
        self.assertEqual(b'old', self.path.read_bytes())

    def test_remove_when_there_and_again(self):
        self.path.touch()
        atomic_file.remove(self.path)
        atomic_file.remove(self.path)
        atomic_file.remove(self.folder / 'no' / 'x')
        self.assertEqual([], self.names())
