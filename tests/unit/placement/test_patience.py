# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.placement import patience
from tests.fakes.fleet import Clock


class PatienceTest(testtools.TestCase):
    def test_nobody_set_a_limit(self):
        self.assertIsNone(patience.left_s())

    def test_limit_holds_for_all_that_is_done(self):
        clock = Clock()
        with patience.of(20, clock):
            clock.pass_s(15)
            self.assertEqual(5, patience.left_s())
            with patience.of(20, clock):
                self.assertEqual(5, patience.left_s())
            with patience.of(2, clock):
                self.assertEqual(2, patience.left_s())
            clock.pass_s(6)
            self.assertEqual(0, patience.left_s())
        self.assertIsNone(patience.left_s())
