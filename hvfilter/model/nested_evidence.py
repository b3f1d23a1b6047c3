# SPDX-License-Identifier: Apache-2.0
"""The nested set in a report: an observation whose value is the registers."""

from __future__ import annotations

import types
from collections.abc import Mapping

from hvfilter.model import nested_registers
from hvfilter.model.finding import HostReport
from hvfilter.model.nested_registers import Kind, Registers

SOURCES: Mapping[Kind, tuple[str, str]] = types.MappingProxyType(
    {
        Kind.VMX: ('KVM_GET_MSRS', 'VMX feature MSRs'),
        Kind.SVM: ('KVM_GET_SUPPORTED_CPUID', '8000000A:EDX SVM features'),
    }
)
"""Source and item of the observation, of the capability ``nested``."""


def registers(report: HostReport) -> Registers | None:
    """What guests of a host see; None where the report does not hold it."""
    for stage in report['nested'].stages:
        for each in stage.observations:
            for kind, source in SOURCES.items():
                if (each.source, each.asked) == source:
                    return nested_registers.parse_text(kind, each.value)
    return None
