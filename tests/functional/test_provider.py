# SPDX-License-Identifier: Apache-2.0
"""What Placement says of a host although something else interferes."""

from __future__ import annotations

import pathlib

import fixtures
from oslo_config import cfg

from hvfilter.model.finding import HostReport
from hvfilter.model.problem import Problem
from hvfilter.model.week import Week
from hvfilter.publish.base import Identity, Outcome, PublishContext
from hvfilter.publish.placement import PlacementPublisher
from hvfilter.publish.provider_config import ProviderConfigPublisher
from hvfilter.rules.traits import desired
from tests.functional import findings, landing

NESTED = {'hvfilter:nested': 'required'}
TRAIT = 'CUSTOM_HVFILTER_NESTED'
NO_NESTING = findings.INTEL - {'nested', 'nested_slat'}
WEEK = Week.parse('2026W48')


def context(
    report: HostReport,
    identity: Identity | None = None,
    previous: tuple[Outcome, ...] = (),
) -> PublishContext:
    """The time to publish a report."""
    return PublishContext(
        report,
        desired(report, WEEK, 2),
        identity or Identity(),
        0.0,
        0.0,
        previous=previous,
    )


class ProviderYamlTest(landing.LandingTestCase):
    """nova-compute was given a file, and adds what it read ever again."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.path = self.folder / 'hvfilter.yaml'
        self.conf = self.agent_conf('intel')
        # No week is asked for by the scheduler here: it would be another.
        self.flags(report_max_age_weeks=0, group='hvfilter')
        self.configure('placement')
        self.write(findings.INTEL)
        self.flags(provider_config_location=str(self.folder), group='compute')
        self.restart_compute('intel')
        self.refresh_computes()

    def configure(self, *publishers: str) -> None:
        for name, value, group in (
            ('publishers', list(publishers), 'hvfilter'),
            ('provider_config_file', str(self.path), 'hvfilter'),
            ('provider_config_location', str(self.folder), 'compute'),
        ):
            self.conf.set_override(name, value, group)

    def write(self, present: frozenset[str], *previous: Outcome) -> Outcome:
        return ProviderConfigPublisher(self.conf).publish(
            context(findings.report(present), previous=previous)
        )

    def publish_traits(self, present: frozenset[str]) -> Outcome:
        return PlacementPublisher(self.conf).publish(
            context(findings.report(present))
        )

    def withdraw(self) -> Outcome:
        return PlacementPublisher(self.conf).withdraw(Identity())

    def test_publish_when_file_was_left_behind(self) -> None:
        for _ in range(2):
            outcome = self.publish_traits(NO_NESTING)
            self.assertIn(TRAIT, outcome.removed)
            self.assertIn(TRAIT, outcome.returning)
            self.assertIn(str(self.path), ' '.join(outcome.notes))
            self.refresh_computes()
            self.assertIn(TRAIT, self.traits('intel'))
        # The file is gone; nova-compute still holds it.
        self.path.unlink()
        outcome = self.publish_traits(NO_NESTING)
        self.assertIn(TRAIT, outcome.returning)
        self.assertIn('restart nova-compute', ' '.join(outcome.notes))
        self.refresh_computes()
        self.assertIn(TRAIT, self.publish_traits(NO_NESTING).returning)
        self.restart_compute('intel')
        self.refresh_computes()
        outcome = self.publish_traits(NO_NESTING)
        self.assertTrue(outcome.settled, outcome)
        self.assertEqual((), outcome.notes)
        self.restart_scheduler()
        server = self.boot(self.flavor(**NESTED))
        self.assertEqual('amd', self.host_of(server))

    def test_both_when_nova_compute_is_not_restarted(self) -> None:
        self.configure('placement', 'provider-config')
        for _ in range(3):
            first = self.publish_traits(NO_NESTING)
            self.assertIn(TRAIT, first.removed)
            second = self.write(NO_NESTING, first)
            self.assertIn(TRAIT, second.returning)
            self.assertIn('Restart nova-compute', ' '.join(second.notes))
            self.refresh_computes()
        self.restart_compute('intel')
        self.publish_traits(NO_NESTING)
        self.refresh_computes()
        first = self.publish_traits(NO_NESTING)
        second = self.write(NO_NESTING, first)
        self.assertTrue(first.settled, first)
        self.assertTrue(second.settled, second)

    def test_withdraw_when_nova_compute_holds_a_file(self) -> None:
        self.publish_traits(findings.INTEL)
        outcome = self.withdraw()
        self.assertIn(TRAIT, outcome.returning)
        self.refresh_computes()
        self.assertIn(TRAIT, self.traits('intel'))
        # The file is gone; nova-compute still holds it.
        self.path.unlink()
        for _ in range(2):
            outcome = self.withdraw()
            self.assertIn(TRAIT, outcome.removed)
            self.assertIn('no week of a report', ' '.join(outcome.notes))
            self.refresh_computes()
            self.assertIn(TRAIT, self.traits('intel'))
        self.restart_compute('intel')
        self.assertTrue(self.withdraw().settled)
        self.refresh_computes()
        outcome = self.withdraw()
        self.assertFalse(outcome.changed)
        self.assertTrue(outcome.settled)


class WhoseTest(landing.LandingTestCase):
    """Which provider is this host's."""

    def agent(self, host: str, **options: object) -> cfg.ConfigOpts:
        conf = self.agent_conf(host)
        conf.set_override('provider_name', None, 'hvfilter')
        for name, value in options.items():
            conf.set_override(name, value)
        return conf

    def test_publish_when_compute_id_was_cloned(self) -> None:
        path = '/var/lib/nova/compute_id'
        clone = Identity(((path, self.provider('flat')),), ('clone7',))
        before = self.traits('flat')
        failed = self.assertRaises(
            Problem,
            PlacementPublisher(self.agent('flat')).publish,
            context(findings.report(findings.INTEL), clone),
        )
        for word in ('flat', 'clone7', path, self.provider('flat')):
            self.assertIn(word, str(failed))
        self.assertEqual(before, self.traits('flat'))
        # Its own compute_id is as good as ever.
        own = Identity(((path, self.provider('flat')),), ('flat',))
        outcome = PlacementPublisher(self.agent('flat')).publish(
            context(findings.report(NO_NESTING), own)
        )
        self.assertTrue(outcome.settled)

    def test_publish_when_host_was_installed_anew(self) -> None:
        new = '0e3c2e0e-9d3b-4e52-8f0b-2d1f5a2f7a55'
        failed = self.assertRaises(
            Problem,
            PlacementPublisher(self.agent('flat')).publish,
            context(
                findings.report(findings.INTEL),
                Identity((('/x/compute_id', new),), ('flat.example', 'flat')),
            ),
        )
        for word in (new, 'flat', self.provider('flat'), '/x/compute_id'):
            self.assertIn(word, str(failed))

    def test_publish_when_an_orphan_has_the_other_name(self) -> None:
        self.placement.post(
            '/resource_providers', {'name': 'flat.example'}, version='1.6'
        )
        identity = Identity((), ('flat.example', 'flat'))
        failed = self.assertRaises(
            Problem,
            PlacementPublisher(self.agent('flat')).publish,
            context(findings.report(findings.INTEL), identity),
        )
        for word in ('flat.example', 'flat (', 'provider_name'):
            self.assertIn(word, str(failed))

    def test_provider_config_when_nodes_are_ironics(self) -> None:
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        conf = self.agent('intel', compute_driver='ironic.IronicDriver')
        conf.set_override(
            'provider_config_file', str(folder / 'hvfilter.yaml'), 'hvfilter'
        )
        for publisher in (ProviderConfigPublisher, PlacementPublisher):
            self.assertRaises(
                Problem,
                publisher(conf).publish,
                context(findings.report(findings.INTEL)),
            )
        self.assertEqual([], list(folder.iterdir()))
