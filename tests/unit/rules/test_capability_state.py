# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.model import catalogue
from hvfilter.rules import capability_state, infer, nova_evidence
from hvfilter.rules.capability_state import CapabilityState

MARKER = catalogue.REPORTED_TRAIT
NESTED = catalogue.BY_KEY['nested'].trait
UNKNOWN = catalogue.BY_KEY['nested'].unknown_trait


class TestCapabilityState(testtools.TestCase):
    def assert_nested(self, expected, *names, **more):
        known = capability_state.advertised(frozenset(names), **more)
        self.assertIs(expected, capability_state.state_of('nested', known))

    def test_each_state(self):
        self.assert_nested(CapabilityState.HAS, NESTED, MARKER)
        self.assert_nested(CapabilityState.LACKS, MARKER)
        self.assert_nested(CapabilityState.UNKNOWN, MARKER, UNKNOWN)
        self.assert_nested(CapabilityState.UNREPORTED)
        self.assert_nested(
            CapabilityState.STALE, NESTED, MARKER, expired='2026W40'
        )

    def test_what_is_carried_counts_more_than_what_is_not_known(self):
        self.assert_nested(CapabilityState.HAS, NESTED, UNKNOWN, MARKER)

    def test_host_without_kvm_lacks_what_nobody_reports(self):
        facts = infer.HostFacts(kvm_host=False)
        self.assert_nested(CapabilityState.LACKS, facts=facts)

    def test_nothing_is_inferred_when_a_host_never_reported(self):
        facts = infer.HostFacts(vendor='AMD', machine='x86_64')
        known = capability_state.advertised(frozenset(), facts=facts)
        self.assertEqual(
            {CapabilityState.UNREPORTED},
            {
                capability_state.state_of(key, known)
                for key in catalogue.BY_KEY
            },
        )


class TestNovaEvidence(testtools.TestCase):
    def seen(self, key, vendor='Intel', flags=(), names=(), virtual=False):
        facts = infer.HostFacts(
            machine='x86_64', vendor=vendor, virtual=virtual
        )
        return nova_evidence.observations(
            key, facts, frozenset(flags), frozenset(names)
        )

    def contradiction(self, key, seen, *names, facts=None):
        names = frozenset({MARKER, *names})
        known = capability_state.advertised(names, facts=facts)
        state = capability_state.state_of(key, known)
        return nova_evidence.contradiction(key, known, state, seen)

    def test_what_nova_shows(self):
        self.assertEqual(
            ('cpu_info: vmx',), self.seen('vtx', flags=['vmx', 'sse'])
        )
        self.assertEqual(
            ('HW_CPU_X86_SVM',),
            self.seen('nested', names=['HW_CPU_X86_SVM', 'CUSTOM_X']),
        )
        self.assertEqual(('ruled out (AMD)',), self.seen('vtx', 'AMD'))
        self.assertEqual(
            ('cpu_info: hypervisor', 'ruled out (Intel)'),
            self.seen('bare_metal', virtual=True),
        )
        self.assertEqual((), self.seen('iommu'))

    def test_no_contradiction_when_both_say_the_same(self):
        self.assertEqual('', self.contradiction('nested', (), NESTED))
        self.assertEqual('', self.contradiction('nested', ()))
        self.assertEqual('', self.contradiction('vtx', ('ruled out (AMD)',)))
        self.assertEqual(
            '', self.contradiction('bare_metal', ('cpu_info: hypervisor',))
        )

    def test_contradiction_names_who_decides(self):
        for key, seen, words in (
            ('vtx', 'cpu_info: vmx', 'firmware or kernel'),
            ('nested', 'HW_CPU_X86_VMX', 'guests cannot use it'),
            ('sev', 'HW_CPU_X86_AMD_SEV', 'does not work'),
        ):
            self.assertIn(words, self.contradiction(key, (seen,)))
        facts = infer.HostFacts(machine='x86_64', vendor='AMD')
        trait = catalogue.BY_KEY['vtx'].trait
        self.assertIn(
            'counts it as missing',
            self.contradiction('vtx', (), trait, facts=facts),
        )
