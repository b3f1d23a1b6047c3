# SPDX-License-Identifier: Apache-2.0
"""``.. supported-releases::`` — what the tests on each release came to."""

from __future__ import annotations

import pathlib
import sys

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

sys.path.append(str(pathlib.Path(__file__).parents[2] / 'tools'))

import releases


class SupportedReleases(SphinxDirective):
    """A row for each run that is written down in tests/releases/results."""

    def run(self) -> list[nodes.Node]:
        for path in sorted(releases.RESULTS.glob('*.json')):
            self.env.note_dependency(str(path))
        lines = StringList(releases.table(releases.records()), 'results')
        node = nodes.container()
        self.state.nested_parse(lines, 0, node)
        return list(node.children)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive('supported-releases', SupportedReleases)
    return {'parallel_read_safe': True}
