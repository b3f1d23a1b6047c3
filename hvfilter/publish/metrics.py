# SPDX-License-Identifier: Apache-2.0
"""The metrics of a host: what they are named, and what they mean.

The documentation's table is made of this one; needs no prometheus_client.
Source: Prometheus, "Metric and label naming": base units, ``_total`` for
counters, ``_info`` for a value of 1 whose labels are what counts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

Sample = tuple[tuple[str, ...], float]
"""The values of a metric's labels, in their order, and its value."""


@dataclasses.dataclass(frozen=True)
class Metric:
    """One metric family.

    :ivar name: with ``_total`` for a counter
    :ivar meaning: one sentence
    :ivar labels: the names of its labels
    :ivar counter: it only grows, except that it may begin at 0 again
    """

    name: str
    meaning: str
    labels: tuple[str, ...] = ()
    counter: bool = False

    @property
    def kind(self) -> str:
        """Its type, in Prometheus' word."""
        return 'counter' if self.counter else 'gauge'


def declared(names: Mapping[str, object]) -> tuple[Metric, ...]:
    """The metrics among the names of a module, in their order."""
    return tuple(each for each in names.values() if isinstance(each, Metric))


Family = tuple[Metric, Iterable[Sample]]
"""A metric and its samples."""

_BY = ('publisher',)

CAPABILITY = Metric(
    'hvfilter_capability_info',
    'The state of each capability of this host, as published.',
    ('capability', 'state', 'stage'),
)
OVERRULED = Metric(
    'hvfilter_capability_overruled_info',
    'Capabilities whose detected state is overridden.',
    ('capability', 'found'),
)
LAST_PRESENT = Metric(
    'hvfilter_capability_last_present_timestamp_seconds',
    'When a capability that is not present now was last found present.',
    ('capability',),
)
NESTED_SET = Metric(
    'hvfilter_nested_set_info',
    'The trait with the virtualization features that guests get.',
    ('trait',),
)
PROBED = Metric(
    'hvfilter_probe_timestamp_seconds', 'When the host was last probed.'
)
PROBE_ERROR = Metric(
    'hvfilter_probe_error_info',
    'Probes that failed in the last run; what they observe is unknown.',
    ('probe',),
)
TRIED = Metric(
    'hvfilter_publish_timestamp_seconds',
    'When publishing was last attempted.',
    _BY,
)
SUCCEEDED = Metric(
    'hvfilter_publish_success_timestamp_seconds',
    'When publishing last succeeded; 0 for never.',
    _BY,
)
SUCCESS = Metric(
    'hvfilter_publish_success',
    'Whether the last attempt to publish succeeded.',
    _BY,
)
ATTEMPTS = Metric(
    'hvfilter_publish_attempts_total',
    'Attempts to publish since the file was first written.',
    _BY,
    counter=True,
)
FAILURES = Metric(
    'hvfilter_publish_failures_total',
    'Failed attempts to publish since the file was first written.',
    _BY,
    counter=True,
)
REQUESTS = Metric(
    'hvfilter_publish_requests', 'Requests of the last attempt.', _BY
)
CONFLICTS = Metric(
    'hvfilter_publish_conflicts',
    'Conflicts with other writers in the last attempt.',
    _BY,
)
UNVERIFIED = Metric(
    'hvfilter_publish_unverified',
    'Published traits whose state is unknown now.',
    _BY,
)
RETURNING = Metric(
    'hvfilter_publish_returning',
    'Removed traits that something else keeps adding.',
    _BY,
)
ERROR = Metric(
    'hvfilter_publish_error_info',
    'Why the last attempt to publish failed: a code.',
    ('publisher', 'error'),
)
PROVIDER = Metric(
    'hvfilter_provider_info',
    'The resource provider that the host publishes to.',
    ('provider',),
)
WITHDRAWN = Metric(
    'hvfilter_withdrawn_timestamp_seconds',
    'When "hvfilter withdraw" removed everything; then the only metric.',
)
BUILD = Metric('hvfilter_build_info', 'The version of hvfilter.', ('version',))

HOST = declared(globals())
"""All that the publisher textfile writes."""
