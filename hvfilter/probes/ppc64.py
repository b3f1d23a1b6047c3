# SPDX-License-Identifier: Apache-2.0
"""ppc64: hypervisor state on PowerNV, nested KVM on a PAPR machine.

cpuinfo names the platform (kernel arch/powerpc/platforms/*/setup.c): PowerNV
runs in hypervisor state; pSeries is a guest of PowerVM or of KVM. kvm_hv uses
the hardware, kvm_pr does without it and emulates privileged instructions.
KVM_CAP_PPC_NESTED_HV (160) tells whether guests can run kvm_hv themselves.
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
from hvfilter.probes.s390x import nested_parameter

KVM_CAP_PPC_NESTED_HV = 160
_EXTENSION = 'hypervisor state'


class Ppc64(Probe):
    """Hypervisor state, and kvm_hv beside kvm_pr."""

    archs = frozenset({Arch.PPC64})

    def observe(self, look: Look) -> Iterator[Observation]:
        yield from _platform(look)
        yield from _modules(look)
        yield from nested_parameter(look, 'kvm_hv', _EXTENSION)
        yield from _nested(look)


def _platform(look: Look) -> Iterator[Observation]:
    try:
        platform = look.cpuinfo.first('platform')
    except Denied as denied:
        yield from natural.unreadable('platform', denied, _EXTENSION)
        return
    for stage in natural.STAGES:
        question = Question(stage, Strength.FLAGS, '/proc/cpuinfo', 'platform')
        for key in natural.HARDWARE:
            if platform == 'PowerNV':
                yield question.present(
                    key, platform, 'the kernel runs in hypervisor state'
                )
            else:
                yield question.unknown(
                    key,
                    platform or 'no such line',
                    'whether the hypervisor under this machine offers '
                    'nested KVM shows only when kvm_hv is loaded',
                    'load kvm_hv (modprobe kvm_hv)',
                )


def _modules(look: Look) -> Iterator[Observation]:
    """kvm_hv starts only where it may; kvm_pr proves nothing."""
    try:
        hv = look.module_loaded('kvm_hv')
        pr = look.module_loaded('kvm_pr')
        version = look.kvm_api_version()
    except Denied:
        return
    if hv:
        yield from natural.from_device(look, _EXTENSION)
        return
    question = Question(
        Stage.KVM, Strength.PARAMETER, '/sys/module', 'kvm_hv, kvm_pr'
    )
    value = f'{"kvm_pr only" if pr else "neither"}, API version {version}'
    for key in ('slat', 'nested'):
        yield question.absent(
            key,
            value,
            'KVM runs without the hardware: kvm_hv is not loaded',
            'load kvm_hv (modprobe kvm_hv) where the platform allows it',
        )


def _nested(look: Look) -> Iterator[Observation]:
    question = Question(
        Stage.KVM,
        Strength.IOCTL,
        'KVM_CHECK_EXTENSION',
        f'KVM_CAP_PPC_NESTED_HV ({KVM_CAP_PPC_NESTED_HV})',
    )
    try:
        value = look.kvm_extension(KVM_CAP_PPC_NESTED_HV)
    except Denied as denied:
        reason = 'KVM could not be asked whether guests can run kvm_hv'
        yield question.denied('nested', denied, reason)
        return
    if value:
        reason = 'guests can run kvm_hv themselves'
        yield question.present('nested', str(value), reason)
    else:
        yield question.absent(
            'nested',
            str(value),
            'KVM does not let guests run kvm_hv',
            'on POWER9 or later with radix, set "options kvm_hv nested=1" '
            'in /etc/modprobe.d/ and reload kvm_hv',
        )
