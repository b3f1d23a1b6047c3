# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.model import catalogue
from hvfilter.model.policy import Mode, Policy, WhenUnknown
from hvfilter.rules import placement_query, requests


def trait(*keys):
    return {catalogue.BY_KEY[key].trait for key in keys}


def query(specs, *policies, complete=False, unknown=(), stale=False, **image):
    return placement_query.query(
        requests.GuestRequest.of(specs, **image),
        policies or (Policy(),),
        placement_query.Reports(complete, frozenset(unknown), stale),
    )


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
        self.assertEqual(trait('kvm'), query({}, complete=True).required)

    def test_nothing_is_required_when_unreported_hosts_are_accepted(self):
        policy = Policy(unreported=WhenUnknown.ACCEPT)
        found = query({'hvfilter:nested': 'required'}, policy)
        self.assertEqual(placement_query.Query(), found)

    def test_kvm_image_becomes_a_trait_when_unreported_are_rejected(self):
        policy = Policy(unreported=WhenUnknown.REJECT)
        self.assertEqual(frozenset(), query({}, policy).required)
        self.assertEqual(
            trait('kvm'), query({}, policy, img_hv_type='kvm').required
        )

    def test_words_of_nova_do_not_concern_hosts_without_kvm(self):
        policy = Policy(required=(), unreported=WhenUnknown.REJECT)
        for image in (
            {'encrypted': True},
            {'image_traits': {'HW_CPU_X86_AMD_SEV': 'required'}},
        ):
            self.assertEqual(frozenset(), query({}, policy, **image).required)
            found = query({}, policy, complete=True, **image)
            self.assertEqual(trait('sev'), found.required)

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
            placement_query.Query(frozenset(trait('nested'))),
            found.known(frozenset(trait('nested', 'kvm'))),
        )
        self.assertEqual(
            placement_query.Query(forbidden=frozenset(trait('tdx'))),
            found.known(frozenset(trait('tdx'))),
        )

    def test_policy_is_not_asked_for_a_guest_that_may_be_emulated(self):
        for image in (
            {'img_hv_type': 'qemu'},
            {'emulation_architecture': 'aarch64'},
        ):
            found = query({}, complete=True, **image)
            self.assertEqual(placement_query.Query(), found)

    def test_policy_is_not_asked_for_what_a_host_reported_as_unknown(self):
        found = query({}, complete=True, unknown={'kvm'})
        self.assertEqual(frozenset(), found.required)
        found = query({}, complete=True, unknown={'nested'})
        self.assertEqual(trait('kvm'), found.required)
        strict = Policy(unreported=WhenUnknown.REJECT)
        found = query({}, strict, complete=True, unknown={'kvm'})
        self.assertEqual(trait('kvm'), found.required)

    def test_explicit_words_are_asked_whatever_is_unknown(self):
        nested = {'hvfilter:nested': 'required'}
        found = query(nested, complete=True, unknown={'nested'})
        self.assertEqual(trait('nested', 'kvm'), found.required)
        lenient = Policy(unreported=WhenUnknown.ACCEPT)
        for unknown, expected in ((), trait('nested')), (('nested',), set()):
            found = query(nested, lenient, complete=True, unknown=unknown)
            self.assertEqual(expected, found.required & trait('nested'))

    def test_stale_traits_are_forbidden_only_if_unreported_are_rejected(self):
        specs = {'hvfilter:tdx': 'forbidden'}
        policies = {
            ignorance: Policy(
                reserved=frozenset({'nested'}), unreported=ignorance
            )
            for ignorance in WhenUnknown
        }
        for ignorance, forbidden in (
            (WhenUnknown.ACCEPT, set()),
            (WhenUnknown.INFER, set()),
            (WhenUnknown.REJECT, trait('tdx')),
        ):
            found = query(specs, policies[ignorance], stale=True)
            self.assertEqual(forbidden, found.forbidden, ignorance)
        found = query(specs, *policies.values(), stale=True)
        self.assertEqual(frozenset(), found.forbidden)

    def test_only_what_each_policy_reserves_is_forbidden(self):
        reserved = [
            Policy(reserved=frozenset(keys))
            for keys in ({'nested', 'tdx'}, {'tdx'}, set())
        ]
        self.assertEqual(trait('tdx'), query({}, *reserved[:2]).forbidden)
        self.assertEqual(frozenset(), query({}, *reserved).forbidden)

    def test_nothing_reserved_is_forbidden_when_a_sum_may_ask_for_it(self):
        """A host in two aggregates requires by one, reserves by the other."""
        found = query(
            {},
            Policy(reserved=frozenset({'nested'})),
            Policy(('tdx',), reserved=frozenset({'nested'})),
            Policy(reserved=frozenset({'nested', 'tdx'})),
        )
        self.assertEqual(frozenset(), found.forbidden)

    def test_nothing_is_asked_when_a_policy_is_permissive(self):
        found = query(
            {'hvfilter:nested': 'required', 'hvfilter:tdx': 'forbidden'},
            Policy(),
            Policy(mode=Mode.PERMISSIVE),
        )
        self.assertEqual(placement_query.Query(), found)
