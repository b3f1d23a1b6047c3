# SPDX-License-Identifier: Apache-2.0
"""The page Architecture names what there is."""

import importlib
import importlib.util
import pathlib
import re

import testtools

DOC = pathlib.Path(__file__).parents[2] / 'doc'


def package_picture():
    path = DOC / 'ext/package_picture.py'
    spec = importlib.util.spec_from_file_location('package_picture', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def found(name):
    """What a dotted name stands for, or why it cannot be imported."""
    parts = name.split('.')
    for length in range(len(parts), 0, -1):
        try:
            thing = importlib.import_module('.'.join(parts[:length]))
        except ModuleNotFoundError as error:
            if not error.name.startswith('hvfilter'):
                # It exists; Nova, which it imports, is not installed.
                return error
            continue
        for part in parts[length:]:
            thing = getattr(thing, part)
        return thing
    raise AssertionError(name)


class TestArchitecture(testtools.TestCase):
    def test_every_name_on_the_page_exists(self):
        page = (DOC / 'source/architecture.rst').read_text()
        names = re.findall(r'``(hvfilter(?:\.\w+)+)``', page)
        self.assertLess(20, len(names))
        for name in names:
            self.assertIsNotNone(found(name), name)

    def test_picture_shows_every_package(self):
        drawn = package_picture()
        layered = {name for layer in drawn.LAYERS for name in layer}
        packages = {
            path.parent.name for path in drawn.ROOT.glob('*/__init__.py')
        }
        self.assertEqual(set(), packages - layered - {'conf'})
        for package in packages - {'conf'}:
            self.assertIn(f'>{package}</text>', drawn.picture())

    def test_page_describes_every_package(self):
        page = (DOC / 'source/architecture.rst').read_text()
        described = ' '.join(re.findall(r'(?m)^   \* - (``.*)$', page))
        for path in package_picture().ROOT.glob('*/__init__.py'):
            self.assertIn(f'``{path.parent.name}``', described)

    def test_imports_run_downwards(self):
        drawn = package_picture()
        row = {
            name: number
            for number, layer in enumerate(drawn.LAYERS)
            for name in layer
        }
        pairs = drawn.imports()
        self.assertIn(('probes', 'host'), pairs)
        for one, other in pairs:
            if 'conf' not in (one, other):
                self.assertLess(row[one], row[other], (one, other))
