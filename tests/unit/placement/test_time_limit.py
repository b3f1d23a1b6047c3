# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.placement import time_limit
from tests.fakes.fleet import Clock


class TimeLimitTest(testtools.TestCase):
    def test_nobody_set_a_limit(self):
        self.assertIsNone(time_limit.left_s())

    def test_limit_holds_for_all_that_is_done(self):
        clock = Clock()
        with time_limit.within(20, clock):
            clock.pass_s(15)
            self.assertEqual(5, time_limit.left_s())
            with time_limit.within(20, clock):
                self.assertEqual(5, time_limit.left_s())
            with time_limit.within(2, clock):
                self.assertEqual(2, time_limit.left_s())
            clock.pass_s(6)
            self.assertEqual(0, time_limit.left_s())
        self.assertIsNone(time_limit.left_s())
