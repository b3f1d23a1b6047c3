# SPDX-License-Identifier: Apache-2.0
"""Whatever goes wrong between us and a real Placement."""

import socket
import threading

import fixtures

from hvfilter.model import catalogue
from hvfilter.placement import client, errors, reconcile
from hvfilter.rules.traits import DesiredTraits
from tests.fakes import proxy
from tests.functional.placement import base

KVM = 'CUSTOM_HVFILTER_KVM'
EPT = 'CUSTOM_HVFILTER_EPT'
SEV = 'CUSTOM_HVFILTER_SEV'
MARKER = catalogue.REPORTED_TRAIT

OLD = frozenset({EPT, SEV, MARKER})
DESIRED = DesiredTraits(frozenset({KVM, MARKER}), frozenset({EPT}))
NEW = frozenset({KVM, SEV, MARKER})
SHORT_S = 0.5
LONG_S = 60


def writes(request):
    return request.method == 'PUT' and request.path.endswith('/traits')


def reads(request):
    return request.method == 'GET'


class FaultTestCase(base.PlacementTestCase):
    """The provider has ``OLD`` of ours; ``NEW`` is to come of it."""

    def setUp(self):
        super().setUp()
        for name in catalogue.OWN_TRAITS:
            self.create_trait(name)
        self.put_traits(base.FOREIGN | OLD)
        self.proxy = self.useFixture(proxy.Proxy(self.server.url))
        self.useFixture(fixtures.FakeLogger())
        self.released = threading.Event()
        self.addCleanup(self.released.set)

    def reconcile(self, url='', timeout_s=LONG_S, **patience):
        bounds = {
            'deadline_s': 0,
            'conflicts': 3,
            'first_delay_s': 0.01,
            'longest_delay_s': 0.05,
            'conflict_delay_s': 0.01,
            **patience,
        }
        reconciler = reconcile.Reconciler(
            self.client(url or self.proxy.url, timeout_s=timeout_s),
            reconcile.RetryPolicy(**bounds),
        )
        return reconciler.reconcile(
            reconcile.ProviderRef(uuid=self.uuid), DESIRED
        )

    def check(self, *allowed):
        traits = self.traits()
        self.assertEqual(base.FOREIGN, traits - catalogue.own(traits))
        self.assertIn(base.undated(traits), allowed)

    def misbehaviours(self):
        """What may happen by its name, and the error that it makes."""
        late = proxy.answer_late(self.released.wait)
        unserved = proxy.answer_late(self.released.wait, serve=False)
        unreachable, unavailable = errors.Unreachable, errors.Unavailable
        bad = errors.BadAnswer
        return {
            'reset at once': (proxy.reset_at_once, unreachable),
            'reset after serving': (proxy.reset_after_serving, unreachable),
            'reset in mid-body': (proxy.reset_in_mid_body, unreachable),
            'late': (late, unreachable),
            'late and not served': (unserved, unreachable),
            '401': (proxy.status(401), errors.Unauthorized),
            '403': (proxy.status(403), errors.Forbidden),
            '404': (proxy.status(404, b'<html>'), bad),
            '429': (proxy.status(429, Retry_After='1'), unavailable),
            '500': (proxy.status(500, b'Traceback'), unavailable),
            '502': (proxy.status(502, b'<html>'), unavailable),
            '503': (proxy.status(503, Retry_After='0'), unavailable),
            '504': (proxy.status(504), unavailable),
            'truncated': (proxy.truncate, bad),
            'not JSON': (proxy.garble, bad),
            'redirect': (
                proxy.status(302, Location='http://127.0.0.1:1/x'),
                bad,
            ),
            'permanent redirect': (
                proxy.status(308, Location='http://127.0.0.1:1/x'),
                bad,
            ),
        }


class FaultTest(FaultTestCase):
    def test_reconcile_when_nothing_goes_wrong(self):
        change = self.reconcile()
        self.check(NEW)
        self.assertEqual(2, change.requests)
        self.assertEqual(2, len(self.proxy.requests))
        self.assertEqual(1, self.reconcile().requests)
        self.assertEqual(3, len(self.proxy.requests))

    def test_reconcile_when_reading_fails(self):
        for name, (misbehaviour, expected) in self.misbehaviours().items():
            self.proxy.behave()
            # keystoneauth1 tries once more after a 401.
            self.proxy.misbehave(misbehaviour, when=reads, times=2)
            self.fails(name, expected)
            self.check(OLD)

    def test_reconcile_when_writing_fails(self):
        for name, (misbehaviour, expected) in self.misbehaviours().items():
            self.put_traits(base.FOREIGN | OLD)
            self.proxy.behave()
            self.proxy.misbehave(misbehaviour, when=writes, times=2)
            self.fails(name, expected)
            self.check(OLD, NEW)
            self.proxy.behave()
            self.reconcile()
            self.check(NEW)

    def fails(self, name, expected):
        """As it should, and says what and what to do."""
        error = self.assertRaises(
            errors.PlacementError,
            self.reconcile,
            timeout_s=SHORT_S if name.startswith('late') else LONG_S,
        )
        self.assertIs(expected, type(error), name)
        self.assertTrue(error.what and error.remedy, name)

    def test_reconcile_when_failure_passes(self):
        for name, (misbehaviour, expected) in self.misbehaviours().items():
            if not expected.transient:
                continue
            timeout_s = SHORT_S if name.startswith('late') else LONG_S
            for when in (reads, writes):
                self.put_traits(base.FOREIGN | OLD)
                self.proxy.behave()
                self.proxy.misbehave(misbehaviour, when=when)
                change = self.reconcile(timeout_s=timeout_s, deadline_s=30)
                self.check(NEW)
                self.assertEqual(frozenset({KVM}), change.added, name)
                self.assertEqual(frozenset({EPT}), change.removed, name)

    def test_reconcile_when_refused(self):
        with socket.socket() as closed:
            closed.bind(('127.0.0.1', 0))
            port = closed.getsockname()[1]
            error = self.assertRaises(
                errors.Unreachable,
                self.reconcile,
                f'http://127.0.0.1:{port}',
            )
        self.assertIn(str(port), str(error))
        self.check(OLD)

    def test_reconcile_when_conflicts_storm(self):
        def conflict(exchange):
            traits = self.traits()
            # Somebody else writes between our reading and our writing.
            self.put_traits(traits ^ {'HW_CPU_X86_SVM'})
            proxy.behave(exchange)

        self.proxy.misbehave(conflict, when=writes, times=2)
        change = self.reconcile()
        self.assertEqual(2, change.conflicts)
        self.check(NEW)
        self.put_traits(base.FOREIGN | OLD)
        self.proxy.misbehave(conflict, when=writes, times=4)
        error = self.assertRaises(errors.Conflict, self.reconcile)
        self.assertIn('4 times', str(error))
        self.check(OLD)

    def test_reconcile_when_names_are_created_through_faults(self):
        gone = str(catalogue.TRAIT_PREFIX)
        self.put_traits(base.FOREIGN)
        for name in catalogue.OWN_TRAITS:
            self.ask('DELETE', f'/traits/{name}')

        def creating(request):
            return request.path.startswith(f'/traits/{gone}')

        for turn in (
            proxy.status(503),
            proxy.reset_after_serving,
            proxy.reset_at_once,
            proxy.status(429),
        ):
            self.proxy.misbehave(turn, when=creating)
        change = self.reconcile(deadline_s=30)
        self.check(frozenset({KVM, MARKER}))
        known = self.client().traits_known(catalogue.TRAIT_PREFIX)
        self.assertEqual(catalogue.STATE_TRAITS, known)
        self.assertEqual(len(self.proxy.requests), change.requests)


class LateTest(FaultTestCase):
    def test_write_when_it_arrives_after_a_later_one(self):
        """A write that was held up is void once another one was served."""
        arrived = threading.Event()

        def hold(exchange):
            arrived.set()
            self.released.wait()
            self.outcome = exchange.serve()
            self.served.set()

        self.served = threading.Event()
        self.proxy.misbehave(hold, when=writes)
        self.assertRaises(
            errors.Unreachable, self.reconcile, timeout_s=SHORT_S
        )
        self.assertTrue(arrived.is_set())
        self.put_traits(base.FOREIGN | OLD | {'HW_CPU_X86_SVM'})
        self.released.set()
        self.assertTrue(self.served.wait(10))
        self.assertEqual(409, self.outcome.status)
        self.assertIn('HW_CPU_X86_SVM', self.traits())


class ClientTest(FaultTestCase):
    def test_answer_when_it_is_of_another_resource(self):
        def swap(exchange):
            exchange.answer(
                proxy.Reply(
                    200,
                    (('Content-Type', 'application/json'),),
                    b'{"inventories": {}}',
                )
            )

        self.proxy.misbehave(swap)
        asked = client.PlacementClient(self.transport(self.proxy.url))
        self.assertRaises(errors.BadAnswer, asked.traits_of, self.uuid)
