# SPDX-License-Identifier: Apache-2.0

import io
from unittest import mock

import fixtures
import testtools

from hvfilter.osc import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


class TestBar(testtools.TestCase):
    def shown(self, stream):
        with progress.bar(stream, 'servers') as track:
            self.assertEqual(list(range(1000)), list(track(range(1000))))
        return stream.getvalue()

    def test_items_are_counted_on_a_terminal(self):
        self.useFixture(fixtures.EnvironmentVariable('TERM', 'xterm'))
        self.assertIn('servers', self.shown(Terminal()))

    def test_nothing_is_shown_where_nobody_watches(self):
        self.assertEqual('', self.shown(io.StringIO()))

    def test_nothing_is_shown_without_rich(self):
        with mock.patch.dict('sys.modules', {'rich': None}):
            self.assertEqual('', self.shown(Terminal()))
