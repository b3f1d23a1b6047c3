# SPDX-License-Identifier: Apache-2.0
"""arm64: no flag tells of EL2, so KVM itself is asked.

KVM registers /dev/kvm only where the kernel was entered at EL2, or where a
hypervisor under it offers nesting (kernel arch/arm64/kvm/arm.c); how it runs
is the kernel parameter ``kvm-arm.mode``. KVM_CAP_ARM_EL2 (240, api.rst) tells
whether a guest can be given EL2: FEAT_NV2 and kvm-arm.mode=nested.
"""

from __future__ import annotations

from collections.abc import Iterator

from hvfilter.host.door import Denied
from hvfilter.model.catalogue import Arch, Stage
from hvfilter.model.finding import Observation, Strength
from hvfilter.probes import natural
from hvfilter.probes.asking import Question
from hvfilter.probes.base import Probe
from hvfilter.probes.context import Look

KVM_CAP_ARM_EL2 = 240
_PSCI = '/proc/device-tree/psci/method'

_NOT_AT_EL2 = (
    'boot the kernel at EL2: by the firmware, or on a virtual machine by '
    'nested virtualization on the host under it'
)


class Arm64(Probe):
    """EL2, its mode, and whether guests can have it too."""

    archs = frozenset({Arch.ARM64})

    def observe(self, look: Look) -> Iterator[Observation]:
        yield from natural.from_device(look, 'EL2')
        yield from natural.not_shown(
            '/proc/cpuinfo',
            'EL2',
            'no flag tells of EL2: only a KVM that starts shows it',
        )
        yield from _mode(look)
        yield from _conduit(look)
        yield from _nested(look)


def _mode(look: Look) -> Iterator[Observation]:
    """kvm-arm.mode=none keeps KVM from starting."""
    question = Question(
        Stage.KVM, Strength.PARAMETER, '/proc/cmdline', 'kvm-arm.mode'
    )
    mode = look.boot_word('kvm-arm.mode')
    if mode is not None and mode.value == 'none':
        for key in ('kvm', 'slat', 'nested'):
            yield question.absent(
                key,
                mode.value,
                'KVM is switched off on the kernel command line',
                f'remove {mode.text} from the kernel command line and reboot',
            )


def _conduit(look: Look) -> Iterator[Observation]:
    """PSCI by HVC: something other than this kernel holds EL2.

    Arm DEN0022 sec. 5.2: SMC where the kernel runs at EL2 or firmware sits
    right above it, HVC under a hypervisor.
    """
    try:
        method = look.text(_PSCI).rstrip('\0')
    except Denied:
        return
    if method != 'hvc':
        return
    question = Question(Stage.FIRMWARE, Strength.FLAGS, _PSCI, 'smc or hvc')
    for key in natural.HARDWARE:
        yield question.absent(
            key,
            method,
            'the kernel does not run at EL2: a hypervisor does',
            _NOT_AT_EL2,
        )


def _nested(look: Look) -> Iterator[Observation]:
    question = Question(
        Stage.KVM,
        Strength.IOCTL,
        'KVM_CHECK_EXTENSION',
        f'KVM_CAP_ARM_EL2 ({KVM_CAP_ARM_EL2})',
    )
    try:
        value = look.kvm_extension(KVM_CAP_ARM_EL2)
    except Denied as denied:
        reason = 'KVM could not be asked whether guests can have EL2'
        yield question.denied('nested', denied, reason)
        return
    if value:
        yield question.present('nested', str(value), 'guests can have EL2')
    else:
        yield question.absent(
            'nested',
            str(value),
            'KVM does not offer EL2 to guests',
            'on a processor with FEAT_NV2 and a kernel from 6.16 on, put '
            'kvm-arm.mode=nested on the kernel command line and reboot',
        )
