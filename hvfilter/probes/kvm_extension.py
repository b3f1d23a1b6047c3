# SPDX-License-Identifier: Apache-2.0
"""An extension of KVM, by KVM_CHECK_EXTENSION (kernel
Documentation/virt/kvm/api.rst 4.4)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from hvfilter.host.base import Denied
from hvfilter.model.catalogue import Stage
from hvfilter.model.finding import Observation, Strength
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.evidence import Source
from hvfilter.probes.remedies import Advice


@dataclasses.dataclass(frozen=True)
class KvmExtension:
    """One extension.

    :ivar name: as the kernel's include/uapi/linux/kvm.h has it
    """

    name: str
    number: int

    @property
    def source(self) -> Source:
        """The call, and which extension is checked."""
        return Source(
            Stage.KVM,
            Strength.IOCTL,
            'KVM_CHECK_EXTENSION',
            f'{self.name} ({self.number})',
        )

    def observe(
        self,
        host: ProbeContext,
        key: str,
        *,
        offered: str,
        missing: Callable[[], tuple[str, Advice]],
        unknown: str,
    ) -> Observation:
        """What KVM answers of a capability.

        :param offered: the reason when it has the extension
        :param missing: the reason and the remedy when it does not
        :param unknown: the reason when KVM could not be asked
        """
        try:
            value = host.kvm_extension(self.number)
        except Denied as denied:
            return self.source.denied(key, denied, unknown)
        if value > 0:
            return self.source.present(key, str(value), offered)
        return self.source.absent(key, str(value), *missing())
