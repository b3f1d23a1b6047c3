# SPDX-License-Identifier: Apache-2.0
"""Publishing beside everybody else who writes to a provider."""

import pathlib

from hvfilter.host import snapshot
from hvfilter.host.recorded import RecordedHost
from hvfilter.model.catalogue import OWN_TRAITS, REPORTED_TRAIT, own
from hvfilter.probes.host_report import probe_host
from tests.fakes.compute import ComputeHost
from tests.fakes.placement import writes_traits
from tests.functional import base, findings
from tests.recordings import changed, tables

NESTED = 'CUSTOM_HVFILTER_NESTED'
FOREIGN = frozenset({'OWNER_NOVA', 'HW_CPU_X86_VMX', 'CUSTOM_GOLD'})
"""Nova's mark, a standard trait, somebody's custom one."""

RECORDING = pathlib.Path(__file__).parent.parent / 'hosts/intel-all-on.json'
PML = '/sys/module/kvm_intel/parameters/pml'


class ProviderTestCase(base.CloudTestCase):
    """One host; nova-compute runs, and keeps its own traits true."""

    extra_filters = ()

    def setUp(self) -> None:
        super().setUp()
        self.start_hosts(ComputeHost('node'))
        # Releases before 34 do not set it themselves.
        self.add_traits('node', 'OWNER_NOVA', 'CUSTOM_GOLD')
        self.before = self.traits('node')
        self.assertTrue(self.before >= FOREIGN)

    def own(self) -> frozenset[str]:
        return self.traits('node') & OWN_TRAITS

    def foreign(self) -> frozenset[str]:
        traits = self.traits('node')
        return traits - own(traits)

    def nova_goes_first(self) -> None:
        """Nova's inventory and traits change just before our PUT."""
        self.machines['node'].memory_mb += 1024
        self.machines['node'].traits |= {'HW_CPU_X86_AVX2'}
        self.refresh_computes()


class PublishTest(ProviderTestCase):
    """Nobody else writes meanwhile."""

    def test_first_publication_adds_ours_and_keeps_theirs(self) -> None:
        outcome = self.publish('node', findings.report(findings.INTEL))
        self.assertTrue(outcome.changed)
        self.assertIn(NESTED, self.own())
        self.assertIn(REPORTED_TRAIT, self.own())
        self.assertEqual(len(findings.INTEL) + 1, len(self.own()))
        self.assertEqual(self.before, self.foreign())

    def test_same_again_writes_nothing(self) -> None:
        report = findings.report(findings.INTEL)
        self.publish('node', report)
        generation = self.generation('node')
        self.assertFalse(self.publish('node', report).changed)
        self.assertEqual(generation, self.generation('node'))

    def test_lost_capability_takes_exactly_its_trait_away(self) -> None:
        self.publish('node', findings.report(findings.INTEL))
        full = self.traits('node')
        outcome = self.publish(
            'node', findings.report(findings.INTEL - {'nested'})
        )
        self.assertEqual({NESTED}, full - self.traits('node'))
        self.assertEqual(frozenset(), self.traits('node') - full)
        self.assertEqual({NESTED}, outcome.removed)

    def test_unknown_capability_leaves_its_trait_alone(self) -> None:
        self.publish('node', findings.report(findings.INTEL))
        full = self.traits('node')
        self.publish(
            'node',
            findings.report(
                findings.INTEL - {'nested'}, unknown=frozenset({'nested'})
            ),
        )
        unknown = {NESTED + '_UNKNOWN'}
        # And the week since which it is unknown.
        more = self.traits('node') - full
        self.assertEqual(unknown, more & OWN_TRAITS)
        self.assertEqual(set(), full - self.traits('node'))

    def test_trait_survives_when_nova_compute_refreshes(self) -> None:
        self.publish('node', findings.report(findings.INTEL))
        full = self.traits('node')
        self.refresh_computes()
        self.assertEqual(full, self.traits('node'))

    def test_trait_survives_when_nova_compute_restarts(self) -> None:
        self.publish('node', findings.report(findings.INTEL))
        full = self.traits('node')
        self.restart_compute('node')
        self.refresh_computes()
        self.assertEqual(full, self.traits('node'))


class SnapshotTest(ProviderTestCase):
    """From a host's snapshot, through all probes, to its provider."""

    def test_lost_capability_takes_exactly_its_trait_away(self) -> None:
        recorded = snapshot.loads(RECORDING.read_bytes())
        self.publish('node', probe_host(RecordedHost(recorded)))
        full = self.traits('node')
        self.assertIn('CUSTOM_HVFILTER_PML', full)
        without = changed(
            recorded, files={**tables(recorded).files, PML: b'N\n'}
        )
        self.gate.before(writes_traits, self.nova_goes_first)
        self.publish('node', probe_host(RecordedHost(without)))
        self.assertEqual(
            full - {'CUSTOM_HVFILTER_PML'} | {'HW_CPU_X86_AVX2'},
            self.traits('node'),
        )
        self.assertTrue(self.traits('node') >= FOREIGN)


class RaceTest(ProviderTestCase):
    """nova-compute writes between our reading and our writing."""

    def test_both_writers_are_right_when_nova_was_faster(self) -> None:
        self.gate.before(writes_traits, self.nova_goes_first)
        outcome = self.publish('node', findings.report(findings.INTEL))
        self.assertEqual(1, outcome.conflicts)
        self.assertEqual(self.before | {'HW_CPU_X86_AVX2'}, self.foreign())
        self.assertEqual(len(findings.INTEL) + 1, len(self.own()))

    def test_lost_capability_goes_when_nova_was_faster(self) -> None:
        self.publish('node', findings.report(findings.INTEL))
        full = self.traits('node')
        self.gate.before(writes_traits, self.nova_goes_first)
        outcome = self.publish(
            'node', findings.report(findings.INTEL - {'nested'})
        )
        self.assertEqual(1, outcome.conflicts)
        self.assertEqual(
            full - {NESTED} | {'HW_CPU_X86_AVX2'}, self.traits('node')
        )

    def test_nova_is_right_when_we_were_faster(self) -> None:
        report = findings.report(findings.INTEL)
        self.machines['node'].traits |= {'HW_CPU_X86_AVX2'}
        self.gate.before(writes_traits, lambda: self.publish('node', report))
        self.refresh_computes()
        # Nova meets a conflict, says so, and mends it at the next update.
        self.refresh_computes()
        self.assertEqual(self.before | {'HW_CPU_X86_AVX2'}, self.foreign())
        self.assertEqual(len(findings.INTEL) + 1, len(self.own()))
