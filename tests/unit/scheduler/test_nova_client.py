# SPDX-License-Identifier: Apache-2.0

import json

import fixtures
import requests
import testtools
from keystoneauth1 import adapter
from keystoneauth1 import exceptions as ksa
from nova.scheduler.client import report

from hvfilter.placement import errors, time_limit
from hvfilter.scheduler import nova_client
from tests.fakes.fleet import Clock

UUID = '6b8d6a2e-4f0b-4c86-9d4f-0e6f7f0f1c11'


def response(status=200, value=None):
    found = requests.Response()
    found.status_code = status
    found.headers['Content-Type'] = 'application/json'
    found._content = json.dumps(value).encode()
    return found


class NovaClientTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.asked = []
        self.answer = response(200, {'traits': []})
        self.useFixture(
            fixtures.MonkeyPatch(
                'nova.scheduler.client.report.report_client_singleton',
                lambda: self,
            )
        )

    def get(self, url, version=None):
        """As nova's report client does."""
        self.asked.append((url, version))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def test_holders_are_asked_for_by_trait(self):
        provider = {'uuid': UUID.upper(), 'name': 'a', 'generation': 1}
        self.answer = response(200, {'resource_providers': [provider]})
        found = nova_client.providers_with_trait('CUSTOM_HVFILTER_KVM')
        self.assertEqual({UUID}, found)
        self.assertEqual(
            [('/resource_providers?required=CUSTOM_HVFILTER_KVM', '1.18')],
            self.asked,
        )

    def test_known_traits_are_ours(self):
        self.answer = response(200, {'traits': ['CUSTOM_HVFILTER_KVM']})
        self.assertEqual({'CUSTOM_HVFILTER_KVM'}, nova_client.known_traits())

    def test_every_failure_is_one_of_placement(self):
        for failure in (
            response(503, None),
            response(200, 'nonsense'),
            response(401, None),
            response(404, None),
            ksa.ConnectFailure('no'),
            ksa.EndpointNotFound('no'),
            ksa.MissingAuthPlugin('no'),
            ksa.Unauthorized('no'),
            ksa.DiscoveryFailure('no'),
            ksa.RequestTimeout('no'),
            requests.ConnectionError('no'),
            requests.exceptions.ChunkedEncodingError('cut'),
            requests.exceptions.ContentDecodingError('bad'),
            ConnectionResetError('no'),
            TimeoutError('no'),
        ):
            self.answer = failure
            self.assertRaises(
                errors.PlacementError,
                nova_client.providers_with_trait,
                'CUSTOM_HVFILTER_KVM',
            )

    def test_request_ends_when_patience_does(self):
        asked = []

        class Adapter(adapter.Adapter):
            def get(self, url, **options):
                asked.append((url, options))
                return response(200, {'traits': []})

        placement = Adapter(None)
        nova = report.SchedulerReportClient(adapter=placement)
        self.useFixture(
            fixtures.MonkeyPatch(
                'nova.scheduler.client.report.report_client_singleton',
                lambda: nova,
            )
        )
        clock = Clock()
        with time_limit.within(20, clock):
            for passes_s, left_s in ((5, 15), (10, 5), (10, 0.1)):
                clock.pass_s(passes_s)
                nova_client.known_traits()
                ((url, options),) = asked
                asked.clear()
                self.assertTrue(url.startswith('/traits'))
                self.assertEqual(left_s, options['timeout'])
                self.assertEqual('1.6', options['microversion'])
                self.assertEqual(0, options['connect_retries'])
        # Without a limit it is Nova's own request.
        nova_client.known_traits()
        self.assertNotIn('timeout', asked[0][1])

    def test_client_that_is_not_as_expected_is_asked_as_nova_does(self):
        with time_limit.within(20, Clock()):
            nova_client.known_traits()
        self.assertEqual(1, len(self.asked))

    def test_it_never_writes(self):
        transport = nova_client.NovaTransport()
        self.assertRaises(
            ValueError, transport.request, 'PUT', '/', microversion='1.6'
        )
        self.assertEqual([], self.asked)
