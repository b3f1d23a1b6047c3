# SPDX-License-Identifier: Apache-2.0
"""The name of a host's processor, for people."""

from __future__ import annotations

from hvfilter.host.base import unless_denied
from hvfilter.model.catalogue import Arch, Vendor
from hvfilter.model.finding import Processor
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.x86_readings import vendor, vendor_module

_LONGEST = 64
_KEYS = ('model name', 'cpu model', 'cpu', 'uarch')
"""Of ``/proc/cpuinfo`` on x86 and LoongArch, others, POWER, RISC-V."""
_BRAND = range(0x80000002, 0x80000005)
"""CPUID leaves of the brand string, SDM vol. 2 CPUID, APM vol. 3 E.4.2."""


def read(host: ProbeContext) -> Processor:
    """What the kernel or the processor calls it; nothing is raised."""
    if host.arch is not Arch.X86:
        return Processor(_kernel_name(host))
    module = vendor_module(host)
    return Processor(
        _kernel_name(host) or _brand(host) or vendor(host)[:_LONGEST],
        Vendor(module) if module else None,
    )


def _kernel_name(host: ProbeContext) -> str:
    names = unless_denied(
        lambda: [host.cpuinfo.first(key) for key in _KEYS], ()
    )
    return next((name[:_LONGEST] for name in names if name), '')


def _brand(host: ProbeContext) -> str:
    leaves = unless_denied(
        lambda: [host.cpuid(host.cpus[0], leaf, 0) for leaf in _BRAND], ()
    )
    raw = b''.join(
        register.to_bytes(4, 'little')
        for leaf in leaves
        for register in (leaf.eax, leaf.ebx, leaf.ecx, leaf.edx)
    )
    return raw.decode('ascii', 'replace').strip(' \0')
