# SPDX-License-Identifier: Apache-2.0

import io
import pathlib
import shutil
import subprocess
import tempfile

import testtools

from tests.lab import cpio


class WriterTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def _archive(self):
        file = io.BytesIO()
        writer = cpio.Writer(file)
        writer.file('usr/bin/a', b'content', 0o755)
        writer.file('usr/bin/b', b'')
        writer.link('bin', 'usr/bin')
        writer.folder('proc')
        writer.close()
        return file.getvalue()

    def test_made_of_blocks_so_that_archives_may_follow(self):
        self.assertEqual(0, len(self._archive()) % 512)

    def test_same_files_when_unpacked(self):
        program = shutil.which('cpio')
        if program is None:
            self.skipTest('needs the program cpio to unpack what we wrote')
        subprocess.run(
            [program, '-id', '--quiet'],
            input=self._archive(),
            cwd=self.folder,
            check=True,
        )
        self.assertEqual(b'content', (self.folder / 'bin/a').read_bytes())
        self.assertEqual(0o755, (self.folder / 'bin/a').stat().st_mode & 511)
        self.assertEqual(b'', (self.folder / 'usr/bin/b').read_bytes())
        self.assertTrue((self.folder / 'proc').is_dir())

    def test_tree_with_its_links_when_packed(self):
        source = self.folder / 'source'
        (source / 'deep').mkdir(parents=True)
        (source / 'deep/file').write_text('x')
        (source / 'link').symlink_to('deep/file')
        names = [str(p.relative_to(source)) for p in cpio.walk(source)]
        self.assertEqual(['deep/file', 'link'], names)
        file = io.BytesIO()
        writer = cpio.Writer(file)
        writer.tree(source, 'lib')
        writer.close()
        for name in (b'lib/deep\0', b'lib/deep/file\0', b'lib/link\0'):
            self.assertIn(name, file.getvalue())
