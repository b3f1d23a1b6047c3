# SPDX-License-Identifier: Apache-2.0
"""What x86 registers and cpuinfo flags say, feature by feature.

A reading is one source's answer for the whole host: all processors are
asked, and processors that disagree make the answer ABSENT, because a guest
may run on any of them.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence

from hvfilter.host.base import Denied, unless_denied
from hvfilter.model.catalogue import (
    VMX_BASIC,
    VMX_PROCBASED,
    VMX_PROCBASED2,
    VmxFlag,
)
from hvfilter.model.finding import State
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.evidence import access
from hvfilter.probes.x86_features import EITHER, SVM_FLAGS, SVM_LEAF, VMX_FLAGS

AMD_VENDORS = frozenset({'AuthenticAMD', 'HygonGenuine'})
"""Makers of processors with AMD-V, as cpuinfo spells them."""


@dataclasses.dataclass(frozen=True)
class Reading:
    """One source's answer to one feature.

    :ivar value: raw, for a person to check
    :ivar remedy: how to have the answer after all
    :ivar mixed: whether some processors have it and others do not
    """

    state: State
    source: str
    asked: str
    value: str
    remedy: str = ''
    mixed: bool = False


Readings = Mapping[str, Reading]


def has_vmx(host: ProbeContext, cpu: int) -> bool:
    """CPUID.1:ECX[5]; raises Denied."""
    return bool(host.cpuid(cpu, 1).ecx >> 5 & 1)


def has_svm(host: ProbeContext, cpu: int) -> bool:
    """CPUID.80000001:ECX[2]; raises Denied.

    Only of a maker that has AMD-V (kernel arch/x86/kvm/svm/svm.c,
    kvm_is_svm_supported): a Centaur C5A sets the bit too.
    """
    if vendor(host) and vendor_module(host) != 'kvm_amd':
        return False
    if host.cpuid(cpu, 0x80000000).eax < 0x80000001:
        return False
    return bool(host.cpuid(cpu, 0x80000001).ecx >> 2 & 1)


def svm_features(host: ProbeContext, cpu: int) -> int:
    """CPUID.8000000A:EDX, 0 on a processor without SVM; raises Denied."""
    if not has_svm(host, cpu):
        return 0
    if host.cpuid(cpu, 0x80000000).eax < SVM_LEAF:
        return 0
    return host.cpuid(cpu, SVM_LEAF).edx


def vmx_allowed(read: Callable[[int], int], msr: int, bit: int) -> bool:
    """Whether a bit of a VMX capability MSR is 1.

    The secondary controls exist only where they can be activated (SDM vol. 3
    app. A.3).

    :param read: MSR number to value
    :param bit: 0 to 63
    """
    if msr == VMX_PROCBASED2 and not vmx_allowed(read, VMX_PROCBASED, 63):
        return False
    return bool(read(msr) >> bit & 1)


def registers(host: ProbeContext) -> dict[str, Reading]:
    """:func:`from_registers`, drawn once."""
    return host.derived('x86.registers', lambda: from_registers(host))


def flags(host: ProbeContext) -> dict[str, Reading]:
    """:func:`from_flags`, drawn once."""
    return host.derived('x86.flags', lambda: from_flags(host))


def from_registers(host: ProbeContext) -> dict[str, Reading]:
    """Readings of CPUID and of the VMX capability MSRs."""
    asked = {
        'vtx': ('CPUID', 'CPUID.1:ECX[5] VMX', has_vmx),
        'amdv': ('CPUID', 'CPUID.80000001:ECX[2] SVM', has_svm),
    }
    readings = {
        key: _each_cpu(host, *question) for key, question in asked.items()
    }
    for key, svm in SVM_FLAGS.items():
        readings[key] = _each_cpu(
            host,
            'CPUID',
            f'CPUID.8000000A:EDX[{svm.bit}]',
            functools.partial(_svm_has, bit=svm.bit),
        )
    for key, vmx in _not_of_svm(readings):
        readings[key] = _each_cpu(
            host,
            'MSR',
            ', '.join(f'MSR {msr:#x} bit {bit}' for msr, bit in vmx.bits),
            functools.partial(_vmx_has, bits=vmx.bits),
        )
    return _with_either(readings)


def _not_of_svm(
    readings: Mapping[str, Reading],
) -> Iterator[tuple[str, VmxFlag]]:
    """VT-x's features; on a processor with AMD-V without those that it has
    too."""
    amd = (
        _state(readings, 'amdv') is State.PRESENT
        and _state(readings, 'vtx') is not State.PRESENT
    )
    for key, flag in VMX_FLAGS.items():
        if not (amd and key in SVM_FLAGS):
            yield key, flag


def _svm_has(host: ProbeContext, cpu: int, bit: int) -> bool:
    return bool(svm_features(host, cpu) >> bit & 1)


def _vmx_has(
    host: ProbeContext, cpu: int, bits: tuple[tuple[int, int], ...]
) -> bool:
    if not has_vmx(host, cpu):
        return False
    if not host.msr(cpu, VMX_BASIC):
        # Emulators answer 0 where hardware would refuse: no evidence.
        raise Denied(f'read MSR {VMX_BASIC:#x}', 'ENODATA', 'it reads 0')
    return all(
        vmx_allowed(lambda index: host.msr(cpu, index), msr, bit)
        for msr, bit in bits
    )


def _each_cpu(
    host: ProbeContext,
    source: str,
    asked: str,
    ask: Callable[[ProbeContext, int], bool],
) -> Reading:
    answers: dict[bool, list[int]] = collections.defaultdict(list)
    for cpu in host.cpus:
        try:
            answers[ask(host, cpu)].append(cpu)
        except Denied as denied:
            return _denied(source, asked, denied)
    if len(answers) > 1:
        value = (
            f'processors disagree: {_some(answers[True])} have it, '
            f'{_some(answers[False])} do not'
        )
        return Reading(State.ABSENT, source, asked, value, mixed=True)
    has = next(iter(answers))
    state = State.PRESENT if has else State.ABSENT
    value = f'{int(has)} on all {len(host.cpus)} processors'
    return Reading(state, source, asked, value)


def _denied(source: str, asked: str, denied: Denied) -> Reading:
    return Reading(State.UNKNOWN, source, asked, str(denied), access(denied))


def other_kvm(modules: Sequence[str]) -> str:
    """The module that offers KVM without VT-x and AMD-V, '' when none.

    :param modules: the names in /sys/module
    """
    others = (
        name
        for name in modules
        if name.startswith('kvm_') and name not in ('kvm_intel', 'kvm_amd')
    )
    return next(others, '')


def vendor(host: ProbeContext) -> str:
    """The processor's maker as cpuinfo spells it, '' when not known.

    Where cpuinfo does not show it: CPUID.0, in EBX, EDX and ECX.
    """
    # It is asked for each processor.
    return host.derived('x86_readings.vendor', lambda: _vendor(host))


def _vendor(host: ProbeContext) -> str:
    name = unless_denied(lambda: host.cpuinfo.first('vendor_id'), '')
    if name:
        return name
    leaf = unless_denied(lambda: host.cpuid(host.cpus[0], 0), None)
    if leaf is None:
        return ''
    parts = (leaf.ebx, leaf.edx, leaf.ecx)
    raw = b''.join(part.to_bytes(4, 'little') for part in parts)
    return raw.decode('ascii', 'replace').strip(' \0')


def vendor_module(host: ProbeContext) -> str:
    """The KVM module of this processor's maker, '' when not known."""
    name = vendor(host)
    if not name:
        return ''
    return 'kvm_amd' if name in AMD_VENDORS else 'kvm_intel'


_CLEARABLE = {'vmx': 4 * 32 + 5, 'svm': 6 * 32 + 2}
"""Words of cpuinfo and their numbers (kernel cpufeatures.h): these two have
kept theirs."""


def cleared(host: ProbeContext, *words: str) -> tuple[str, str]:
    """Which of the words ``clearcpuid`` hides, and the parameter that does.

    :returns: the word or number as it is written there, and the parameter;
        '' for none
    """
    parameter = host.boot_word('clearcpuid')
    if parameter is not None:
        for word in words:
            for name in (word, str(_CLEARABLE.get(word, word))):
                if name in parameter.options:
                    return name, parameter.text
    return '', ''


def _some(cpus: list[int]) -> str:
    shown = ','.join(map(str, cpus[:8]))
    return f'{shown},... ({len(cpus)})' if len(cpus) > 8 else shown


def from_flags(host: ProbeContext) -> dict[str, Reading]:
    """Readings of the words in cpuinfo.

    Without ``vmx`` the kernel prints none of VT-x's other words, and KVM
    can use none of them, whatever the processor has. A kernel before 5.6 has
    no ``vmx flags`` line; then there is no reading of the words in it.
    """
    try:
        info = host.cpuinfo
    except Denied as denied:
        reading = _denied('/proc/cpuinfo', 'flags', denied)
        return {
            'vtx': reading,
            'amdv': reading,
            **dict.fromkeys(EITHER, reading),
        }
    if not info.values('flags'):
        reading = Reading(
            State.UNKNOWN, '/proc/cpuinfo', 'flags', 'no such line'
        )
        return {
            'vtx': reading,
            'amdv': reading,
            **dict.fromkeys(EITHER, reading),
        }
    readings = {
        'vtx': _word(host, 'flags', ('vmx',)),
        'amdv': _svm_word(host, 'svm'),
    }
    for key, svm in SVM_FLAGS.items():
        readings[key] = _svm_word(host, 'svm', svm.word)
    if readings['vtx'].state is State.PRESENT:
        for key, vmx in _not_of_svm(readings):
            if info.values(vmx.line):
                readings[key] = _word(host, vmx.line, vmx.words)
    elif not info.words_anywhere('flags') & {'vmx'}:
        for key, vmx in _not_of_svm(readings):
            readings[key] = Reading(
                State.ABSENT,
                '/proc/cpuinfo',
                f'{vmx.line}: {" ".join(vmx.words)}',
                'no vmx in flags',
            )
    return _with_either(readings)


def _svm_word(host: ProbeContext, *words: str) -> Reading:
    """As :func:`has_svm`: the kernel prints what a Centaur C5A sets."""
    name = vendor(host)
    if not name or vendor_module(host) == 'kvm_amd':
        return _word(host, 'flags', words)
    asked = f'vendor_id, flags: {" ".join(words)}'
    return Reading(State.ABSENT, '/proc/cpuinfo', asked, name)


def _word(host: ProbeContext, line: str, words: tuple[str, ...]) -> Reading:
    info = host.cpuinfo
    sought = frozenset(words)
    sets = info.words(line)
    having = sum(sought <= flags_of_cpu for flags_of_cpu in sets)
    asked = f'{line}: {" ".join(words)}'
    if having == len(sets):
        value = f'on all {len(sets)} processors'
        return Reading(State.PRESENT, '/proc/cpuinfo', asked, value)
    if having:
        value = f'processors disagree: {having} of {len(sets)} have it'
    else:
        value = f'on none of {len(sets)} processors'
    return Reading(
        State.ABSENT, '/proc/cpuinfo', asked, value, mixed=bool(having)
    )


def _with_either(readings: dict[str, Reading]) -> dict[str, Reading]:
    """Add the vendor-neutral words."""
    for key, parts in EITHER.items():
        present = [p for p in parts if _state(readings, p) is State.PRESENT]
        unknown = [p for p in parts if _state(readings, p) is State.UNKNOWN]
        chosen = (present or unknown or list(parts))[0]
        if present or unknown:
            if chosen in readings:
                readings[key] = readings[chosen]
            continue
        both = [readings[part] for part in parts]
        mixed = [reading for reading in both if reading.mixed]
        if mixed:
            # The other maker's form says nothing beside it.
            readings[key] = mixed[0]
            continue
        readings[key] = Reading(
            State.ABSENT,
            both[0].source
            if both[0].source == both[1].source
            else f'{both[0].source}, {both[1].source}',
            '; '.join(reading.asked for reading in both),
            '; '.join(dict.fromkeys(reading.value for reading in both)),
        )
    return readings


def _state(readings: Readings, key: str) -> State:
    return readings[key].state if key in readings else State.UNKNOWN
