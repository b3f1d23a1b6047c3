# SPDX-License-Identifier: Apache-2.0

import uuid
from pathlib import Path

import fixtures
import testtools

from hvfilter.conf import agent
from hvfilter.model import catalogue
from hvfilter.model.problem import Problem
from hvfilter.placement import connect, errors, keystone, reconcile
from hvfilter.publish import base, placement, provider_config
from tests.fakes import reports
from tests.fakes.transport import MemoryPlacement, answer

UUID = MemoryPlacement.UUID
OTHER = str(uuid.uuid4())
NAMES = base.Identity(names=('node1.example.org', 'node1'))


def conf(folder=None, text=''):
    if not text:
        return agent.load([])
    path = Path(folder) / 'hvfilter.conf'
    path.write_text(text)
    return agent.load([str(path)])


class ConfTestCase(testtools.TestCase):
    def conf(self, text=''):
        return conf(self.useFixture(fixtures.TempDir()).path, text)


class TargetTest(ConfTestCase):
    def target(self, identity=NAMES, text=''):
        return placement.provider_ref(self.conf(text), identity)

    def failure(self, identity=NAMES, text=''):
        return str(self.assertRaises(Problem, self.target, identity, text))

    def test_target_when_uuid_is_configured(self):
        found = self.target(
            text=f'[hvfilter]\nprovider_uuid = {UUID.upper()}\n'
        )
        self.assertEqual(reconcile.ProviderRef(uuid=UUID), found)

    def test_target_when_configured_uuid_is_none(self):
        text = '[hvfilter]\nprovider_uuid = node1\n'
        self.assertIn('[hvfilter] provider_uuid', self.failure(text=text))

    def test_target_when_name_is_configured(self):
        found = self.target(text='[hvfilter]\nprovider_name = n\n')
        self.assertEqual(reconcile.ProviderRef(names=('n',)), found)

    def test_target_when_nova_keeps_an_identity(self):
        identity = base.Identity((('/a', f'{UUID}\n'), ('/b', UUID)), ('n',))
        self.assertEqual(
            reconcile.ProviderRef(UUID, ('n',), '/b'), self.target(identity)
        )

    def test_target_when_identities_disagree(self):
        text = self.failure(base.Identity((('/a', UUID), ('/b', OTHER))))
        for word in ('/a', '/b', UUID, OTHER):
            self.assertIn(word, text)

    def test_target_when_identity_is_garbage(self):
        text = self.failure(base.Identity((('/var/compute_id', 'x' * 99),)))
        self.assertIn('/var/compute_id', text)
        self.assertNotIn('xxx', text)

    def test_target_when_only_names_are_known(self):
        self.assertEqual(
            reconcile.ProviderRef(names=NAMES.names), self.target(NAMES)
        )

    def test_target_when_nothing_is_known(self):
        self.assertIn('provider_name', self.failure(base.Identity()))

    def test_target_when_nodes_are_ironics(self):
        text = self.failure(
            text='[DEFAULT]\ncompute_driver = ironic.IronicDriver\n'
        )
        self.assertIn('Ironic', text)


class TransportTest(ConfTestCase):
    def test_transport_when_nothing_is_given(self):
        error = self.assertRaises(
            errors.Misconfigured, connect.transport_of, self.conf(), {}
        )
        for word in ('nova.conf', 'OS_CLOUD', 'OS_AUTH_URL'):
            self.assertIn(word, str(error))

    def test_transport_when_placement_is_configured(self):
        made = connect.transport_of(
            self.conf(
                '[placement]\n'
                'auth_type = password\n'
                'auth_url = http://keystone/v3\n'
                'username = nova\n'
                'password = hidden\n'
                'region_name = RegionTwo\n'
                'endpoint_override = https://placement:8778\n'
                'cafile = /etc/ssl/ca.pem\n'
            ),
            {},
        )
        adapter = made._adapter
        self.assertIsInstance(made, keystone.KeystoneTransport)
        self.assertEqual('RegionTwo', adapter.region_name)
        self.assertEqual('https://placement:8778', adapter.endpoint_override)
        self.assertEqual('/etc/ssl/ca.pem', adapter.session.verify)
        self.assertEqual(30.0, adapter.session.timeout)
        self.assertEqual(['internal', 'public'], adapter.interface)

    def test_transport_when_references_run_in_a_circle(self):
        for text in (
            'auth_type = password\nauth_url = $username\nusername = $auth_url',
            'auth_section = $auth_section',
        ):
            conf = self.conf(f'[placement]\n{text}\n')
            error = self.assertRaises(
                errors.Misconfigured, connect.transport_of, conf, {}
            )
            self.assertIn('in a circle', str(error))

    def test_transport_when_timeout_is_configured(self):
        made = connect.transport_of(
            self.conf(
                '[placement]\nauth_type = none\nendpoint = http://p\n'
                'timeout = 7\n'
            ),
            {},
        )
        self.assertEqual(7, made._adapter.session.timeout)

    def test_transport_when_plugin_is_unknown(self):
        error = self.assertRaises(
            errors.Misconfigured,
            connect.transport_of,
            self.conf('[placement]\nauth_type = sorcery\n'),
            {},
        )
        self.assertIn('sorcery', str(error))

    def test_transport_when_options_are_missing(self):
        publisher = placement.PlacementPublisher(
            self.conf(
                '[hvfilter]\npublish_deadline_s = 0\n'
                '[placement]\nauth_type = password\npassword = hidden\n'
            )
        )
        context = reports.context(identity=NAMES)
        error = self.assertRaises(Problem, publisher.publish, context)
        self.assertIn('auth_url', str(error))
        self.assertNotIn('hidden', str(error))


class PublisherTest(ConfTestCase):
    def setUp(self):
        super().setUp()
        self.placement = MemoryPlacement(
            {'OWNER_NOVA', 'CUSTOM_HVFILTER_EPT', 'CUSTOM_HVFILTER_SEV'}
        )
        self.folder = Path(self.useFixture(fixtures.TempDir()).path)
        self.publisher = placement.PlacementPublisher(
            self.conf(
                '[hvfilter]\npublish_deadline_s = 0\n'
                f'provider_config_file = {self.folder}/hvfilter.yaml\n'
                f'[compute]\nprovider_config_location = {self.folder}\n'
            ),
            self.placement,
        )
        self.context = reports.context(['kvm'], ['ept'], NAMES)

    def test_preview_when_something_would_change(self):
        outcome = self.publisher.publish(self.context, dry_run=True)
        self.assertTrue(outcome.changed)
        self.assertEqual(frozenset({'CUSTOM_HVFILTER_EPT'}), outcome.removed)
        self.assertEqual({'GET'}, set(self.placement.methods))

    def test_publish_when_names_are_new(self):
        outcome = self.publisher.publish(self.context)
        self.assertEqual(
            frozenset({'CUSTOM_HVFILTER_KVM', 'CUSTOM_HVFILTER_REPORTED'}),
            outcome.added - catalogue.UNKNOWN_TRAITS,
        )
        # The report says nothing of it.
        self.assertIn('CUSTOM_HVFILTER_NESTED_UNKNOWN', outcome.added)
        self.assertEqual(frozenset({'CUSTOM_HVFILTER_SEV'}), outcome.kept)
        self.assertIn(UUID, outcome.target)
        self.assertEqual(UUID, outcome.provider)
        self.assertIn('created in Placement', ' '.join(outcome.notes))
        self.assertEqual(
            {
                'OWNER_NOVA',
                'CUSTOM_HVFILTER_KVM',
                'CUSTOM_HVFILTER_REPORTED',
                'CUSTOM_HVFILTER_SEV',
            },
            self.placement.traits - catalogue.UNKNOWN_TRAITS,
        )

    def test_publish_when_done_before(self):
        self.publisher.publish(self.context)
        outcome = self.publisher.publish(self.context)
        self.assertFalse(outcome.changed)
        self.assertEqual((), outcome.notes)

    def test_publish_when_it_fails(self):
        self.placement.before = lambda sent: answer(503)
        failed = self.assertRaises(
            Problem, self.publisher.publish, self.context
        )
        self.assertTrue(failed.transient)
        self.placement.before = lambda sent: answer(401)
        failed = self.assertRaises(
            Problem, self.publisher.publish, self.context
        )
        self.assertFalse(failed.transient)

    def test_withdraw_when_published(self):
        self.publisher.publish(self.context)
        before = self.placement.traits
        told = self.publisher.withdraw(NAMES, dry_run=True)
        self.assertEqual(before, self.placement.traits)
        done = self.publisher.withdraw(NAMES)
        self.assertEqual(told.removed, done.removed)
        self.assertEqual({'OWNER_NOVA'}, self.placement.traits)

    def test_publish_when_unknown_for_too_long(self):
        """In the week it becomes unknown nothing is lost, later it is."""
        sev = 'CUSTOM_HVFILTER_SEV'
        for week, kept in (('2026W48', True), ('2026W50', True)):
            outcome = self.publish(week)
            self.assertEqual(kept, sev in self.placement.traits)
            self.assertEqual(frozenset({sev}), outcome.unverified)
            self.assertFalse(outcome.settled)
        outcome = self.publish('2026W51')
        self.assertNotIn(sev, self.placement.traits)
        self.assertIn(sev, outcome.removed)
        self.assertIn('unknown for more than 2 weeks', ' '.join(outcome.notes))
        self.assertTrue(outcome.settled)

    def publish(self, week='2026W48'):
        return self.publisher.publish(
            reports.context(['kvm'], ['ept'], NAMES, week=week)
        )

    def test_publish_when_the_week_turns(self):
        self.publish('2026W53')
        self.assertIn(
            'CUSTOM_HVFILTER_REPORTED_2026W53', self.placement.traits
        )
        sent = len(self.placement.sent)
        outcome = self.publish('2027W01')
        weeks = {
            name for name in self.placement.traits if '_REPORTED_' in name
        }
        self.assertEqual({'CUSTOM_HVFILTER_REPORTED_2027W01'}, weeks)
        self.assertTrue(outcome.changed)
        writes = [
            each
            for each in self.placement.sent[sent:]
            if each.method == 'PUT' and each.path.endswith('/traits')
        ]
        # The first host of a cloud in a new week: its name was not known.
        self.assertEqual(2, len(writes))
        self.assertFalse(self.publish('2027W01').changed)

    def test_publish_when_something_else_adds_it_again(self):
        ept = 'CUSTOM_HVFILTER_EPT'
        self.assertEqual(frozenset(), self.publish().returning)
        self.placement.write(self.placement.traits | {ept})
        outcome = self.publish()
        self.assertEqual(frozenset({ept}), outcome.returning)
        self.assertIn('restart nova-compute', ' '.join(outcome.notes))
        self.assertNotIn(ept, self.placement.traits)
        self.assertTrue(self.publish().returning == frozenset())

    def test_publish_when_compute_id_cannot_be_read(self):
        identity = base.Identity((), NAMES.names, (('/x/compute_id', 'why'),))
        context = reports.context(['kvm'], [], identity)
        notes = ' '.join(self.publisher.publish(context).notes)
        for word in ('/x/compute_id', 'why', 'node1 ', 'provider_uuid'):
            self.assertIn(word, notes)
        identity = base.Identity((('/y', UUID),), NAMES.names, (('/x', 'a'),))
        context = reports.context(['kvm'], ['ept'], identity)
        self.assertEqual((), self.publisher.publish(context).notes)

    def test_publish_when_file_is_left_behind(self):
        """nova-compute adds what it names, whoever removes it."""
        ept = 'CUSTOM_HVFILTER_EPT'
        path = self.provider_yaml(ept, 'CUSTOM_HVFILTER_KVM', 'CUSTOM_GOLD')
        for _ in range(2):
            outcome = self.publish()
            notes = ' '.join(outcome.notes)
            self.assertIn(str(path), notes)
            self.assertNotIn('GOLD', notes)
            self.assertEqual(frozenset({ept}), outcome.returning)
        # It says what is so: no harm, but it will not stay so.
        self.provider_yaml('CUSTOM_HVFILTER_KVM')
        outcome = self.publish()
        self.assertIn(str(path), ' '.join(outcome.notes))
        self.assertEqual(frozenset(), outcome.returning)
        done = self.publisher.withdraw(NAMES)
        self.assertEqual(frozenset({'CUSTOM_HVFILTER_KVM'}), done.returning)
        path.unlink()
        done = self.publisher.withdraw(NAMES)
        self.assertTrue(done.settled)
        self.assertEqual((), done.notes)
        self.publish()
        self.assertEqual((), self.publisher.withdraw(NAMES).notes)
        self.placement.write({'CUSTOM_HVFILTER_KVM'})
        done = self.publisher.withdraw(NAMES)
        self.assertIn('no week of a report', ' '.join(done.notes))

    def test_publish_when_file_is_about_other_hosts(self):
        """One file may have been distributed to all of them."""
        ept = 'CUSTOM_HVFILTER_EPT'
        path = self.provider_yaml(ept)
        text = path.read_text()
        line = "uuid: '$COMPUTE_NODE'"
        self.assertIn(line, text)
        found = base.Identity((('/y', UUID),), NAMES.names)
        for identity, identified, mine in (
            (NAMES, f'name: {NAMES.names[0]}', True),
            (NAMES, 'name: another.example', False),
            (NAMES, f'uuid: {OTHER}', True),  # its own is not known
            (found, f'uuid: {OTHER}', False),
            (found, f'uuid: {UUID.upper()}', True),
            (found, 'name: another.example', False),
        ):
            path.write_text(text.replace(line, identified))
            context = reports.context(['kvm'], ['ept'], identity)
            outcome = self.publisher.publish(context)
            self.assertEqual(mine, str(path) in ' '.join(outcome.notes))
            self.assertEqual(mine, ept in outcome.returning, identified)

    def told(self):
        self.publish()
        outcome = self.publish()
        return outcome.returning, outcome.notes

    def provider_yaml(self, *names):
        path = self.folder / 'hvfilter.yaml'
        content = provider_config.Content(frozenset(names))
        path.write_text(provider_config.render(content))
        return path

    def test_publish_when_publisher_writes_the_file_itself(self):
        self.provider_yaml('CUSTOM_HVFILTER_EPT')
        conf = self.publisher.conf
        conf.set_override(
            'publishers', ['placement', 'provider-config'], 'hvfilter'
        )
        self.assertEqual((frozenset(), ()), self.told())
        other = self.folder / 'zz.yaml'
        self.provider_yaml('CUSTOM_HVFILTER_EPT').rename(other)
        self.assertIn(str(other), ' '.join(self.publish().notes))

    def test_withdraw_when_provider_is_gone(self):
        self.placement.exists = False
        # Nobody waits for it to come.
        self.publisher.conf.set_override('publish_deadline_s', 99, 'hvfilter')
        self.useFixture(
            fixtures.MonkeyPatch(
                'hvfilter.placement.reconcile.Reconciler._pause',
                lambda *_: self.fail('waits'),
            )
        )
        identity = base.Identity((('/y', UUID),), NAMES.names)
        for who in (NAMES, identity):
            done = self.publisher.withdraw(who)
            self.assertTrue(done.settled)
            self.assertFalse(done.changed)
            self.assertIn('nothing is left', ' '.join(done.notes))

    def test_publish_when_compute_id_is_anothers(self):
        identity = base.Identity((('/nova/compute_id', UUID),), ('clone7',))
        before = self.placement.traits
        for act in (
            lambda: self.publisher.publish(
                reports.context(['kvm'], ['ept'], identity)
            ),
            lambda: self.publisher.publish(
                reports.context(['kvm'], ['ept'], identity), dry_run=True
            ),
            lambda: self.publisher.withdraw(identity),
        ):
            failed = self.assertRaises(Problem, act)
            self.assertFalse(failed.transient)
            for word in ('clone7', 'node1.example.org', '/nova/compute_id'):
                self.assertIn(word, str(failed))
        self.assertEqual(before, self.placement.traits)
