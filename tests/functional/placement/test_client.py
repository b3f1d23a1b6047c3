# SPDX-License-Identifier: Apache-2.0

import uuid

from hvfilter.placement import errors
from tests.functional.placement import base

A = 'CUSTOM_HVFILTER_KVM'
B = 'CUSTOM_HVFILTER_EPT'


class ClientTest(base.PlacementTestCase):
    def test_provider_when_it_exists(self):
        by_uuid = self.client().provider(self.uuid)
        by_name = self.client().provider_named(self.NAME)
        self.assertEqual((self.uuid, self.NAME), (by_uuid.uuid, by_uuid.name))
        self.assertEqual(by_uuid, by_name)

    def test_provider_when_it_does_not_exist(self):
        asked = self.client()
        other = str(uuid.uuid4())
        for ask in (
            lambda: asked.provider(other),
            lambda: asked.provider_named('other'),
            lambda: asked.traits_of(other),
            lambda: asked.set_traits(other, 0, []),
        ):
            self.assertRaises(errors.NotFound, ask)

    def test_traits_when_set(self):
        asked = self.client()
        before = asked.traits_of(self.uuid)
        self.assertEqual(base.FOREIGN, before.traits)
        asked.ensure_trait(A)
        asked.ensure_trait(A)
        after = asked.set_traits(
            self.uuid, before.generation, before.traits | {A}
        )
        self.assertEqual(base.FOREIGN | {A}, after.traits)
        self.assertEqual(after, asked.traits_of(self.uuid))
        self.assertGreater(after.generation, before.generation)

    def test_traits_when_generation_is_old(self):
        asked = self.client()
        before = asked.traits_of(self.uuid)
        self.put_traits(base.FOREIGN | {'HW_CPU_X86_SVM'})
        self.assertRaises(
            errors.Conflict,
            asked.set_traits,
            self.uuid,
            before.generation,
            before.traits,
        )
        self.assertIn('HW_CPU_X86_SVM', self.traits())

    def test_traits_when_name_is_unknown(self):
        asked = self.client()
        before = asked.traits_of(self.uuid)
        asked.ensure_trait(A)
        error = self.assertRaises(
            errors.UnknownTrait,
            asked.set_traits,
            self.uuid,
            before.generation,
            {A, B},
        )
        self.assertEqual(frozenset({B}), error.traits)
        self.assertEqual(base.FOREIGN, self.traits())

    def test_names_when_created_and_deleted(self):
        asked = self.client()
        asked.ensure_trait(A)
        asked.ensure_trait(B)
        self.assertEqual(
            frozenset({A, B}), asked.traits_known('CUSTOM_HVFILTER_')
        )
        self.assertEqual(
            frozenset(), asked.traits_known('CUSTOM_HVFILTER_', carried=True)
        )
        self.assertEqual(
            frozenset({'CUSTOM_GOLD'}),
            asked.traits_known('CUSTOM_', carried=True),
        )
        asked.delete_trait(B)
        self.assertEqual(
            frozenset({A}), asked.traits_known('CUSTOM_HVFILTER_')
        )
        self.assertRaises(errors.NotFound, asked.delete_trait, B)
        self.assertRaises(errors.Conflict, asked.delete_trait, 'CUSTOM_GOLD')

    def test_providers_with_when_they_differ(self):
        asked = self.client()
        other = self.create_provider('node2')
        asked.ensure_trait(A)
        asked.ensure_trait(B)
        self.put_traits({A, B})
        asked.set_traits(other, asked.traits_of(other).generation, {A})

        def found(**query):
            return {each.uuid for each in asked.providers_with(**query)}

        self.assertEqual({self.uuid, other}, found(required=[A]))
        self.assertEqual({self.uuid}, found(required=[A, B]))
        self.assertEqual({other}, found(required=[A], forbidden=[B]))
        self.assertEqual({self.uuid, other}, asked.uuids_with_any([A, B]))
        error = self.assertRaises(
            errors.UnknownTrait, found, required=['CUSTOM_NEVER_SEEN']
        )
        self.assertEqual(frozenset({'CUSTOM_NEVER_SEEN'}), error.traits)

    def test_request_when_microversion_is_not_served(self):
        error = self.assertRaises(
            errors.TooOld, self.client()._send, 'GET', '/traits', '1.99', 'x'
        )
        self.assertIn('1.39', str(error))

    def test_request_when_user_may_not_write(self):
        error = self.assertRaises(
            errors.Forbidden, self.client(token='other').ensure_trait, A
        )
        self.assertIn('"admin"', str(error))
        self.assertNotIn('other', str(error))

    def test_request_when_path_is_not_placement(self):
        asked = self.client(self.server.url + '/elsewhere')
        self.assertRaises(errors.PlacementError, asked.traits_of, self.uuid)
