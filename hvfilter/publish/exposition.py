# SPDX-License-Identifier: Apache-2.0
"""Metrics as the text that Prometheus reads, and back.

Source: Prometheus text exposition format 0.0.4; node_exporter ``textfile.go``
(reads every ``*.prom`` in its folder, and none with a time stamp in it).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import prometheus_client
from prometheus_client import core, parser

from hvfilter.publish.metrics import Family


def render(families: Iterable[Family]) -> bytes:
    """The text; a metric without samples has only its help.

    :raises ValueError: a sample has not the labels of its metric
    """
    registry = prometheus_client.CollectorRegistry(auto_describe=False)
    registry.register(_Families(families))
    return prometheus_client.generate_latest(registry)


def samples(
    text: bytes,
) -> Mapping[str, list[tuple[Mapping[str, str], float]]]:
    """Labels and values by the name of the sample.

    Empty for what is no such text: written by something else, or truncated.
    """
    found: dict[str, list[tuple[Mapping[str, str], float]]] = {}
    try:
        for family in parser.text_string_to_metric_families(text.decode()):
            for sample in family.samples:
                labelled = sample.labels, float(sample.value)
                found.setdefault(sample.name, []).append(labelled)
    except ValueError:
        return {}
    return found


class _Families:
    """A collector in the sense of prometheus_client."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[core.Metric]:
        for metric, values in self._families:
            # The library adds it again to the name of a counter.
            name = metric.name.removesuffix('_total')
            family = core.Metric(name, metric.meaning, metric.kind)
            for labels, value in values:
                named = dict(zip(metric.labels, labels, strict=True))
                family.add_sample(metric.name, named, value)
            yield family
