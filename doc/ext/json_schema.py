# SPDX-License-Identifier: Apache-2.0
"""``.. json-schema:: NAME``, what ``hvfilter schemas NAME`` prints."""

from __future__ import annotations

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

from hvfilter.cli import schemas


class JsonSchema(Directive):
    """One schema as code."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        text = schemas.all_schemas()[self.arguments[0]]
        return [nodes.literal_block(text, text, language='json')]


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive('json-schema', JsonSchema)
    return {'parallel_read_safe': True}
