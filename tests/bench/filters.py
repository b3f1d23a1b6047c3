# SPDX-License-Identifier: Apache-2.0
"""Nova's filters and weighers and ours, in Nova's own handlers.

Only who has what comes from a table instead of from Placement.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable

import nova.conf
from nova import objects
from nova.scheduler import filters, host_manager, weights
from nova.scheduler.filters import (
    all_hosts_filter,
    compute_capabilities_filter,
    image_props_filter,
)
from nova.scheduler.weights import ram

from hvfilter.placement.expired import NONE
from hvfilter.scheduler import nova_client, worker_state
from hvfilter.scheduler.filters import hardware_virt
from hvfilter.scheduler.weighers import hardware_virt as hardware_virt_weigher
from tests.bench.clock import Run, best_of_turns_s, best_s
from tests.bench.cloud import spec
from tests.fakes.fleet import Fleet

NESTED = {'hvfilter:nested': 'required'}
VMX = {'capabilities:cpu_info:features': '<in> vmx'}
KVM_IMAGE = {'img_hv_type': 'kvm', 'hw_architecture': 'x86_64'}

HANDLER = 'the handler alone'
LOOK_UP = 'a set look-up for each host'
ALL_HOSTS = 'AllHostsFilter'
IMAGE_PROPERTIES = 'ImagePropertiesFilter, kvm and x86_64'
COMPUTE_CAPABILITIES = 'ComputeCapabilitiesFilter, <in> vmx'
WARM = 'HardwareVirtFilter, warm'
COLD = 'HardwareVirtFilter, cold'
REFRESH = 'HardwareVirtFilter, refresh'


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
        nova_client.providers_with_trait = self.fleet
        nova_client.carried_traits = self.fleet.carried
        nova_client.expired_reports = lambda max_age_weeks: NONE
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
        found[REFRESH] = best_s(warm, before=self.refresh, rounds=5)

        def cold() -> None:
            self.run(self.new(), spec(NESTED))()

        found[COLD] = best_s(cold, rounds=5)
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
        found['HardwareVirtFilter, 9 of 10 rejected, warm'] = best_s(scarce)
        return found

    def weighers(self) -> dict[str, float]:
        """Nova's own handler with a weigher of Nova's, and with ours.

        A tenth of the hosts has what is scarce, a third what is preferred.
        """
        self.fleet['nested'].intersection_update(
            state.uuid for state in self.states[::10]
        )
        self.fleet['slat'].update(state.uuid for state in self.states[::3])
        worker_state.renew()
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
