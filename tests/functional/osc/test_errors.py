# SPDX-License-Identifier: Apache-2.0
"""What goes wrong is one line with the remedy, and a non-zero exit code."""

import json

import yaml

from tests.fakes.compute import ComputeHost
from tests.functional import findings
from tests.functional.osc import base


class ErrorsTest(base.OpenStackTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.start_hosts(ComputeHost('intel'), ComputeHost.amd('amd'))
        self.has('intel', findings.INTEL)

    def line(self, *arguments: str, user: str = 'admin') -> str:
        text = self.fails(*arguments, user=user)
        self.assertEqual(1, len(text.splitlines()), text)
        return text

    def test_suggestion_when_a_capability_is_misspelt(self) -> None:
        error = self.fails('list', '--has', 'nestd')
        self.assertIn("Did you mean 'nested'?", error)

    def test_names_are_accepted_as_people_write_them(self) -> None:
        for name in ('NESTED_SLAT', 'nested-slat'):
            ran = self.capability('list', '--has', name, '-f', 'value')
            self.assertTrue(ran.out.startswith('intel '), ran.out)

    def test_one_line_when_the_network_is_down(self) -> None:
        for service, name in (('placement', 'Placement'), ('compute', 'Nova')):
            endpoint = self.endpoints[service]
            self.endpoints[service] = 'http://127.0.0.1:1/'
            for command in ('list', 'summary'):
                line = self.line(command)
                self.assertIn(f'No answer from {name}', line)
                # Green threads know the error by its short name.
                self.assertRegex(line, 'Connection refused|ECONNREFUSED')
            self.endpoints[service] = endpoint

    def test_one_line_when_placement_is_down(self) -> None:
        with self.gate.refusing(lambda request: True):
            line = self.line('list', '--has', 'nested')
        self.assertIn('HTTP 503', line)

    def test_one_line_when_nobody_may_read_placement(self) -> None:
        for user in ('member', 'reader'):
            line = self.line('list', '--has', 'nested', user=user)
            self.assertIn('HTTP 403', line)

    def test_a_user_whom_nova_refuses_gets_what_placement_shows(self) -> None:
        """Placement lets this user read; Nova has no role for it."""
        self.reads_placement = True
        ran = self.capability('list', '-f', 'json', '--long', user='reader')
        hosts = {each['Host']: each for each in ran.json}
        self.assertEqual({'intel', 'amd'}, set(hosts))
        self.assertEqual('valid', hosts['intel']['Report'])
        self.assertEqual('unreported', hosts['amd']['Report'])
        self.assertEqual('n/a', hosts['amd']['State'])
        for lost in ('state, status', 'host aggregates', 'availability zones'):
            self.assertIn(f'Not shown: {lost}', ran.err)
        ran = self.capability('show', 'intel', '-f', 'json', user='reader')
        self.assertIn('has', {each['State'] for each in ran.json})
        self.assertIn('Not shown: what Nova says', ran.err)
        ran = self.capability('summary', '-f', 'json', user='reader')
        self.assertTrue(ran.json)

    def test_fields_are_the_same_in_every_format(self) -> None:
        fields = ['Host', 'ID']
        arguments = ('list', '--sort-column', 'Host')
        found = self.capability(*arguments, '-f', 'json').json
        self.assertEqual(fields, list(found[0]))
        self.assertEqual(['amd', 'intel'], [each['Host'] for each in found])
        text = self.capability(*arguments, '-f', 'yaml').out
        self.assertEqual(found, yaml.safe_load(text))
        text = self.capability(*arguments, '-f', 'csv').out
        self.assertEqual('"Host","ID"', text.splitlines()[0])
        text = self.capability(*arguments, '-f', 'value', '-c', 'Host').out
        self.assertEqual(['amd', 'intel'], text.split())
        ran = self.capability('list', '--long', '-f', 'json')
        self.assertIn('nested', ran.json[1]['Capabilities'])
        self.assertIsInstance(json.loads(ran.out)[1]['Capabilities'], list)
