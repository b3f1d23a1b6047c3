# SPDX-License-Identifier: Apache-2.0

import testtools
from hypothesis import given
from hypothesis import strategies as st

from hvfilter.model import catalogue, dated
from hvfilter.model.dated import Kind
from hvfilter.model.week import Week

NOW = Week.parse('2026W48')


class DatedTest(testtools.TestCase):
    @given(
        st.sampled_from(sorted(catalogue.STATE_TRAITS)),
        st.sampled_from([Kind.UNKNOWN, Kind.REMOVED]),
    )
    def test_name_when_written_and_read(self, trait, kind):
        mark = dated.Dated(trait, kind, NOW)
        self.assertEqual(mark, dated.parse(str(mark)))

    def test_name_when_it_is_the_last_report(self):
        name = dated.reported_in(NOW)
        self.assertEqual('CUSTOM_HVFILTER_REPORTED_2026W48', name)
        self.assertTrue(name.startswith(dated.REPORTED_PREFIX))
        self.assertEqual(
            dated.Dated(catalogue.REPORTED_TRAIT, Kind.REPORTED, NOW),
            dated.parse(name),
        )

    def test_parse_when_there_is_no_week(self):
        for name in (
            *catalogue.OWN_TRAITS,
            'CUSTOM_GOLD',
            'CUSTOM_HVFILTER_REPORTED_2025W53',
            'CUSTOM_GOLD_UNKNOWN_2026W48',
        ):
            self.assertIsNone(dated.parse(name), name)
