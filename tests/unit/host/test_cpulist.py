# SPDX-License-Identifier: Apache-2.0

import testtools
from hypothesis import given
from hypothesis import strategies as st

from hvfilter.host import cpulist


class TestCpuList(testtools.TestCase):
    def test_numbers_when_ranges_and_numbers_are_mixed(self):
        self.assertEqual((0, 1, 2, 8), cpulist.parse('0-2,8'))

    def test_order_is_kept_when_blanks_are_around(self):
        self.assertEqual((2, 0, 1), cpulist.parse(' 2 , 0-1'))
        self.assertEqual((65535,), cpulist.parse('65535'))

    @given(st.text(max_size=20))
    def test_numbers_or_refused_whatever_the_text(self, text):
        try:
            cpus = cpulist.parse(text)
        except ValueError:
            return
        self.assertTrue(cpus)
        self.assertEqual(len(cpus), len(set(cpus)))

    def test_each_once_when_ranges_overlap(self):
        self.assertEqual((0, 1, 2), cpulist.parse('0-1,1-2'))

    def test_refused_when_it_is_no_list(self):
        for text in (
            '',
            'a',
            '1-',
            '-1',
            '3-1',
            '0-65536',
            '1_0',
            '+1',
            '٣',
            '1,,2',
            '0-' + '9' * 5000,
        ):
            self.assertRaises(ValueError, cpulist.parse, text)

    def test_refused_when_endless(self):
        text = ','.join(['0-65535'] * 1000)
        self.assertRaises(ValueError, cpulist.parse, text)

    def test_shortest_list_when_rendered(self):
        self.assertEqual('0-2,8', cpulist.render([8, 1, 0, 2, 2]))
        self.assertEqual('5', cpulist.render([5]))

    @given(st.sets(st.integers(0, 65535), min_size=1, max_size=50))
    def test_same_numbers_when_parsed_again(self, cpus):
        self.assertEqual(
            tuple(sorted(cpus)), cpulist.parse(cpulist.render(cpus))
        )

    @given(st.text(max_size=30))
    def test_value_error_and_no_other_whatever_the_text(self, text):
        try:
            cpulist.parse(text)
        except ValueError:
            pass
