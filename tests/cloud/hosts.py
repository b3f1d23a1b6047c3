# SPDX-License-Identifier: Apache-2.0
"""The compute hosts of the cloud: what they are, and what they can do."""

from __future__ import annotations

import dataclasses
import json
import pathlib

from tests.cloud.layout import ROOT

_RECORDED = ROOT / 'tests' / 'hosts'


@dataclasses.dataclass(frozen=True)
class Host:
    """One nova-compute.

    :ivar virt_type: of a host with a real libvirt; empty: the driver is
        pretended
    :ivar memory_mb: Nova prefers the host that has most; a real libvirt finds
        out itself, and this much of it is set aside
    :ivar recorded: the host of tests/hosts that it publishes; a host with a
        real libvirt publishes what the agent finds
    """

    name: str
    virt_type: str = ''
    memory_mb: int = 0
    recorded: str = ''
    amd: bool = False

    @property
    def arguments(self) -> str:
        """For ``tests.fakes.nova_compute``."""
        return json.dumps(
            {'name': self.name, 'memory_mb': self.memory_mb, 'amd': self.amd}
        )


def recording(name: str) -> pathlib.Path:
    """The file of a recorded host, for ``hvfilter publish --snapshot``."""
    return _RECORDED / f'{name}.json'


# In the order of their memory: left to itself, Nova takes the first.
HOSTS = (
    Host('emulating', virt_type='kvm', memory_mb=512),
    Host('qemu', virt_type='qemu', memory_mb=1_536),
    Host('flat', memory_mb=3_840, recorded='intel-nested-off'),
    Host('intel', memory_mb=2_944, recorded='intel-all-on'),
    Host('amd', memory_mb=2_048, recorded='amd-everything', amd=True),
)
BY_NAME = {host.name: host for host in HOSTS}
ALL = frozenset(BY_NAME)
REAL = frozenset(host.name for host in HOSTS if host.virt_type)
RECORDED = ALL - REAL
KVM = frozenset({'flat', 'intel', 'amd'})
NESTED = frozenset({'intel', 'amd'})
TCG = frozenset({'qemu'})
