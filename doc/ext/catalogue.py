# SPDX-License-Identifier: Apache-2.0
"""``.. capabilities::`` — the catalogue as a table."""

from __future__ import annotations

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from hvfilter.model.catalogue import (
    CATALOGUE,
    REPORTED_TRAIT,
    Arch,
    Capability,
)

_OF_ANY = 'any'


class Capabilities(SphinxDirective):
    """Every row of the catalogue: key, architectures, meaning, stages."""

    def run(self) -> list[nodes.Node]:
        lines = [
            '.. list-table::',
            '   :header-rows: 1',
            '   :widths: 18 10 40 20',
            '',
            '   * - Capability',
            '     - Architecture',
            '     - Present means',
            '     - Stages',
        ]
        for row in CATALOGUE:
            lines += [
                f'   * - .. _capability-{row.key}:',
                '',
                f'       ``{row.key}``',
                f'     - {_archs(row)}',
                f'     - {row.meaning} ({row.source})',
                f'     - {_stages(row)}',
            ]
        lines += [
            f'   * - ``{REPORTED_TRAIT}``',
            f'     - {_OF_ANY}',
            '     - a marker: hvfilter looked at this host. It tells "has it '
            'not" from "was never asked"',
            '     -',
        ]
        node = nodes.container()
        self.state.nested_parse(StringList(lines, 'catalogue'), 0, node)
        return list(node.children)


def _archs(row: Capability) -> str:
    if row.archs == frozenset(Arch):
        return _OF_ANY
    return ', '.join(sorted(arch.value for arch in row.archs))


def _stages(row: Capability) -> str:
    """The decisive ones in bold."""
    return ', '.join(
        f'**{stage.value}**' if stage in row.decisive else stage.value
        for stage in row.stages
    )


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive('capabilities', Capabilities)
    return {'parallel_read_safe': True}
