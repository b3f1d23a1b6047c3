# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.model import catalogue
from hvfilter.model.policy import Policy
from hvfilter.rules import requests, supply
from hvfilter.rules.requests import GuestRequest


def holders(**names):
    return {
        f'CUSTOM_HVFILTER_{key.upper()}': frozenset(each)
        for key, each in names.items()
    }


KVM = Policy()
FLEET = holders(reported='abcdef', kvm='abcde', nested='cdex', sev='e')


class SupplyTest(testtools.TestCase):
    def found(self, specs, policy=KVM, fleet=FLEET):
        guest_request = GuestRequest.of(
            {f'hvfilter:{k}': v for k, v in specs.items()}
        )
        needed = requests.requirements(guest_request, policy)
        return supply.supply(needed, policy, fleet)

    def test_each_and_all_are_counted(self):
        found = self.found({'nested': 'required'})
        # One carries the trait without the marker, and has it all the same.
        self.assertEqual((('nested', 4), ('kvm', 5)), found.each)
        self.assertEqual(set('cde'), found.capable)

    def test_forbidden_counts_who_reported_to_lack_it(self):
        found = self.found({'nested': 'forbidden'})
        self.assertEqual((('without nested', 3), ('kvm', 5)), found.each)
        self.assertEqual(set('ab'), found.capable)

    def test_preferred_counts_nobody_out(self):
        found = self.found({'nested': 'preferred'}, Policy(required=()))
        self.assertEqual((), found.each)
        self.assertEqual('', found.words('a'))

    def test_hosts_kept_for_others_are_not_capable(self):
        policy = Policy(reserved=frozenset({'sev', 'nested'}))
        for specs, capable in (
            ({}, 'ab'),
            ({'nested': 'required'}, 'cde'),
            ({'nested': 'preferred'}, 'abcde'),
            ({'sev': 'required'}, 'e'),
        ):
            self.assertEqual(
                set(capable), self.found(specs, policy).capable, specs
            )

    def test_hosts_kept_for_what_is_included_are_capable(self):
        policy = Policy(required=(), reserved=frozenset({'sev'}))
        fleet = {**FLEET, **holders(sev_es='e')}
        found = self.found({'sev_es': 'required'}, policy, fleet)
        self.assertEqual({'e'}, found.capable)

    def test_hosts_that_emulate_count_for_who_may_be_emulated(self):
        fleet = {**FLEET, **holders(tcg='f')}
        for image, each, capable in (
            ({}, ('kvm', 5), 'abcde'),
            ({'img_hv_type': 'qemu'}, ('kvm or tcg', 6), 'abcdef'),
        ):
            needed = requests.requirements(GuestRequest.of(**image), KVM)
            found = supply.supply(needed, KVM, fleet)
            self.assertEqual((each,), found.each)
            self.assertEqual(set(capable), found.capable)
        self.assertIsNone(supply.supply(needed, KVM, FLEET))

    def test_nothing_is_known_while_a_trait_is_not(self):
        for missing in FLEET:
            fleet = {k: v for k, v in FLEET.items() if k != missing}
            found = self.found(
                {'nested': 'required'},
                Policy(reserved=frozenset({'sev'})),
                fleet,
            )
            self.assertIsNone(found)

    def test_words_say_who_is_no_candidate(self):
        found = self.found({'nested': 'required'})
        self.assertEqual(
            'hosts reported nested: 4, kvm: 5, all of this: 3; 2 of 3 not '
            'among the candidates (no room, disabled, rejected by an earlier '
            'filter, or cut off by [scheduler] max_placement_results)',
            found.words(['a', 'c', None]),
        )
        self.assertEqual(
            'hosts reported nested: 4, kvm: 5, all of this: 3; 0 of 3 not '
            'among the candidates',
            found.words('cde'),
        )
        nobody = self.found(
            {'nested': 'required'}, fleet={**FLEET, **holders(kvm='')}
        )
        self.assertEqual(
            'hosts reported nested: 4, kvm: 0, all of this: 0',
            nobody.words('abc'),
        )

    def test_words_are_bounded(self):
        keys = list(catalogue.BY_KEY)
        everybody = holders(reported='a', **dict.fromkeys(keys, 'a'))
        found = self.found(dict.fromkeys(keys, 'required'), fleet=everybody)
        self.assertLess(len(found.words('')), 500)
        self.assertIn('more not shown', found.words(''))


class RequestedTest(testtools.TestCase):
    def words(self, guest_request, policy=KVM, rebuild=False):
        needed = (
            requests.image_requirements(guest_request, policy)
            if rebuild
            else requests.requirements(guest_request, policy)
        )
        return supply.requested(needed, policy)

    def test_words_name_who_asks(self):
        guest_request = GuestRequest.of(
            {'hvfilter:nested': 'required', 'hvfilter:nestd': 'required'},
            {'CUSTOM_HVFILTER_SLAT': 'required'},
            hw_architecture='x86_64',
        )
        policy = Policy(reserved=frozenset({'sev', 'tdx'}))
        self.assertEqual(
            'hvfilter:nested=required (flavor), '
            'trait:CUSTOM_HVFILTER_SLAT=required (image), '
            '[hvfilter] required = kvm (policy), '
            'hvfilter:nestd=required (flavor), '
            'hw_architecture=x86_64 (image), '
            '[hvfilter] reserved = sev,tdx (policy)',
            self.words(guest_request, policy),
        )
        self.assertIn(
            'hw_emulation_architecture=aarch64 (image)',
            self.words(GuestRequest.of(emulation_architecture='aarch64')),
        )

    def test_reservations_do_not_concern_a_rebuild(self):
        policy = Policy(reserved=frozenset({'sev'}))
        self.assertNotIn(
            'reserved', self.words(GuestRequest(), policy, rebuild=True)
        )

    def test_words_are_bounded(self):
        guest_request = GuestRequest.of(
            {f'hvfilter:{key}': 'required' for key in catalogue.BY_KEY}
        )
        words = self.words(guest_request)
        self.assertLess(len(words), 500)
        self.assertTrue(words.endswith(' more'))
