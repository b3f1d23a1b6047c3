# SPDX-License-Identifier: Apache-2.0

import testtools
from hypothesis import given
from hypothesis import strategies as st

from hvfilter.model.verdict import Cause, Reason, Verdict
from hvfilter.rules import explain

NO_NESTED = Verdict((Reason(Cause.LACKS, 'nested', 'hvfilter:nested'),))
NO_BOTH = Verdict((Reason(Cause.LACKS, 'nested'), Reason(Cause.LACKS, 'slat')))
UNREPORTED = Verdict((Reason(Cause.UNREPORTED, ''),))
KEPT = Verdict((Reason(Cause.RESERVED, 'tdx'),))


def hosts(count, first=0):
    return [f'n{number}' for number in range(first, first + count)]


class LineTest(testtools.TestCase):
    def test_tells_all_when_few(self):
        self.assertEqual(
            '14 of 40 hosts rejected: '
            '9 lack nested (hosts n0, n1, n2, ...), '
            '5 unreported (hosts n9, n10, n11, ...)',
            explain.line({NO_NESTED: hosts(9), UNREPORTED: hosts(5, 9)}, 40),
        )

    def test_speaks_of_one_host_in_the_singular(self):
        self.assertEqual(
            '1 of 1 host rejected: 1 lacks nested and slat (host n0)',
            explain.line({NO_BOTH: hosts(1)}, 1),
        )

    def test_speaks_of_many_in_the_plural_when_causes_are_two(self):
        self.assertEqual(
            '2 of 2 hosts rejected: 2 lack nested and slat (hosts n0, n1)',
            explain.line({NO_BOTH: hosts(2)}, 2),
        )

    def test_each_verb_is_in_the_plural_for_many(self):
        for cause, subject, words in (
            (Cause.HAS_FORBIDDEN, 'tdx', 'have forbidden tdx'),
            (Cause.ARCHITECTURE, 'i686', 'do not run i686 under KVM'),
        ):
            verdict = Verdict((Reason(cause, subject),))
            self.assertEqual(
                f'2 of 2 hosts rejected: 2 {words} (hosts a, b)',
                explain.line({verdict: ['a', 'b']}, 2),
            )

    def test_summary_when_there_is_no_reason(self):
        self.assertEqual('accepted', explain.summary(Verdict()))

    def test_tells_what_is_lacking_first(self):
        mixed = Verdict(
            (
                Reason(Cause.NOT_UNDERSTOOD, 'hvfilter:x=y'),
                Reason(Cause.LACKS, 'kvm'),
            )
        )
        self.assertEqual(
            '1 of 1 host rejected: '
            '1 lacks kvm and request not understood: hvfilter:x=y (host a)',
            explain.line({mixed: ['a']}, 1),
        )

    def test_joins_verdicts_that_differ_in_words_only(self):
        other = Verdict((Reason(Cause.LACKS, 'nested', 'trait:...'),))
        self.assertEqual(
            '2 of 3 hosts rejected: 2 lack nested (hosts a, b)',
            explain.line({NO_NESTED: ['a'], other: ['b']}, 3),
        )

    def test_says_so_when_permissive(self):
        self.assertEqual(
            '2 of 2 hosts rejected: '
            '2 reserved for guests that ask for tdx (hosts a, b); '
            '1 of them passed anyway (mode = permissive)',
            explain.line({KEPT: ['a', 'b']}, 2, permissive=1),
        )

    def test_puts_largest_group_first(self):
        line = explain.line({KEPT: ['a'], UNREPORTED: hosts(3)}, 9)
        self.assertTrue(line.startswith('4 of 9 hosts rejected: 3 '), line)
        self.assertLess(line.index('unreported'), line.index('reserved'))

    def test_counts_the_rest_when_reasons_are_many(self):
        many = {
            Verdict((Reason(Cause.LACKS, f'c{number:02}'),)): [f'h{number}']
            for number in range(20)
        }
        line = explain.line(many, 20)
        self.assertTrue(line.endswith('14 for 14 other reasons'), line)

    def test_long_names_are_cut_and_made_printable(self):
        for name, shown in (
            ('n' * 64, 'n' * 64),
            ('n' * 65, 'n' * 64),
            ('a\x1b[31mb\n', 'a?[31mb?'),
        ):
            self.assertEqual(
                f'1 of 1 host rejected: 1 lacks nested (host {shown})',
                explain.line({NO_NESTED: [name]}, 1),
            )

    def test_long_causes_are_cut(self):
        for length, shown in (
            (160, 'lacks ' + 'c' * 154),
            (161, 'lacks ' + 'c' * 151 + '...'),
            (300, 'lacks ' + 'c' * 151 + '...'),
        ):
            lacking = 'c' * (length - len('lacks '))
            verdict = Verdict((Reason(Cause.LACKS, lacking),))
            self.assertEqual(shown, explain.summary(verdict))

    @given(
        st.dictionaries(
            st.builds(
                Verdict,
                st.lists(
                    st.builds(
                        Reason,
                        st.sampled_from(Cause),
                        st.text(max_size=300),
                        st.text(max_size=300),
                    ),
                    min_size=1,
                    max_size=4,
                ).map(tuple),
            ),
            st.lists(st.text(max_size=300), min_size=1, max_size=9),
            max_size=30,
        )
    )
    def test_length_is_bounded_whatever_happens(self, passed_over):
        line = explain.line(passed_over, 10**9, permissive=10**9)
        self.assertLess(len(line), 2600)
