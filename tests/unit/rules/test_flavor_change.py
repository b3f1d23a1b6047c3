# SPDX-License-Identifier: Apache-2.0

import hypothesis
import testtools
from hypothesis import strategies

from hvfilter.model.policy import Policy
from hvfilter.model.requirement import Demand
from hvfilter.rules import flavor_change, requests

TRAIT = 'trait:CUSTOM_HVFILTER_NESTED'
KEYS = ('nested', 'sev', 'kvm')
SPECS = strategies.dictionaries(
    strategies.sampled_from(
        [
            'hw:cpu_policy',
            *(f'hvfilter:{key}' for key in KEYS),
            *(f'trait:CUSTOM_HVFILTER_{key.upper()}' for key in KEYS),
        ]
    ),
    strategies.sampled_from(['required', 'forbidden', 'dedicated']),
)


def demands(specs):
    guest_request = requests.GuestRequest.of(specs)
    found = requests.requirements(guest_request, Policy(required=()))
    return {(item.capability, item.demand) for item in found.items}


class TestChange(testtools.TestCase):
    @hypothesis.given(
        SPECS,
        strategies.dictionaries(
            strategies.sampled_from(KEYS), strategies.sampled_from(Demand)
        ),
    )
    def test_exactly_what_is_wanted_of_the_named_ones(self, specs, wanted):
        change = flavor_change.requesting(specs, wanted.items())
        after = change.applied_to(specs)
        now = demands(after)
        self.assertEqual(
            {*wanted.items()}, {each for each in now if each[0] in wanted}
        )
        others = {each for each in demands(specs) if each[0] not in wanted}
        self.assertEqual(
            others, {each for each in now if each[0] not in wanted}
        )
        self.assertFalse(flavor_change.requesting(after, wanted.items()))

    @hypothesis.given(SPECS, SPECS)
    def test_undone_gives_back_what_was_there(self, before, now):
        undo = flavor_change.undone(before, now)
        self.assertEqual(before, undo.applied_to(now))
        self.assertFalse(flavor_change.undone(before, before))

    def test_nothing_is_written_that_is_there_already(self):
        change = flavor_change.requesting(
            {'hvfilter:nested': 'required'},
            [('nested', Demand.REQUIRED), ('sev', Demand.FORBIDDEN)],
        )
        self.assertEqual({'hvfilter:sev': 'forbidden'}, change.put)

    def test_without_removes_both_ways_of_asking(self):
        specs = {'hvfilter:nested': 'x', TRAIT: 'required', 'hw:a': 'b'}
        change = flavor_change.without(specs, ['nested', 'sev'])
        self.assertEqual({'hw:a': 'b'}, change.applied_to(specs))

    def test_cleared_removes_misspelt_names_too(self):
        specs = {
            'hvfilter:nestd': 'required',
            'HVFILTER:sev': 'required',
            f'{TRAIT[:5]}1{TRAIT[5:]}': 'required',
            'trait:HW_CPU_X86_VMX': 'required',
            'hw:mem_encryption': 'true',
        }
        self.assertEqual(
            ['trait:HW_CPU_X86_VMX', 'hw:mem_encryption'],
            list(flavor_change.cleared(specs).applied_to(specs)),
        )
