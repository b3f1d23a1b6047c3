# SPDX-License-Identifier: Apache-2.0

import json

import testtools
from hypothesis import given
from hypothesis import strategies as st

from hvfilter.model import catalogue
from hvfilter.model.policy import Policy, WhenUnknown
from hvfilter.rules import infer

KVM_GUESTS = [['x86_64', 'kvm', 'hvm'], ['x86_64', 'qemu', 'hvm']]
TCG_GUESTS = [['x86_64', 'qemu', 'hvm'], ['aarch64', 'qemu', 'hvm']]

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(['arch', 'vendor', 'features', 'model']), inner
        )
    ),
    max_leaves=9,
)


def cpu_info(**told):
    return json.dumps({'arch': 'x86_64', 'features': ['vmx'], **told})


INTELS = {
    'vtx',
    'ept',
    'unrestricted_guest',
    'vpid',
    'apicv',
    'posted_interrupts',
    'shadow_vmcs',
    'pml',
    'mbec',
    'tdx',
}
AMDS = {
    'amdv',
    'npt',
    'avic',
    'x2avic',
    'vgif',
    'vls',
    'vnmi',
    'lbrv',
    'nrips',
    'sev',
    'sev_es',
    'sev_snp',
}
"""As the manuals have them; said once more, so that none can go missing."""


class VendorTest(testtools.TestCase):
    def test_processor_of_one_vendor_has_nothing_of_the_other(self):
        everywhere = infer.absent(infer.HostFacts(machine='x86_64'))
        for vendor, gone in (
            ('Intel', AMDS),
            ('AMD', INTELS),
            ('Hygon', INTELS),
            ('', set()),
            ('Centaur', set()),
        ):
            found = infer.absent(
                infer.HostFacts(machine='x86_64', vendor=vendor)
            )
            missing = gone - (found - everywhere)
            self.assertEqual(set(), missing, vendor)
        for row in catalogue.CATALOGUE:
            for vendor, maker in (
                ('Intel', catalogue.Vendor.INTEL),
                ('AMD', catalogue.Vendor.AMD),
                ('Hygon', catalogue.Vendor.AMD),
            ):
                facts = infer.HostFacts(machine='x86_64', vendor=vendor)
                self.assertEqual(
                    maker not in row.vendors
                    or catalogue.Arch.X86 not in row.archs,
                    row.key in infer.absent(facts),
                    (vendor, row.key),
                )


class ReadingTest(testtools.TestCase):
    def test_processor_is_read_when_libvirt_wrote_it(self):
        found = infer.processor(
            cpu_info(vendor='Intel', features=['vmx', 'hypervisor'])
        )
        self.assertEqual(infer.Processor('x86_64', 'Intel', True), found)

    def test_processor_says_nothing_when_nothing_is_told(self):
        found = infer.Processor()
        self.assertEqual(('', ''), (found.machine, found.vendor))
        self.assertIs(False, found.virtual)

    def test_processor_is_unknown_when_garbage(self):
        for garbage in (
            None,
            '',
            '{',
            '[]',
            '"x"',
            'null',
            '[' * 100_000,
            '{"arch": 5, "vendor": [], "features": "hypervisor"}',
            7,
            b'{}',
            {'arch': 'x86_64'},
            ' ' * (2 << 20),
        ):
            self.assertEqual(infer.Processor(), infer.processor(garbage))

    def test_processor_is_read_when_as_long_as_makes_sense(self):
        told = cpu_info(vendor='AMD')
        longest = told.ljust(1 << 20)
        self.assertEqual('AMD', infer.processor(longest).vendor)
        self.assertEqual('', infer.processor(longest + ' ').vendor)

    def test_native_architectures_are_those_with_kvm(self):
        # As they come from Nova's database.
        told = json.loads(json.dumps(KVM_GUESTS))
        self.assertEqual({'x86_64'}, infer.native(told))
        told.append(['i686', 'hyperv', 'hvm'])
        self.assertEqual({'x86_64'}, infer.native(told))
        self.assertEqual(frozenset(), infer.native(TCG_GUESTS))

    def test_native_architectures_are_unknown_when_garbage(self):
        for garbage in (
            None,
            [],
            'kvm',
            {},
            [None, 'kvm', ['x86_64', 'kvm']],
            [['x86_64', 'kvm', 'hvm', 'more']],
        ):
            self.assertIsNone(infer.native(garbage))

    def test_qemu_and_the_unknown_may_use_kvm(self):
        for hypervisor in ('QEMU', 'KVM', 'qemu', '', None):
            self.assertTrue(infer.may_use_kvm(hypervisor), hypervisor)
        for hypervisor in (
            'VMware vCenter Server',
            'ironic',
            'LXC',
            'Parallels',
            'zvm',
            'fake',
            'hyperv',
        ):
            self.assertFalse(infer.may_use_kvm(hypervisor), hypervisor)

    @given(ANYTHING, ANYTHING, ANYTHING)
    def test_never_raises(self, info, guests, hypervisor):
        for text in (info, json.dumps(info)):
            found = infer.processor(text)
            infer.absent(
                infer.HostFacts(
                    infer.may_use_kvm(hypervisor),
                    found.machine,
                    found.vendor,
                    found.virtual,
                    infer.native(guests),
                    infer.emulates(guests),
                )
            )


class AbsentTest(testtools.TestCase):
    def test_nothing_is_absent_when_nothing_is_known(self):
        self.assertEqual(frozenset(), infer.absent(infer.HostFacts()))

    def test_x86_only_is_absent_when_arm(self):
        gone = infer.absent(infer.HostFacts(machine='aarch64'))
        self.assertIn('vtx', gone)
        self.assertIn('avic', gone)
        self.assertNotIn('nested', gone)
        self.assertNotIn('kvm', gone)

    def test_amd_only_is_absent_when_intel_and_the_other_way_round(self):
        intel = infer.absent(infer.HostFacts(machine='x86_64', vendor='Intel'))
        amd = infer.absent(infer.HostFacts(machine='x86_64', vendor='AMD'))
        hygon = infer.absent(infer.HostFacts(vendor='Hygon'))
        self.assertTrue({'amdv', 'npt', 'avic', 'sev', 'vti'} <= intel)
        self.assertTrue({'vtx', 'ept', 'vpid', 'tdx', 'vti'} <= amd)
        self.assertFalse({'vtx', 'ept', 'tsc_scaling', 'kvm'} & intel)
        self.assertFalse({'amdv', 'npt', 'tsc_scaling', 'kvm'} & amd)
        self.assertIn('vtx', hygon)

    def test_bare_metal_is_absent_when_processor_says_virtual(self):
        gone = infer.absent(infer.HostFacts(virtual=True))
        self.assertEqual({'bare_metal'}, gone)

    def test_what_nova_starts_is_absent_when_libvirt_offers_no_kvm(self):
        gone = infer.absent(infer.HostFacts(native=frozenset()))
        self.assertEqual(
            {
                'kvm',
                'nested',
                'nested_slat',
                'secure_execution',
                'sev',
                'sev_es',
                'sev_snp',
                'tdx',
            },
            gone,
        )

    def test_tcg_is_absent_when_libvirt_offers_only_kvm(self):
        kvm_only = [['x86_64', 'kvm', 'hvm']]
        self.assertIs(False, infer.emulates(kvm_only))
        self.assertIs(True, infer.emulates(KVM_GUESTS))
        for garbage in (None, [], 'qemu', [['qemu']]):
            self.assertIsNone(infer.emulates(garbage))
        facts = infer.HostFacts(emulates=False)
        self.assertEqual({'tcg'}, infer.absent(facts))
        self.assertEqual(
            frozenset(), infer.absent(infer.HostFacts(emulates=True))
        )

    def test_kvm_is_not_taken_for_granted_when_libvirt_offers_it(self):
        facts = infer.HostFacts(native=frozenset({'x86_64'}))
        self.assertEqual(frozenset(), infer.absent(facts))


class HostCapabilitiesTest(testtools.TestCase):
    ALL = frozenset(catalogue.BY_KEY)

    def advertised(self, *args, policy=None, facts=None, **more):
        return infer.advertised(
            *args, facts or infer.HostFacts(), policy or Policy(), **more
        )

    def test_all_is_decided_when_host_reported(self):
        found = self.advertised({'kvm'}, True)
        self.assertEqual(frozenset(), found.undecided)
        self.assertFalse(found.unreachable)

    def test_what_placement_was_not_asked_is_undecided(self):
        found = self.advertised(
            {'kvm'}, True, unanswered=frozenset({'nested'})
        )
        self.assertEqual({'nested'}, found.undecided)
        self.assertFalse(found.unreachable)

    def test_all_else_is_undecided_when_host_did_not_report(self):
        found = self.advertised({'nested'}, False)
        self.assertEqual(self.ALL - {'nested'}, found.undecided)
        self.assertFalse(found.unreachable)

    def test_absent_is_decided_only_when_inferring(self):
        facts = infer.HostFacts(native=frozenset())
        for ignorance, undecided in (
            (WhenUnknown.INFER, False),
            (WhenUnknown.ACCEPT, True),
            (WhenUnknown.REJECT, True),
        ):
            policy = Policy(unreported=ignorance)
            found = self.advertised((), False, facts=facts, policy=policy)
            self.assertEqual(undecided, 'kvm' in found.undecided)

    def test_nothing_is_known_when_placement_is_out_of_reach(self):
        found = self.advertised(None, False)
        self.assertEqual(self.ALL, found.undecided)
        self.assertTrue(found.unreachable)

    def test_ignorance_of_each_kind_is_treated_as_the_policy_says(self):
        """Placement's silence on a reporter, and the silence of others."""
        facts = infer.HostFacts(native=frozenset())
        nested = frozenset({'nested'})
        for unreachable, unreported in (
            (WhenUnknown.INFER, WhenUnknown.ACCEPT),
            (WhenUnknown.ACCEPT, WhenUnknown.INFER),
        ):
            policy = Policy(unreachable=unreachable, unreported=unreported)
            for capabilities, reported, ignorance in (
                ((), True, unreachable),
                ((), False, unreported),
                (None, False, unreachable),
            ):
                found = self.advertised(
                    capabilities,
                    reported,
                    facts=facts,
                    policy=policy,
                    unanswered=nested,
                )
                inferred = ignorance is WhenUnknown.INFER
                self.assertEqual(inferred, 'nested' not in found.undecided)

    def test_what_is_known_otherwise_is_handed_on(self):
        facts = infer.HostFacts(native=frozenset({'x86_64'}))
        for reported in (True, False):
            found = self.advertised({'kvm'}, reported, facts=facts)
            self.assertIs(reported, found.reported)
            self.assertEqual(facts.native, found.native)
            self.assertTrue(found.kvm_host)

    def test_trait_does_not_count_when_host_state_rules_it_out(self):
        facts = infer.HostFacts(native=frozenset(), vendor='AMD')
        for reported in (True, False):
            found = self.advertised(
                {'kvm', 'vtx', 'slat'}, reported, facts=facts
            )
            self.assertEqual({'kvm', 'vtx'}, found.denied)
            self.assertNotIn('kvm', found.undecided)

    def test_what_the_host_reported_as_unknown_is_undecided(self):
        unknown = {'nested', 'slat', 'kvm'}
        found = self.advertised({'kvm'}, True, unknown=unknown)
        self.assertEqual({'nested', 'slat'}, found.undecided)
        self.assertEqual({'nested', 'slat'}, found.unknown)
        # What Placement did not answer is its silence, whatever was reported.
        found = self.advertised(
            {'kvm'}, True, unknown=unknown, unanswered=frozenset({'slat'})
        )
        self.assertEqual({'nested', 'slat'}, found.undecided)
        self.assertEqual({'nested'}, found.unknown)
        found = self.advertised((), False, unknown=unknown)
        self.assertEqual(unknown, found.unknown)

    def test_unknown_is_inferred_as_the_policy_says(self):
        facts = infer.HostFacts(machine='aarch64')
        for ignorance, undecided in (
            (WhenUnknown.INFER, False),
            (WhenUnknown.ACCEPT, True),
        ):
            policy = Policy(unreported=ignorance)
            found = self.advertised(
                (), True, unknown={'vtx'}, facts=facts, policy=policy
            )
            self.assertEqual(undecided, 'vtx' in found.undecided)
            self.assertEqual(found.undecided, found.unknown)

    def test_all_is_decided_when_host_has_no_kvm(self):
        facts = infer.HostFacts(kvm_host=False)
        found = self.advertised((), False, facts=facts)
        self.assertEqual(frozenset(), found.undecided)
        self.assertFalse(found.kvm_host)


class KnownFromTheTypeTest(testtools.TestCase):
    """What Nova's API leaves to conclude."""

    def test_guests_under_kvm_at_most(self):
        for machine, expected in (
            ('', None),
            ('x86_64', {'x86_64', 'i686'}),
            ('aarch64', {'aarch64', 'armv7l'}),
            ('riscv64', {'riscv64'}),
        ):
            self.assertEqual(expected, infer.native_at_most(machine), machine)

    def test_values_of_img_hv_type(self):
        for kind, expected in (
            ('QEMU', {'kvm', 'qemu'}),
            ('', {'kvm', 'qemu'}),
            ('VMware vCenter Server', {'vmware'}),
            ('LXC', {'lxc'}),
            ('ironic', {'ironic', 'baremetal'}),
        ):
            self.assertEqual(expected, infer.guest_types(kind), kind)
