# SPDX-License-Identifier: Apache-2.0

import testtools
from hypothesis import given
from hypothesis import strategies as st
from testtools.matchers import Contains

from hvfilter.host import base, content
from hvfilter.model import form
from tests import strategies

FLAGS = 'flags\t\t: ' + ' '.join(f'flag{i}' for i in range(40))


def cpuinfo(count, flags=FLAGS):
    return ''.join(
        f'processor\t: {cpu}\nvendor_id\t: GenuineIntel\n'
        f'cpu MHz\t\t: {2000 + cpu}.5\n{flags}\ncore id\t\t: {cpu}\n\n'
        for cpu in range(count)
    ).encode()


def decode(value):
    return content.Decoder().decode(form.JsonNode(value, 'f'))


class TestEncode(testtools.TestCase):
    def test_a_string_when_it_is_one_line(self):
        self.assertEqual('Y', content.encode(b'Y\n'))
        self.assertEqual('', content.encode(b'\n'))

    def test_an_array_when_there_are_more_lines_or_none(self):
        self.assertEqual(['a', 'b'], content.encode(b'a\nb\n'))
        self.assertEqual([], content.encode(b''))

    def test_marked_when_the_last_line_has_no_newline(self):
        self.assertEqual(
            {'lines': ['a'], 'unterminated': True}, content.encode(b'a')
        )

    def test_base64_when_it_is_not_utf_8(self):
        self.assertEqual({'base64': ['/wA=']}, content.encode(b'\xff\x00'))

    def test_base64_is_broken_into_lines_when_long(self):
        encoded = content.encode(b'\xff' * 200)
        self.assertTrue(all(len(c) <= 64 for c in encoded['base64']))
        self.assertEqual(b'\xff' * 200, decode(encoded))

    def test_one_line_a_processor_when_there_are_256(self):
        encoded = content.encode(cpuinfo(256))
        self.assertEqual(1, len(encoded))
        self.assertEqual(256, len(encoded[0]['rows']))
        self.assertEqual(['255', '2255.5', '255'], encoded[0]['rows'][255])
        self.assertEqual(
            [
                {'vary': 'processor\t: '},
                'vendor_id\t: GenuineIntel',
                {'vary': 'cpu MHz\t\t: '},
                FLAGS,
                {'vary': 'core id\t\t: '},
                '',
            ],
            encoded[0]['block'],
        )

    def test_two_groups_when_cores_differ_in_flags(self):
        data = cpuinfo(8) + cpuinfo(4, FLAGS + ' amx')
        encoded = content.encode(data)
        self.assertEqual([8, 4], [len(group['rows']) for group in encoded])
        self.assertEqual(data, decode(encoded))

    def test_rows_are_empty_when_blocks_are_equal(self):
        encoded = content.encode(b'a\nb\n\na\nb\n\n')
        self.assertEqual(
            [{'block': ['a', 'b', ''], 'rows': [[], []]}], encoded
        )

    @given(strategies.CONTENTS)
    def test_same_bytes_when_decoded(self, data):
        self.assertEqual(data, decode(content.encode(data)))

    @given(
        st.lists(
            st.sampled_from(['a: 1', 'a: 2', 'b', '', ' : x', 'é: ü']),
            max_size=40,
        )
    )
    def test_same_bytes_when_folded_and_decoded(self, lines):
        for end in ('', '\n'):
            data = ('\n'.join(lines) + end).encode()
            self.assertEqual(data, decode(content.encode(data)))


class TestDecode(testtools.TestCase):
    def complaint(self, value):
        return str(self.assertRaises(form.DocumentError, decode, value))

    def test_refused_when_it_is_no_content(self):
        self.assertEqual(
            'f: must be a line, an array of lines or an object',
            self.complaint(5),
        )
        self.assertEqual(
            'f[0]: must be a line or a block', self.complaint([5])
        )

    def test_refused_when_a_line_holds_a_newline(self):
        self.assertEqual(
            'f[1]: a line must not hold a newline',
            self.complaint(['a', 'b\nc']),
        )
        self.assertThat(self.complaint('a\nb'), Contains('newline'))

    def test_refused_when_a_row_is_too_short(self):
        self.assertEqual(
            'f[0].rows[0]: must hold 1 values, one for each "vary"',
            self.complaint([{'block': [{'vary': 'a'}], 'rows': [[]]}]),
        )

    def test_refused_when_base64_is_damaged(self):
        self.assertThat(
            self.complaint({'base64': ['a']}), Contains('f.base64: not base64')
        )
        self.assertThat(
            self.complaint({'base64': ['é']}), Contains('not base64')
        )

    def test_refused_when_text_cannot_be_bytes(self):
        self.assertThat(self.complaint(['\ud800']), Contains('surrogate'))

    def test_refused_when_blocks_swell_beyond_any_file(self):
        bomb = [{'block': ['x' * 1000], 'rows': [[]] * 100_000}]
        self.assertEqual(
            'f[0]: more than 16 MiB in one file', self.complaint(bomb)
        )
        code = ['A' * 2**20] * 40
        self.assertThat(
            self.complaint({'base64': code}), Contains('more than 16 MiB')
        )

    def test_same_bytes_when_a_file_was_cut_off_at_the_limit(self):
        data = (b'y' * 1023 + b'\n') * (base.READ_LIMIT >> 10)
        for whole in (data, data[:-1] + b'z'):
            self.assertEqual(whole, decode(content.encode(whole)))

    def test_terminated_when_so_marked(self):
        self.assertEqual(
            b'a\n', decode({'lines': ['a'], 'unterminated': False})
        )

    def test_empty_when_there_are_no_lines(self):
        self.assertEqual(b'', decode({'lines': [], 'unterminated': True}))

    @given(strategies.JSON_VALUES)
    def test_a_form_error_and_no_other_whatever_the_value(self, value):
        try:
            decode(value)
        except form.DocumentError:
            pass
