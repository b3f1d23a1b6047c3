# SPDX-License-Identifier: Apache-2.0
"""Names that no host has yet, in a real Placement."""

import json

from hvfilter.model import catalogue, dated
from hvfilter.placement import errors
from tests.fakes import proxy
from tests.functional.placement import base, test_publish

NEW = ('CUSTOM_HVFILTER_MBEC', 'CUSTOM_HVFILTER_TDX')
"""As if this release had brought them."""


class PrepareTest(test_publish.CommandTestCase):
    def setUp(self):
        super().setUp()
        for name in NEW:
            self.client().delete_trait(name)

    def arguments(self, *more):
        return self.listing('prepare', *more)

    def forbidding(self, name):
        found = self.client().providers_with(
            required=['CUSTOM_GOLD'], forbidden=[name]
        )
        return [provider.name for provider in found]

    def test_prepare_when_names_are_new(self):
        before = self.known()
        self.assertRaises(errors.UnknownTrait, self.forbidding, NEW[0])
        told = self.publish('--dry-run')
        self.assertEqual(0, told.returncode, told.stderr)
        self.assertEqual(before, self.known())
        self.assertEqual(1, len(self.proxy.requests))
        done = self.publish()
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn('2 trait names', done.stderr)
        for ran, change in ((told, 'would be created'), (done, 'created')):
            self.assertEqual(
                [{'Trait': name, 'Change': change} for name in NEW],
                json.loads(ran.stdout),
            )
        self.assertEqual(
            catalogue.STATE_TRAITS - catalogue.RETIRED_TRAITS, self.known()
        )
        self.assertEqual([self.NAME], self.forbidding(NEW[0]))
        self.assertEqual(test_publish.OLD, self.own())

    def test_prepare_when_all_are_known(self):
        self.publish()
        requests = len(self.proxy.requests)
        done = self.publish()
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn('exist in Placement', done.stderr)
        self.assertEqual(requests + 1, len(self.proxy.requests))
        self.assertEqual(base.FOREIGN | test_publish.OLD, self.traits())

    def test_prepare_when_weeks_have_gone_by(self):
        """Names that no provider carries any more are deleted."""
        removed, carried, now, mine = (
            'CUSTOM_HVFILTER_NESTED_REMOVED_2026W01',
            'CUSTOM_HVFILTER_REPORTED_2026W02',
            dated.reported_in(self.week),
            'CUSTOM_HVFILTER_REPORTED_2026W02_BY_ME',
        )
        for name in ('CUSTOM_HVFILTER_REPORTED_2026W03', removed, mine):
            self.create_trait(name)
        self.create_trait(carried)
        self.put_traits(base.FOREIGN | test_publish.OLD | {carried})
        told = self.publish('--dry-run')
        done = self.publish()
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn(
            '2 trait names that no resource provider has any more deleted',
            done.stderr,
        )
        self.assertIn(
            '2 trait names that no resource provider has any more would be',
            told.stderr,
        )
        known = self.client().traits_known(catalogue.TRAIT_PREFIX)
        self.assertLessEqual({carried, now, mine}, known)
        self.assertFalse({'CUSTOM_HVFILTER_REPORTED_2026W03', removed} & known)

    def test_prepare_when_it_is_not_done(self):
        for fault, expected in (
            (proxy.status(403), test_publish.FAILED),
            (proxy.status(503), test_publish.TRY_AGAIN),
        ):
            self.proxy.misbehave(
                fault, when=lambda request: request.method == 'PUT'
            )
            done = self.publish()
            self.assertEqual(expected, done.returncode, done.stderr)
            self.assertNotIn('Traceback', done.stderr)
        self.assertEqual(0, self.publish().returncode)
