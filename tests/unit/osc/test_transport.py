# SPDX-License-Identifier: Apache-2.0

import argparse

import testtools
from keystoneauth1 import exceptions as ksa

from hvfilter.osc import base, compute, transport
from hvfilter.placement import errors
from tests.fakes.transport import ScriptedTransport, answer


class Configuration:
    """Of a cloud whose requests all end in one error."""

    def __init__(self, error):
        self.error = error

    def get_session_client(self, service_type, *, constructor):
        return self

    def request(self, url, method, **kwargs):
        raise self.error


class TestErrors(testtools.TestCase):
    def test_each_names_the_service_and_what_to_do(self):
        for error, kind, words in (
            (ksa.SSLError('bad'), errors.Misconfigured, 'OS_CACERT'),
            (ksa.ConnectFailure('no'), errors.Unreachable, 'Nova runs'),
            (ksa.DiscoveryFailure('no'), errors.Unreachable, 'Nova runs'),
            (ksa.Unauthorized('no'), errors.Unauthorized, 'clouds.yaml'),
            (ksa.EndpointNotFound('no'), errors.Misconfigured, 'catalog'),
            (ksa.MissingAuthPlugin('no'), errors.Misconfigured, 'clouds.yaml'),
        ):
            way = transport.CloudTransport(
                Configuration(error), 'compute', 'Nova'
            )
            caught = self.assertRaises(
                kind, way.request, 'GET', '/', microversion='2.53'
            )
            self.assertIn(words, str(caught))
            self.assertEqual(1, len(str(caught).splitlines()))
            self.assertEqual(1, way.requests)


class TestArguments(testtools.TestCase):
    def test_capability_is_found_as_people_write_it(self):
        for text in ('nested', ' NESTED', 'CUSTOM_HVFILTER_NESTED'):
            self.assertEqual('nested', base.capability(text))

    def test_error_when_nothing_is_near(self):
        error = self.assertRaises(
            argparse.ArgumentTypeError, base.capability, 'xyzzy'
        )
        self.assertNotIn('Did you mean', str(error))
        self.assertIn('nested_slat', str(error))

    def test_weeks_are_a_small_number(self):
        self.assertEqual(3, base._weeks('3'))
        for text in ('-1', 'two', '1000', ''):
            self.assertRaises(argparse.ArgumentTypeError, base._weeks, text)


class TestCompute(testtools.TestCase):
    def hypervisor(self, *names):
        listed = [
            {'id': name, 'hypervisor_hostname': name, 'cpu_info': 'nonsense'}
            for name in names
        ]
        way = ScriptedTransport(answer(value={'hypervisors': listed}))
        return compute.Compute(way).hypervisor('kvm1')

    def test_exact_name_wins_over_names_that_contain_it(self):
        self.assertEqual('kvm1', self.hypervisor('kvm10', 'kvm1').name)
        self.assertEqual('kvm1.x', self.hypervisor('kvm1.x').name)

    def test_error_when_a_name_is_ambiguous_or_unknown(self):
        for names in (('kvm10', 'kvm11'), ()):
            self.assertRaises(errors.NotFound, self.hypervisor, *names)

    def test_facts_when_nova_shows_no_processor(self):
        found = self.hypervisor('kvm1')
        self.assertEqual(frozenset(), found.flags)
        self.assertEqual('', found.facts.vendor)
        self.assertFalse(found.up)

    def test_flavor_is_found_by_id_or_else_by_name(self):
        first, second = (
            {'id': '1', 'name': 'small', 'vcpus': 2, 'swap': ''},
            {'id': 'small', 'name': '1', 'vcpus': 4, 'swap': 512},
        )
        for name, vcpus, swap, listed in (
            ('small', 2, 0, [first]),
            ('small', 4, 512, [first, second]),
            ('1', 2, 0, [first, second]),
        ):
            way = ScriptedTransport(
                answer(value={'flavors': listed}),
                answer(value={'flavors': []}),
            )
            found = compute.Compute(way).flavor(name)
            self.assertEqual((vcpus, swap), (found.vcpus, found.swap_mb))
