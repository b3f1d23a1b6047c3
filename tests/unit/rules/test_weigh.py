# SPDX-License-Identifier: Apache-2.0

import testtools
from hypothesis import given
from hypothesis import strategies as st

from hvfilter.model.policy import Policy
from hvfilter.rules import requests, weigh
from hvfilter.rules.weigh import Preferences, Score


def preferences(specs, scarce=('nested', 'tdx')):
    guest_request = requests.GuestRequest.of(specs)
    return weigh.preferences(
        requests.requirements(guest_request, Policy()), scarce
    )


def alike(wished, hosts):
    """The same is wished of all hosts."""
    return weigh.scores([wished] * len(hosts), hosts)


class WishesTest(testtools.TestCase):
    def test_scarce_is_spared_when_not_asked_for(self):
        self.assertEqual(
            Preferences(frozenset(), frozenset({'nested', 'tdx'})),
            preferences({}),
        )

    def test_scarce_is_not_spared_when_asked_for(self):
        found = preferences(
            {'hvfilter:nested': 'preferred', 'hvfilter:tdx': 'required'}
        )
        self.assertEqual(
            Preferences(frozenset({'nested'}), frozenset()), found
        )

    def test_forbidding_is_not_asking(self):
        found = preferences({'hvfilter:tdx': 'forbidden'})
        self.assertIn('tdx', found.spared)


class ScoresTest(testtools.TestCase):
    def test_part_of_what_is_preferred_counts(self):
        wished = Preferences(frozenset({'nested', 'slat'}), frozenset())
        found = alike(wished, [{'nested', 'slat'}, {'slat'}, set()])
        self.assertEqual([1.0, 0.5, 0.0], [score.preferred for score in found])

    def test_the_scarcer_the_more_wasted(self):
        wished = Preferences(frozenset(), frozenset({'nested', 'tdx'}))
        hosts = [{'nested', 'tdx'}, {'nested'}, {'nested'}, set()]
        found = alike(wished, hosts)
        self.assertEqual(
            [0.75, 0.25, 0.25, 0], [score.wasted for score in found]
        )

    def test_what_all_have_is_not_scarce(self):
        wished = Preferences(frozenset(), frozenset({'nested'}))
        self.assertEqual([Score(0, 0)] * 3, alike(wished, [{'nested'}] * 3))

    def test_no_hosts_make_no_scores(self):
        self.assertEqual([], weigh.scores([], []))

    def test_host_is_spared_for_what_is_wished_of_it(self):
        """Aggregates reserve for their own hosts only."""
        nothing = Preferences(frozenset(), frozenset())
        spared = Preferences(frozenset(), frozenset({'slat'}))
        found = weigh.scores(
            [nothing, spared, spared, spared],
            [{'slat'}, {'slat'}, {'slat'}, set()],
        )
        self.assertEqual([0, 0.25, 0.25, 0], [score.wasted for score in found])

    KEYS = st.sets(st.sampled_from(['nested', 'tdx', 'slat', 'kvm', 'sev']))

    @given(KEYS, KEYS, st.lists(KEYS, max_size=12))
    def test_scores_are_from_0_to_1(self, preferred, spared, hosts):
        wished = Preferences(frozenset(preferred), frozenset(spared))
        found = alike(wished, hosts)
        self.assertEqual(len(hosts), len(found))
        for score in found:
            self.assertTrue(0 <= score.preferred <= 1)
            self.assertTrue(0 <= score.wasted <= 1)
