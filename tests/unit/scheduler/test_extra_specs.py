# SPDX-License-Identifier: Apache-2.0

import json
import logging
import pathlib
import sys
from unittest import mock

import fixtures
import testtools
from nova import exception
from nova.api.validation.extra_specs import validators

from hvfilter.model import catalogue
from hvfilter.scheduler import extra_specs

METADEFS = (
    pathlib.Path(__file__).parents[3] / 'etc/glance/compute-hvfilter.json'
)


class ValidatorsTest(testtools.TestCase):
    """Through nova-api's own registry, as it is loaded."""

    def refusal(self, name, value):
        found = self.assertRaises(
            exception.ValidationError, validators.validate, name, value
        )
        return str(found)

    def test_every_capability_is_taken_with_every_value(self):
        for key in catalogue.BY_KEY:
            for value in ('required', 'forbidden', 'preferred'):
                validators.validate(f'hvfilter:{key}', value)

    def test_everything_that_horizon_offers_is_taken(self):
        document = json.loads(METADEFS.read_text())
        (resource_type,) = document['resource_type_associations']
        offered = {
            resource_type['prefix'] + name: schema['enum']
            for name, schema in document['properties'].items()
        }
        for name, values in offered.items():
            for value in values:
                validators.validate(name, value)
        taken = {
            each.name: each.value['enum']
            for each in extra_specs.register()
            if each.name.startswith('hvfilter:') and not each.parameters
        }
        self.assertEqual(taken, offered)

    def test_wrong_value_is_refused_and_right_ones_are_named(self):
        for value in ('true', '', 'REQUIRED', 'required '):
            text = self.refusal('hvfilter:nested', value)
            self.assertIn('required, forbidden, preferred', text)

    def test_wrong_capability_is_refused_and_the_near_one_is_named(self):
        text = self.refusal('hvfilter:nestd', 'required')
        self.assertIn('Did you mean hvfilter:nested?', text)
        self.assertIn('nested_slat', text)

    def test_odd_names_are_refused(self):
        for name in ('hvfilter:', 'hvfilter:a:b', 'hvfilter:\n', 'hvfilter:*'):
            self.assertIn('names no capability', self.refusal(name, 'x'))

    def test_names_of_others_are_left_alone(self):
        validators.validate('hw:cpu_policy', 'dedicated')
        validators.validate('mine:anything', 'x')
        validators.validate('hvfilterish', 'x')


class RegisterTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.log = self.useFixture(
            fixtures.FakeLogger('hvfilter', level=logging.INFO)
        )

    def test_nothing_is_raised_when_nova_has_no_validators(self):
        name = 'nova.api.validation.extra_specs'
        with mock.patch.dict(sys.modules, {name: None}):
            self.assertEqual([], extra_specs.register())
        self.assertIn('will not be validated', self.log.output)

    def test_nothing_is_raised_when_nova_has_other_validators(self):
        with mock.patch(
            'nova.api.validation.extra_specs.base.ExtraSpecValidator',
            lambda name: None,
        ):
            self.assertEqual([], extra_specs.register())
        self.assertIn('will not be validated', self.log.output)
