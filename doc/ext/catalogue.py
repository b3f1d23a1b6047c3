# SPDX-License-Identifier: Apache-2.0
"""``.. capabilities::`` — the catalogue as a table."""

from __future__ import annotations

import capability_table
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Capabilities(SphinxDirective):
    """Every row of the catalogue."""

    def run(self) -> list[nodes.Node]:
        node = nodes.container()
        lines = StringList(capability_table.lines(), 'catalogue')
        self.state.nested_parse(lines, 0, node)
        return list(node.children)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive('capabilities', Capabilities)
    return {'parallel_read_safe': True}
