# SPDX-License-Identifier: Apache-2.0
"""Run the command line in this process."""

import contextlib
import dataclasses
import io
import logging
import pathlib

import fixtures
import testtools

from hvfilter.cli import main
from hvfilter.host import snapshot

HOSTS = pathlib.Path(__file__).parent.parent.parent / 'hosts'


@dataclasses.dataclass
class Ran:
    """What a command did."""

    status: int
    out: str
    err: str


class Terminal(io.StringIO):
    """A stream that a person looks at."""

    def isatty(self):
        return True


class CommandTestCase(testtools.TestCase):
    """Runs commands on recorded hosts; no live host is looked at."""

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        for name in ('NO_COLOR', 'CLIFF_FIT_WIDTH', 'CLIFF_MAX_TERM_WIDTH'):
            self.useFixture(fixtures.EnvironmentVariable(name))
        self.useFixture(fixtures.EnvironmentVariable('TERM', 'xterm'))

    def run_command(self, *argv, out=None):
        """Run ``hvfilter`` with arguments: status, output, errors."""
        out = out or io.StringIO()
        err = io.StringIO()
        root = logging.getLogger()
        before = root.level, list(root.handlers)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = main.main([str(word) for word in argv])
            except SystemExit as end:
                status = end.code
        root.setLevel(before[0])
        for handler in list(root.handlers):
            if handler not in before[1]:
                root.removeHandler(handler)
                handler.close()
        return Ran(status, out.getvalue(), err.getvalue())

    def assert_trouble(self, told, ran):
        """Exit status 2, nothing on stdout, one line on stderr."""
        self.assertEqual(2, ran.status, ran)
        self.assertEqual('', ran.out)
        self.assertEqual(1, len(ran.err.splitlines()), ran.err)
        self.assertIn(told, ran.err)

    def host(self, name):
        """The path of a recorded host."""
        return HOSTS / f'{name}.json'

    def load(self, name):
        """A recorded host's snapshot."""
        return snapshot.loads(self.host(name).read_bytes())

    def store(self, recorded, name='made.json'):
        """Write a snapshot; its path."""
        path = self.folder / name
        path.write_text(snapshot.dumps(recorded))
        return path
