# SPDX-License-Identifier: Apache-2.0
"""Stage kvm on x86: do guests get virtualization, with EPT or NPT?

The truth is what KVM offers: KVM_GET_SUPPORTED_CPUID carries VMX or SVM
only with nested on, NPT only with nested and npt on; the feature MSRs of
VT-x are listed only with nested on, and there 0x48B tells of nested EPT
(kernel arch/x86/kvm/cpuid.c, vmx/nested.c, svm/svm.c). The module parameter
is only what was requested. KVM_CAP_NESTED_STATE is no evidence: it is
non-zero on kernels whose nested is off. That a guest really runs one of its
own, :mod:`hvfilter.probes.x86_nested_run` shows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from hvfilter.host.base import Denied
from hvfilter.host.facts import CpuidEntry, CpuidRegs
from hvfilter.model.catalogue import (
    BY_KEY,
    VMX_PROCBASED,
    VMX_PROCBASED2,
    X86,
    Stage,
)
from hvfilter.model.finding import Observation, Strength
from hvfilter.probes import x86_nested_run
from hvfilter.probes.base import Probe
from hvfilter.probes.context import ProbeContext, truth
from hvfilter.probes.evidence import Source
from hvfilter.probes.module_parameter import ModuleParameter
from hvfilter.probes.parameter_remedy import set_parameter
from hvfilter.probes.remedies import Advice, Remedy, first
from hvfilter.probes.x86_features import SVM_LEAF, name_of
from hvfilter.probes.x86_parameters import why_off
from hvfilter.probes.x86_readings import vendor_module, vmx_allowed

_NONE = CpuidEntry(0, 0, CpuidRegs(0, 0, 0, 0))
_CPUID = 'KVM_GET_SUPPORTED_CPUID'
_EPT = 33
_USED_VMX = (
    ('ept', _EPT),
    ('slat', _EPT),
    ('vpid', 37),
    ('unrestricted_guest', 39),
)
"""Secondary controls that guests are shown exactly if KVM uses them itself
(kernel vmx/nested.c, nested_vmx_setup_ctls_msrs)."""

_FORM = {BY_KEY[key].module: BY_KEY[key] for key in BY_KEY['slat'].either}
"""Each vendor's form of SLAT."""


class X86Nested(Probe):
    """What KVM offers to guests, and the module parameter."""

    archs = X86

    def observe(self, host: ProbeContext) -> Iterator[Observation]:
        offered = list(_offered(host))
        yield from offered
        yield from x86_nested_run.observe(
            host, {one.capability: one.state for one in offered}
        )
        for module in _FORM:
            # Another maker's module may be built in, and tells nothing.
            if vendor_module(host) in ('', module):
                yield from _parameters(host, module)


def _ioctl(name: str, item: str) -> Source:
    return Source(Stage.KVM, Strength.IOCTL, name, item)


def _offered(host: ProbeContext) -> Iterator[Observation]:
    try:
        table = host.guest_cpuid()
    except Denied as denied:
        for key in ('nested', 'nested_slat'):
            reason = 'KVM could not be asked what it offers to guests'
            source = _ioctl(_CPUID, 'VMX, SVM, NPT')
            yield source.denied(key, denied, reason)
        return
    ecx = table.get((1, 0), _NONE).regs.ecx
    extended = table.get((0x80000001, 0), _NONE).regs.ecx
    svm_edx = table.get((SVM_LEAF, 0), _NONE).regs.edx
    vmx, svm, npt = ecx >> 5 & 1, extended >> 2 & 1, svm_edx & 1
    yield _verdict(
        host,
        'nested',
        bool(vmx or svm),
        _ioctl(_CPUID, '1:ECX[5] VMX, 80000001:ECX[2] SVM'),
        f'1:ECX={ecx:#x}, 80000001:ECX={extended:#x}',
    )
    if vmx:
        yield _nested_ept(host)
        yield from _used_vmx(host)
    else:
        yield _verdict(
            host,
            'nested_slat',
            bool(svm and npt),
            _ioctl(_CPUID, '80000001:ECX[2] SVM, 8000000A:EDX[0] NPT'),
            f'80000001:ECX={extended:#x}, 8000000A:EDX={svm_edx:#x}',
        )
    if svm:
        source = _ioctl(_CPUID, '8000000A:EDX[0] NPT')
        for key in ('npt', 'slat'):
            value = f'8000000A:EDX={svm_edx:#x}'
            yield _used(host, key, 'kvm_amd', bool(npt), source, value)


def _nested_ept(host: ProbeContext) -> Observation:
    """Nested EPT: bit 1 of the secondary controls that guests are shown."""
    source = _ioctl(
        'KVM_GET_MSRS', f'feature MSR {VMX_PROCBASED2:#x} bit {_EPT} EPT'
    )
    key = 'nested_slat'
    try:
        msrs = host.kvm_feature_msrs()
        has = vmx_allowed(msrs.__getitem__, VMX_PROCBASED2, _EPT)
    except Denied as denied:
        reason = 'KVM could not be asked about nested EPT'
        return source.denied(key, denied, reason)
    except KeyError as missing:
        value = f'{missing.args[0]:#x} is not in the list'
        reason = 'KVM does not list the VMX controls that guests get'
        return source.unknown(key, value, reason)
    value = ', '.join(
        f'{index:#x}={msrs[index]:#x}'
        for index in (VMX_PROCBASED, VMX_PROCBASED2)
        if index in msrs
    )
    return _verdict(host, key, has, source, value)


def _used_vmx(host: ProbeContext) -> Iterator[Observation]:
    try:
        value = host.kvm_feature_msrs().get(VMX_PROCBASED2)
    except Denied:
        # _nested_ept observes it.
        return
    if value is None:
        return
    for key, bit in _USED_VMX:
        source = _ioctl(
            'KVM_GET_MSRS', f'feature MSR {VMX_PROCBASED2:#x} bit {bit}'
        )
        used = bool(value >> bit & 1)
        yield _used(host, key, 'kvm_intel', used, source, f'{value:#x}')


def _used(
    host: ProbeContext,
    key: str,
    module: str,
    used: bool,
    source: Source,
    value: str,
) -> Observation:
    """KVM shows nesting guests what it uses for its own."""
    if used:
        return source.present(key, value, f'KVM uses {name_of("", key)}')
    row = _FORM[module] if key == 'slat' else BY_KEY[key]
    cause, remedy = why_off(host, row)
    reason = f'KVM does not use {row.name}: {cause}'
    return source.absent(key, value, reason, remedy)


def _verdict(
    host: ProbeContext, key: str, has: bool, source: Source, value: str
) -> Observation:
    module = vendor_module(host)
    feature = name_of(module, key)
    if has:
        return source.present(key, value, f'KVM offers {feature} to guests')
    reason = f'KVM does not offer {feature} to guests'
    return source.absent(key, value, reason, _remedy(host, key, module))


ALREADY_ON = Remedy(
    'nested_already_on',
    'nested is on already: read what {module} says in dmesg, and update the '
    'kernel',
    'KVM offers no nested virtualization although its parameter is on',
    source='kernel arch/x86/kvm/vmx/nested.c, svm/nested.c',
)


def _remedy(host: ProbeContext, key: str, module: str) -> Advice:
    """What lets guests have it: only parameters that are not on."""
    module = module or _loaded(host)
    if not module:
        return first(*(_remedy(host, key, each) for each in _FORM))
    names = (
        ('nested',) if key == 'nested' else ('nested', _FORM[module].parameter)
    )
    off = [
        name
        for name in names
        if not ModuleParameter(module, name).is_set(host, True)
    ]
    if not off:
        return ALREADY_ON(module=module)
    return set_parameter(host, module, *off)


def _loaded(host: ProbeContext) -> str:
    """The only module that there is, where the maker is not known."""
    loaded = [name for name in _FORM if host.module_seen(name)]
    return loaded[0] if len(loaded) == 1 else ''


def _parameters(host: ProbeContext, module: str) -> Iterator[Observation]:
    """What was requested: ``nested`` stays as it was set."""
    names: list[str] = []
    values: list[str] = []
    for key, name in (
        ('nested', 'nested'),
        ('nested_slat', _FORM[module].parameter),
    ):
        try:
            value = host.module_parameter(module, name)
        except Denied:
            # Not loaded, or not readable: the probe kvm_device says which.
            return
        if truth(value) is None:
            return
        names.append(name)
        values.append(value)
        source = dataclasses.replace(
            ModuleParameter(module, 'nested').source, item=', '.join(names)
        )
        value = ', '.join(values)
        reason = f'{module} runs with {source.item} = {value}'
        if all(map(truth, values)):
            yield source.present(key, value, reason)
        else:
            remedy = _remedy(host, key, module)
            yield source.absent(key, value, reason, remedy)
