# SPDX-License-Identifier: Apache-2.0
"""Leaving nothing behind in a real Placement."""

import json

from hvfilter.model import catalogue
from tests.fakes import proxy
from tests.functional.placement import base, test_publish

KVM = 'CUSTOM_HVFILTER_KVM'


class WithdrawTest(test_publish.CommandTestCase):
    def setUp(self):
        super().setUp()
        self.compute = self.useFixture(proxy.Proxy('http://127.0.0.1:1'))
        self.keystone.services['compute'] = self.compute.url
        self.others = [
            self.create_provider(f'node{number}') for number in range(2, 6)
        ]
        for other in self.others:
            self.put_traits(base.FOREIGN | {KVM}, other)

    def arguments(self, *more):
        return self.listing('withdraw', *more)

    def flavors(self, **specs):
        listed = [
            {'id': 'one', 'name': 'one', 'extra_specs': specs},
        ]
        pages = [
            proxy.status(200, json.dumps({'flavors': page}).encode())
            for page in (listed, [])
        ]
        self.compute.misbehave(*pages)

    def assert_untouched(self):
        self.assertEqual(test_publish.OLD, self.own())
        self.assertEqual(catalogue.OWN_TRAITS, self.known())

    def test_withdraw_when_this_host(self):
        chosen = ('--provider-name', self.NAME)
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

    def test_withdraw_when_flavors_cannot_be_seen(self):
        self.compute.misbehave(proxy.status(403))
        done = self.publish('--all', '--yes')
        self.assertEqual(1, done.returncode)
        self.assertIn('--force', done.stderr)
        self.assert_untouched()

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
