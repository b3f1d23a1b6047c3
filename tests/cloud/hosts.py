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

    :ivar recorded: the host of tests/hosts that it publishes
    :ivar memory_mb: Nova likes best who has most
    """

    name: str
    recorded: str
    memory_mb: int
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


# Left to itself, Nova takes the worst.
HOSTS = (
    Host('emulating', 'intel-no-vtx', 65_536),
    Host('flat', 'intel-nested-off', 32_768),
    Host('intel', 'intel-all-on', 16_384),
    Host('amd', 'amd-everything', 8_192, amd=True),
)
ALL = frozenset(host.name for host in HOSTS)
KVM = frozenset({'flat', 'intel', 'amd'})
NESTED = frozenset({'intel', 'amd'})
