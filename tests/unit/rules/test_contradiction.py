# SPDX-License-Identifier: Apache-2.0

import itertools

import testtools

from hvfilter.model import catalogue
from hvfilter.model.policy import Policy
from hvfilter.rules import possible, requests
from hvfilter.rules.contradiction import contradictions


def found(**specs):
    guest_request = requests.GuestRequest.of(
        {name.replace('__', ':'): value for name, value in specs.items()}
    )
    policy = Policy(required=())
    return contradictions(requests.requirements(guest_request, policy))


class TestContradictions(testtools.TestCase):
    def test_none_when_some_host_could_meet_all_of_it(self):
        self.assertEqual((), found())
        self.assertEqual(
            (),
            found(
                hvfilter__nested='required',
                hvfilter__vtx='forbidden',
                hvfilter__sev='preferred',
            ),
        )

    def test_named_when_required_and_forbidden(self):
        for key in ('nested', 'nested_slat'):
            (words,) = found(
                **{
                    f'hvfilter__{key}': 'required',
                    'trait__CUSTOM_HVFILTER_NESTED': 'forbidden',
                }
            )
            self.assertIn(f'hvfilter:{key}=required contradicts', words)
            self.assertIn('trait:CUSTOM_HVFILTER_NESTED=forbidden', words)
            self.assertEqual(key != 'nested', 'includes nested' in words)

    def test_forbidding_the_greater_part_is_no_contradiction(self):
        self.assertEqual(
            (),
            found(
                hvfilter__sev='required',
                hvfilter__sev_es='forbidden',
            ),
        )

    def test_named_when_no_kind_of_host_has_both(self):
        self.assertEqual(
            ('no host can have both amdv and vtx',),
            found(hvfilter__vtx='required', hvfilter__amdv='required'),
        )

    def test_pairs_say_all(self):
        """Where no two exclude each other, no three do."""
        for keys in itertools.combinations(catalogue.BY_KEY, 3):
            pairs = itertools.combinations(keys, 2)
            self.assertEqual(
                possible.together(keys), all(map(possible.together, pairs))
            )

    def test_named_when_not_understood(self):
        (words,) = found(hvfilter__nestd='required')
        self.assertIn('no such capability', words)
