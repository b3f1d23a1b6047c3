# SPDX-License-Identifier: Apache-2.0
"""Many writers on one provider of a real Placement."""

import random
import threading
import time

from hvfilter.model import catalogue
from hvfilter.placement import errors, reconcile
from hvfilter.rules.traits import DesiredTraits
from tests.functional.placement import base

PUBLISHERS = 50
TURNS = 1
NOVAS = ('HW_CPU_X86_AVX', 'HW_CPU_X86_SVM', 'COMPUTE_NODE', 'CUSTOM_IRON')
"""What nova-compute puts on the provider and takes off again."""


class NovaCompute(threading.Thread):
    """Another writer that keeps to the rules, as nova-compute does.

    It changes its own names only, generation-checked, and notes what it
    holds to be there. Names that it finds and does not know it keeps.
    """

    def __init__(self, client, uuid):
        super().__init__(daemon=True)
        self.client = client
        self.uuid = uuid
        self.holds = frozenset()
        self.writes = 0
        self.conflicts = 0
        self.lost = set()
        self.ended = threading.Event()
        self.chance = random.Random(1)

    def run(self):
        while not self.ended.is_set():
            now = self.client.traits_of(self.uuid)
            # All that it ever put there and not took away must be there.
            self.lost |= (self.holds | base.FOREIGN) - now.traits
            holds = self.holds ^ {self.chance.choice(NOVAS)}
            traits = now.traits - frozenset(NOVAS) | holds
            try:
                self.client.set_traits(self.uuid, now.generation, traits)
            except errors.Conflict:
                self.conflicts += 1
            else:
                self.holds = holds
                self.writes += 1
            time.sleep(0.02)


class ConcurrencyTest(base.PlacementTestCase):
    def setUp(self):
        super().setUp()
        self.own = sorted(catalogue.OWN_TRAITS)
        for name in (*self.own, 'CUSTOM_IRON'):
            self.create_trait(name)

    def publisher(self, number, changes, failures):
        chance = random.Random(number)
        reconciler = reconcile.Reconciler(
            self.client(),
            reconcile.RetryPolicy(conflicts=100),
        )
        target = reconcile.ProviderRef(uuid=self.uuid)
        for _ in range(TURNS):
            present = frozenset(chance.sample(self.own, 9))
            absent = frozenset(self.own[:20]) - present
            desired = DesiredTraits(present, absent)
            try:
                changes.append(reconciler.reconcile(target, desired))
            except errors.PlacementError as error:
                failures.append(error)

    def test_provider_when_fifty_publish_and_nova_writes(self):
        nova = NovaCompute(self.client(), self.uuid)
        nova.start()
        changes, failures = [], []
        threads = [
            threading.Thread(
                target=self.publisher, args=(number, changes, failures)
            )
            for number in range(PUBLISHERS)
        ]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took_s = time.monotonic() - began
        last = DesiredTraits(
            frozenset(self.own[::2]), frozenset(self.own[1::2])
        )
        reconciler = reconcile.Reconciler(self.client())
        target = reconcile.ProviderRef(uuid=self.uuid)
        changes.append(reconciler.reconcile(target, last))
        nova.ended.set()
        nova.join()
        conflicts = sum(change.conflicts for change in changes)
        requests = sum(change.requests for change in changes)
        worst = max(change.conflicts for change in changes)
        print(
            f'\n{PUBLISHERS} publishers, {len(changes)} publications in '
            f'{took_s:.1f} s: {requests} requests, {conflicts} conflicts '
            f'(each was read again and retried; {worst} for the unluckiest); '
            f'nova-compute: {nova.writes} writes, {nova.conflicts} conflicts'
        )
        self.assertEqual([], failures)
        self.assertEqual(set(), nova.lost)
        self.assertGreater(conflicts, 0)
        self.assertGreater(nova.writes, 0)
        traits = self.traits()
        self.assertEqual(
            base.FOREIGN | nova.holds, traits - catalogue.own(traits)
        )
        self.assertEqual(last.present, traits & catalogue.OWN_TRAITS)
