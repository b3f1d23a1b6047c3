# SPDX-License-Identifier: Apache-2.0

import testtools
from hypothesis import given
from hypothesis import strategies as st

from hvfilter.model.plain import plain


class TestPlain(testtools.TestCase):
    def test_escaped_when_a_terminal_would_obey(self):
        self.assertEqual('a\\x1b[2Jb\\nc', plain('a\033[2Jb\nc'))
        self.assertEqual('\\u202e', plain('\u202e'))

    def test_as_it_is_when_printable(self):
        self.assertEqual('Prozessor: größer', plain('Prozessor: größer'))

    @given(st.text())
    def test_printable_whatever_the_text(self, text):
        self.assertTrue(plain(text).isprintable())
