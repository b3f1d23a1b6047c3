# SPDX-License-Identifier: Apache-2.0
"""What Nova's own report says of a capability, beside what hvfilter says.

Nova's data proves little: ``HW_CPU_X86_VMX`` says what the guest CPU model
contains, a flag in ``cpu_info`` what the processor has, firmware lock or not.
So a difference is shown, and only what the filter acts on decides.

Source: Nova ``nova/virt/libvirt/utils.py`` (``CPU_TRAITS_MAPPING``),
``nova/virt/libvirt/driver.py`` (``_get_cpu_info``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hvfilter.model.verdict import HostCapabilities
from hvfilter.rules import infer
from hvfilter.rules.capability_state import CapabilityState

_FLAGS: Mapping[str, tuple[str, ...]] = {
    'hvm': ('vmx', 'svm'),
    'vtx': ('vmx',),
    'amdv': ('svm',),
}
"""In ``cpu_info``."""

_TRAITS: Mapping[str, tuple[str, ...]] = {
    'nested': ('HW_CPU_X86_VMX', 'HW_CPU_X86_SVM'),
    'sev': ('HW_CPU_X86_AMD_SEV',),
    'sev_es': ('HW_CPU_X86_AMD_SEV_ES',),
    'sev_snp': ('HW_CPU_X86_AMD_SEV_SNP',),
    'tdx': ('HW_CPU_X86_INTEL_TDX',),
}
"""Of the provider, by nova-compute."""

_GUARANTEED = frozenset({'sev', 'sev_es', 'sev_snp', 'tdx'})
"""Nova sets these traits where it believes such guests can be started."""


def observations(
    key: str,
    facts: infer.HostFacts,
    flags: frozenset[str],
    names: frozenset[str],
) -> tuple[str, ...]:
    """What Nova shows about a capability, () for nothing.

    :param flags: the processor features in ``cpu_info``
    :param names: all traits of the provider
    """
    return tuple(_observations(key, facts, flags, names))


def _observations(
    key: str,
    facts: infer.HostFacts,
    flags: frozenset[str],
    names: frozenset[str],
) -> Iterator[str]:
    for flag in _FLAGS.get(key, ()):
        if flag in flags:
            yield f'cpu_info: {flag}'
    for name in _TRAITS.get(key, ()):
        if name in names:
            yield name
    if key == 'bare_metal' and facts.virtual:
        yield 'cpu_info: hypervisor'
    if facts.kvm_host and key in infer.absent(facts):
        yield f'ruled out ({facts.vendor or facts.machine})'


def contradiction(
    key: str,
    known: HostCapabilities,
    state: CapabilityState,
    seen: tuple[str, ...],
) -> str:
    """How the two disagree and what follows, '' where they do not."""
    if key in known.denied:
        return (
            'reported, but Nova rules it out: the filter counts it as '
            'missing; run "hvfilter publish" on the host'
        )
    shown = [each for each in seen if not each.startswith('ruled out')]
    if state is not CapabilityState.LACKS or not shown:
        return ''
    if key in _FLAGS:
        return (
            'the processor has it, but firmware or kernel disable it: '
            'see "hvfilter probe" on the host'
        )
    if key in _GUARANTEED:
        return 'Nova offers it, but hvfilter found that it does not work'
    if key == 'nested':
        return (
            'guest CPU models contain it, but guests cannot use it: '
            'see "hvfilter probe" on the host'
        )
    return ''
