# SPDX-License-Identifier: Apache-2.0
"""loongarch64: LVZ in the features of cpuinfo.

Kernel arch/loongarch/kernel/proc.c prints ``lvz`` where the processor has it
and the kernel is no guest.
"""

from __future__ import annotations

from collections.abc import Iterator

from hvfilter.model.catalogue import Arch
from hvfilter.model.finding import Observation
from hvfilter.probes import single_kvm
from hvfilter.probes.base import Probe
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.remedies import Remedy

_NO_LVZ = Remedy(
    'loongarch64_without_lvz',
    'place KVM guests on hosts whose processor has LVZ (from 3A5000 and '
    '3C5000 on); no virtual machine has it',
    'the processor, or the virtual one, has no LVZ',
    vendor='loongarch64',
    source='kernel arch/loongarch/kernel/cpu-probe.c, arch/loongarch/kvm',
)


class Loongarch64(Probe):
    """LVZ, and KVM on it."""

    archs = frozenset({Arch.LOONGARCH64})

    def observe(self, host: ProbeContext) -> Iterator[Observation]:
        yield from single_kvm.from_device(host, 'LVZ', None)
        yield from single_kvm.from_flag(
            host, 'Features', 'lvz', 'LVZ', _NO_LVZ()
        )
        yield single_kvm.never_nested('loongarch64', host.kernel)
