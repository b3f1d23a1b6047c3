# SPDX-License-Identifier: Apache-2.0

import socket

import requests
import testtools
from keystoneauth1 import adapter, session, token_endpoint
from keystoneauth1 import exceptions as ksa

from hvfilter.placement import errors, keystone


class Adapter:
    def __init__(self, outcome):
        self.outcome = outcome

    def request(self, url, method, **kwargs):
        self.asked = (url, method, kwargs)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def response(status=200, body=b'{}', **headers):
    made = requests.Response()
    made.status_code = status
    made._content = body
    made.headers.update(headers)
    return made


class KeystoneTransportTest(testtools.TestCase):
    def ask(self, outcome, **more):
        self.adapter = Adapter(outcome)
        transport = keystone.KeystoneTransport(self.adapter)
        return transport.request('PUT', '/x', microversion='1.6', **more)

    def test_request_when_answered(self):
        got = self.ask(response(409, b'{"a": 1}', **{'Retry-After': '3'}))
        self.assertEqual((409, b'{"a": 1}'), (got.status, got.body))
        self.assertEqual('3', got.headers['retry-after'])

    def test_request_when_it_has_a_body(self):
        self.ask(response(), body={'traits': []})
        _, _, more = self.adapter.asked
        self.assertEqual({'traits': []}, more['json'])

    def test_request_when_it_has_none(self):
        self.ask(response())
        url, method, more = self.adapter.asked
        self.assertEqual(('/x', 'PUT'), (url, method))
        self.assertNotIn('json', more)
        self.assertIs(False, more['redirect'])
        self.assertIs(False, more['raise_exc'])
        self.assertEqual('1.6', more['microversion'])

    def test_request_when_library_fails(self):
        for raised, expected in (
            (ksa.ConnectFailure('refused'), errors.Unreachable),
            (ksa.ConnectTimeout('late'), errors.Unreachable),
            (ksa.UnknownConnectionError('x', None), errors.Unreachable),
            (ksa.SSLError('self-signed'), errors.Misconfigured),
            (ksa.DiscoveryFailure('none'), errors.Unreachable),
            (ksa.http.Unauthorized(), errors.Unauthorized),
            (ksa.http.Forbidden(), errors.Forbidden),
            (ksa.http.NotFound(), errors.Misconfigured),
            (ksa.http.ServiceUnavailable(), errors.Unavailable),
            # Older releases have no class of its own for it.
            (
                ksa.from_response(response(429), 'POST', '/v3/auth/tokens'),
                errors.Unavailable,
            ),
            (ksa.EndpointNotFound(), errors.Misconfigured),
            (ksa.EmptyCatalog(), errors.Misconfigured),
            (ksa.MissingRequiredOptions([]), errors.Misconfigured),
            (ksa.AuthorizationFailure(), errors.Misconfigured),
            (ksa.InvalidResponse(response()), errors.BadAnswer),
        ):
            error = self.assertRaises(errors.PlacementError, self.ask, raised)
            self.assertIs(expected, type(error), raised)
            self.assertTrue(error.what and error.remedy)

    def test_request_when_nobody_listens(self):
        with socket.socket() as bound:
            bound.bind(('127.0.0.1', 0))
            url = f'http://127.0.0.1:{bound.getsockname()[1]}'
            reach = session.Session(auth=token_endpoint.Token(url, 'secret'))
            transport = keystone.KeystoneTransport(
                adapter.Adapter(reach, service_type='placement')
            )
            error = self.assertRaises(
                errors.Unreachable,
                transport.request,
                'GET',
                '/traits',
                microversion='1.6',
            )
        self.assertEqual(
            'No response from Placement or Keystone: Unable to establish '
            f'connection to {url}/traits: Connection refused',
            error.what,
        )

    def test_request_when_errors_go_in_circles(self):
        raised = ksa.ConnectFailure('Unable to establish connection to u: x')
        raised.__cause__ = inner = OSError('no number')
        inner.__context__ = raised
        error = self.assertRaises(errors.Unreachable, self.ask, raised)
        self.assertIn('connection to u: x', error.what)

    def test_request_when_answer_is_cut(self):
        for told, encoding in (('4', None), ('9' * 12, None), ('2', 'gzip')):
            headers = {'Content-Length': told}
            if encoding:
                headers['Content-Encoding'] = encoding
            cut = response(200, b'{"a', **headers)
            if encoding:
                self.ask(cut)
            else:
                error = self.assertRaises(errors.Unreachable, self.ask, cut)
                self.assertIn(f'3 of {told} bytes', str(error))

    def test_request_when_keystone_says_when(self):
        raised = ksa.http.ServiceUnavailable(
            response=response(503, **{'Retry-After': '9'})
        )
        error = self.assertRaises(errors.Unavailable, self.ask, raised)
        self.assertEqual(9.0, error.retry_after_s)

    def test_request_when_url_has_a_password(self):
        error = self.assertRaises(
            errors.Unreachable,
            self.ask,
            ksa.ConnectFailure('to http://user:hidden@host/v3: refused'),
        )
        self.assertNotIn('hidden', str(error))
        self.assertIn('host/v3', str(error))
