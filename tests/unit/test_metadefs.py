# SPDX-License-Identifier: Apache-2.0
"""Metadata definitions for Glance: what Horizon offers is accepted."""

import importlib.util
import json
import pathlib

import testtools

from hvfilter.model import catalogue
from hvfilter.model.policy import Policy
from hvfilter.model.requirement import Demand
from hvfilter.rules import requests

ROOT = pathlib.Path(__file__).parents[2]


def generator():
    spec = importlib.util.spec_from_file_location(
        'metadefs', ROOT / 'tools' / 'metadefs.py'
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def offered(path):
    """Each extra spec or image property that the file offers, and a value."""
    document = json.loads(path.read_text())
    (resource_type,) = document['resource_type_associations']
    for name, schema in document['properties'].items():
        for value in schema['enum']:
            yield resource_type['prefix'] + name, value


class MetadefsTest(testtools.TestCase):
    def test_files_when_the_catalogue_has_changed(self):
        made = generator()
        self.assertEqual(
            sorted(made.documents()),
            sorted(path.name for path in made.FOLDER.glob('*.json')),
        )
        for name, document in made.documents().items():
            self.assertEqual(
                made.text(document),
                (made.FOLDER / name).read_text(),
                f'{name} is outdated: run "python tools/metadefs.py"',
            )

    def test_every_capability_is_offered(self):
        made = generator()
        for name, form in (
            (made.FLAVORS, 'hvfilter:{0.key}'),
            (made.IMAGES, 'trait:{0.trait}'),
        ):
            names = {each for each, _ in offered(made.FOLDER / name)}
            self.assertEqual(
                {form.format(each) for each in catalogue.CATALOGUE}, names
            )

    def test_every_image_property_offered_requires_its_capability(self):
        made = generator()
        for name, value in offered(made.FOLDER / made.IMAGES):
            trait = name.removeprefix('trait:')
            guest_request = requests.GuestRequest.of(
                {}, image_traits={trait: value}
            )
            found = requests.requirements(guest_request, Policy())
            self.assertEqual((), found.invalid)
            self.assertIn(
                (catalogue.BY_TRAIT[trait].key, Demand.REQUIRED),
                [(each.capability, each.demand) for each in found.items],
            )
