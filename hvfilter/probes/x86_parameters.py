# SPDX-License-Identifier: Apache-2.0
"""Why a parameter of kvm_intel or kvm_amd is off."""

from __future__ import annotations

from hvfilter.model.catalogue import CATALOGUE, Capability, SvmFlag
from hvfilter.model.finding import State
from hvfilter.probes import x86_remedies
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.module_parameter import ModuleParameter
from hvfilter.probes.parameter_remedy import set_parameter
from hvfilter.probes.remedies import Advice
from hvfilter.probes.x86_readings import cleared, flags, registers

PARAMETERS = tuple(row for row in CATALOGUE if row.parameter)
"""The capabilities of which a parameter shows whether KVM uses them."""


def why_off(host: ProbeContext, row: Capability) -> tuple[str, Advice]:
    """Why the parameter of a capability is off, and what switches it on.

    KVM clears a parameter where another one that it needs is off (kernel
    vmx/vmx.c, vmx_hardware_setup; svm/svm.c, svm_hardware_setup; svm/avic.c).

    :returns: a clause for a reason, and the remedy
    """
    module, name = row.module, row.parameter
    svm = row.flag if isinstance(row.flag, SvmFlag) else None
    hidden, word = cleared(host, svm.word) if svm else ('', '')
    if word:
        cause = f'{word} on the kernel command line hides it'
        return cause, x86_remedies.CLEARED(name=hidden, word=word)
    for other in row.needs:
        if ModuleParameter(module, other).is_set(host, False):
            cause = f'it needs the parameter {other} of {module}, which is off'
            return cause, set_parameter(host, module, other)
    cause = f'the parameter {name} of {module} is off'
    if not _processor_has(host, row.key):
        cause += ', or the processor has none'
    return cause, set_parameter(host, module, name)


def _processor_has(host: ProbeContext, key: str) -> bool:
    """Whether a register or a word shows the feature."""
    return any(
        key in readings and readings[key].state is State.PRESENT
        for readings in (registers(host), flags(host))
    )
