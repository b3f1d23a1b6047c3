# SPDX-License-Identifier: Apache-2.0
"""Stage cpu on x86: does the processor have it?"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from hvfilter.host import cmdline
from hvfilter.host.base import NOT_RECORDED, Denied, unless_denied
from hvfilter.model.catalogue import BY_KEY, X86, Stage, Vendor
from hvfilter.model.finding import Observation, State, Strength
from hvfilter.probes import x86_readings, x86_remedies
from hvfilter.probes.base import Probe
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.evidence import Source, access
from hvfilter.probes.machine_kind import Kind, kind
from hvfilter.probes.remedies import NONE, OTHER_HARDWARE, Advice, first
from hvfilter.probes.x86_features import FEATURES, name_of
from hvfilter.probes.x86_readings import (
    Reading,
    Readings,
    cleared,
    other_kvm,
    vendor,
    vendor_module,
)


class X86Cpu(Probe):
    """CPUID, VMX capability MSRs and cpuinfo flags of all processors."""

    archs = X86

    def observe(self, host: ProbeContext) -> Iterator[Observation]:
        registers = x86_readings.registers(host)
        flags = x86_readings.flags(host)
        other = _other_kvm(host)
        for key in (row.key for row in FEATURES):
            yield _observation(
                host, key, registers[key], Strength.REGISTER, other
            )
            if key in flags:
                reading = _without_hidden(key, flags, registers)
                observation = _observation(
                    host, key, reading, Strength.FLAGS, other
                )
                if _shows_neither(flags):
                    observation = _or_firmware(
                        host, observation, registers[key], reading.mixed
                    )
                yield observation


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


def _or_firmware(
    host: ProbeContext,
    observation: Observation,
    register: Reading,
    mixed: bool,
) -> Observation:
    """Without the registers, who took a word out cannot be known.

    :param mixed: whether the word is left on some of the processors
    """
    if (
        observation.state is not State.ABSENT
        or register.state is not State.UNKNOWN
    ):
        return observation
    if _of_another_maker(host, observation.capability):
        return observation
    feature = _name(host, observation.capability)
    hidden, word = cleared(host, 'vmx', 'svm')
    if word:
        return dataclasses.replace(
            observation,
            state=State.UNKNOWN,
            reason=f'{word} on the kernel command line hides {feature}',
            remedy=x86_remedies.CLEARED(name=hidden, word=word),
        )
    denied = _command_line_refused(host)
    if denied:
        return dataclasses.replace(
            observation,
            state=State.UNKNOWN,
            reason=f'the kernel shows no {feature}; whether clearcpuid on its '
            f'command line hides it is not known: {denied}',
            remedy=access(denied),
        )
    machine = kind(host)
    if machine is Kind.GUEST:
        return observation
    if mixed:
        # Each processor has a register of its own (feat_ctl.c, amd.c).
        firmware = x86_remedies.for_firmware(host, vendor_module(host))
        return dataclasses.replace(
            observation, remedy=first(firmware, x86_remedies.ALIKE())
        )
    return dataclasses.replace(
        observation,
        reason=f'the kernel shows no {feature}: the processor has none, or '
        'the firmware has switched it off',
        remedy=first(
            x86_remedies.for_firmware(host, vendor_module(host)),
            *((OTHER_HARDWARE(),) if machine is Kind.BARE_METAL else ()),
        ),
    )


def _command_line_refused(host: ProbeContext) -> Denied | None:
    """Any user may read it; files without it hold nothing against a word."""
    try:
        host.text(cmdline.PATH)
    except Denied as denied:
        kept_back = not denied.not_found and denied.error != NOT_RECORDED
        return denied if kept_back else None
    return None


def _other_kvm(host: ProbeContext) -> str:
    """The module that offers KVM without VT-x and AMD-V, '' when none.

    Where one of the two answers is missing, the other one decides: a KVM that
    may be there leaves open what the processor has.
    """
    registered = unless_denied(lambda: host.kvm_registered, None)
    module = unless_denied(
        lambda: other_kvm(host.names('/sys/module')),
        'of an unknown name' if registered else '',
    )
    return '' if registered is False else module


def _name(host: ProbeContext, key: str) -> str:
    """What this processor's maker calls it."""
    return name_of(vendor_module(host), key)


def _of_another_maker(host: ProbeContext, key: str) -> bool:
    module = vendor_module(host)
    return bool(module) and Vendor(module) not in BY_KEY[key].vendors


def _observation(
    host: ProbeContext,
    key: str,
    reading: Reading,
    strength: Strength,
    other_kvm: str,
) -> Observation:
    state = reading.state
    remedy: str = reading.remedy
    if reading.mixed:
        feature = _name(host, key)
        reason = f'not every processor has {feature}: {reading.value}'
        remedy = x86_remedies.ALIKE()
    elif state is State.ABSENT:
        state, reason, remedy = _lacking(host, key)
    else:
        reason = _shown_or_not(host, key, reading)
    if key == 'kvm' and state is State.ABSENT and other_kvm:
        # KVM for which these extensions are not needed: the smoke run
        # decides at stage kvm.
        state = State.UNKNOWN
        reason = f'{reason}, but the module {other_kvm} offers KVM without'
        remedy = NONE
    source = Source(Stage.CPU, strength, reading.source, reading.asked)
    return source.observation(key, state, reading.value, reason, remedy)


def _lacking(host: ProbeContext, key: str) -> tuple[State, str, Advice]:
    """What it means that the processor shows no such feature."""
    feature = _name(host, key)
    if _of_another_maker(host, key):
        (maker,) = BY_KEY[key].vendors
        makers = maker.makers
        reason = f'only processors of {makers} have {feature}'
        return State.ABSENT, f'{reason}, this is {vendor(host)}', NONE
    machine = kind(host)
    remedy = x86_remedies.for_lack(host)
    if machine is Kind.XEN_CONTROL:
        reason = f'Xen shows {feature} to no guest kernel, dom0 included'
        return State.UNKNOWN, reason, remedy
    if machine is Kind.GUEST:
        reason = f'the hypervisor under this machine shows it no {feature}'
        return State.ABSENT, reason, remedy
    return State.ABSENT, f'the processor has no {feature}', remedy


def _shown_or_not(host: ProbeContext, key: str, reading: Reading) -> str:
    feature = _name(host, key)
    if reading.state is State.PRESENT:
        return f'the processor has {feature}'
    return f'{reading.source} does not show whether it has {feature}'
