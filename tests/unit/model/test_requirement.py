# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.model.requirement import (
    Demand,
    InvalidRequest,
    Origin,
    Requirement,
    Requirements,
)


def asked(capability, demand):
    return Requirement(capability, demand, Origin.FLAVOR, capability)


PREFERRED = asked('slat', Demand.PREFERRED)
REQUIRED = asked('nested', Demand.REQUIRED)
FORBIDDEN = asked('tdx', Demand.FORBIDDEN)


class TestRequirements(testtools.TestCase):
    def test_hard_when_some_host_could_be_rejected(self):
        request = InvalidRequest(
            Origin.FLAVOR, 'hvfilter:x', 'no such capability'
        )
        for requirements in (
            Requirements((PREFERRED, REQUIRED)),
            Requirements((FORBIDDEN,)),
            Requirements(invalid=(request,)),
            Requirements(architecture='aarch64'),
        ):
            self.assertTrue(requirements.hard, requirements)

    def test_not_hard_when_nothing_is_more_than_preferred(self):
        self.assertFalse(Requirements().hard)
        self.assertFalse(Requirements((PREFERRED,)).hard)

    def test_every_key_when_a_judge_asks_what_to_know(self):
        requirements = Requirements((PREFERRED, REQUIRED, FORBIDDEN))
        self.assertEqual({'slat', 'nested', 'tdx'}, requirements.capabilities)
        self.assertEqual(frozenset(), Requirements().capabilities)

    def test_items_of_one_demand_when_wanted(self):
        requirements = Requirements((PREFERRED, REQUIRED, FORBIDDEN))
        self.assertEqual((REQUIRED,), requirements.wanting(Demand.REQUIRED))
