# SPDX-License-Identifier: Apache-2.0
"""Publish metrics for the textfile collector of node_exporter.

Times are absolute; their age is ``time() - <metric>`` in a query.
Source: Prometheus text exposition format 0.0.4; node_exporter ``textfile.go``
(reads every ``*.prom`` in its folder).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import prometheus_client
from prometheus_client import core, parser

from hvfilter import version
from hvfilter.model.finding import HostReport
from hvfilter.model.nested_registers import is_trait as is_nested_set
from hvfilter.model.problem import Problem
from hvfilter.publish import atomic_file, base

SUCCESS = 'hvfilter_publish_success_timestamp_seconds'


class TextfilePublisher(base.Publisher):
    """Writes metrics into a file."""

    name = 'textfile'

    def publish(
        self, context: base.PublishContext, *, dry_run: bool = False
    ) -> base.Outcome:
        """See :meth:`hvfilter.publish.base.Publisher.publish`."""
        path = self._path()
        text = render(context, successes(atomic_file.read(path) or b''))
        if not dry_run:
            mode = int(self.conf.hvfilter.textfile_mode, 8)
            atomic_file.replace(path, text, mode)
        return base.Outcome(
            self.name, str(path), changed=True, content=text.decode()
        )

    def withdraw(
        self, identity: base.Identity, *, dry_run: bool = False
    ) -> base.Outcome:
        """See :meth:`hvfilter.publish.base.Publisher.withdraw`."""
        path = self._path()
        there = atomic_file.read(path) is not None
        if there and not dry_run:
            atomic_file.remove(path)
        return base.Outcome(self.name, str(path), changed=there)

    def _path(self) -> Path:
        path = Path(self.conf.hvfilter.textfile)
        if path.suffix != '.prom':
            raise Problem(
                f'node_exporter does not read {path}',
                'Set [hvfilter] textfile to a name that ends in ".prom".',
            )
        return path


def successes(before: bytes) -> dict[str, float]:
    """When each publisher last succeeded, from the previous content."""
    times = {}
    try:
        families = list(parser.text_string_to_metric_families(before.decode()))
    except ValueError:
        # Written by something else or truncated: not worth failing.
        return {}
    for family in families:
        for sample in family.samples:
            if sample.name == SUCCESS and 'publisher' in sample.labels:
                times[sample.labels['publisher']] = sample.value
    return times


def render(
    context: base.PublishContext, last_successes: dict[str, float]
) -> bytes:
    """The file's content.

    :param last_successes: when each publisher last succeeded, in seconds
        since the epoch.
    """
    registry = prometheus_client.CollectorRegistry(auto_describe=False)
    registry.register(_Metrics(context, last_successes))
    return prometheus_client.generate_latest(registry)


class _Metrics:
    """All metrics; a collector in the sense of prometheus_client."""

    def __init__(
        self, context: base.PublishContext, last_successes: dict[str, float]
    ) -> None:
        self._context = context
        self._successes = last_successes

    def collect(self) -> Iterator[core.Metric]:
        yield from _about_findings(self._context.report)
        yield _family(
            'hvfilter_nested_set_info',
            'The trait with the virtualization features that guests get.',
            [
                ({'trait': name}, 1)
                for name in filter(is_nested_set, self._context.wanted.present)
            ],
        )
        yield _family(
            'hvfilter_probe_timestamp_seconds',
            'When the host was last probed.',
            [({}, self._context.probed_s)],
        )
        yield from self._about_publishing()
        yield _family(
            'hvfilter_build_info',
            'The version of hvfilter.',
            [({'version': version.version_string()}, 1)],
        )

    def _about_publishing(self) -> Iterator[core.Metric]:
        now_s, outcomes = self._context.now_s, self._context.previous
        names = [{'publisher': each.publisher} for each in outcomes]
        yield _family(
            'hvfilter_publish_timestamp_seconds',
            'When publishing was last attempted.',
            [(name, now_s) for name in names],
        )
        # An alert on the age needs a sample, also if it never succeeded.
        succeeded = {each.publisher: 0.0 for each in outcomes}
        succeeded.update(self._successes)
        succeeded.update(
            (each.publisher, now_s) for each in outcomes if not each.problem
        )
        yield _family(
            SUCCESS,
            'When publishing last succeeded; 0 for never.',
            [
                ({'publisher': name}, when)
                for name, when in sorted(succeeded.items())
            ],
        )
        for metric, text, values in (
            (
                'hvfilter_publish_success',
                'Whether the last attempt to publish succeeded.',
                [float(not each.problem) for each in outcomes],
            ),
            (
                'hvfilter_publish_requests',
                'Requests of the last attempt.',
                [float(each.requests) for each in outcomes],
            ),
            (
                'hvfilter_publish_conflicts',
                'Conflicts with other writers in the last attempt.',
                [float(each.conflicts) for each in outcomes],
            ),
            (
                'hvfilter_publish_unverified',
                'Published traits whose state is unknown now.',
                [float(len(each.unverified)) for each in outcomes],
            ),
            (
                'hvfilter_publish_returning',
                'Removed traits that something else keeps adding.',
                [float(len(each.returning)) for each in outcomes],
            ),
        ):
            samples = list(zip(names, values, strict=True))
            yield _family(metric, text, samples)
        yield _family(
            'hvfilter_publish_error_info',
            'Why the last attempt to publish failed.',
            [
                (
                    {
                        'publisher': each.publisher,
                        'error': each.problem.code,
                    },
                    1,
                )
                for each in outcomes
                if each.problem
            ],
        )


def _about_findings(report: HostReport) -> Iterator[core.Metric]:
    yield _family(
        'hvfilter_capability_info',
        'The state of each capability of this host, as published.',
        [
            (
                {
                    'capability': each.capability,
                    'state': each.state.value,
                    'stage': each.deciding.stage.value,
                },
                1,
            )
            for each in report.findings
        ],
    )
    yield _family(
        'hvfilter_capability_overruled_info',
        'Capabilities whose detected state is overridden.',
        [
            ({'capability': each.capability, 'found': each.found.value}, 1)
            for each in report.findings
            if each.override is not None
        ],
    )


def _family(
    name: str, text: str, samples: Iterable[tuple[dict[str, str], float]]
) -> core.Metric:
    family = core.Metric(name, text, 'gauge')
    for labels, value in samples:
        family.add_sample(name, labels, value)
    return family
