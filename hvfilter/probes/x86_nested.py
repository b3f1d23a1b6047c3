# SPDX-License-Identifier: Apache-2.0
"""Stage kvm on x86: do guests get virtualization, with EPT or NPT?

The truth is what KVM offers: KVM_GET_SUPPORTED_CPUID carries VMX or SVM
only with nested on, NPT only with nested and npt on; the feature MSRs of
VT-x are listed only with nested on, and there 0x48B tells of nested EPT
(kernel arch/x86/kvm/cpuid.c, vmx/nested.c, svm/svm.c). The module parameter
is only what was requested. KVM_CAP_NESTED_STATE is no evidence: it is
non-zero on kernels whose nested is off.
"""

from __future__ import annotations

from collections.abc import Iterator

from hvfilter.host.door import CpuidEntry, CpuidRegs, Denied
from hvfilter.model.catalogue import (
    BY_KEY,
    VMX_PROCBASED,
    VMX_PROCBASED2,
    X86,
    Stage,
)
from hvfilter.model.finding import Observation, State, Strength
from hvfilter.probes.asking import Question, access
from hvfilter.probes.base import Probe
from hvfilter.probes.context import Look, parameter_path, truth
from hvfilter.probes.parameter_remedy import set_parameter
from hvfilter.probes.remedies import Advice, Remedy, first
from hvfilter.probes.x86_features import SVM_LEAF, name_of
from hvfilter.probes.x86_parameters import why_off
from hvfilter.probes.x86_readings import vendor_module, vmx_allowed

_MODULES = (('kvm_intel', 'ept'), ('kvm_amd', 'npt'))
_NONE = CpuidEntry(0, 0, CpuidRegs(0, 0, 0, 0))


class X86Nested(Probe):
    """What KVM offers to guests, and the module parameter."""

    archs = X86

    def observe(self, look: Look) -> Iterator[Observation]:
        yield from _offered(look)
        for module, slat in _MODULES:
            # Another maker's module may be built in, and tells nothing.
            if vendor_module(look) in ('', module):
                yield from _parameters(look, module, slat)


def _offered(look: Look) -> Iterator[Observation]:
    source = 'KVM_GET_SUPPORTED_CPUID'
    try:
        table = look.kvm_supported_cpuid()
    except Denied as denied:
        for key in ('nested', 'nested_slat'):
            yield _said(
                key,
                State.UNKNOWN,
                Strength.IOCTL,
                source,
                'VMX, SVM, NPT',
                str(denied),
                'KVM could not be asked what it offers to guests',
                access(denied),
            )
        return
    ecx = table.get((1, 0), _NONE).regs.ecx
    extended = table.get((0x80000001, 0), _NONE).regs.ecx
    svm_edx = table.get((SVM_LEAF, 0), _NONE).regs.edx
    vmx, svm = bool(ecx >> 5 & 1), bool(extended >> 2 & 1)
    module = vendor_module(look)
    yield _verdict(
        look,
        module,
        'nested',
        vmx or svm,
        source,
        '1:ECX[5] VMX, 80000001:ECX[2] SVM',
        f'1:ECX={ecx:#x}, 80000001:ECX={extended:#x}',
    )
    if vmx:
        yield _nested_ept(look, module)
        yield from _used_vmx(look)
    else:
        yield _verdict(
            look,
            module,
            'nested_slat',
            svm and bool(svm_edx & 1),
            source,
            '80000001:ECX[2] SVM, 8000000A:EDX[0] NPT',
            f'80000001:ECX={extended:#x}, 8000000A:EDX={svm_edx:#x}',
        )
    if svm:
        for key in ('npt', 'slat'):
            yield _used(
                look,
                key,
                bool(svm_edx & 1),
                source,
                '8000000A:EDX[0] NPT',
                f'8000000A:EDX={svm_edx:#x}',
            )


def _nested_ept(look: Look, module: str) -> Observation:
    """Nested EPT: bit 1 of the secondary controls that guests are shown."""
    source = 'KVM_GET_MSRS'
    asked = f'feature MSR {VMX_PROCBASED2:#x} bit 33 EPT'
    try:
        msrs = look.kvm_feature_msrs()
        has = vmx_allowed(msrs.__getitem__, VMX_PROCBASED2, _EPT)
    except Denied as denied:
        return _said(
            'nested_slat',
            State.UNKNOWN,
            Strength.IOCTL,
            source,
            asked,
            str(denied),
            'KVM could not be asked about nested EPT',
            access(denied),
        )
    except KeyError as missing:
        return _said(
            'nested_slat',
            State.UNKNOWN,
            Strength.IOCTL,
            source,
            asked,
            f'{missing.args[0]:#x} is not in the list',
            'KVM does not list the VMX controls that guests get',
        )
    value = ', '.join(
        f'{index:#x}={msrs[index]:#x}'
        for index in (VMX_PROCBASED, VMX_PROCBASED2)
        if index in msrs
    )
    return _verdict(look, module, 'nested_slat', has, source, asked, value)


_EPT = 33
_USED_VMX = (
    ('ept', _EPT),
    ('slat', _EPT),
    ('vpid', 37),
    ('unrestricted_guest', 39),
)
"""Secondary controls that guests are shown exactly if KVM uses them itself
(kernel vmx/nested.c, nested_vmx_setup_ctls_msrs)."""


def _used_vmx(look: Look) -> Iterator[Observation]:
    try:
        value = look.kvm_feature_msrs().get(VMX_PROCBASED2)
    except Denied:
        return
    if value is None:
        return
    for key, bit in _USED_VMX:
        yield _used(
            look,
            key,
            bool(value >> bit & 1),
            'KVM_GET_MSRS',
            f'feature MSR {VMX_PROCBASED2:#x} bit {bit}',
            f'{value:#x}',
        )


_FORM = {'kvm_intel': 'ept', 'kvm_amd': 'npt'}
"""The parameter, and capability, that is each maker's form of SLAT."""


def _used(
    look: Look, key: str, used: bool, source: str, asked: str, value: str
) -> Observation:
    """KVM shows nesting guests what it uses for its own."""
    question = Question(Stage.KVM, Strength.IOCTL, source, asked)
    if used:
        return question.present(key, value, f'KVM uses {name_of("", key)}')
    module = 'kvm_amd' if asked.startswith('8000000A') else 'kvm_intel'
    own = _FORM[module] if key == 'slat' else key
    cause, remedy = why_off(look, BY_KEY[own])
    reason = f'KVM does not use {BY_KEY[own].name}: {cause}'
    return question.absent(key, value, reason, remedy)


def _verdict(
    look: Look,
    module: str,
    key: str,
    has: bool,
    source: str,
    asked: str,
    value: str,
) -> Observation:
    what = name_of(module, key)
    if has:
        return _said(
            key,
            State.PRESENT,
            Strength.IOCTL,
            source,
            asked,
            value,
            f'KVM offers {what} to guests',
        )
    return _said(
        key,
        State.ABSENT,
        Strength.IOCTL,
        source,
        asked,
        value,
        f'KVM does not offer {what} to guests',
        _remedy(look, key, module),
    )


ALREADY_ON = Remedy(
    'nested_already_on',
    'nested is on already: read what {module} says in dmesg, and update the '
    'kernel',
    'KVM offers no nested virtualization although its parameter is on',
    source='kernel arch/x86/kvm/vmx/nested.c, svm/nested.c',
)


def _remedy(look: Look, key: str, module: str) -> Advice:
    """What lets guests have it: only parameters that are not on."""
    module = module or _loaded(look)
    if not module:
        return first(*(_remedy(look, key, each) for each in _FORM))
    names = ('nested',) if key == 'nested' else ('nested', _FORM[module])
    off = [name for name in names if not _is_on(look, module, name)]
    if not off:
        return ALREADY_ON(module=module)
    return set_parameter(look, module, *off)


def _loaded(look: Look) -> str:
    """The only module that there is, where the maker is not known."""
    try:
        loaded = [name for name in _FORM if look.module_loaded(name)]
    except Denied:
        # This only chooses the words of a remedy.
        return ''
    return loaded[0] if len(loaded) == 1 else ''


def _is_on(look: Look, module: str, name: str) -> bool:
    try:
        return truth(look.module_parameter(module, name)) is True
    except Denied:
        # This only chooses the words of a remedy.
        return False


def _parameters(look: Look, module: str, slat: str) -> Iterator[Observation]:
    path = parameter_path(module, 'nested')
    try:
        value = look.module_parameter(module, 'nested')
    except Denied:
        # Not loaded, or not to be seen: kvm_device tells which.
        return
    nested = truth(value)
    if nested is None:
        return
    yield _requested(look, 'nested', nested, path, 'nested', value, module)
    try:
        slat_value = look.module_parameter(module, slat)
    except Denied:
        return
    uses = truth(slat_value)
    if uses is None:
        return
    yield _requested(
        look,
        'nested_slat',
        nested and uses,
        path,
        f'nested, {slat}',
        f'{value}, {slat_value}',
        module,
    )


def _requested(
    look: Look,
    key: str,
    on: bool,
    path: str,
    asked: str,
    value: str,
    module: str,
) -> Observation:
    state = State.PRESENT if on else State.ABSENT
    return _said(
        key,
        state,
        Strength.PARAMETER,
        path,
        asked,
        value,
        f'{module} runs with {asked} = {value}',
        '' if on else _remedy(look, key, module),
    )


def _said(
    key: str,
    state: State,
    strength: Strength,
    source: str,
    asked: str,
    value: str,
    reason: str,
    remedy: str = '',
) -> Observation:
    return Observation(
        key, Stage.KVM, state, strength, source, asked, value, reason, remedy
    )
