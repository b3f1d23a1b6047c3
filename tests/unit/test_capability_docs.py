# SPDX-License-Identifier: Apache-2.0
"""The documentation names every capability."""

import importlib.util
import pathlib

import testtools

from hvfilter.model.catalogue import CATALOGUE

DOC = pathlib.Path(__file__).parents[2] / 'doc'


def table():
    """The lines that the directive makes, without Sphinx."""
    path = DOC / 'ext/capability_table.py'
    spec = importlib.util.spec_from_file_location('capability_table', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.lines()


class TestCapabilityDocs(testtools.TestCase):
    def test_each_row_is_in_the_table(self):
        """With its key, name and parameter, in as many cells as the head."""
        page = (DOC / 'source/capabilities.rst').read_text()
        self.assertIn('\n.. capabilities::\n', page)
        text = '\n'.join(table())
        rows = text.split('\n   * - ')[1:]
        cells = {row.count('\n     -') for row in rows}
        self.assertEqual(1, len(cells), cells)
        for capability in CATALOGUE:
            (row,) = (r for r in rows if f'``{capability.key}``' in r)
            self.assertIn(f'- {capability.name}\n', row)
            self.assertIn(capability.meaning, row)
            if capability.parameter:
                self.assertIn(
                    f'``{capability.module}.{capability.parameter}``', row
                )
