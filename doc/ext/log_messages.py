# SPDX-License-Identifier: Apache-2.0
"""``.. log-messages:: package``: all messages that its code logs."""

from __future__ import annotations

import ast
import pathlib
from collections.abc import Iterator

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import hvfilter

ROOT = pathlib.Path(hvfilter.__file__).parent
LEVELS = {
    'info': 'INFO',
    'warning': 'WARNING',
    'error': 'ERROR',
    'exception': 'ERROR, with a traceback',
}


def messages(package: str) -> Iterator[tuple[str, str]]:
    """Level and text, as they stand in the code, in its order."""
    for path in sorted((ROOT / package).rglob('*.py')):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and ast.unparse(node.func.value) == 'LOG'
                and node.func.attr in LEVELS
                and isinstance(text := node.args[0], ast.Constant)
            ):
                yield LEVELS[node.func.attr], str(text.value)


class LogMessages(SphinxDirective):
    """A table, sorted by text: that is what a person searches for."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        lines = [
            '.. list-table::',
            '   :header-rows: 1',
            '   :widths: 16 84',
            '',
            '   * - Level',
            '     - Message',
        ]
        found = sorted(
            set(messages(self.arguments[0])), key=lambda row: row[1]
        )
        for level, text in found:
            if text.strip('%s '):
                lines += [f'   * - {level}', f'     - {_escaped(text)}']
        node = nodes.container()
        self.state.nested_parse(StringList(lines, 'code'), 0, node)
        return list(node.children)


def _escaped(text: str) -> str:
    joined = ' '.join(text.split())
    return ''.join(f'\\{c}' if c in '\\*`_|' else c for c in joined)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive('log-messages', LogMessages)
    return {'parallel_read_safe': True}
