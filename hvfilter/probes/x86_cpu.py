# SPDX-License-Identifier: Apache-2.0
"""Stage cpu on x86: does the processor have it?"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from hvfilter.host.door import Denied
from hvfilter.model.catalogue import X86, Stage
from hvfilter.model.finding import Observation, State, Strength
from hvfilter.probes.base import Probe
from hvfilter.probes.context import Look
from hvfilter.probes.x86_features import (
    EITHER,
    NAMES,
    SVM_FEATURES,
    VMX_FEATURES,
)
from hvfilter.probes.x86_readings import (
    Reading,
    Readings,
    from_flags,
    from_registers,
    other_kvm,
)

_KEYS = ('vtx', 'amdv', *VMX_FEATURES, *SVM_FEATURES, *EITHER)


class X86Cpu(Probe):
    """CPUID, VMX capability MSRs and cpuinfo flags of all processors."""

    archs = X86

    def observe(self, look: Look) -> Iterator[Observation]:
        registers = from_registers(look)
        flags = from_flags(look)
        other = _other_kvm(look)
        for key in _KEYS:
            yield _observation(key, registers[key], Strength.REGISTER, other)
            if key in flags:
                reading = _without_hidden(key, flags, registers)
                said = _observation(key, reading, Strength.FLAGS, other)
                if _shows_neither(flags):
                    said = _or_firmware(said, registers[key])
                yield said


def _without_hidden(key: str, flags: Readings, registers: Readings) -> Reading:
    """A missing word is no evidence where CPUID shows the feature.

    The kernel takes vmx and svm out of the flags when the firmware disabled
    them (kernel arch/x86/kernel/cpu/feat_ctl.c): that is stage firmware's.
    Without vmx it does not look for the words that go with it.
    """
    reading = flags[key]
    shown = registers[key].state
    if shown is State.UNKNOWN and _shows_neither(flags):
        shown = registers['hvm'].state
    if reading.state is not State.ABSENT or shown is not State.PRESENT:
        return reading
    return Reading(
        State.UNKNOWN,
        reading.source,
        reading.asked,
        f'{reading.value}; the kernel hides what CPUID shows',
    )


def _shows_neither(flags: Readings) -> bool:
    """Whether the flags have neither vmx nor svm: that may be the firmware's
    doing, and what goes with them is gone too."""
    return flags['hvm'].state is State.ABSENT


def _or_firmware(said: Observation, register: Reading) -> Observation:
    """Without the registers, who took a word out cannot be told."""
    if said.state is not State.ABSENT or register.state is not State.UNKNOWN:
        return said
    name = NAMES[said.capability]
    return dataclasses.replace(
        said,
        reason=f'the kernel shows no {name}: the processor has none, or the '
        'firmware has switched it off',
        remedy=f'look for {name} in the firmware setup; if it is not there: '
        f'{said.remedy}',
    )


def _other_kvm(look: Look) -> str:
    """The module that offers KVM without VT-x and AMD-V, '' when none."""
    try:
        if not look.kvm_registered:
            return ''
        return other_kvm(look.names('/sys/module'))
    except Denied:
        return ''


def _observation(
    key: str, reading: Reading, strength: Strength, other_kvm: str
) -> Observation:
    name = NAMES[key]
    state = reading.state
    remedy = reading.remedy
    if 'disagree' in reading.value:
        reason = f'not every processor has {name}: {reading.value}'
        remedy = 'take the differing processors offline, or replace them'
    elif state is State.PRESENT:
        reason = f'the processor has {name}'
    elif state is State.ABSENT:
        reason = f'the processor has no {name}'
        remedy = (
            'other hardware; on a virtual machine, nested virtualization '
            'on the host under it'
        )
    else:
        reason = f'{reading.source} does not tell whether it has {name}'
    if key == 'kvm' and state is State.ABSENT and other_kvm:
        # KVM for which these extensions are not needed: the smoke run
        # decides at stage kvm.
        state = State.UNKNOWN
        reason = f'{reason}, but the module {other_kvm} offers KVM without'
        remedy = ''
    return Observation(
        key,
        Stage.CPU,
        state,
        strength,
        reading.source,
        reading.asked,
        reading.value,
        reason,
        remedy,
    )
