# SPDX-License-Identifier: Apache-2.0
"""A compute host as its hypervisor would describe it to nova-compute.

Only the hypervisor is pretended: nova-compute, its resource tracker and its
report client are the real ones, and they treat what is said here as they
treat what libvirt says.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping

import fixtures
import nova.conf
from nova.virt import fake

LIBVIRT_VERSION = 10_000_000
"""What the driver names as hypervisor_version: QEMU 10.0.0."""

CPU_TRAITS = frozenset({'HW_CPU_X86_VMX', 'HW_CPU_X86_SVM', 'HW_CPU_X86_AVX2'})
"""Traits that nova-compute keeps true itself, as it does with libvirt: one
that is not reported is taken off the provider."""

_INTEL = ('fpu', 'vme', 'pae', 'sse2', 'ssse3', 'avx2', 'vmx', 'tsc-deadline')
_AMD = ('fpu', 'vme', 'pae', 'sse2', 'ssse3', 'avx2', 'svm', 'svme-addr-chk')


@dataclasses.dataclass
class ComputeHost:
    """One line of a test's table of hosts. Change it to change the host.

    :ivar memory_mb: decides which host Nova's weighers like best
    :ivar traits: those nova-compute reports of its own accord
    :ivar supported: (architecture, hypervisor type, mode) of the guests that
        libvirt offers; Nova lists kvm for ``virt_type=qemu`` as well
    """

    name: str
    memory_mb: int = 16_384
    vcpus: int = 16
    disk_gb: int = 1_000
    arch: str = 'x86_64'
    vendor: str = 'Intel'
    model: str = 'Skylake-Server-IBRS'
    features: tuple[str, ...] = _INTEL
    traits: frozenset[str] = frozenset({'HW_CPU_X86_VMX'})
    hypervisor_type: str = 'QEMU'
    supported: tuple[tuple[str, str, str], ...] = (
        ('x86_64', 'kvm', 'hvm'),
        ('x86_64', 'qemu', 'hvm'),
    )

    @classmethod
    def amd(cls, name: str, memory_mb: int = 16_384) -> ComputeHost:
        """A host with an AMD processor."""
        return cls(
            name,
            memory_mb,
            vendor='AMD',
            model='EPYC-Rome',
            features=_AMD,
            traits=frozenset({'HW_CPU_X86_SVM'}),
        )

    @property
    def cpu_info(self) -> str:
        """In the form in which the libvirt driver reports it."""
        return json.dumps(
            {
                'arch': self.arch,
                'model': self.model,
                'vendor': self.vendor,
                'topology': {
                    'cells': 1,
                    'sockets': 1,
                    'cores': self.vcpus,
                    'threads': 1,
                },
                'features': list(self.features),
            }
        )


class KvmDriver(fake.FakeDriver):
    """Nova's in-memory driver, describing a host as libvirt would."""

    capabilities = {
        **fake.FakeDriver.capabilities,
        'supports_migrate_to_same_host': False,
    }

    def __init__(self, virtapi: object, machine: ComputeHost) -> None:
        self.machine = machine
        self.vcpus = machine.vcpus
        self.memory_mb = machine.memory_mb
        self.local_gb = machine.disk_gb
        super().__init__(virtapi)

    def get_available_resource(self, nodename: str) -> dict[str, object]:
        status = super().get_available_resource(nodename)
        status.update(
            hypervisor_type=self.machine.hypervisor_type,
            hypervisor_version=LIBVIRT_VERSION,
            cpu_info=self.machine.cpu_info,
            supported_instances=[list(s) for s in self.machine.supported],
            memory_mb=self.machine.memory_mb,
        )
        return status

    def update_provider_tree(self, provider_tree, nodename, allocations=None):
        self.memory_mb = self.machine.memory_mb
        super().update_provider_tree(provider_tree, nodename, allocations)
        gone = CPU_TRAITS - self.machine.traits
        provider_tree.remove_traits(nodename, *sorted(gone))
        provider_tree.add_traits(nodename, *sorted(self.machine.traits))

    def post_live_migration(
        self, context, instance, block_device_info, migrate_data=None
    ):
        """The guest has left: the source host knows it no longer."""
        self.destroy(context, instance, None, block_device_info)


class ComputeDrivers(fixtures.Fixture):
    """Gives every nova-compute the driver of the host it runs for.

    Nova looks for drivers under ``nova.virt`` only, and one process has one
    CONF, so the choice by host name has to be made where it loads them.
    """

    def __init__(self, machines: Mapping[str, ComputeHost]) -> None:
        super().__init__()
        self.machines = machines

    def _setUp(self) -> None:
        self.useFixture(
            fixtures.MonkeyPatch(
                'nova.virt.driver.load_compute_driver', self._load
            )
        )

    def _load(self, virtapi: object, compute_driver: object = None):
        return KvmDriver(virtapi, self.machines[nova.conf.CONF.host])
