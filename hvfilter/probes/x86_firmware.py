# SPDX-License-Identifier: Apache-2.0
"""Stage firmware on x86: is the processor's virtualization permitted?

Intel: IA32_FEATURE_CONTROL, SDM vol. 3 sec. 24.7. AMD: VM_CR, APM vol. 2
sec. 15.30.1. What the kernel made of them: arch/x86/kernel/cpu/feat_ctl.c
(5.6 and later take vmx out of the flags) and arch/x86/kernel/cpu/amd.c
(6.7 and later take svm out).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from hvfilter.host.base import Denied, unless_denied
from hvfilter.model.catalogue import X86, Stage
from hvfilter.model.finding import Observation, State, Strength
from hvfilter.probes import x86_remedies
from hvfilter.probes.base import Probe
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.evidence import Source, access
from hvfilter.probes.machine_kind import Kind, kind
from hvfilter.probes.machine_signs import XEN_TYPE
from hvfilter.probes.x86_features import EITHER, of_module
from hvfilter.probes.x86_readings import (
    cleared,
    has_svm,
    has_vmx,
    other_kvm,
    vendor_module,
)

FEATURE_CONTROL = 0x3A
VM_CR = 0xC0010114


@dataclasses.dataclass(frozen=True)
class _Form:
    """Intel's or AMD's form of the same source."""

    name: str
    has: Callable[[ProbeContext, int], bool]
    word: str
    hidden_since: tuple[int, int]
    module: str
    register: int
    register_name: str
    blocked: Callable[[int], bool]


def _vmx_blocked(value: int) -> bool:
    """Locked (bit 0) without VMX outside SMX (bit 2).

    Left unlocked, the kernel enables and locks it itself.
    """
    return bool(value & 1) and not value >> 2 & 1


def _svm_blocked(value: int) -> bool:
    """SVMDIS, bit 4: EFER.SVME cannot be set."""
    return bool(value >> 4 & 1)


_FORMS = (
    _Form(
        'VT-x',
        has_vmx,
        'vmx',
        (5, 6),
        'kvm_intel',
        FEATURE_CONTROL,
        'IA32_FEATURE_CONTROL',
        _vmx_blocked,
    ),
    _Form(
        'AMD-V',
        has_svm,
        'svm',
        (6, 7),
        'kvm_amd',
        VM_CR,
        'VM_CR',
        _svm_blocked,
    ),
)


class X86Firmware(Probe):
    """Feature-control registers, and what the kernel shows of them."""

    archs = X86

    def observe(self, host: ProbeContext) -> Iterator[Observation]:
        for form in _FORMS:
            for observation in self._of(host, form):
                for key in (*of_module(form.module), *EITHER):
                    yield dataclasses.replace(observation, capability=key)

    def _of(self, host: ProbeContext, form: _Form) -> Iterator[Observation]:
        if kind(host) is Kind.XEN_CONTROL:
            if vendor_module(host) in ('', form.module):
                yield _held_by_xen(host, form)
            return
        if _processor_has(host, form):
            yield from _register(host, form)
            yield from _flag(host, form)
            yield from _module(host, form)
        elif vendor_module(host) == form.module:
            hidden, parameter = cleared(host, form.word)
            if parameter:
                yield _cleared(form, hidden, parameter, 'not there')


def _processor_has(host: ProbeContext, form: _Form) -> bool:
    """Whether any source shows the processor's feature at all."""
    has = unless_denied(
        lambda: any(form.has(host, cpu) for cpu in host.cpus), None
    )
    if has is not None:
        return has
    return unless_denied(
        lambda: form.word in host.cpuinfo.words_anywhere('flags'), False
    )


def _held_by_xen(host: ProbeContext, form: _Form) -> Observation:
    """Xen runs under its control domain and uses the extensions itself."""
    return Source(Stage.FIRMWARE, Strength.PARAMETER, XEN_TYPE, 'Xen').absent(
        '',
        'xen',
        f'Xen runs under this kernel and holds {form.name}',
        x86_remedies.for_lack(host),
    )


def _observation(
    form: _Form, state: State, source: Source, value: str, remedy: str = ''
) -> Observation:
    reason = {
        State.PRESENT: f'the firmware permits {form.name}',
        State.ABSENT: f'the firmware has switched {form.name} off',
        State.UNKNOWN: f'{source.name} does not show whether the firmware '
        f'permits {form.name}',
    }[state]
    return source.observation('', state, value, reason, remedy)


def _source(strength: Strength, name: str, item: str) -> Source:
    return Source(Stage.FIRMWARE, strength, name, item)


def _register(host: ProbeContext, form: _Form) -> Iterator[Observation]:
    item = f'{form.register_name} (MSR {form.register:#x})'
    source = _source(Strength.REGISTER, 'MSR', item)
    values: dict[int, int] = {}
    for cpu in host.cpus:
        try:
            values[cpu] = host.msr(cpu, form.register)
        except Denied as denied:
            remedy = access(denied)
            yield _observation(
                form, State.UNKNOWN, source, str(denied), remedy
            )
            return
    blocked = [cpu for cpu, value in values.items() if form.blocked(value)]
    value = ', '.join(f'{v:#x}' for v in dict.fromkeys(values.values()))
    if blocked and len(blocked) < len(values):
        value += f' (only processors {blocked[:8]} are locked)'
    if blocked:
        yield _forbidden(host, form, source, value)
    else:
        yield _observation(form, State.PRESENT, source, value)


def _forbidden(
    host: ProbeContext, form: _Form, source: Source, value: str
) -> Observation:
    only_txt = _only_txt(host, form)
    remedy = x86_remedies.for_firmware(host, form.module, only_txt)
    if only_txt:
        reason = (
            f'the firmware permits {form.name} only inside SMX (Intel TXT)'
        )
        return source.absent('', value, reason, remedy)
    return _observation(form, State.ABSENT, source, value, remedy)


def _flag(host: ProbeContext, form: _Form) -> Iterator[Observation]:
    """What the kernel left in the flags.

    A word that is there proves something only on a kernel that takes it
    out when the firmware forbids the feature; one that is missing although
    CPUID shows the feature was taken out.
    """
    source = _source(Strength.FLAGS, '/proc/cpuinfo', f'flags: {form.word}')
    sets = unless_denied(lambda: host.cpuinfo.words('flags'), ())
    if not sets:
        return
    if all(form.word in words for words in sets):
        # The line came with the kernel that began to take vmx out.
        line = form.word == 'vmx' and host.cpuinfo.values('vmx flags')
        new = host.kernel_version >= form.hidden_since or bool(line)
        state = State.PRESENT if new else State.UNKNOWN
        value = f'there, kernel {host.kernel}'
        yield _observation(form, state, source, value)
        return
    value = 'not there although CPUID shows the feature'
    hidden, parameter = cleared(host, form.word)
    if parameter:
        yield _cleared(form, hidden, parameter, value)
    elif not _line_read(host) and _permitted(host, form):
        source = dataclasses.replace(
            source, item=f'{source.item}; clearcpuid in /proc/cmdline'
        )
        value = f'{value}; /proc/cmdline cannot be read'
        yield _observation(form, State.UNKNOWN, source, value)
    else:
        yield _forbidden(host, form, source, value)


def _cleared(
    form: _Form, hidden: str, parameter: str, value: str
) -> Observation:
    """The kernel was made to hide the word: no evidence of the firmware."""
    reason = f'{parameter} on the kernel command line hides {form.name}'
    remedy = x86_remedies.CLEARED(name=hidden, word=parameter)
    source = _source(Strength.FLAGS, '/proc/cpuinfo', f'flags: {form.word}')
    return source.unknown('', value, reason, remedy)


def _line_read(host: ProbeContext) -> bool:
    return unless_denied(lambda: bool(host.cmdline.parameters), False)


def _registers(host: ProbeContext, form: _Form) -> list[int]:
    """The register of each processor; none where one cannot be read."""
    # Observed as unknown by _register.
    return unless_denied(
        lambda: [host.msr(cpu, form.register) for cpu in host.cpus], []
    )


def _permitted(host: ProbeContext, form: _Form) -> bool:
    """Whether the register permits what the kernel does not show."""
    values = _registers(host, form)
    return bool(values) and not any(map(form.blocked, values))


def _only_txt(host: ProbeContext, form: _Form) -> bool:
    """Whether the register says why, where it can be read."""
    values = _registers(host, form)
    txt = form.register == FEATURE_CONTROL and bool(values)
    return txt and all(value & 7 == 3 for value in values)


def _module(host: ProbeContext, form: _Form) -> Iterator[Observation]:
    """The KVM module refuses to start where the firmware forbids it.

    One that is built in is listed all the same; so where another module may
    be what offers KVM, neither an open device nor one that is offered and
    may not be opened proves anything.
    """
    # Where they are not known, another may be what offers KVM.
    modules = unless_denied(lambda: host.names('/sys/module'), ())
    if form.module not in modules or other_kvm(modules):
        return
    try:
        value = str(host.kvm_api_version())
    except Denied:
        yield from _registered(host, form)
        return
    source = _source(
        Strength.IOCTL,
        'KVM_GET_API_VERSION',
        f'{form.module} runs and /dev/kvm opens',
    )
    yield _observation(form, State.PRESENT, source, value)


def _registered(host: ProbeContext, form: _Form) -> Iterator[Observation]:
    # kvm_device observes where that is not known.
    if unless_denied(lambda: host.kvm_registered, False):
        item = f'kvm, {form.module}'
        source = _source(Strength.PARAMETER, '/proc/misc, /sys/module', item)
        yield _observation(form, State.PRESENT, source, 'both are there')
