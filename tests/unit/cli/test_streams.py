# SPDX-License-Identifier: Apache-2.0

import io
import logging

import testtools
from hypothesis import given
from hypothesis import strategies as st

from hvfilter.cli import streams
from tests.unit.cli.base import Terminal

EVIL = '\033[2J\033]0;x\a\x9b31m\u202ea\udc80\rb\tc\u2028'
SHOWN = '\\x1b[2J\\x1b]0;x\\x07\\x9b31m\\u202ea\\udc80\\rb\\tc\\u2028'


class TestPlainStream(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.out = Terminal()
        self.stream = streams.plain_stream(self.out)

    def test_escaped_when_a_terminal_would_obey(self):
        self.assertEqual(len(EVIL), self.stream.write(EVIL))
        self.stream.writelines(['a\n', '\033[31mb\n'])
        self.assertEqual(f'{SHOWN}a\n\\x1b[31mb\n', self.out.getvalue())
        self.assertTrue(self.stream.isatty())

    def test_only_colours_are_kept_when_asked_for(self):
        streams.keep_colours(self.stream)
        self.stream.write(f'\033[31mabsent\033[0m {EVIL}\033[5m')
        self.assertEqual(
            f'\033[31mabsent\033[0m {SHOWN}\\x1b[5m', self.out.getvalue()
        )
        streams.keep_colours(io.StringIO())

    def test_line_is_rewritten_when_it_is_our_own(self):
        streams.rewrite_line(self.stream, '[#.]')
        streams.rewrite_line(self.out, '[##]')
        self.assertEqual('\r[#.]\r[##]', self.out.getvalue())

    def test_escaped_when_the_encoding_lacks_a_character(self):
        raw = io.BytesIO()
        stream = streams.plain_stream(io.TextIOWrapper(raw, 'ascii'))
        stream.write('größer\n')
        stream.flush()
        self.assertEqual(b'gr\\xf6\\xdfer\n', raw.getvalue())

    @given(st.text(), st.booleans())
    def test_printable_whatever_the_text(self, text, coloured):
        out = io.StringIO()
        stream = streams.plain_stream(out)
        stream.coloured = coloured
        stream.write(text)
        shown = streams._COLOUR.sub('', out.getvalue())
        self.assertTrue(shown.replace('\n', '').isprintable())


class TestPlainFormatter(testtools.TestCase):
    def record(self):
        try:
            raise ValueError(f'bad\n{EVIL}')
        except ValueError as error:
            return logging.LogRecord(
                'x',
                logging.ERROR,
                __file__,
                1,
                'a %s',
                (f'b\n{EVIL}',),
                (type(error), error, error.__traceback__),
            )

    def test_one_line_whatever_the_message(self):
        formatter = streams.PlainFormatter('%(message)s', tracebacks=False)
        self.assertEqual(f'a b\\n{SHOWN}', formatter.format(self.record()))

    def test_traceback_is_printable_when_it_is_wanted(self):
        formatter = streams.PlainFormatter('%(message)s', tracebacks=True)
        text = formatter.format(self.record())
        self.assertIn('\nTraceback', text)
        self.assertTrue(text.replace('\n', '').isprintable())
