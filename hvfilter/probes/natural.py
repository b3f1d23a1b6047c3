# SPDX-License-Identifier: Apache-2.0
"""Architectures whose KVM starts only on hardware that executes guests.

On x86 the vendor's module proves that much; on arm64, s390x, riscv64 and
loongarch64 there is but one KVM, it registers /dev/kvm only after it has
taken the virtualization extensions over, and it always uses second-level
address translation (kernel arch/{arm64,s390,riscv,loongarch}/kvm).
"""

from __future__ import annotations

from collections.abc import Iterator

from hvfilter.host.door import Denied
from hvfilter.model.catalogue import Stage
from hvfilter.model.finding import Observation, State, Strength
from hvfilter.probes.asking import Question
from hvfilter.probes.context import Look

HARDWARE = ('hvm', 'kvm', 'slat', 'nested')
"""Capabilities that need the processor's virtualization extensions."""

STAGES = (Stage.CPU, Stage.FIRMWARE)


def from_device(look: Look, extension: str) -> Iterator[Observation]:
    """What an open /dev/kvm proves of the processor and of KVM.

    :param extension: the name of the virtualization extension
    """
    try:
        version = look.kvm_api_version()
    except Denied:
        # Why not, and what follows for stage kvm, kvm_device tells.
        yield from _from_registration(look, extension)
        return
    value = f'API version {version}'
    for stage in STAGES:
        question = Question(
            stage, Strength.IOCTL, 'KVM_GET_API_VERSION', '/dev/kvm opens'
        )
        for key in HARDWARE:
            yield question.present(key, value, f'KVM runs on {extension}')
    question = Question(
        Stage.KVM, Strength.IOCTL, 'KVM_GET_API_VERSION', '/dev/kvm opens'
    )
    yield question.present(
        'slat', value, f"KVM uses {extension}'s second-level translation"
    )


def not_shown(source: str, asked: str, reason: str) -> Iterator[Observation]:
    """Nothing but a running KVM would show the extension."""
    for stage in STAGES:
        question = Question(stage, Strength.REGISTER, source, asked)
        for key in HARDWARE:
            yield question.unknown(
                key, '', reason, 'read what the kernel says of kvm in dmesg'
            )


def _from_registration(look: Look, extension: str) -> Iterator[Observation]:
    """/dev/kvm that is offered, if not to us, proves as much."""
    try:
        if not look.kvm_registered:
            return
    except Denied:
        return
    for stage in (*STAGES, Stage.KVM):
        question = Question(stage, Strength.FLAGS, '/proc/misc', 'kvm')
        for key in HARDWARE if stage in STAGES else ('slat',):
            yield question.present(key, 'there', f'KVM runs on {extension}')


def from_word(
    line: str,
    word: str,
    has: bool | None,
    value: str,
    extension: str,
    remedy: str,
) -> Iterator[Observation]:
    """What a word in cpuinfo proves: the kernel prints what it may use.

    :param has: None when the line is not there at all
    """
    states = {True: State.PRESENT, False: State.ABSENT, None: State.UNKNOWN}
    reason = {
        True: f'the processor has {extension}',
        False: f'the processor does not show {extension}',
        None: f'cpuinfo does not tell whether it has {extension}',
    }[has]
    for stage in STAGES if has else STAGES[:1]:
        question = Question(
            stage, Strength.FLAGS, '/proc/cpuinfo', f'{line}: {word}'
        )
        for key in HARDWARE:
            yield question.said(
                key,
                states[has],
                value,
                reason,
                remedy if has is False else '',
            )


def unreadable(line: str, denied: Denied, extension: str) -> list[Observation]:
    """cpuinfo could not be read."""
    question = Question(Stage.CPU, Strength.FLAGS, '/proc/cpuinfo', line)
    reason = f'cpuinfo does not tell whether it has {extension}'
    return [question.denied(key, denied, reason) for key in HARDWARE]


def never_nested(arch: str, kernels: str) -> Observation:
    """KVM of this architecture has no nested virtualization."""
    question = Question(
        Stage.KVM, Strength.PARAMETER, f'KVM for {arch}', 'nesting'
    )
    return question.absent(
        'nested',
        kernels,
        f'KVM for {arch} shows no virtualization extensions to guests',
        'place guests that nest on hosts of another architecture',
    )
