# SPDX-License-Identifier: Apache-2.0
"""nova-compute, for a host whose hypervisor is pretended.

``python -m tests.fakes.nova_compute <host as JSON> <arguments>``: the fields
of :class:`tests.fakes.compute.ComputeHost`, then what nova-compute takes.
"""

from __future__ import annotations

import json
import sys

# It patches the standard library, or not, before anything else is imported.
from nova.cmd import compute as command  # isort: skip

from nova.virt import fake

from tests.fakes import compute


class RecordedHostDriver(compute.KvmDriver, fake.FakeDriverWithoutFakeNodes):
    """Our driver, which finds its node again after a restart."""

    machine: compute.ComputeHost

    def __init__(self, virtapi: object, read_only: bool = False) -> None:
        super().__init__(virtapi, self.machine)


def main() -> None:
    fields = json.loads(sys.argv.pop(1))
    amd = fields.pop('amd', False)
    kind = compute.ComputeHost.amd if amd else compute.ComputeHost
    RecordedHostDriver.machine = kind(**fields)
    # Nova looks for drivers under nova.virt only.
    fake.RecordedHostDriver = RecordedHostDriver
    command.main()


if __name__ == '__main__':
    main()
