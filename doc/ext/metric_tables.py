# SPDX-License-Identifier: Apache-2.0
"""Metrics and alerts as reStructuredText. Needs no Sphinx."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator
from typing import Any

import yaml

from hvfilter.osc import fleet_metrics
from hvfilter.publish import metrics

TABLES = {'host': metrics.HOST, 'fleet': fleet_metrics.FLEET}
RULES = pathlib.Path(__file__).parents[2] / 'etc/prometheus/hvfilter.rules.yml'


def metric_lines(name: str) -> Iterator[str]:
    """Each metric: its name, labels, type and meaning."""
    yield from (
        '.. list-table::',
        '   :header-rows: 1',
        '   :widths: 52 10 38',
        '',
        '   * - Metric and labels',
        '     - Type',
        '     - Meaning',
    )
    for metric in TABLES[name]:
        labels = ', '.join(metric.labels)
        shown = f'{{{labels}}}' if labels else ''
        yield f'   * - ``{metric.name}{shown}``'
        yield f'     - {metric.kind}'
        yield f'     - {metric.meaning}'


def alerts() -> Iterator[dict[str, Any]]:
    """The rules that are alerts, in their order."""
    for group in yaml.safe_load(RULES.read_text())['groups']:
        yield from (rule for rule in group['rules'] if 'alert' in rule)


def alert_lines() -> Iterator[str]:
    """A definition list: the alert, when it fires, and what to do."""
    for rule in alerts():
        text = rule['annotations']
        yield f'``{rule["alert"]}``'
        yield f'    *{_plain(text["summary"])}*, for {rule["for"]}.'
        yield ''
        yield f'    {_plain(text["description"])}'
        yield ''


def _plain(template: str) -> str:
    """The text of a template: a label as its name, a value as "N"."""
    text = ' '.join(template.split())
    text = re.sub(r'{{ with .*?{{ end }}', '', text)
    text = re.sub(r'{{ range .*{{ end }}', '<instance>, ...', text)
    text = re.sub(r'{{ \$labels\.(\w+) }}', r'<\1>', text)
    return re.sub(r'{{ \$value.*?}}', 'N', text)
