# SPDX-License-Identifier: Apache-2.0

import testtools
from hypothesis import given
from hypothesis import strategies as st

from hvfilter.host import base
from hvfilter.probes.cpuinfo import CpuInfo

TWO = (
    b'processor\t: 0\nflags\t\t: fpu vmx\n\nprocessor\t: 1\nflags\t\t: fpu\n\n'
)


class TestCpuInfo(testtools.TestCase):
    def test_values_when_a_key_comes_once_a_processor(self):
        info = CpuInfo(TWO)
        self.assertEqual(('0', '1'), info.values('processor'))
        self.assertEqual('0', info.first('processor'))
        self.assertEqual(
            (frozenset({'fpu', 'vmx'}), frozenset({'fpu'})),
            info.words('flags'),
        )
        self.assertEqual({'fpu'}, info.words_everywhere('flags'))
        self.assertEqual({'fpu', 'vmx'}, info.words_anywhere('flags'))

    def test_cut_off_line_does_not_count_when_the_file_is_too_long(self):
        """What it lacks may stand beyond the cut."""
        line = b'flags : fpu vmx'.ljust(1023) + b'\n'
        content = line * (base.READ_LIMIT // len(line))
        content = content[: -len(line)] + b'flags : fpu'
        self.assertEqual(
            {'fpu', 'vmx'},
            CpuInfo(content.ljust(base.READ_LIMIT)).words_everywhere('flags'),
        )

    def test_last_line_counts_when_it_is_only_unterminated(self):
        self.assertEqual(('fpu',), CpuInfo(b'flags : fpu').values('flags'))

    def test_nothing_when_a_key_is_missing(self):
        info = CpuInfo(TWO)
        self.assertEqual((), info.values('features'))
        self.assertEqual('', info.first('features'))
        self.assertEqual((), info.words('features'))
        self.assertEqual(frozenset(), info.words_everywhere('features'))
        self.assertEqual(frozenset(), info.words_anywhere('features'))
        self.assertEqual(0, len(CpuInfo(b'').values('processor')))

    def test_value_when_it_holds_colons_and_no_utf8(self):
        info = CpuInfo(b'a : b: c \xff\r\nno key\n: no name\nempty:\n')
        self.assertEqual('b: c \ufffd', info.first('a'))
        self.assertEqual('no name', info.first(''))
        self.assertEqual(('',), info.values('empty'))
        self.assertEqual((), info.values('no key'))

    def test_keys_are_believed_up_to_a_thousand(self):
        lines = [b'key%d: a\n' % number for number in range(1001)]
        info = CpuInfo(b''.join([*lines, b'key0: b\n', b'key1000: b\n']))
        self.assertEqual(('a', 'b'), info.values('key0'))
        self.assertEqual(('a',), info.values('key999'))
        self.assertEqual((), info.values('key1000'))

    def test_lines_are_looked_at_up_to_the_limit(self):
        info = CpuInfo(b'a:b\n' * 400_000 + b'c:d\n')
        self.assertEqual(
            (400_000, ''), (len(info.values('a')), info.first('c'))
        )
        info = CpuInfo(b'a:b\n' * 399_999 + b'c:d\n')
        self.assertEqual('d', info.first('c'))

    @given(st.binary(max_size=400))
    def test_any_bytes_are_parsed(self, content):
        info = CpuInfo(content)
        self.assertLessEqual(
            len(info.values('processor')), content.count(b'processor')
        )

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(['flags', 'isa', 'model name']),
                st.text('abc ', max_size=6).map(str.strip),
            ),
            max_size=20,
        )
    )
    def test_lines_when_written_and_read_again(self, lines):
        text = ''.join(f'{key}\t: {value}\n' for key, value in lines)
        info = CpuInfo(text.encode())
        for key in ('flags', 'isa', 'model name'):
            self.assertEqual(
                tuple(value for name, value in lines if name == key),
                info.values(key),
            )
