# SPDX-License-Identifier: Apache-2.0

import os
from pathlib import Path

import fixtures
import testtools
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hvfilter.conf import agent
from hvfilter.model.catalogue import STATE_TRAITS, UNKNOWN_TRAITS
from hvfilter.model.nested_registers import Registers
from hvfilter.model.problem import Problem
from hvfilter.publish import base, bounded_yaml, provider_config
from hvfilter.publish.provider_config import Content
from hvfilter.rules.traits import DesiredTraits
from tests.fakes import reports

KVM = 'CUSTOM_HVFILTER_KVM'
EPT = 'CUSTOM_HVFILTER_EPT'
MARKER = 'CUSTOM_HVFILTER_REPORTED'
UUID = '6b8d6a2e-4f0b-4c86-9d4f-0e6f7f0f1c11'

names = st.frozensets(st.sampled_from(sorted(STATE_TRAITS)))


class ContentTest(testtools.TestCase):
    @given(names, names)
    def test_content_when_written_and_read(self, traits, left_behind):
        content = Content(traits | {MARKER}, left_behind)
        text = provider_config.render(content)
        self.assertEqual(
            content, provider_config.parse(text.encode(), Path('x'))
        )

    @given(names, names, names, names, st.none() | names)
    def test_merge_when_anything_is_wanted(
        self, old, left_behind, present, absent, removed
    ):
        desired = DesiredTraits(present | UNKNOWN_TRAITS, absent - present)
        new = provider_config.merge(
            Content(old, left_behind), desired, removed=removed
        )
        self.assertEqual(desired.applied_to(old) - UNKNOWN_TRAITS, new.traits)
        gone = old | (left_behind if removed is None else removed)
        self.assertEqual(gone - new.traits, new.left_behind)


class PublisherTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = Path(self.useFixture(fixtures.TempDir()).path)
        self.path = self.folder / 'hvfilter.yaml'
        conf = agent.load([])
        conf.set_override('provider_config_file', str(self.path), 'hvfilter')
        self.conf = conf
        self.publisher = provider_config.ProviderConfigPublisher(conf)

    def publish(self, present=(), absent=(), **more):
        return self.publisher.publish(reports.context(present, absent, **more))

    def traits(self):
        document = yaml.safe_load(self.path.read_text())
        return set(document['providers'][0]['traits']['additional'])

    def test_publish_when_new(self):
        outcome = self.publish(['kvm', 'ept'])
        self.assertEqual({KVM, EPT, MARKER}, self.traits())
        self.assertEqual(frozenset({KVM, EPT, MARKER}), outcome.added)
        self.assertIn('Restart nova-compute', ' '.join(outcome.notes))
        self.assertEqual(0o644, self.path.stat().st_mode & 0o777)

    def test_publish_when_nothing_is_known(self):
        """An array without a name in it: nova-compute refuses null."""
        self.publish()
        self.assertEqual(set(), self.traits())
        self.assertIn('additional: []\n', self.path.read_text())
        self.assertFalse(self.publish().changed)

    def test_publish_when_mode_is_configured(self):
        self.conf.set_override('provider_config_mode', '0640', 'hvfilter')
        self.publish(['kvm'])
        self.assertEqual(0o640, self.path.stat().st_mode & 0o777)

    def test_publish_when_nothing_changed(self):
        self.publish(['kvm'])
        inode = self.path.stat().st_ino
        outcome = self.publish(['kvm'])
        self.assertFalse(outcome.changed)
        self.assertEqual((), outcome.notes)
        self.assertEqual(inode, self.path.stat().st_ino)

    def test_publish_when_unknown(self):
        self.publish(['kvm', 'ept'])
        outcome = self.publish()
        self.assertFalse(outcome.changed)
        self.assertEqual({KVM, EPT, MARKER}, self.traits())

    def test_publish_when_lost(self):
        self.publish(['kvm', 'ept'])
        outcome = self.publish(['kvm'], ['ept'])
        self.assertEqual({KVM, MARKER}, self.traits())
        self.assertEqual(frozenset({EPT}), outcome.removed)
        told = ' '.join(outcome.notes)
        for word in (EPT, 'Restart', '--to placement', 'trait set'):
            self.assertIn(word, told)
        # It is told until somebody has seen to it.
        again = self.publish(['kvm'], ['ept'])
        self.assertFalse(again.changed)
        self.assertIn(EPT, ' '.join(again.notes))
        self.assertEqual(frozenset({EPT}), again.returning)
        # It had to be removed again: nova-compute adds what it read.
        gone = frozenset({EPT})
        holding = (base.Outcome('placement', 'x', removed=gone),)
        again = self.publish(['kvm'], ['ept'], previous=holding)
        self.assertIn(EPT, ' '.join(again.notes))
        self.assertEqual(gone, again.returning)
        clean = (base.Outcome('placement', 'x'),)
        again = self.publish(['kvm'], ['ept'], previous=clean)
        self.assertEqual((), again.notes)
        self.assertTrue(again.settled)
        self.assertEqual((), self.publish(['kvm'], ['ept']).notes)
        # And once more, after all: it was not restarted.
        again = self.publish(['kvm'], ['ept'], previous=holding)
        self.assertEqual(gone, again.returning)

    def test_publish_when_nested_set_changes(self):
        one, other = Registers.svm(0x21), Registers.svm(0x61)
        self.publish(['nested'], nested_set=one)
        self.assertIn(one.trait, self.traits())
        outcome = self.publish(['nested'], nested_set=other)
        self.assertIn(other.trait, self.traits())
        self.assertNotIn(one.trait, self.traits())
        # nova-compute adds it until it is restarted.
        self.assertEqual(frozenset({one.trait}), outcome.returning)
        gone = (base.Outcome('placement', 'x', removed=outcome.returning),)
        more = {'nested_set': other, 'previous': gone}
        again = self.publish(['nested'], **more)
        self.assertEqual(frozenset({one.trait}), again.returning)
        clean = (base.Outcome('placement', 'x'),)
        more = {'nested_set': other, 'previous': clean}
        self.assertTrue(self.publish(['nested'], **more).settled)

    def test_publish_when_there_was_no_file(self):
        """nova-compute cannot have read it."""
        gone = (base.Outcome('placement', 'x', removed=frozenset({EPT})),)
        outcome = self.publish(['kvm'], ['ept'], previous=gone)
        self.assertEqual(frozenset(), outcome.returning)

    def test_publish_when_unknown_for_too_long(self):
        self.publish(['kvm', 'ept'], week='2026W48')
        outcome = self.publish(['kvm'], week='2026W49')
        self.assertEqual(frozenset({EPT}), outcome.unverified)
        self.assertEqual({KVM, EPT, MARKER}, self.traits())
        self.assertFalse(self.publish(['kvm'], week='2026W51').changed)
        outcome = self.publish(['kvm'], week='2026W52')
        self.assertEqual({KVM, MARKER}, self.traits())
        self.assertEqual(frozenset({EPT}), outcome.removed)
        self.assertNotIn('2026', self.path.read_text())

    def test_publish_when_nodes_are_ironics(self):
        self.conf.set_override('compute_driver', 'ironic.IronicDriver')
        failed = self.assertRaises(Problem, self.publish, ['kvm'])
        self.assertIn('Ironic', str(failed))
        self.assertFalse(self.path.exists())

    def test_publish_when_placement_failed_before(self):
        self.publish(['kvm', 'ept'])
        failed = (base.Outcome('placement', '', problem=Problem('x', 'y.')),)
        outcome = self.publish(['kvm'], ['ept'], previous=failed)
        self.assertIn(EPT, ' '.join(outcome.notes))

    def test_publish_when_found_again(self):
        self.publish(['kvm', 'ept'])
        self.publish(['kvm'], ['ept'])
        outcome = self.publish(['kvm', 'ept'])
        self.assertNotIn(EPT, ' '.join(outcome.notes))

    def test_preview_when_something_would_change(self):
        outcome = self.publisher.publish(
            reports.context(['kvm']), dry_run=True
        )
        self.assertTrue(outcome.changed)
        self.assertIn(KVM, outcome.content)
        self.assertFalse(self.path.exists())
        self.publish(['kvm'])
        self.assertEqual(outcome.content, self.path.read_text())

    def test_publish_when_file_is_somebody_elses(self):
        for text in (
            'meta: {schema_version: "1.0"}\nproviders: []\n',
            'not: [yaml\n',
            '',
            '[]',
            provider_config.render(Content(frozenset({KVM})))
            + '        - CUSTOM_GOLD\n',
            provider_config.render(Content(frozenset({KVM})))
            + '    inventories: {}\n',
        ):
            self.path.write_text(text)
            failed = self.assertRaises(Problem, self.publish, ['kvm'])
            self.assertIn(str(self.path), str(failed))
            self.assertEqual(text, self.path.read_text())

    def test_publish_when_another_file_is_about_every_node(self):
        other = self.folder / 'gold.yaml'
        other.write_text(provider_config.render(Content(frozenset({KVM}))))
        failed = self.assertRaises(Problem, self.publish, ['kvm'])
        self.assertIn(str(other), str(failed))
        self.assertFalse(self.path.exists())

    def test_publish_when_another_file_is_about_this_node(self):
        other = self.folder / 'gold.yaml'
        identity = base.Identity((('/x', f'{UUID}\n'),), ('node1',))
        for how in (f'uuid: {UUID.upper()}', 'name: node1'):
            other.write_text(
                'meta: {schema_version: "1.0"}\n'
                f'providers: [{{identification: {{{how}}}}}]\n'
            )
            self.assertRaises(
                Problem, self.publish, ['kvm'], identity=identity
            )
        other.write_text(
            'meta: {schema_version: "1.0"}\n'
            'providers: [{identification: {name: node2}}]\n'
        )
        self.publish(['kvm'], identity=identity)
        self.assertEqual({KVM, MARKER}, self.traits())

    def test_publish_when_another_file_is_broken(self):
        for text in (
            'a: [',
            'just text',
            'providers: 1',
            '',
            'meta: {created: 2026-13-01}\nproviders: []\n',
            'providers: [{identification: {uuid: [1]}}]',
        ):
            (self.folder / 'other.yaml').write_text(text)
            self.publish(['kvm'])

    def test_publish_when_another_file_cannot_be_read(self):
        other = self.folder / 'other.yaml'
        other.write_text('#' * (bounded_yaml.LIMIT + 1))
        failed = self.assertRaises(Problem, self.publish, ['kvm'])
        self.assertIn('other.yaml is larger than 256 KiB', str(failed))
        other.unlink()
        os.mkfifo(other)
        failed = self.assertRaises(Problem, self.publish, ['kvm'])
        self.assertIn('Cannot read', str(failed))

    def test_publish_when_name_is_not_read(self):
        self.conf.set_override(
            'provider_config_file', str(self.folder / 'x.yml'), 'hvfilter'
        )
        failed = self.assertRaises(Problem, self.publish, ['kvm'])
        self.assertIn('.yaml', str(failed))

    def test_withdraw_when_published(self):
        self.publish(['kvm'])
        told = self.publisher.withdraw(base.Identity(), dry_run=True)
        self.assertTrue(self.path.exists())
        done = self.publisher.withdraw(base.Identity())
        self.assertFalse(self.path.exists())
        self.assertEqual(told, done)
        self.assertEqual(frozenset({KVM, MARKER}), done.removed)
        self.assertEqual(done.removed, done.returning)
        self.assertIn(KVM, ' '.join(done.notes))
        again = self.publisher.withdraw(base.Identity())
        self.assertFalse(again.changed)
