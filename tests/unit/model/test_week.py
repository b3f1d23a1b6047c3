# SPDX-License-Identifier: Apache-2.0

import datetime

import testtools
from hypothesis import given
from hypothesis import strategies as st

from hvfilter.model import week
from hvfilter.model.week import Week

DAY_S = 86_400
WEEKS = st.integers(0, 40_000).map(
    lambda days: Week.at(946_857_600 + days * DAY_S)
)


def at(text):
    moment = datetime.datetime.fromisoformat(text + '+00:00')
    return str(Week.at(moment.timestamp()))


class WeekTest(testtools.TestCase):
    def test_week_when_the_year_changes(self):
        for moment, expected in (
            ('2026-12-27T23:59:59', '2026W52'),
            ('2026-12-28T00:00:00', '2026W53'),
            ('2027-01-03T23:59:59', '2026W53'),
            ('2027-01-04T00:00:00', '2027W01'),
            ('2024-12-30T00:00:00', '2025W01'),
            ('2021-01-03T12:00:00', '2020W53'),
        ):
            self.assertEqual(expected, at(moment), moment)

    def test_weeks_apart_when_the_year_changes(self):
        for earlier, later, apart in (
            ('2026W53', '2027W01', 1),
            ('2026W52', '2027W01', 2),
            ('2025W52', '2026W01', 1),
            ('2027W01', '2026W53', -1),
            ('2026W01', '2027W01', 53),
        ):
            self.assertEqual(
                apart, Week.parse(earlier).until(Week.parse(later))
            )

    def test_parse_when_it_is_no_week(self):
        for text in (
            '2025W53',
            '2026W00',
            '2026W54',
            '1999W01',
            '3000W01',
            '2026W1',
            '2026W011',
            '2026w01',
            '2026W01\n',
            '\uff12026W01',
            '',
        ):
            self.assertIsNone(Week.parse(text), text)

    def test_week_when_the_clock_was_never_set(self):
        for seconds in (0.0, -1.0, 1e11, 1e30, float('inf'), float('nan')):
            self.assertIsNone(Week.at(seconds), seconds)

    @given(WEEKS)
    def test_week_when_written_and_read(self, each):
        self.assertEqual(each, Week.parse(str(each)))
        self.assertEqual(0, each.monday.weekday())

    @given(WEEKS, WEEKS, st.integers(0, 9))
    def test_stale_when_too_far_away_either_way(self, first, second, most):
        stale = week.is_stale(first, second, most)
        self.assertEqual(week.is_stale(second, first, most), stale)
        apart = abs((first.monday - second.monday).days)
        self.assertEqual(most > 0 and apart > 7 * most, stale)
