# SPDX-License-Identifier: Apache-2.0

import itertools

import testtools
from hypothesis import given
from hypothesis import strategies as st

from hvfilter.model import catalogue
from hvfilter.model.policy import Ignorance, Policy
from hvfilter.rules import infer, prefilter, requests
from hvfilter.rules.judge import judge

KEYS = ('kvm', 'nested', 'tdx')


def trait(*keys):
    return {catalogue.BY_KEY[key].trait for key in keys}


def query(specs, policy=None, all_reported=False, **asked):
    policy = policy or Policy()
    asked = requests.Asked.of(specs, **asked)
    found = requests.requirements(asked, policy)
    return prefilter.query(found, policy, all_reported)


class QueryTest(testtools.TestCase):
    def test_explicit_words_become_traits(self):
        found = query(
            {
                'hvfilter:nested': 'required',
                'hvfilter:tdx': 'forbidden',
                'hvfilter:slat': 'preferred',
            }
        )
        self.assertEqual(trait('nested'), found.required)
        self.assertEqual(trait('tdx'), found.forbidden)

    def test_policy_becomes_a_trait_when_all_reported(self):
        self.assertEqual(frozenset(), query({}).required)
        self.assertEqual(trait('kvm'), query({}, all_reported=True).required)

    def test_nothing_is_required_when_unreported_hosts_are_accepted(self):
        policy = Policy(unreported=Ignorance.ACCEPT)
        found = query({'hvfilter:nested': 'required'}, policy)
        self.assertEqual(prefilter.Query(), found)

    def test_kvm_image_becomes_a_trait_when_unreported_are_rejected(self):
        policy = Policy(unreported=Ignorance.REJECT)
        self.assertEqual(frozenset(), query({}, policy).required)
        self.assertEqual(
            trait('kvm'), query({}, policy, img_hv_type='kvm').required
        )

    def test_reserved_is_forbidden_when_guest_asks_for_none_of_it(self):
        policy = Policy(reserved=frozenset({'nested', 'tdx'}))
        self.assertEqual(trait('nested', 'tdx'), query({}, policy).forbidden)
        found = query({'hvfilter:tdx': 'preferred'}, policy)
        self.assertEqual(frozenset(), found.forbidden)

    def test_names_that_placement_does_not_know_are_left_out(self):
        found = query(
            {'hvfilter:nested': 'required', 'hvfilter:tdx': 'forbidden'}
        )
        self.assertEqual(
            prefilter.Query(frozenset(trait('nested'))),
            found.known(frozenset(trait('nested', 'kvm'))),
        )
        self.assertEqual(
            prefilter.Query(forbidden=frozenset(trait('tdx'))),
            found.known(frozenset(trait('tdx'))),
        )

    DEMANDS = st.sampled_from(['required', 'forbidden', 'preferred', 'odd'])

    @given(
        st.dictionaries(
            st.sampled_from([f'hvfilter:{key}' for key in KEYS]), DEMANDS
        ),
        st.sampled_from([None, 'kvm', 'qemu']),
        st.builds(
            Policy,
            required=st.sampled_from([(), ('kvm',), ('kvm', 'nested')]),
            unreported=st.sampled_from(Ignorance),
            reserved=st.frozensets(st.sampled_from(KEYS)),
        ),
        st.booleans(),
    )
    def test_no_host_is_left_out_that_the_judge_accepts(
        self, specs, hv_type, policy, all_reported
    ):
        asked = requests.Asked.of(specs, img_hv_type=hv_type)
        found = requests.requirements(asked, policy)
        named = prefilter.query(found, policy, all_reported)
        natives = (None, frozenset(), frozenset({'x86_64'}))
        for reported, kvm_host, native in itertools.product(
            (True, False), (True, False), natives
        ):
            if all_reported and not reported:
                continue
            if hv_type == 'kvm' and not kvm_host:
                # ImagePropertiesFilter passes these over.
                continue
            if reported and not kvm_host:
                # Documented: where the policy is asked of Placement, hosts
                # without KVM must not report.
                continue
            for count in range(len(KEYS) + 1):
                for has in itertools.combinations(KEYS, count):
                    advertised = infer.advertised(
                        has,
                        reported,
                        infer.HostFacts(kvm_host=kvm_host, native=native),
                        policy,
                    )
                    if judge(found, advertised, policy).accepted:
                        self.assertTrue(named.required <= trait(*has))
                        self.assertFalse(named.forbidden & trait(*has))
