# SPDX-License-Identifier: Apache-2.0

import urllib.parse

import testtools
from hypothesis import given
from hypothesis import strategies as st

from hvfilter.model import dated
from hvfilter.model.week import Week, is_stale
from hvfilter.placement import client, errors, expired
from tests.fakes.transport import answer, problem

PREFIX = 'CUSTOM_HVFILTER_REPORTED_'


class Placement:
    """Providers and the weeks they carry; asked as the client asks.

    :ivar carried: provider number to the weeks of it, as in 2026W48
    """

    def __init__(self, **carried):
        self.carried = {
            f'00000000-0000-4000-8000-{name[1:]:0>12}': weeks.split()
            for name, weeks in carried.items()
        }
        self.sent = []
        self.forgotten = []

    def request(self, method, path, *, microversion, body=None):
        self.sent.append(path)
        url = urllib.parse.urlsplit(path)
        query = urllib.parse.parse_qs(url.query)
        if url.path == '/traits':
            assert query['associated'] == ['true']
            names = {
                PREFIX + week
                for weeks in self.carried.values()
                for week in weeks
            }
            return answer(value={'traits': sorted(names)})
        if self.forgotten:
            gone = self.forgotten.pop()
            return problem(400, f'No such trait(s): {gone}')
        wanted, barred = set(), set()
        for each in query['required']:
            if each.startswith('in:'):
                wanted = set(each[3:].split(','))
            else:
                barred = {name[1:] for name in each.split(',')}
        found = [
            {'uuid': uuid, 'name': uuid, 'generation': 1}
            for uuid, weeks in self.carried.items()
            if wanted & {PREFIX + week for week in weeks}
            and not barred & {PREFIX + week for week in weeks}
        ]
        return answer(value={'resource_providers': found})


class ExpiredTest(testtools.TestCase):
    def look(self, now='2026W48', most=2, **carried):
        self.placement = Placement(**carried)
        return expired.reports(
            client.PlacementClient(self.placement), Week.parse(now), most
        )

    def stale(self, *args, **kwargs):
        return {
            int(uuid.rpartition('-')[2])
            for uuid in self.look(*args, **kwargs).uuids
        }

    def test_expired_when_all_are_fresh(self):
        """One request in the steady state."""
        found = self.look(h1='2026W48', h2='2026W47', h3='')
        self.assertEqual(expired.NONE, found)
        self.assertEqual(1, len(self.placement.sent))

    def test_expired_when_some_are_old(self):
        self.assertEqual(
            {3, 4},
            self.stale(h1='2026W48', h2='2026W46', h3='2026W45', h4='2026W01'),
        )
        self.assertEqual(2, len(self.placement.sent))

    def test_expired_when_there_is_no_week(self):
        """A release without weeks: it does not expire."""
        self.assertEqual({2}, self.stale(h1='', h2='2026W01'))

    def test_expired_when_clock_is_off(self):
        for week, expected in (
            ('2026W49', set()),
            ('2026W50', set()),
            ('2026W51', {1}),
            ('2999W01', {1}),
            ('2000W01', {1}),
        ):
            self.assertEqual(expected, self.stale(h1=week), week)

    def test_expired_when_the_year_turns(self):
        for now, expected in (
            ('2026W53', {1}),
            ('2027W01', {1, 2}),
            ('2027W02', {1, 2, 3}),
        ):
            self.assertEqual(
                expected,
                self.stale(now, h1='2026W50', h2='2026W51', h3='2026W52'),
            )

    def test_expired_when_there_are_two_weeks(self):
        """The later counts: nobody is stale who reported just now."""
        self.assertEqual({2}, self.stale(h1='2026W01 2026W48', h2='2026W01'))

    def test_expired_when_nothing_ever_is(self):
        self.assertEqual(expired.NONE, self.look(most=0, h1='2026W01'))
        self.assertEqual(
            expired.NONE,
            expired.reports(client.PlacementClient(self.placement), None, 2),
        )
        self.assertEqual([], self.placement.sent)

    def test_weeks_when_told_to_a_person(self):
        for weeks, expected in (
            ('2026W40', '2026W40'),
            ('2026W40 2026W39 2025W01', '2026W40 or earlier'),
            ('2027W40 2027W41', '2027W40 or later'),
            ('2026W40 2027W41', '2026W40 to 2027W41, not the last weeks'),
        ):
            each = {f'h{n}': week for n, week in enumerate(weeks.split())}
            self.assertEqual(expected, self.look(**each).weeks)

    def test_expired_when_there_are_very_many_weeks(self):
        """The URL of one request has an end."""
        hosts = {
            f'h{year}{number}': f'{year}W{number:02}'
            for year in (2023, 2024, 2025)
            for number in range(1, 50)
        }
        self.assertEqual(3 * 49, len(self.look(**hosts).uuids))
        self.assertLess(max(map(len, self.placement.sent)), 3000)

    def test_expired_when_a_name_is_deleted_meanwhile(self):
        placement = Placement(h1='2026W01')
        placement.forgotten = [PREFIX + '2026W02']
        asked = client.PlacementClient(placement)
        now = Week.parse('2026W48')
        self.assertEqual(1, len(expired.reports(asked, now, 2).uuids))
        placement.forgotten = [PREFIX + '2026W02'] * 2
        self.assertRaises(errors.UnknownTrait, expired.reports, asked, now, 2)

    @given(st.sets(st.integers(0, 3000)), st.integers(1, 5))
    def test_parted_when_anything(self, days, most):
        now = Week.parse('2026W48')
        weeks = {Week.at(1_700_000_000 + day * 86_400) for day in days}
        names = {dated.reported_in(week) for week in weeks}
        names |= {'CUSTOM_HVFILTER_REPORTED_2025W53', 'CUSTOM_GOLD'}
        stale, fresh = expired.split_stale(names, now, most)
        self.assertEqual(weeks, {mark.week for mark in stale + fresh})
        for mark in stale:
            self.assertTrue(is_stale(mark.week, now, most))
        for mark in fresh:
            self.assertFalse(is_stale(mark.week, now, most))
