# SPDX-License-Identifier: Apache-2.0

import json

import testtools
from hypothesis import given
from hypothesis import strategies as st

from hvfilter.placement import client, errors
from tests.fakes.transport import ScriptedTransport, answer, problem

UUID = '6b8d6a2e-4f0b-4c86-9d4f-0e6f7f0f1c11'
ROOT = '0c3a1f5e-90c1-4a4a-8f9e-5f5d8d3c1a22'
TRAIT = 'CUSTOM_HVFILTER_KVM'
PROVIDER = {
    'uuid': UUID,
    'name': 'node1',
    'generation': 7,
    'root_provider_uuid': ROOT,
}
TRAITS = {'traits': [TRAIT, 'HW_CPU_X86_VMX']}
WITH_GENERATION = {**TRAITS, 'resource_provider_generation': 3}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    'traits',
                    'resource_providers',
                    'resource_provider_generation',
                    'errors',
                    'detail',
                    'uuid',
                    'name',
                    'generation',
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


class AskTest(testtools.TestCase):
    def client(self, *script):
        self.transport = ScriptedTransport(*script)
        return client.PlacementClient(self.transport)

    def sent(self):
        (sent,) = self.transport.sent
        return sent

    def test_provider_when_it_exists(self):
        found = self.client(answer(value=PROVIDER)).provider(UUID.upper())
        self.assertEqual(client.Provider(UUID, 'node1'), found)
        self.assertEqual(f'/resource_providers/{UUID}', self.sent().path)
        self.assertEqual('1.6', self.sent().microversion)

    def test_provider_when_uuid_is_malformed(self):
        asked = self.client()
        self.assertRaises(ValueError, asked.provider, 'node1/../traits')
        self.assertEqual([], self.transport.sent)

    def test_provider_named_when_it_exists(self):
        listed = answer(value={'resource_providers': [PROVIDER]})
        found = self.client(listed).provider_named('node1')
        self.assertEqual(UUID, found.uuid)
        self.assertEqual('/resource_providers?name=node1', self.sent().path)

    def test_provider_named_when_name_needs_quoting(self):
        asked = self.client(answer(value={'resource_providers': []}))
        self.assertRaises(
            errors.NotFound, asked.provider_named, 'a b&required=C#d'
        )
        self.assertEqual(
            '/resource_providers?name=a+b%26required%3DC%23d',
            self.sent().path,
        )

    def test_provider_named_when_another_is_answered(self):
        listed = answer(value={'resource_providers': [PROVIDER]})
        self.assertRaises(
            errors.NotFound, self.client(listed).provider_named, 'node2'
        )

    def test_traits_of_when_it_has_some(self):
        found = self.client(answer(value=WITH_GENERATION)).traits_of(UUID)
        self.assertEqual(
            client.ProviderTraits(UUID, 3, frozenset(TRAITS['traits'])), found
        )
        self.assertEqual('1.6', self.sent().microversion)

    def test_set_traits_when_accepted(self):
        asked = self.client(answer(value=WITH_GENERATION))
        found = asked.set_traits(UUID, 2, {'HW_CPU_X86_VMX', TRAIT})
        self.assertEqual(3, found.generation)
        self.assertEqual('PUT', self.sent().method)
        self.assertEqual(
            {
                'resource_provider_generation': 2,
                'traits': [TRAIT, 'HW_CPU_X86_VMX'],
            },
            self.sent().body,
        )

    def test_traits_known_when_asked_by_prefix(self):
        asked = self.client(answer(value=TRAITS))
        found = asked.traits_known('CUSTOM_HVFILTER_')
        self.assertEqual(frozenset(TRAITS['traits']), found)
        self.assertEqual(
            '/traits?name=startswith:CUSTOM_HVFILTER_', self.sent().path
        )

    def test_ensure_trait_when_new_or_known(self):
        for status in (201, 204):
            self.client(answer(status)).ensure_trait(TRAIT)
            self.assertEqual('PUT', self.sent().method)
            self.assertEqual(f'/traits/{TRAIT}', self.sent().path)

    def test_ensure_trait_when_name_is_not_custom(self):
        for name in ('HW_CPU_X86_VMX', 'CUSTOM_', 'CUSTOM_a', 'CUSTOM_A/B'):
            self.assertRaises(ValueError, self.client().ensure_trait, name)

    def test_delete_trait_when_in_use(self):
        asked = self.client(problem(409))
        self.assertRaises(errors.Conflict, asked.delete_trait, TRAIT)
        self.assertEqual('DELETE', self.sent().method)

    def test_providers_with_when_required(self):
        listed = answer(value={'resource_providers': [PROVIDER]})
        found = self.client(listed).providers_with(required=['B', 'A_1'])
        self.assertEqual([UUID], [provider.uuid for provider in found])
        self.assertEqual(
            '/resource_providers?required=A_1,B', self.sent().path
        )
        self.assertEqual('1.18', self.sent().microversion)

    def test_providers_with_when_forbidden(self):
        asked = self.client(answer(value={'resource_providers': []}))
        asked.providers_with(required=['A'], forbidden=['B'])
        self.assertEqual('/resource_providers?required=A,!B', self.sent().path)
        self.assertEqual('1.22', self.sent().microversion)


class ErrorTest(testtools.TestCase):
    def error(self, *script):
        asked = client.PlacementClient(ScriptedTransport(*script))
        return self.assertRaises(
            errors.PlacementError, asked.set_traits, UUID, 1, [TRAIT]
        )

    def assert_says(self, expected, error, *words):
        self.assertIs(expected, type(error))
        for word in (UUID, *words):
            self.assertIn(word, str(error))

    def test_error_when_token_is_refused(self):
        self.assert_says(errors.Unauthorized, self.error(answer(401)), '401')

    def test_error_when_role_is_missing(self):
        error = self.error(problem(403, 'needs service'))
        self.assert_says(errors.Forbidden, error, 'needs service', '"admin"')

    def test_error_when_provider_is_missing(self):
        error = self.error(problem(404, 'No resource provider'))
        self.assert_says(errors.NotFound, error, 'nova-compute')

    def test_error_when_404_is_of_another_service(self):
        error = self.error(answer(404, body=b'<html>Not here</html>'))
        self.assert_says(errors.BadAnswer, error, 'endpoint_override')
        self.assertNotIn('html', str(error))

    def test_error_when_microversion_is_not_served(self):
        error = self.error(problem(406, max_version='1.5'))
        self.assert_says(errors.TooOld, error, '1.6', 'ends at 1.5')

    def test_error_when_generation_changed(self):
        error = self.error(problem(409, code='placement.concurrent_update'))
        self.assert_says(errors.Conflict, error)
        # The documented label of the metric, not Placement's own code.
        self.assertEqual('conflict', error.code)

    def test_error_when_trait_is_unknown(self):
        many = [f'CUSTOM_HVFILTER_{number:0200}' for number in range(3)]
        error = self.error(problem(400, f'No such trait {", ".join(many)}'))
        self.assert_says(errors.UnknownTrait, error)
        self.assertEqual(frozenset(many), error.traits)

    def test_error_when_trait_is_unknown_in_a_query(self):
        error = self.error(problem(400, 'No such trait(s): CUSTOM_A.'))
        self.assertEqual(frozenset({'CUSTOM_A'}), error.traits)

    def test_error_when_request_is_refused(self):
        for status in (400, 405, 413, 415):
            self.assert_says(errors.Rejected, self.error(problem(status)))

    def test_error_when_service_is_busy(self):
        for status in (429, 500, 502, 503, 504):
            error = self.error(answer(status, body=b'busy', retry_after='7'))
            self.assert_says(errors.Unavailable, error, str(status))
            self.assertTrue(error.transient)
            self.assertEqual(
                (status, 7.0), (error.status, error.retry_after_s)
            )

    def test_error_when_retry_after_is_odd(self):
        for text, expected in (
            ('', None),
            ('soon', None),
            ('-1', None),
            ('\u0663', None),
            ('1e9', None),
            ('Fri, 31 Dec 1999 23:59:59 GMT', None),
            ('9' * 400, None),
            ('999999', 3600.0),
        ):
            error = self.error(answer(503, retry_after=text))
            self.assertEqual(expected, error.retry_after_s, text)

    def test_error_when_redirected(self):
        error = self.error(
            answer(302, location='https://u:pass@other.example:81/x?token=t')
        )
        self.assert_says(
            errors.BadAnswer, error, 'https://other.example:81/x '
        )
        for secret in ('pass', 'token=t'):
            self.assertNotIn(secret, str(error))

    def test_error_when_body_is_cut(self):
        whole = json.dumps(WITH_GENERATION).encode()
        for length in range(len(whole)):
            error = self.error(answer(body=whole[:length]))
            self.assert_says(errors.BadAnswer, error)

    def test_error_when_body_is_html(self):
        error = self.error(
            answer(body=b'<html>secret</html>', content_type='text/html')
        )
        self.assert_says(errors.BadAnswer, error, 'text/html')
        self.assertNotIn('secret', str(error))

    def test_error_when_detail_is_long(self):
        error = self.error(problem(403, 'x' * 9999 + '\nnext line'))
        self.assertLess(len(str(error)), 700)
        self.assertNotIn('\n', str(error))

    @given(JSON, st.sampled_from([200, 204, 300, 400, 404, 406, 409, 500]))
    def test_error_when_json_is_of_any_shape(self, value, status):
        for ask in (
            lambda asked: asked.traits_of(UUID),
            lambda asked: asked.provider(UUID),
            lambda asked: asked.provider_named('node1'),
            lambda asked: asked.traits_known('CUSTOM_'),
            lambda asked: asked.providers_with(required=['A']),
        ):
            transport = ScriptedTransport(answer(status, value))
            try:
                ask(client.PlacementClient(transport))
            except errors.PlacementError as error:
                self.assertTrue(error.what and error.remedy)

    def test_error_when_json_is_too_deep(self):
        self.assert_says(
            errors.BadAnswer, self.error(answer(body=b'[' * 100_000))
        )


class WithoutSecretsTest(testtools.TestCase):
    def test_without_secrets_when_url_has_some(self):
        for url, expected in (
            ('http://u:p@h:1/a?q#f', 'http://h:1/a'),
            ('http://[::1]:8778/placement', 'http://[::1]:8778/placement'),
            ('/relative?x', '/relative'),
            ('http://h:port/', '(a malformed URL)'),
        ):
            self.assertEqual(expected, client.without_secrets(url))
