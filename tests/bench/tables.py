# SPDX-License-Identifier: Apache-2.0
"""What was measured, for people and for machines."""

from __future__ import annotations

import dataclasses
import gc

from tests.bench import cloud
from tests.bench.filters import (
    ALL_HOSTS,
    COLD,
    COMPUTE_CAPABILITIES,
    HANDLER,
    IMAGE_PROPERTIES,
    LOOK_UP,
    REFRESH,
    WARM,
    Bench,
    memory_mib,
)

AT = 10_000
MEMORY = 'HardwareVirtFilter, memory kept, MiB'


@dataclasses.dataclass(frozen=True)
class Measured:
    """At one number of hosts: seconds by what was run, and MiB."""

    hosts: int
    warm: dict[str, float]
    after_other_work: dict[str, float]
    others: dict[str, float]
    memory_mib: float


def measured(size: int) -> Measured:
    states = cloud.hosts(size)
    bench = Bench(states)
    return Measured(
        size,
        bench.warm(),
        bench.after_other_work(),
        {**bench.others(), **bench.weighers()},
        memory_mib(states),
    )


def table(found: list[Measured]) -> None:
    after = ', after other work'
    rows: dict[str, list[float]] = {}
    for each in found:
        named = (
            *each.warm.items(),
            *((name + after, s) for name, s in each.after_other_work.items()),
            *each.others.items(),
        )
        for name, taken_s in named:
            rows.setdefault(name, []).append(taken_s * 1e3)
    width = max(map(len, [*rows, MEMORY]))
    print(f'{"milliseconds":{width}}', *(f'{m.hosts:>10,}' for m in found))
    for name, values in rows.items():
        print(f'{name:{width}}', *(f'{value:10.2f}' for value in values))
    print(f'{MEMORY:{width}}', *(f'{m.memory_mib:10.1f}' for m in found))


def ratios(taken_s: dict[str, float]) -> dict[str, float]:
    """Ours by theirs."""
    return {
        name: round(taken_s[WARM] / taken_s[theirs], 4)
        for name, theirs in (
            ('vs_all_hosts_filter', ALL_HOSTS),
            ('vs_compute_capabilities_filter', COMPUTE_CAPABILITIES),
            ('vs_image_properties_filter', IMAGE_PROPERTIES),
            ('vs_set_look_up', LOOK_UP),
        )
    }


def growth(small: Measured, large: Measured, name: str) -> float:
    """How many times as much a host costs among many.

    After other work: few hosts fit into the processor's caches and many do
    not, which has nothing to do with how a filter goes about it.
    """
    each_s = [
        each.after_other_work[name] / each.hosts for each in (small, large)
    ]
    return round(each_s[1] / each_s[0], 3)


def each_second(measured: Measured) -> dict[str, int]:
    """How many hosts are judged in a second of processor time."""
    return {
        name: round(measured.hosts / taken_s)
        for name, taken_s in (
            ('warm', measured.warm[WARM]),
            ('after other work', measured.after_other_work[WARM]),
            ('refresh', measured.others[REFRESH]),
            ('cold', measured.others[COLD]),
        )
    }


def slow_vs_all_hosts(measured: Measured, name: str) -> float:
    """What is not warm, by AllHostsFilter."""
    return round(measured.others[name] / measured.warm[ALL_HOSTS], 3)


def filters_alone(sizes: list[int]) -> dict[str, object]:
    """Print the table; the figures for machines are returned."""
    found = []
    for size in sizes:
        found.append(measured(size))
        gc.collect()
    table(found)
    (at,) = [each for each in found if each.hosts == AT]
    most = found[-1]
    warm, after = ratios(at.warm), ratios(at.after_other_work)
    grows = {name: growth(at, most, name) for name in (WARM, LOOK_UP, HANDLER)}
    print()
    print(f'at {AT:,} hosts, ours by theirs:', warm)
    print('  after other work:', after)
    for name in (COLD, REFRESH):
        print(f'  {name} by {ALL_HOSTS}: {slow_vs_all_hosts(at, name)}')
    for each in found:
        print(
            f'hosts judged a second, {each.hosts:,} hosts, handler included:',
            *(f'{k} {v:,}; ' for k, v in each_second(each).items()),
        )
    print(
        f'at {most.hosts:,} hosts a host costs so many times what it costs '
        f'at {AT:,}, after other work:',
        *(f'{name} {times:.2f}; ' for name, times in grows.items()),
    )
    return {
        'hosts': AT,
        **warm,
        'after_other_work': after,
        'growth_per_host': grows[WARM],
        'growth_per_host_of_set_look_up': grows[LOOK_UP],
        'growth_per_host_of_handler': grows[HANDLER],
        'microseconds_a_host': {
            str(each.hosts): [
                round(taken_s[WARM] / each.hosts * 1e6, 3)
                for taken_s in (each.warm, each.after_other_work)
            ]
            for each in found
        },
        'hosts_judged_a_second': {
            str(each.hosts): each_second(each) for each in found
        },
        'cold_vs_all_hosts_filter': slow_vs_all_hosts(at, COLD),
        'refresh_vs_all_hosts_filter': slow_vs_all_hosts(at, REFRESH),
        'memory_mib': {
            str(each.hosts): round(each.memory_mib, 1) for each in found
        },
    }
