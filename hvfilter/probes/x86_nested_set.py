# SPDX-License-Identifier: Apache-2.0
"""Stage kvm on x86: which virtualization features KVM offers to guests.

The registers themselves are the evidence: hosts that are to exchange guests
which use nested virtualization are compared by them.
"""

from __future__ import annotations

from collections.abc import Iterator

from hvfilter.host.base import Denied
from hvfilter.host.facts import CpuidEntry, CpuidRegs
from hvfilter.model import nested_evidence, nested_flags
from hvfilter.model.catalogue import X86, Stage
from hvfilter.model.finding import Observation, Strength
from hvfilter.model.nested_registers import SVM_FEATURES, Registers
from hvfilter.probes import nova_options
from hvfilter.probes.base import Probe
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.evidence import Source
from hvfilter.probes.x86_features import name_of
from hvfilter.probes.x86_readings import vendor_module

_NONE = CpuidEntry(0, 0, CpuidRegs(0, 0, 0, 0))
_LONGEST = 600
"""Characters: 13 registers of 64 bits and their numbers take 349."""


class X86NestedSet(Probe):
    """VMX feature MSRs, or SVM's features in CPUID."""

    archs = X86

    def observe(self, host: ProbeContext) -> Iterator[Observation]:
        try:
            found = _offered(host)
        except Denied:
            # The probe x86_nested says what could not be read, and why.
            return
        if found is None:
            return
        name, item = nested_evidence.SOURCES[found.kind]
        source = Source(Stage.KVM, Strength.IOCTL, name, item, _LONGEST)
        feature = name_of(vendor_module(host), 'nested')
        reason = f'KVM offers {feature} to guests'
        less, flags = _less(host, found)
        if less is not None and less != found:
            found = less
            reason += (
                '; cpu_model_extra_flags removes '
                f'{", ".join(f"-{flag}" for flag in flags)}'
            )
        yield source.present('nested', str(found), reason)


def _less(
    host: ProbeContext, offered: Registers
) -> tuple[Registers | None, tuple[str, ...]]:
    """What Nova's guests get of it, and the flags that remove the rest.

    Where Nova's configuration is not known, or hands on no flags
    (``cpu_mode = none``), all of it.
    """
    options = nova_options.read(host)
    if options.refused or options.unresolved or options.cpu_mode == 'none':
        return offered, ()
    flags = tuple(
        flag
        for flag in options.removed_flags
        if nested_flags.without(offered, [flag]) != offered
    )
    return nested_flags.without(offered, flags), flags


def _offered(host: ProbeContext) -> Registers | None:
    """What guests get; None for neither VMX nor SVM. Raises Denied."""
    table = host.guest_cpuid()
    if table.get((1, 0), _NONE).regs.ecx >> 5 & 1:
        return Registers.vmx(host.kvm_feature_msrs())
    if table.get((0x80000001, 0), _NONE).regs.ecx >> 2 & 1:
        return Registers.svm(table.get((SVM_FEATURES, 0), _NONE).regs.edx)
    return None
