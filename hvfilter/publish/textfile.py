# SPDX-License-Identifier: Apache-2.0
"""Publish metrics for the textfile collector of node_exporter.

Times are absolute; their age is ``time() - <metric>`` in a query.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from hvfilter import version
from hvfilter.model.finding import HostReport
from hvfilter.model.nested_registers import is_trait as is_nested_set
from hvfilter.model.problem import Problem
from hvfilter.publish import (
    atomic_file,
    base,
    exposition,
    metrics,
    previous_metrics,
)
from hvfilter.publish.metrics import Family, Metric
from hvfilter.publish.previous_metrics import PreviousMetrics


class TextfilePublisher(base.Publisher):
    """Writes metrics into a file."""

    name = 'textfile'

    def publish(
        self, context: base.PublishContext, *, dry_run: bool = False
    ) -> base.Outcome:
        """See :meth:`hvfilter.publish.base.Publisher.publish`."""
        path = self._path()
        before = previous_metrics.read(atomic_file.read(path) or b'')
        text = exposition.render(families(context, before))
        if not dry_run:
            self._replace(path, text)
        return base.Outcome(
            self.name, str(path), changed=True, content=text.decode()
        )

    def withdraw(
        self, identity: base.Identity, *, dry_run: bool = False
    ) -> base.Outcome:
        """Leave only that and when it was withdrawn.

        Without it, the host would look like one that never published.
        """
        path = self._path()
        before = atomic_file.read(path)
        changed = (
            before is not None and not previous_metrics.read(before).withdrawn
        )
        if changed and not dry_run:
            withdrawn: Family = metrics.WITHDRAWN, [((), time.time())]
            self._replace(path, exposition.render([withdrawn]))
        return base.Outcome(self.name, str(path), changed=changed)

    def _replace(self, path: Path, text: bytes) -> None:
        mode = int(self.conf.hvfilter.textfile_mode, 8)
        atomic_file.replace(path, text, mode)

    def _path(self) -> Path:
        path = Path(self.conf.hvfilter.textfile)
        if path.suffix != '.prom':
            raise Problem(
                f'node_exporter does not read {path}',
                'Set [hvfilter] textfile to a name that ends in ".prom".',
            )
        return path


def families(
    context: base.PublishContext, before: PreviousMetrics
) -> Iterator[Family]:
    """All metrics of a host that publishes.

    :param before: what the run before wrote
    """
    yield from _about_findings(context.report, before)
    sets = filter(is_nested_set, context.desired.present)
    yield metrics.NESTED_SET, [((name,), 1) for name in sets]
    yield metrics.PROBED, [((), context.probed_s)]
    failed = context.report.failed_probes
    yield metrics.PROBE_ERROR, [((name,), 1) for name in failed]
    yield from _about_times(context, before)
    yield from _about_attempts(context.previous)
    yield metrics.BUILD, [((version.version_string(),), 1)]


def _about_findings(
    report: HostReport, before: PreviousMetrics
) -> Iterator[Family]:
    yield (
        metrics.CAPABILITY,
        [
            (
                (
                    each.capability,
                    each.state.value,
                    each.deciding.stage.value,
                ),
                1,
            )
            for each in report.findings
        ],
    )
    yield (
        metrics.OVERRULED,
        [
            ((each.capability, each.found.value), 1)
            for each in report.findings
            if each.override is not None
        ],
    )
    lost = before.lost(report)
    yield metrics.LAST_PRESENT, [((key,), lost[key]) for key in lost]


def _about_times(
    context: base.PublishContext, before: PreviousMetrics
) -> Iterator[Family]:
    """What outlives a run: the time of each success, and the counters."""
    names = [each.publisher for each in context.previous]
    failed = [each.publisher for each in context.previous if each.problem]
    yield metrics.TRIED, [((name,), context.now_s) for name in names]
    # An alert on the age needs a sample, also if it never succeeded.
    succeeded = {**dict.fromkeys(names, 0.0), **before.successes}
    succeeded.update(
        (name, context.now_s) for name in names if name not in failed
    )
    yield metrics.SUCCEEDED, [((key,), succeeded[key]) for key in succeeded]
    for metric, counts, counted in (
        (metrics.ATTEMPTS, before.attempts, names),
        (metrics.FAILURES, before.failures, failed),
    ):
        # increase() of a query needs the 0 before the first failure.
        totals = {**dict.fromkeys(names, 0.0), **counts}
        for name in counted:
            totals[name] += 1
        yield metric, [((name,), totals[name]) for name in totals]


def _about_attempts(outcomes: tuple[base.Outcome, ...]) -> Iterator[Family]:
    values: tuple[tuple[Metric, list[int]], ...] = (
        (metrics.SUCCESS, [not each.problem for each in outcomes]),
        (metrics.REQUESTS, [each.requests for each in outcomes]),
        (metrics.CONFLICTS, [each.conflicts for each in outcomes]),
        (metrics.UNVERIFIED, [len(each.unverified) for each in outcomes]),
        (metrics.RETURNING, [len(each.returning) for each in outcomes]),
    )
    for metric, numbers in values:
        yield (
            metric,
            [
                ((each.publisher,), number)
                for each, number in zip(outcomes, numbers, strict=True)
            ],
        )
    yield (
        metrics.ERROR,
        [
            ((each.publisher, each.problem.code), 1)
            for each in outcomes
            if each.problem
        ],
    )
    providers = {each.provider for each in outcomes if each.provider}
    yield metrics.PROVIDER, [((each,), 1) for each in sorted(providers)]
