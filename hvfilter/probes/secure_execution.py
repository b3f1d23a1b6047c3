# SPDX-License-Identifier: Apache-2.0
"""IBM Secure Execution on s390x: protected virtual machines.

The processor, with the feature that switches it on in the machine, has the
ultravisor-call facility (158). The kernel uses it as a host when it is booted
with ``prot_virt=1`` and the ultravisor accepts (kernel arch/s390/kernel/uv.c),
which ``/sys/firmware/uv/prot_virt_host`` shows and KVM_CAP_S390_PROTECTED
repeats (arch/s390/kvm/kvm-s390.c).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from hvfilter.host.base import Denied
from hvfilter.model.catalogue import Stage
from hvfilter.model.finding import Observation, Strength
from hvfilter.probes.context import ProbeContext, truth
from hvfilter.probes.evidence import Source
from hvfilter.probes.kvm_extension import KvmExtension
from hvfilter.probes.remedies import Advice, Remedy

KEY = 'secure_execution'
FACILITY = '158'
HOST_FILE = '/sys/firmware/uv/prot_virt_host'
_PROTECTED = KvmExtension('KVM_CAP_S390_PROTECTED', 180)

_MACHINE = Remedy(
    'secure_execution_machine',
    'use an LPAR of an IBM z15, LinuxONE III or later machine that has the '
    'feature Secure Execution (code 115)',
    'no ultravisor-call facility',
    vendor='IBM',
    source='kernel arch/s390/kernel/uv.c',
)
_PROT_VIRT = Remedy(
    'prot_virt_on',
    'boot the kernel with prot_virt=1',
    'the kernel was not asked to be a host of protected guests',
    vendor='IBM',
    kernel='5.7 and later',
    machine='bare metal (LPAR)',
    source='kernel arch/s390/kernel/uv.c',
)
_ULTRAVISOR = Remedy(
    'prot_virt_dmesg',
    'read what the kernel says of prot_virt in dmesg: prot_virt=1 is set, and '
    'the ultravisor did not accept it',
    'the ultravisor refused',
    vendor='IBM',
    kernel='5.7 and later',
    source='kernel arch/s390/kernel/uv.c setup_uv',
)


def observe(host: ProbeContext) -> Iterator[Observation]:
    """Facility 158, what the kernel made of it, and what KVM offers."""
    yield from _facility(host)
    yield from _host_file(host)
    yield from _extension(host)


def _facility(host: ProbeContext) -> Iterator[Observation]:
    """The firmware switches the facility on, so it shows both stages."""
    source = Source(
        Stage.CPU, Strength.FLAGS, '/proc/cpuinfo', f'facilities: {FACILITY}'
    )
    firmware = dataclasses.replace(source, stage=Stage.FIRMWARE)
    try:
        words = host.cpuinfo.words_everywhere('facilities')
    except Denied as denied:
        reason = 'cpuinfo does not show the facilities'
        yield source.denied(KEY, denied, reason)
        return
    if not words:
        reason = 'this kernel prints no facilities'
        yield source.unknown(KEY, 'no line "facilities"', reason)
        return
    if FACILITY in words:
        reason = 'the machine has the ultravisor-call facility'
        yield source.present(KEY, 'there', reason)
        yield firmware.present(KEY, 'there', reason)
        return
    yield source.absent(
        KEY,
        'not there',
        'the machine has no ultravisor-call facility',
        _MACHINE(),
    )


def _host_file(host: ProbeContext) -> Iterator[Observation]:
    source = Source(Stage.KVM, Strength.PARAMETER, HOST_FILE, 'prot_virt_host')
    try:
        value = host.text(HOST_FILE)
    except Denied as denied:
        reason = 'whether the kernel hosts protected guests is not shown'
        yield source.denied(KEY, denied, reason)
        return
    if value == '1':
        reason = 'the kernel is a host of protected guests'
        yield source.present(KEY, value, reason)
    elif value == '0':
        reason = 'the kernel is no host of protected guests'
        yield source.absent(KEY, value, reason, _off(host))
    else:
        reason = f'{HOST_FILE} is neither 0 nor 1'
        yield source.unknown(KEY, value, reason)


def _extension(host: ProbeContext) -> Iterator[Observation]:
    yield _PROTECTED.observe(
        host,
        KEY,
        offered='KVM makes protected guests',
        missing=lambda: ('KVM makes no protected guests', _off(host)),
        unknown='KVM could not be asked for protected guests',
    )


def _off(host: ProbeContext) -> Advice:
    """The kernel reads the word as a boolean; the last one wins."""
    word = host.boot_word('prot_virt')
    requested = word is not None and truth(word.value or '') is True
    return _ULTRAVISOR() if requested else _PROT_VIRT()
