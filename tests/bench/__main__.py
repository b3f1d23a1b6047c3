# SPDX-License-Identifier: Apache-2.0
"""Prints tables, and as the last line one JSON object.

Real host states and Nova's own filter handler, in this process; only who has
what comes from a table instead of from Placement. Then the whole of
select_destinations on a real Nova and a real Placement, unless told not to.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import gc
import json
import logging
import math
import os
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator

import nova.conf
from nova import objects
from nova.scheduler import filters, host_manager, weights
from nova.scheduler.filters import (
    all_hosts_filter,
    compute_capabilities_filter,
    image_props_filter,
)
from nova.scheduler.weights import ram

from hvfilter.scheduler import knowledge, nova_client
from hvfilter.scheduler.filters import hardware_virt
from hvfilter.scheduler.weighers import hardware_virt as hardware_virt_weigher
from tests.fakes.fleet import Fleet

SIZES = (1_000, 10_000, 100_000)
AT = 10_000
FEATURES = 120
LEAST_TURNS, TURNS_S = 5, 30.0
ON_END, ON_END_S = 5, 0.1
AGGREGATES = 40
ARCHITECTURES = 24
"""Libvirt offers a guest architecture for each QEMU that is installed."""

MEMORY = 'HardwareVirtFilter, memory kept, MiB'
NESTED = {'hvfilter:nested': 'required'}
VMX = {'capabilities:cpu_info:features': '<in> vmx'}
KVM_IMAGE = {'img_hv_type': 'kvm', 'hw_architecture': 'x86_64'}


def cpu_info(number: int) -> str:
    """As libvirt's driver reports it, with features of a present CPU."""
    features = [f'feature-{each}' for each in range(FEATURES - 1)]
    features.insert(90, 'vmx')
    return json.dumps(
        {
            'arch': 'x86_64',
            'model': f'Skylake-Server-{number % 8}',
            'vendor': 'Intel',
            'topology': {'cells': 2, 'sockets': 1, 'cores': 16, 'threads': 2},
            'maxphysaddr': {'mode': 'emulate', 'bits': 46},
            'features': features,
        }
    )


def hosts(count: int) -> list[host_manager.HostState]:
    """Host states with all that filters look at."""
    aggregates = [
        objects.Aggregate(
            id=each,
            uuid=f'{each:08d}-0000-4000-8000-{each:012d}',
            name=f'rack{each}',
            hosts=[],
            metadata={'availability_zone': 'nova'},
        )
        for each in range(AGGREGATES)
    ]
    guests = [['x86_64', 'kvm', 'hvm']]
    guests += [[f'arch{each}', 'qemu', 'hvm'] for each in range(ARCHITECTURES)]
    found = []
    for number in range(count):
        state = host_manager.HostState(
            f'compute-{number:06}', f'compute-{number:06}', None
        )
        state.uuid = f'{number:08x}-1111-4222-8333-{number:012x}'
        state.hypervisor_type = 'QEMU'
        state.hypervisor_version = 10_000_000
        # A string of its own, as it comes out of the database.
        state.cpu_info = cpu_info(number)
        state.supported_instances = [list(guest) for guest in guests]
        state.free_ram_mb = 1_000 * (number % 100)
        state.aggregates = [
            aggregates[number % AGGREGATES],
            aggregates[number * 7 % AGGREGATES],
        ]
        found.append(state)
    return found


def spec(
    extra_specs: dict[str, str] | None = None,
    image: dict[str, str] | None = None,
) -> objects.RequestSpec:
    return objects.RequestSpec(
        instance_uuid='11111111-2222-4333-8444-555555555555',
        flavor=objects.Flavor(extra_specs=dict(extra_specs or {})),
        image=objects.ImageMeta.from_dict({'properties': dict(image or {})}),
        scheduler_hints={},
    )


Run = Callable[[], object]
HANDLER = 'the handler alone'
LOOK_UP = 'a set look-up for each host'
ALL_HOSTS = 'AllHostsFilter'
IMAGE_PROPERTIES = 'ImagePropertiesFilter, kvm and x86_64'
COMPUTE_CAPABILITIES = 'ComputeCapabilitiesFilter, <in> vmx'
WARM = 'HardwareVirtFilter, warm'


def timed_s(run: Run) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


@contextlib.contextmanager
def no_collections() -> Iterator[None]:
    """As timeit has it: Python's collector of garbage rests."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def best_s(
    run: Run, before: Run = bool, rounds: int = 40, least_s: float = 1.0
) -> float:
    """The shortest of several runs, in seconds of processor time."""
    taken: list[float] = []
    with no_collections():
        while len(taken) < 3 or (sum(taken) < least_s and len(taken) < rounds):
            before()
            taken.append(timed_s(run))
    return min(taken)


def best_of_turns_s(
    ways: dict[str, Run], before: Run | None = None
) -> dict[str, float]:
    """The shortest run of each, in seconds of processor time.

    All take turns, for a machine is slower now and faster then. In its turn
    each is run a few times on end; or once, after something else.
    """
    best = dict.fromkeys(ways, math.inf)
    began_s = time.monotonic()
    turns = 0
    with no_collections():
        while turns < LEAST_TURNS or time.monotonic() - began_s < TURNS_S:
            turns += 1
            for name, run in ways.items():
                spent_s, runs = 0.0, 0
                while not runs or (
                    before is None and runs < ON_END and spent_s < ON_END_S
                ):
                    if before is not None:
                        before()
                    taken_s = timed_s(run)
                    best[name] = min(best[name], taken_s)
                    spent_s += taken_s
                    runs += 1
    return best


class DoNothing(filters.BaseHostFilter):
    """What the handler takes by itself."""

    def filter_all(self, hosts: list, spec: objects.RequestSpec) -> list:
        return hosts


class SetLookUp(filters.BaseHostFilter):
    """The least that a filter by uuid can do: what there is to lose."""

    def __init__(self, uuids: set[str]) -> None:
        self.uuids = uuids

    def filter_all(self, hosts: list, spec: objects.RequestSpec) -> list:
        uuids = self.uuids
        return [host for host in hosts if host.uuid in uuids]


class Bench:
    """Filters over one list of hosts."""

    def __init__(self, states: list[host_manager.HostState]) -> None:
        self.states = states
        self.handler = filters.HostFilterHandler()
        self.fleet = Fleet()
        for key in ('reported', 'kvm', 'nested'):
            self.fleet[key].update(state.uuid for state in states)
        nova_client.holders_of = self.fleet
        self.ours = self.new()

    @staticmethod
    def new() -> hardware_virt.HardwareVirtFilter:
        return hardware_virt.HardwareVirtFilter()

    def run(
        self, one: filters.BaseHostFilter, request: objects.RequestSpec
    ) -> Callable[[], object]:
        def run() -> None:
            found = self.handler.get_filtered_objects(
                [one], self.states, request
            )
            if len(found) != self.passing:
                sys.exit(f'{len(found)} hosts passed, not {self.passing}')

        self.passing = len(self.states)
        return run

    def refresh(self) -> None:
        """Who has what has changed since."""
        nova.conf.CONF.set_override('refresh_s', 0.0, group='hvfilter')
        self.ours.filter_all([], spec(NESTED))
        nova.conf.CONF.clear_override('refresh_s', group='hvfilter')

    def _all_warm(self) -> dict[str, Run]:
        warm = self.run(self.ours, spec(NESTED))
        warm()
        return {
            HANDLER: self.run(DoNothing(), spec()),
            LOOK_UP: self.run(
                SetLookUp({state.uuid for state in self.states}), spec()
            ),
            ALL_HOSTS: self.run(all_hosts_filter.AllHostsFilter(), spec()),
            IMAGE_PROPERTIES: self.run(
                image_props_filter.ImagePropertiesFilter(), spec({}, KVM_IMAGE)
            ),
            COMPUTE_CAPABILITIES: self.run(
                compute_capabilities_filter.ComputeCapabilitiesFilter(),
                spec(VMX),
            ),
            WARM: warm,
        }

    def warm(self) -> dict[str, float]:
        """Seconds by what was run, at once after it was run before."""
        return best_of_turns_s(self._all_warm())

    def after_other_work(self) -> dict[str, float]:
        """The same after something that touches all of Nova's memory.

        So the processor's caches hold little of the hosts; as it is in a
        scheduler that has looked at a thousand other things since.
        """
        return best_of_turns_s(self._all_warm(), before=gc.collect)

    def others(self) -> dict[str, float]:
        """What is not warm, or not as plain."""
        found = {}
        warm = self.run(self.ours, spec(NESTED))
        found['HardwareVirtFilter, refresh'] = best_s(
            warm, before=self.refresh, rounds=5
        )

        def cold() -> None:
            self.run(self.new(), spec(NESTED))()

        found['HardwareVirtFilter, cold'] = best_s(cold, rounds=5)
        for key in ('reported', 'kvm', 'nested'):
            self.fleet[key].clear()
        self.ours = self.new()
        plain = self.run(self.ours, spec())
        plain()
        found['HardwareVirtFilter, no agents, warm'] = best_s(plain)

        def first() -> None:
            self.run(self.new(), spec())()

        found['HardwareVirtFilter, no agents, cold'] = best_s(first, rounds=5)
        for key in ('reported', 'kvm'):
            self.fleet[key].update(state.uuid for state in self.states)
        some = self.states[::10]
        self.fleet['nested'].update(state.uuid for state in some)
        self.ours = self.new()
        scarce = self.run(self.ours, spec(NESTED))
        self.passing = len(some)
        scarce()
        found['HardwareVirtFilter, 9 of 10 passed over, warm'] = best_s(scarce)
        return found

    def weighers(self) -> dict[str, float]:
        """Nova's own handler with a weigher of Nova's, and with ours.

        A tenth of the hosts has what is scarce, a third what is preferred.
        """
        self.fleet['nested'].intersection_update(
            state.uuid for state in self.states[::10]
        )
        self.fleet['slat'].update(state.uuid for state in self.states[::3])
        knowledge.renew()
        handler = weights.HostWeightHandler()

        def ways(one: weights.BaseHostWeigher, specs: dict[str, str]) -> Run:
            return lambda: handler.get_weighed_objects(
                [one], self.states, spec(specs)
            )

        return best_of_turns_s(
            {
                'RAMWeigher': ways(ram.RAMWeigher(), {}),
                'HardwareVirtWeigher, slat preferred': ways(
                    hardware_virt_weigher.HardwareVirtWeigher(),
                    {'hvfilter:slat': 'preferred'},
                ),
            }
        )


def memory_mib(states: list[host_manager.HostState]) -> float:
    """What the filter keeps after requests of four kinds."""
    bench = Bench(states)
    # As from the network: no string is shared with anything.
    for held in bench.fleet.traits.values():
        fresh = {uuid[:9] + uuid[9:] for uuid in held}
        held.clear()
        held.update(fresh)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        bench.ours = bench.new()
        for specs in (
            NESTED,
            {},
            {'hvfilter:kvm': 'required'},
            {'hvfilter:nested': 'preferred'},
        ):
            bench.ours.filter_all(states, spec(specs))
        gc.collect()
        return (tracemalloc.get_traced_memory()[0] - before) / 2**20
    finally:
        tracemalloc.stop()


@dataclasses.dataclass(frozen=True)
class Measured:
    """At one number of hosts: seconds by what was run, and MiB."""

    hosts: int
    warm: dict[str, float]
    after_other_work: dict[str, float]
    others: dict[str, float]
    memory_mib: float


def measured(size: int) -> Measured:
    states = hosts(size)
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
        'memory_mib': {
            str(each.hosts): round(each.memory_mib, 1) for each in found
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog='bench', description=__doc__)
    parser.add_argument(
        '--sizes', type=int, nargs='+', default=SIZES, help='numbers of hosts'
    )
    parser.add_argument(
        '--no-select-destinations',
        action='store_true',
        help='leave out the real Nova and Placement',
    )
    parser.add_argument(
        '--only-select-destinations',
        action='store_true',
        help='leave out the rest',
    )
    parser.add_argument(
        '--seconds',
        type=float,
        default=600.0,
        help='no longer than this for select_destinations',
    )
    options = parser.parse_args()
    # What is logged is written, as in a cloud, but not among the tables.
    logging.basicConfig(filename=os.devnull, level=logging.INFO, force=True)
    warnings.simplefilter('ignore')
    objects.register_all()
    found: dict[str, object] = {}
    real = nova_client.holders_of
    if not options.only_select_destinations:
        found.update(filters_alone(sorted({*options.sizes, AT})))
    if not options.no_select_destinations:
        from tests.bench import select_destinations

        nova_client.holders_of = real
        cost = select_destinations.measure(options.seconds)
        found.update(select_destinations.report(cost))
    print(json.dumps(found))


if __name__ == '__main__':
    main()
