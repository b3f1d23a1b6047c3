# SPDX-License-Identifier: Apache-2.0
"""The metrics of a fleet, of what Placement and Nova say of it.

Each host counts once in a metric with the label ``zone``, so sums over zones
are right; it counts in each of its aggregates, so sums over those are not.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator, Mapping, Sequence

from hvfilter import version
from hvfilter.model import dated
from hvfilter.model.week import Week
from hvfilter.osc import capability_counts
from hvfilter.osc.capability_counts import Count
from hvfilter.osc.fleet import Fleet, Host
from hvfilter.placement import capacity
from hvfilter.publish.metrics import Family, Metric, Sample, declared
from hvfilter.rules.capability_state import CapabilityState

CPUS = ('VCPU', 'PCPU')
"""Shared and dedicated; a host may have either or both."""

_MEMORY = 'MEMORY_MB'
_MIB = 1 << 20
_WEEK_S = 7 * 24 * 3600
_NONE_EXPECTED = 'none expected'
_REPORTS = (
    'valid',
    CapabilityState.STALE.value,
    CapabilityState.UNREPORTED.value,
    _NONE_EXPECTED,
)

HOSTS = Metric(
    'hvfilter_fleet_hosts',
    'Compute hosts by their report; none is expected without KVM.',
    ('report',),
)
WITHOUT_PROVIDER = Metric(
    'hvfilter_fleet_hosts_without_provider',
    'Compute nodes without a resource provider in Placement.',
)
OLDEST = Metric(
    'hvfilter_fleet_oldest_report_age_seconds',
    'Age of the oldest report on any provider: whole weeks, 0 for this week.',
)
CAPABILITY_HOSTS = Metric(
    'hvfilter_fleet_capability_hosts',
    'Compute hosts by what they say of a capability.',
    ('zone', 'capability', 'state'),
)
FREE_CPUS = Metric(
    'hvfilter_fleet_free_cpus',
    'Free CPUs on hosts that have the capability, are up and enabled.',
    ('zone', 'capability', 'resource_class'),
)
FREE_MEMORY = Metric(
    'hvfilter_fleet_free_memory_bytes',
    'Free memory on these hosts, as far as they have a free CPU.',
    ('zone', 'capability'),
)
AGGREGATE_HOSTS = Metric(
    'hvfilter_fleet_aggregate_capability_hosts',
    'Compute hosts of an aggregate by what they say of a capability.',
    ('aggregate', 'capability', 'state'),
)
AGGREGATE_FREE_CPUS = Metric(
    'hvfilter_fleet_aggregate_free_cpus',
    'Free CPUs on hosts of an aggregate that have the capability.',
    ('aggregate', 'capability', 'resource_class'),
)
COMPLETE = Metric(
    'hvfilter_fleet_complete',
    '0 if this user may not see everything, such as zones.',
)
READ = Metric('hvfilter_fleet_timestamp_seconds', 'When the fleet was read.')
BUILD = Metric(
    'hvfilter_fleet_build_info',
    'The version of hvfilter that read the fleet.',
    ('version',),
)

FLEET = declared(globals())
"""All that ``openstack hypervisor capability metrics`` prints."""

_Counts = Mapping[str, Mapping[str, Count]]
"""By zone or aggregate, then by capability."""


def families(
    fleet: Fleet,
    free: Mapping[str, capacity.Free],
    now: Week | None,
    *,
    read_s: float,
    complete: bool,
) -> Iterator[Family]:
    """All metrics of a fleet.

    :param free: what is left, by the uuid of the host
    :param now: this week; None: not known, and no age either
    :param read_s: when it was read, in seconds since the epoch
    :param complete: nothing was hidden from the user
    """
    yield from _about_reports(fleet, now)
    zones: dict[str, list[Host]] = {}
    aggregates: dict[str, list[Host]] = {}
    for host in fleet.hosts:
        zones.setdefault(host.zone, []).append(host)
        for aggregate in host.aggregates:
            aggregates.setdefault(aggregate.name, []).append(host)
    by_zone = _counted(zones, free)
    yield CAPABILITY_HOSTS, list(_hosts(by_zone))
    yield FREE_CPUS, list(_free_cpus(by_zone))
    yield FREE_MEMORY, list(_free_memory(by_zone))
    # Aggregates may be many: only what some host of theirs has, or may have.
    by_aggregate = {
        name: {key: each for key, each in counts.items() if _relevant(each)}
        for name, counts in _counted(aggregates, free).items()
    }
    yield AGGREGATE_HOSTS, list(_hosts(by_aggregate))
    yield AGGREGATE_FREE_CPUS, list(_free_cpus(by_aggregate))
    yield COMPLETE, [((), complete)]
    yield READ, [((), read_s)]
    yield BUILD, [((version.version_string(),), 1)]


def _about_reports(fleet: Fleet, now: Week | None) -> Iterator[Family]:
    reports = collections.Counter(host.report for host in fleet.hosts)
    yield (
        HOSTS,
        [((each.replace(' ', '_'),), reports[each]) for each in _REPORTS],
    )
    orphans = sum(host.orphan for host in fleet.hosts)
    yield WITHOUT_PROVIDER, [((), orphans)]
    weeks = [
        mark.week
        for mark in map(dated.parse, fleet.census.names)
        if mark is not None and mark.kind is dated.Kind.REPORTED
    ]
    ages = [] if now is None else [week.until(now) for week in weeks]
    yield OLDEST, [((), max(ages) * _WEEK_S)] if ages else []


def _counted(
    groups: Mapping[str, Sequence[Host]], free: Mapping[str, capacity.Free]
) -> _Counts:
    return {
        name: capability_counts.count(groups[name], free, (*CPUS, _MEMORY))
        for name in sorted(groups)
    }


def _relevant(count: Count) -> bool:
    return bool(
        count.hosts[CapabilityState.HAS]
        or count.hosts[CapabilityState.UNKNOWN]
    )


def _hosts(counts: _Counts) -> Iterator[Sample]:
    for name, by_capability in counts.items():
        for key, count in by_capability.items():
            for state, number in count.hosts.items():
                yield (name, key, state.value), number


def _free_cpus(counts: _Counts) -> Iterator[Sample]:
    for name, by_capability in counts.items():
        for key, count in by_capability.items():
            for resource_class in CPUS:
                yield (name, key, resource_class), count.free[resource_class]


def _free_memory(counts: _Counts) -> Iterator[Sample]:
    for name, by_capability in counts.items():
        for key, count in by_capability.items():
            yield (name, key), count.free[_MEMORY] * _MIB
