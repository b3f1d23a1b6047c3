# SPDX-License-Identifier: Apache-2.0
"""Fifty publishers beside a real nova-compute with its libvirt driver."""

import threading
import time

import fixtures
from keystoneauth1 import adapter, session, token_endpoint
from nova import context
from nova.tests.functional.libvirt import base as libvirt_base
from placement import deploy

from hvfilter.model import catalogue
from hvfilter.placement import client, errors, keystone, reconcile
from hvfilter.rules.traits import DesiredTraits
from tests import functional
from tests.fakes.native_threads import NativeThreads
from tests.functional import base

PUBLISHERS = 50
HOST = 'compute1'
GOLD = 'CUSTOM_GOLD'
STOLEN = 'HW_CPU_X86_VMX'
"""A trait of nova-compute's that is taken off, so that it has to write."""


class OneByOne:
    """WSGI middleware: SQLite has one writer, as a test has one answer."""

    def __init__(self, application):
        self.application = application
        self.lock = threading.Lock()

    def __call__(self, environ, start_response):
        with self.lock:
            return self.application(environ, start_response)


class NovaComputeTest(libvirt_base.ServersTestBase):
    def setUp(self):
        self.flags(api_paste_config=base.api_paste_config(), group='wsgi')
        if functional.FIXTURES_ARE_GREEN:
            self.useFixture(NativeThreads(self.id()))
        load = deploy.loadapp
        self.useFixture(
            fixtures.MonkeyPatch(
                'placement.deploy.loadapp',
                lambda config: OneByOne(load(config)),
            )
        )
        super().setUp()
        self.start_compute(HOST)
        self.uuid = self.compute_rp_uuids[HOST]
        for name in (*catalogue.OWN_TRAITS, GOLD):
            self.client().ensure_trait(name)

    def client(self):
        endpoint = self.placement.fixture.endpoint
        reach = session.Session(
            auth=token_endpoint.Token(endpoint, 'admin'), timeout=60
        )
        return client.PlacementClient(
            keystone.KeystoneTransport(
                adapter.Adapter(reach, service_type='placement')
            )
        )

    def change(self, added=frozenset(), removed=frozenset()):
        """As an operator does, by the rules."""
        asked = self.client()
        while True:
            now = asked.traits_of(self.uuid)
            try:
                return asked.set_traits(
                    self.uuid, now.generation, now.traits - removed | added
                )
            except errors.Conflict:
                time.sleep(0.01)

    def update(self):
        """nova-compute's periodic task, when it has to ask Placement anew."""
        manager = self.computes[HOST].manager
        manager.reportclient.clear_provider_cache()
        manager.update_available_resource(context.get_admin_context())

    def publish(self, desired, changes, failures):
        reconciler = reconcile.Reconciler(
            self.client(), reconcile.RetryPolicy(conflicts=100)
        )
        target = reconcile.ProviderRef(uuid=self.uuid)
        try:
            changes.append(reconciler.reconcile(target, desired))
        except errors.PlacementError as error:
            failures.append(error)

    def test_provider_when_all_write_at_once(self):
        self.change(added={GOLD})
        theirs = self.client().traits_of(self.uuid).traits
        self.assertIn(STOLEN, theirs)
        own = sorted(catalogue.OWN_TRAITS)
        changes, failures, threads = [], [], []
        for number in range(PUBLISHERS):
            present = frozenset(own[number % 7 :: 7])
            desired = DesiredTraits(present, catalogue.OWN_TRAITS - present)
            threads.append(
                threading.Thread(
                    target=self.publish, args=(desired, changes, failures)
                )
            )
        for thread in threads:
            thread.start()
        updates = 0
        while any(thread.is_alive() for thread in threads):
            self.change(removed={STOLEN})
            self.update()
            updates += 1
        for thread in threads:
            thread.join()
        # The last word of each.
        last = DesiredTraits(frozenset(own[::2]), frozenset(own[1::2]))
        self.publish(last, changes, failures)
        self.update()
        after = self.client().traits_of(self.uuid).traits
        print(
            f'\n{PUBLISHERS} publishers and nova-compute: '
            f'{sum(change.requests for change in changes)} requests, '
            f'{sum(change.conflicts for change in changes)} conflicts, each '
            f'read again and retried; {updates} updates of nova-compute'
        )
        self.assertEqual([], failures)
        self.assertGreater(updates, 0)
        self.assertEqual(theirs, after - catalogue.OWN_TRAITS)
        self.assertEqual(last.present, after & catalogue.OWN_TRAITS)
