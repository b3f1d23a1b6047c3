# SPDX-License-Identifier: Apache-2.0

import testtools
from hypothesis import given
from hypothesis import strategies as st

from hvfilter.model.policy import Policy
from hvfilter.model.requirement import Demand, InvalidRequest, Origin
from hvfilter.rules import requests
from hvfilter.rules.requests import GuestRequest

NOTHING = Policy(required=())
KVM = Policy()

WORDS = st.one_of(
    st.sampled_from(
        [
            'hvfilter:nested',
            'hvfilter:kvm',
            'hvfilter:',
            'hvfilter:nonsense',
            'trait:CUSTOM_HVFILTER_NESTED',
            'trait:CUSTOM_HVFILTER_REPORTED',
            'trait1:CUSTOM_HVFILTER_NESTED',
            'trait:HW_CPU_X86_VMX',
            'required',
            'forbidden',
            'preferred',
        ]
    ),
    st.text(max_size=20),
)


def said(found):
    return [
        (i.capability, i.demand.value, i.origin.value) for i in found.items
    ]


class FlavorTest(testtools.TestCase):
    def requirements(self, policy=NOTHING, **specs):
        return requests.requirements(GuestRequest.of(specs), policy)

    def test_each_demand_is_taken_when_well_spelt(self):
        found = self.requirements(
            **{
                'hvfilter:nested': 'required',
                'hvfilter:tdx': 'forbidden',
                'hvfilter:slat': ' Preferred ',
            }
        )
        self.assertEqual(
            [
                ('nested', 'required', 'flavor'),
                ('slat', 'preferred', 'flavor'),
                ('tdx', 'forbidden', 'flavor'),
            ],
            said(found),
        )
        self.assertEqual('hvfilter:nested=required', found.items[0].words)
        self.assertTrue(all(item.explicit for item in found.items))

    def test_traits_of_ours_are_taken(self):
        found = self.requirements(
            **{
                'trait:CUSTOM_HVFILTER_NESTED': 'required',
                'trait:CUSTOM_HVFILTER_KVM': 'forbidden',
                'trait:CUSTOM_HVFILTER_REPORTED': 'required',
                'trait:HW_CPU_X86_VMX': 'required',
            }
        )
        self.assertEqual(
            [('kvm', 'forbidden', 'flavor'), ('nested', 'required', 'flavor')],
            said(found),
        )
        self.assertEqual((), found.invalid)

    def test_capability_is_a_misfit_when_unknown(self):
        found = self.requirements(**{'hvfilter:nestd': 'required'})
        self.assertEqual((), found.items)
        self.assertEqual('hvfilter:nestd=required', found.invalid[0].words)
        self.assertIn('nested', found.invalid[0].problem)
        self.assertTrue(found.hard)

    def test_value_is_a_misfit_when_unknown(self):
        for value in ('', 'true', 'require', 'required,forbidden'):
            found = self.requirements(**{'hvfilter:nested': value})
            self.assertEqual(
                'the value must be one of required, forbidden, preferred',
                found.invalid[0].problem,
            )

    def test_capability_is_a_misfit_when_it_has_a_scope_of_its_own(self):
        found = self.requirements(**{'hvfilter:x:nested': 'required'})
        self.assertEqual('hvfilter:x:nested=required', found.invalid[0].words)
        self.assertTrue(
            found.invalid[0].problem.startswith(
                'no such capability; known are: kvm, tcg, hvm, '
            ),
            found.invalid[0].problem,
        )

    def test_trait_of_a_later_release_is_left_to_placement(self):
        for value in ('required', 'forbidden'):
            found = self.requirements(**{'trait:CUSTOM_HVFILTER_NESTD': value})
            self.assertEqual((), found.invalid)
        image = GuestRequest.of(
            image_traits={'CUSTOM_HVFILTER_NESTD': 'required'}
        )
        self.assertEqual((), requests.requirements(image, KVM).invalid)
        self.assertEqual((), requests.image_requirements(image, KVM).invalid)

    def test_misfit_when_it_would_have_no_effect(self):
        for name in (
            ' hvfilter:nested',
            'HVFILTER:nested',
            'hvfilter.nested',
            'hv-filter:nested',
            'trait1:CUSTOM_HVFILTER_NESTED',
            'TRAIT:CUSTOM_HVFILTER_NESTED',
        ):
            (request,) = self.requirements(**{name: 'required'}).invalid
            self.assertIn('no effect', request.problem)
        for name in ('hvfilters:x', 'company:hvfilter', 'trait:CUSTOM_GOLD'):
            self.assertEqual((), self.requirements(**{name: 'x'}).invalid)

    def test_words_of_nova_for_encrypted_memory(self):
        for specs, image, keys in (
            ({'hw:mem_encryption': 'true'}, {}, {'sev'}),
            ({'hw:mem_encryption': ' Yes '}, {}, {'sev'}),
            ({'hw:mem_encryption': 'false'}, {}, set()),
            ({'hw:mem_encryption_model': 'amd-sev-es'}, {}, set()),
            (
                {
                    'hw:mem_encryption': '1',
                    'hw:mem_encryption_model': 'amd-sev-es',
                },
                {},
                {'sev_es'},
            ),
            (
                {
                    'hw:mem_encryption': '1',
                    'hw:mem_encryption_model': 'amd-sev',
                },
                {'encryption_model': 'intel-tdx'},
                {'tdx'},
            ),
            ({}, {'encrypted': True}, {'sev'}),
            ({}, {'encrypted': False}, set()),
            (
                {'hw:mem_encryption_model': 'amd-sev-snp'},
                {'encrypted': True},
                {'sev_snp'},
            ),
            ({'hw:mem_encryption': '1'}, {'encryption_model': 'x'}, set()),
            ({'trait:HW_CPU_X86_AMD_SEV_ES': 'required'}, {}, {'sev_es'}),
            ({'trait1:HW_CPU_X86_AMD_SEV': 'required'}, {}, {'sev'}),
            ({'trait_ENC:HW_CPU_X86_INTEL_TDX': 'required'}, {}, {'tdx'}),
            ({'my:trait:HW_CPU_X86_INTEL_TDX': 'required'}, {}, set()),
            ({'trait:HW_CPU_X86_AMD_SEV': 'forbidden'}, {}, set()),
            (
                {},
                {'image_traits': {'HW_CPU_X86_INTEL_TDX': 'required'}},
                {'tdx'},
            ),
        ):
            guest_request = GuestRequest.of(specs, **image)
            found = requests.requirements(guest_request, Policy(required=()))
            self.assertEqual(keys, found.capabilities, (specs, image))
            self.assertTrue(
                all(not item.explicit for item in found.items), specs
            )
            self.assertFalse(guest_request.explicit)

    def test_trait_is_a_misfit_when_it_is_malformed(self):
        found = self.requirements(
            **{'trait:CUSTOM_HVFILTER_nestd': 'required'}
        )
        self.assertEqual(
            (
                InvalidRequest(
                    Origin.FLAVOR,
                    'trait:CUSTOM_HVFILTER_nestd=required',
                    'hvfilter publishes no such trait',
                ),
            ),
            found.invalid,
        )

    def test_trait_demand_is_a_misfit_when_preferred(self):
        found = self.requirements(
            **{'trait:CUSTOM_HVFILTER_NESTED': 'preferred'}
        )
        self.assertEqual(
            (
                InvalidRequest(
                    Origin.FLAVOR,
                    'trait:CUSTOM_HVFILTER_NESTED=preferred',
                    'the value must be required or forbidden',
                ),
            ),
            found.invalid,
        )

    def test_nothing_is_hard_when_only_preferred(self):
        found = self.requirements(**{'hvfilter:nested': 'preferred'})
        self.assertFalse(found.hard)

    def test_words_are_bounded_and_printable(self):
        found = self.requirements(**{'hvfilter:\n' + 'x' * 500: '\x00'})
        words = found.invalid[0].words
        self.assertLessEqual(len(words), 120)
        self.assertTrue(words.isprintable())

    def test_words_are_shortened_only_when_too_long(self):
        self.assertEqual('x' * 120, requests.shorten('x' * 120))
        self.assertEqual('x' * 117 + '...', requests.shorten('x' * 121))
        self.assertEqual('a?b', requests.shorten('a\nb'))

    def test_policy_yields_when_flavor_speaks_of_the_same(self):
        found = self.requirements(KVM, **{'hvfilter:kvm': 'forbidden'})
        self.assertEqual([('kvm', 'forbidden', 'flavor')], said(found))

    def test_policy_stays_when_flavor_only_prefers(self):
        found = self.requirements(KVM, **{'hvfilter:kvm': 'preferred'})
        self.assertIn(('kvm', 'required', 'policy'), said(found))


class ImageTest(testtools.TestCase):
    def requirements(self, policy=KVM, **guest_request):
        return requests.requirements(GuestRequest.of(**guest_request), policy)

    def test_policy_holds_when_image_says_nothing(self):
        found = self.requirements()
        self.assertEqual([('kvm', 'required', 'policy')], said(found))
        self.assertEqual('[hvfilter] required = kvm', found.items[0].words)
        self.assertFalse(found.items[0].explicit)

    def test_kvm_is_asked_but_not_explicitly_when_image_is_of_kvm(self):
        found = self.requirements(img_hv_type='kvm')
        self.assertEqual([('kvm', 'required', 'image')], said(found))
        self.assertFalse(found.items[0].explicit)
        self.assertEqual('img_hv_type=kvm', found.items[0].words)

    def test_policy_holds_however_the_image_spells_its_hypervisor(self):
        for hv_type in (None, '', ' ', 'kvm', ' KVM ', 'qemu', ' QEMU'):
            found = self.requirements(img_hv_type=hv_type)
            self.assertIn('kvm', found.capabilities, hv_type)
            self.assertEqual(
                'qemu' in str(hv_type).lower(), found.emulable, hv_type
            )

    def test_policy_does_not_concern_images_of_other_hypervisors(self):
        for hv_type in ('vmware', 'lxc', 'baremetal', 'ironic', 'kvm2'):
            found = self.requirements(
                img_hv_type=hv_type, emulation_architecture='aarch64'
            )
            self.assertEqual((), found.items)

    def test_tcg_matters_when_guest_may_be_emulated(self):
        for image in (
            {'img_hv_type': 'qemu'},
            {'emulation_architecture': 'x86_64'},
        ):
            found = self.requirements(**image)
            self.assertEqual([('kvm', 'required', 'policy')], said(found))
            self.assertTrue(found.emulable)
            self.assertEqual({'kvm', 'tcg'}, found.capabilities)
            self.assertEqual({'kvm', 'tcg'}, found.doubtful)
        # Whether it is the wrong architecture hangs on it as well.
        guest_request = GuestRequest.of(
            img_hv_type='kvm', emulation_architecture='x86_64'
        )
        found = requests.requirements(guest_request, NOTHING)
        self.assertEqual({'kvm', 'tcg'}, found.capabilities)
        self.assertEqual({'kvm', 'tcg'}, found.doubtful)
        self.assertFalse(self.requirements().emulable)
        # Nothing hangs on it where the policy asks for nothing.
        found = requests.requirements(
            GuestRequest.of(img_hv_type='qemu'), NOTHING
        )
        self.assertEqual(frozenset(), found.capabilities)

    def test_flavor_is_judged_when_image_is_of_another_kind(self):
        found = self.requirements(
            img_hv_type='vmware', extra_specs={'hvfilter:iommu': 'required'}
        )
        self.assertEqual([('iommu', 'required', 'flavor')], said(found))

    def test_image_traits_of_ours_are_taken(self):
        found = self.requirements(
            image_traits={
                'CUSTOM_HVFILTER_NESTED': 'required',
                'HW_CPU_X86_VMX': 'required',
            }
        )
        self.assertIn(('nested', 'required', 'image'), said(found))
        self.assertEqual(
            'trait:CUSTOM_HVFILTER_NESTED=required', found.items[0].words
        )
        self.assertEqual(2, len(found.items))

    def test_architecture_matters_when_kvm_is_required(self):
        found = self.requirements(hw_architecture='aarch64')
        self.assertEqual('aarch64', found.architecture)
        found = requests.requirements(
            GuestRequest.of(
                {'hvfilter:kvm': 'required'}, hw_architecture='aarch64'
            ),
            NOTHING,
        )
        self.assertEqual('aarch64', found.architecture)

    def test_architecture_does_not_matter_when_kvm_is_not_required(self):
        for specs in (
            {'hvfilter:kvm': 'forbidden'},
            {'hvfilter:kvm': 'preferred'},
            {'hvfilter:iommu': 'required'},
            {'hvfilter:vtx': 'required'},
        ):
            found = requests.requirements(
                GuestRequest.of(specs, hw_architecture='aarch64'), NOTHING
            )
            self.assertIsNone(found.architecture, specs)

    def test_architecture_is_that_of_emulation_when_image_has_both(self):
        found = self.requirements(
            hw_architecture='x86_64', emulation_architecture='aarch64'
        )
        self.assertEqual('aarch64', found.architecture)


class RebuildTest(testtools.TestCase):
    ASKED = GuestRequest.of(
        {'hvfilter:nested': 'required', 'hvfilter:x': 'y'},
        {'CUSTOM_HVFILTER_SLAT': 'required'},
        'kvm',
        'x86_64',
    )

    def test_policy_counts_unless_the_flavor_goes_instead(self):
        for specs, expected in (
            ({}, [('kvm', 'required', 'policy')]),
            ({'hvfilter:kvm': 'forbidden'}, []),
            (
                {'hvfilter:kvm': 'preferred'},
                [('kvm', 'required', 'policy')],
            ),
        ):
            found = requests.image_requirements(GuestRequest.of(specs), KVM)
            self.assertEqual(expected, said(found), specs)

    def test_what_kvm_guests_get_counts_when_image_allows_emulation(self):
        specs = {
            'hvfilter:nested': 'required',
            'hvfilter:vtx': 'required',
            'hvfilter:sev': 'forbidden',
        }
        for emulation, expected in (
            ('', [('kvm', 'required', 'policy')]),
            (
                'aarch64',
                [
                    ('nested', 'required', 'flavor'),
                    ('kvm', 'required', 'policy'),
                ],
            ),
        ):
            guest_request = GuestRequest.of(
                specs, emulation_architecture=emulation
            )
            found = requests.image_requirements(guest_request, KVM)
            self.assertEqual(expected, said(found), emulation)

    def test_only_the_image_counts_when_rebuilt(self):
        found = requests.image_requirements(self.ASKED, KVM)
        self.assertEqual(
            [('slat', 'required', 'image'), ('kvm', 'required', 'image')],
            said(found),
        )
        self.assertEqual((), found.invalid)
        self.assertEqual('x86_64', found.architecture)
        self.assertTrue(found.in_place)


class AskedTest(testtools.TestCase):
    def test_explicit_when_flavor_or_image_speak_of_us(self):
        nested = {'hvfilter:nested': 'required'}
        slat = {'CUSTOM_HVFILTER_SLAT': 'required'}
        self.assertTrue(GuestRequest.of(nested).explicit)
        self.assertTrue(GuestRequest.of(image_traits=slat).explicit)
        self.assertTrue(GuestRequest.of(nested, slat).explicit)
        self.assertFalse(
            GuestRequest.of({'hw:x': 'y'}, {'HW_X': 'y'}).explicit
        )
        self.assertFalse(GuestRequest.of(img_hv_type='kvm').explicit)

    def test_nothing_is_asked_when_nothing_is_said(self):
        self.assertEqual(GuestRequest(), GuestRequest.of())
        self.assertEqual(
            GuestRequest(), GuestRequest.of(emulation_architecture='')
        )


class AnythingTest(testtools.TestCase):
    @given(
        st.dictionaries(WORDS, WORDS, max_size=6),
        st.dictionaries(WORDS, WORDS, max_size=6),
        st.none() | WORDS,
        st.sampled_from([NOTHING, KVM]),
    )
    def test_never_raises_and_never_ignores_words_of_ours(
        self, specs, traits, hv_type, policy
    ):
        guest_request = GuestRequest.of(specs, traits, hv_type)
        self.assertEqual(
            guest_request,
            GuestRequest.of(
                dict(guest_request.extra_specs),
                dict(guest_request.image_traits),
                hv_type,
            ),
        )
        found = requests.requirements(guest_request, policy)
        mine = [name for name in specs if name.startswith('hvfilter:')]
        from_flavor = [
            part
            for part in (*found.items, *found.invalid)
            if part.origin is Origin.FLAVOR and part.words.startswith('hvf')
        ]
        self.assertEqual(bool(mine), bool(from_flavor))
        for item in found.items:
            if item.origin is Origin.POLICY:
                self.assertIs(Demand.REQUIRED, item.demand)
