# SPDX-License-Identifier: Apache-2.0
"""``.. package-imports::``, who imports whom in hvfilter, as an SVG."""

from __future__ import annotations

from docutils import nodes
from docutils.parsers.rst import Directive
from package_picture import picture
from sphinx.application import Sphinx


class PackageImports(Directive):
    """The picture, for HTML; elsewhere the text says it."""

    def run(self) -> list[nodes.Node]:
        return [nodes.raw('', picture(), format='html')]


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive('package-imports', PackageImports)
    return {'parallel_read_safe': True}
