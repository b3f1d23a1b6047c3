# SPDX-License-Identifier: Apache-2.0
"""What the metrics of one run take over from those of the run before.

The file itself is the memory: node_exporter, Prometheus and the host may be
restarted meanwhile.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from hvfilter.model.finding import HostReport, State
from hvfilter.publish import exposition, metrics
from hvfilter.publish.metrics import Metric


@dataclasses.dataclass(frozen=True)
class PreviousMetrics:
    """Each by publisher, but for capabilities.

    :ivar successes: seconds since the epoch of the last success
    :ivar attempts: number of attempts so far
    :ivar failures: number of failures so far
    :ivar last_present: by capability: seconds since the epoch when it was
        last found present
    :ivar withdrawn: the file only says so
    """

    successes: Mapping[str, float] = dataclasses.field(default_factory=dict)
    attempts: Mapping[str, float] = dataclasses.field(default_factory=dict)
    failures: Mapping[str, float] = dataclasses.field(default_factory=dict)
    last_present: Mapping[str, float] = dataclasses.field(default_factory=dict)
    withdrawn: bool = False

    def lost(self, report: HostReport) -> Mapping[str, float]:
        """Capabilities that were present and now are not, and since when."""
        return {
            finding.capability: self.last_present[finding.capability]
            for finding in report.findings
            if finding.state is not State.PRESENT
            and finding.capability in self.last_present
        }


def read(text: bytes) -> PreviousMetrics:
    """Those in a file; none where it was written by something else."""
    found = exposition.samples(text)

    def by(label: str, metric: Metric) -> dict[str, float]:
        return {
            labels[label]: value
            for labels, value in found.get(metric.name, ())
            if label in labels
        }

    last_present = by('capability', metrics.LAST_PRESENT)
    for _, probed_s in found.get(metrics.PROBED.name, ()):
        for labels, _ in found.get(metrics.CAPABILITY.name, ()):
            if labels.get('state') == State.PRESENT.value:
                last_present[labels.get('capability', '')] = probed_s
    return PreviousMetrics(
        by('publisher', metrics.SUCCEEDED),
        by('publisher', metrics.ATTEMPTS),
        by('publisher', metrics.FAILURES),
        last_present,
        metrics.WITHDRAWN.name in found,
    )
