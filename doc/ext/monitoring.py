# SPDX-License-Identifier: Apache-2.0
"""``.. metrics:: host``, ``.. metrics:: fleet`` and ``.. alerts::``."""

from __future__ import annotations

from collections.abc import Iterator

import metric_tables
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Metrics(SphinxDirective):
    """The metrics of a host or of the fleet, as a table."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        return _parsed(self, metric_tables.metric_lines(self.arguments[0]))


class Alerts(SphinxDirective):
    """All alerts: when they fire and what to do."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(metric_tables.RULES))
        return _parsed(self, metric_tables.alert_lines())


def _parsed(
    directive: SphinxDirective, lines: Iterator[str]
) -> list[nodes.Node]:
    node = nodes.container()
    directive.state.nested_parse(StringList(list(lines), 'code'), 0, node)
    return list(node.children)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive('metrics', Metrics)
    app.add_directive('alerts', Alerts)
    return {'parallel_read_safe': True}
