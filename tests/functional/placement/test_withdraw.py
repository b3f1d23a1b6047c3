# SPDX-License-Identifier: Apache-2.0
"""Leaving nothing behind in a real Placement."""

import json
import time

from hvfilter.model import catalogue
from tests.fakes import proxy
from tests.functional.placement import base, test_publish

KVM = 'CUSTOM_HVFILTER_KVM'


class WithdrawTest(test_publish.CommandTestCase):
    def setUp(self):
        super().setUp()
        self.compute = self.useFixture(proxy.Proxy('http://127.0.0.1:1'))
        self.keystone.services['compute'] = self.compute.url
        self.keystone.services['image'] = self.compute.url
        self.others = [
            self.create_provider(f'node{number}') for number in range(2, 6)
        ]
        for other in self.others:
            self.put_traits(base.FOREIGN | {KVM}, other)

    def arguments(self, *more):
        return self.listing('withdraw', *more)

    def flavors(self, **specs):
        self.cloud(
            flavors=[{'id': 'one', 'name': 'one', 'extra_specs': specs}]
        )

    def cloud(self, **lists):
        """What Nova and Glance list; nothing where nothing is given."""
        for path, key in (
            ('/flavors/detail', 'flavors'),
            ('/servers/detail', 'servers'),
            ('/os-aggregates', 'aggregates'),
            ('/v2/images', 'images'),
        ):
            first = lists.get(key, [])
            for rest, page in (('marker=', []), (path, first)):
                self.compute.misbehave(
                    proxy.status(200, json.dumps({key: page}).encode()),
                    when=lambda request, path=path, rest=rest: (
                        request.path.startswith(path) and rest in request.path
                    ),
                    times=20,
                )

    def assert_untouched(self):
        self.assertEqual(test_publish.OLD, self.own())
        self.assertEqual(catalogue.STATE_TRAITS, self.known())

    def test_withdraw_when_this_host(self):
        chosen = ('--provider-name', self.NAME, *test_publish.COLUMNS)
        told = self.publish(*chosen, '--dry-run')
        self.assertEqual(0, told.returncode, told.stderr)
        self.assert_untouched()
        done = self.publish(*chosen)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(told.stdout, done.stdout)
        self.assertEqual(frozenset(), self.own())
        self.assertIn(KVM, self.traits(self.others[0]))
        again = self.publish(*chosen)
        self.assertIn('nothing to change', again.stderr)

    def test_withdraw_when_all(self):
        self.flavors(**{'hw:cpu_policy': 'dedicated'})
        done = self.publish('--all', '--yes')
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn('5 of 5 resource providers', done.stderr)
        self.assertEqual(frozenset(), self.known())
        for uuid in (self.uuid, *self.others):
            self.assertEqual(base.FOREIGN, self.traits(uuid))
        self.assertEqual(
            catalogue.OWN_TRAITS | set(self.dates()),
            {row['Trait'] for row in json.loads(done.stdout)},
        )
        prefix = catalogue.TRAIT_PREFIX
        self.assertEqual(frozenset(), self.client().traits_known(prefix))
        again = self.publish('--all', '--yes', '--force')
        self.assertEqual(0, again.returncode, again.stderr)

    def test_withdraw_when_all_and_only_told(self):
        self.flavors()
        done = self.publish('--all', '--dry-run')
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn('5 resource providers', done.stderr)
        self.assert_untouched()

    def test_withdraw_when_flavors_ask(self):
        self.flavors(**{f'trait:{KVM}': 'required'})
        done = self.publish('--all', '--yes')
        self.assertEqual(1, done.returncode)
        self.assertIn(f'one: trait:{KVM}=required', done.stderr)
        self.assert_untouched()
        done = self.publish('--all', '--yes', '--force')
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(frozenset(), self.known())

    def test_withdraw_when_servers_images_and_aggregates_ask(self):
        """Taking the extra spec off the flavor does not change the server."""
        specs = {f'trait:{KVM}': 'required'}
        for lists, word in (
            (
                {
                    'servers': [
                        {
                            'id': 's',
                            'name': 'vm1',
                            'flavor': {'extra_specs': specs},
                        }
                    ]
                },
                'server vm1 (s)',
            ),
            ({'images': [{'id': 'i', 'name': 'img', **specs}]}, 'image img'),
            (
                {'aggregates': [{'name': 'lab', 'metadata': specs}]},
                'aggregate lab',
            ),
        ):
            self.compute.behave()
            self.cloud(**lists)
            done = self.publish('--all', '--yes')
            self.assertEqual(1, done.returncode, word)
            self.assertIn(word, done.stderr)
            self.assertIn('--force', done.stderr)
            self.assert_untouched()

    def test_withdraw_when_names_are_kept(self):
        self.cloud()
        done = self.publish('--all', '--yes', '--keep-names')
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(frozenset(), self.own())
        self.assertEqual(catalogue.STATE_TRAITS, self.known())
        found = self.client().providers_with(
            required=['CUSTOM_GOLD'], forbidden=[KVM]
        )
        self.assertEqual(5, len(found))

    def test_withdraw_when_user_may_not_see_all(self):
        self.cloud()
        self.compute.behave()
        self.compute.misbehave(proxy.status(403), times=20)
        done = self.publish('--all', '--yes')
        self.assertEqual(1, done.returncode)
        for word in ('--force', 'servers', 'aggregates', 'Private', 'admin'):
            self.assertIn(word, done.stderr)
        self.assert_untouched()

    def test_withdraw_when_a_provider_is_deleted_meanwhile(self):
        gone = f'/resource_providers/{self.others[0]}/traits'
        self.proxy.misbehave(
            proxy.status(
                404,
                json.dumps({'errors': [{'detail': 'No such'}]}).encode(),
                Content_Type='application/json',
            ),
            when=lambda request: request.path == gone,
        )
        began = time.monotonic()
        done = self.publish('--all', '--yes', '--force')
        self.assertLess(time.monotonic() - began, 30)
        self.assertIn('5 of 5 resource providers', done.stderr)
        # It was not deleted in truth, so its trait is still there.
        self.assertEqual(1, done.returncode)

    def test_withdraw_when_an_agent_publishes_meanwhile(self):
        """What was cleaned first has come back before the last is done."""
        last = sorted([self.uuid, *self.others])[-1]
        first = sorted([self.uuid, *self.others])[0]
        (week, _) = self.dates()

        def publish_again(exchange):
            self.put_traits(base.FOREIGN | {test_publish.MARKER, week}, first)
            proxy.behave(exchange)

        self.put_traits(base.FOREIGN | {test_publish.MARKER, week}, first)
        self.proxy.misbehave(
            publish_again,
            when=lambda request: (
                request.path == f'/resource_providers/{last}/traits'
            ),
        )
        done = self.publish('--all', '--yes', '--force', '--keep-names')
        self.assertEqual(75, done.returncode, done.stderr)
        self.assertIn('1 of them reported this week', done.stderr)
        self.assertIn('4 of them have no week', done.stderr)
        self.assertIn('hvfilter-publish.timer', done.stderr)
        self.assertIn('1 resource providers have hvfilter', done.stderr)

    def test_withdraw_when_this_host_is_gone(self):
        done = self.publish('--provider-name', 'gone')
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn("'gone'", done.stderr)
        self.assertIn('nothing is left', done.stderr)

    def test_withdraw_when_placement_is_busy(self):
        self.proxy.misbehave(proxy.status(503))
        done = self.publish('--all', '--yes')
        self.assertEqual(test_publish.TRY_AGAIN, done.returncode, done.stderr)
        self.assert_untouched()

    def test_withdraw_when_nobody_can_be_asked(self):
        self.flavors()
        done = self.publish('--all')
        self.assertEqual(1, done.returncode)
        self.assertIn('--yes', done.stderr)
        self.assert_untouched()

    def test_withdraw_when_one_provider_fails(self):
        ill = f'/resource_providers/{self.others[0]}/traits'
        self.proxy.misbehave(
            proxy.status(403),
            when=lambda request: request.path == ill,
        )
        done = self.publish('--all', '--yes', '--force')
        self.assertEqual(1, done.returncode)
        self.assertIn('4 of 5 resource providers', done.stderr)
        self.assertIn('node2', done.stderr)
        self.assertEqual(frozenset({KVM}), self.known())
        self.assertEqual(base.FOREIGN | {KVM}, self.traits(self.others[0]))
        done = self.publish('--all', '--yes', '--force')
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(frozenset(), self.known())
