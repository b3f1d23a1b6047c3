# SPDX-License-Identifier: Apache-2.0
"""``.. remedies::``, all remedies as a table."""

from __future__ import annotations

import re

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from hvfilter.probes import remedies


class Remedies(SphinxDirective):
    """Every remedy: key, cause, vendor, kernel, machine, text, source."""

    def run(self) -> list[nodes.Node]:
        lines = [
            '.. list-table::',
            '   :header-rows: 1',
            '   :widths: 16 20 10 10 10 34',
            '',
            '   * - Key',
            '     - Cause',
            '     - Vendor',
            '     - Kernel',
            '     - Machine',
            '     - Remedy',
        ]
        for key, remedy in remedies.every().items():
            lines += [
                f'   * - ``{key}``',
                f'     - {_escaped(remedy.cause)}',
                f'     - {_escaped(remedy.vendor)}',
                f'     - {_escaped(remedy.kernel)}',
                f'     - {_escaped(remedy.machine)}',
                f'     - {_escaped(remedy.text)} ({_escaped(remedy.source)})',
            ]
        node = nodes.container()
        self.state.nested_parse(StringList(lines, 'remedies'), 0, node)
        return list(node.children)


def _escaped(text: str) -> str:
    """As plain text: what reStructuredText would take for markup."""
    return re.sub(r'([\\*`|_])', r'\\\1', text)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive('remedies', Remedies)
    return {'parallel_read_safe': True}
