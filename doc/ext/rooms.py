# SPDX-License-Identifier: Apache-2.0
"""``.. rooms::``, the packages of hvfilter and who imports whom, as an SVG."""

from __future__ import annotations

from docutils import nodes
from docutils.parsers.rst import Directive
from room_picture import picture
from sphinx.application import Sphinx


class Rooms(Directive):
    """The picture, for HTML; elsewhere the text says it."""

    def run(self) -> list[nodes.Node]:
        return [nodes.raw('', picture(), format='html')]


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive('rooms', Rooms)
    return {'parallel_read_safe': True}
