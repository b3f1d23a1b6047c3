# SPDX-License-Identifier: Apache-2.0
"""A recording that somebody sent becomes a test by one command."""

import contextlib
import dataclasses
import io
import pathlib
from unittest import mock

import fixtures
import testtools

from hvfilter.host import snapshot
from tests.hosts import make


class TestAdd(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        source = make.FOLDER / 'intel-nested-off.json'
        self.sent = self.folder / 'sent.json'
        recorded = snapshot.loads(source.read_bytes())
        origin = dataclasses.replace(recorded.origin, where='node17')
        self.sent.write_text(
            snapshot.dumps(dataclasses.replace(recorded, origin=origin))
        )
        for name in ('FOLDER', 'EXPECTED', 'EVIDENCE'):
            folder = self.folder / name
            folder.mkdir()
            self.useFixture(fixtures.MockPatchObject(make, name, folder))

    def add(self, *argv):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            self.assertEqual(0, make.main(['add', *map(str, argv)]))
        return out.getvalue()

    def test_all_files_are_written_for_review(self):
        self.assertIn('nested', self.add(self.sent))
        self.assertNotIn('node17', (make.FOLDER / 'sent.json').read_text())
        for path in (
            make.EXPECTED / 'sent.json',
            make.EVIDENCE / 'sent.txt',
        ):
            self.assertTrue(path.read_text())
        self.add(self.sent, '--name', 'other')
        self.assertTrue((make.FOLDER / 'other.json').exists())

    def test_refused_when_it_cannot_be_taken_in(self):
        self.add(self.sent)
        for argv in (
            (self.sent,),
            (self.folder / 'none.json',),
            (make.EXPECTED / 'sent.json', '--name', 'x'),
        ):
            self.assertRaises(SystemExit, self.add, *argv)
        with mock.patch.object(make, 'brief', side_effect=[{'a': 1}, {}]):
            self.assertRaises(SystemExit, self.add, self.sent, '--name', 'y')
        self.assertEqual(
            ['sent.json'], [path.name for path in make.FOLDER.iterdir()]
        )
