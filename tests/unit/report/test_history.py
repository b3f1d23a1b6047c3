# SPDX-License-Identifier: Apache-2.0

import datetime
import json
import random

import testtools
from hypothesis import given, settings
from hypothesis import strategies as st

from hvfilter.model.problem import Problem
from hvfilter.report import history
from hvfilter.report.history import Change, Entry, History, Removed, State
from tests.unit.cli.test_schemas import validate

LIMIT = 256 << 10
CHANGES = 10_000

TEXTS = st.text(max_size=20)
STATES = st.builds(
    State,
    facts=st.dictionaries(TEXTS, TEXTS, max_size=8),
    capabilities=st.dictionaries(TEXTS, TEXTS, max_size=8),
    reasons=st.just({}),
    version=TEXTS,
)
ENTRIES = st.lists(
    st.builds(
        Entry,
        time=st.datetimes(datetime.datetime(1970, 1, 1)).map(
            lambda at: at.strftime('%Y-%m-%dT%H:%M:%SZ')
        ),
        causes=st.lists(
            st.builds(Change, TEXTS, TEXTS, TEXTS, TEXTS), max_size=3
        ).map(tuple),
        effects=st.lists(
            st.builds(Change, TEXTS, TEXTS, TEXTS, TEXTS), max_size=3
        ).map(tuple),
        snapshot=TEXTS,
    ),
    max_size=10,
)


def entry(number, source):
    """A change whose time is its number."""
    causes = [
        Change('kernel', *('x' * source.randrange(300),) * 2)
        for _ in range(source.randrange(3))
    ]
    return Entry(f'{number:06}', tuple(causes), ())


class FittedTest(testtools.TestCase):
    def test_ten_thousand_changes_stay_under_the_limit(self):
        source = random.Random(17)
        whole = History(State({}, {}))
        number = 0
        while number < CHANGES:
            batch = min(source.randrange(1, 3000), CHANGES - number)
            new = [entry(number + at, source) for at in range(batch)]
            number += batch
            before = whole
            whole, text = history.fitted(
                History(before.state, (*before.entries, *new), before.removed),
                LIMIT,
            )
            self.assertLessEqual(len(text.encode()), LIMIT)
            self.assertEqual(whole, history.loads(text.encode()))
            # The latest are there, and the others are counted.
            kept = [int(each.time) for each in whole.entries]
            self.assertEqual(list(range(number - len(kept), number)), kept)
            gone = whole.removed or Removed(0, '')
            self.assertEqual(number, len(kept) + gone.number)
            if gone.number:
                self.assertEqual(f'{gone.number - 1:06}', gone.until)
        self.assertIsNotNone(whole.removed)
        self.assertGreater(len(whole.entries), 100)

    @settings(max_examples=25, deadline=None)
    @given(STATES, ENTRIES, st.integers(600, 6_000))
    def test_whatever_fits_is_read_again_and_the_rest_is_counted(
        self, state, entries, limit
    ):
        try:
            fitted, text = history.fitted(
                History(state, tuple(entries)), limit
            )
        except Problem:
            alone = history.to_document(History(state))
            self.assertGreater(len(str(alone)), limit // 3)
            return
        self.assertLessEqual(len(text.encode()), limit)
        self.assertEqual(fitted, history.loads(text.encode()))
        validate(json.loads(text))
        number = len(fitted.entries)
        self.assertEqual(
            tuple(entries[len(entries) - number :]), fitted.entries
        )
        gone = fitted.removed.number if fitted.removed else 0
        self.assertEqual(len(entries), number + gone)

    def test_a_state_that_does_not_fit_is_a_problem(self):
        state = State({'kernel': 'x' * 1000}, {})
        error = self.assertRaises(
            Problem, history.fitted, History(state), 1000
        )
        self.assertIn('What is known of this host', str(error))

    def test_what_was_removed_is_one_clause(self):
        self.assertEqual(
            '1 earlier change, the last of 2026', str(Removed(1, '2026'))
        )
        self.assertEqual(
            '2 earlier changes, the last of 2026', str(Removed(2, '2026'))
        )


class BoundedTest(testtools.TestCase):
    def test_a_long_value_is_short_and_still_differs(self):
        one, other = 'x' * 10_000 + 'a', 'x' * 10_000 + 'b'
        self.assertLess(len(history.bounded(one)), history.LONGEST + 100)
        self.assertNotEqual(history.bounded(one), history.bounded(other))
        self.assertEqual('short', history.bounded('short'))


class CompareTest(testtools.TestCase):
    def test_only_words_that_differ_are_shown_of_a_list(self):
        causes, _ = history.compare(
            State({'words': 'a b c'}, {}),
            State({'words': 'a c d'}, {}),
            frozenset({'words'}),
        )
        self.assertEqual(['words b -> d'], [str(each) for each in causes])

    def test_what_only_one_knows_is_no_change(self):
        causes, effects = history.compare(
            State({'one': '1'}, {'nested': 'present'}),
            State({'other': '2'}, {'slat': 'absent at cpu'}),
        )
        self.assertEqual(((), ()), (causes, effects))

    def test_another_reason_is_the_same_state(self):
        one = State({}, {}, {'kvm': '4,900 times as long'})
        other = State({}, {}, {'kvm': '4,901 times as long'})
        self.assertTrue(one.same(other))
        self.assertFalse(one.same(State({'kernel': '6.1'}, {})))
