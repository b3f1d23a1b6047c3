# SPDX-License-Identifier: Apache-2.0
"""Is the host itself a guest?

What shows a virtual machine is collected by :mod:`.machine_signs`, and any
sign of one decides. That there is none proves a real machine only together
with something positive:

* x86: CPUID.1:ECX[31], reserved for hypervisors to set, is clear, and DMI or
  the PCI devices could be looked at too: hypervisors have been seen to hide
  the bit, and then these still show them;
* arm64, riscv64, loongarch64: the firmware names a maker of machines, a
  cloud's size of bare metal, or a board; on arm64 a kernel that was not
  entered at EL2 makes it doubtful;
* ppc64: the platform in cpuinfo, unless the model names QEMU;
* s390x: /proc/sysinfo (a partition of PR/SM alone counts as bare metal).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hvfilter.host.base import NOT_RECORDED, Denied, unless_denied
from hvfilter.model.catalogue import Arch, Stage
from hvfilter.model.finding import Observation, State, Strength
from hvfilter.probes import machine_signs
from hvfilter.probes.base import Probe
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.evidence import Source, access, shortened
from hvfilter.probes.machine_signs import Sign, Survey
from hvfilter.probes.remedies import Remedy
from hvfilter.probes.sysinfo import PATH as SYSINFO
from hvfilter.probes.sysinfo import control_program

_GUEST = Remedy(
    'bare_metal_is_a_guest',
    'place guests that need a real machine on another host: this one is '
    'itself a guest, and stays one',
    'the host is a virtual machine, or runs under a hypervisor',
    machine='guest',
    source='hvfilter/probes/machine_signs.py',
)

_SIGNATURES = frozenset(
    {
        b'ACRNACRNACRN',
        b'bhyve bhyve ',
        b'Jailhouse\0\0\0',
        b'KVMKVMKVM\0\0\0',
        b'Linux KVM Hv',
        b' lrpepyh  vr',
        b'Microsoft Hv',
        b'prl hyperv  ',
        b'TCGTCGTCGTCG',
        b'VBoxVBoxVBox',
        b'VMwareVMware',
        b'XenVMMXenVMM',
    }
)
"""What hypervisors answer in CPUID.40000000: EBX, ECX, EDX."""

_EMULATED_POWER = re.compile(r'\bqemu\b', re.IGNORECASE)


class BareMetal(Probe):
    """Signs of a hypervisor under this machine."""

    def observe(self, host: ProbeContext) -> Iterator[Observation]:
        survey = machine_signs.survey(host)
        for sign in survey.virtual:
            yield _absent(sign)
        for path, denied in survey.refused:
            yield _denied(Strength.FLAGS, path, 'signs of a guest', denied)
        if host.arch is Arch.X86:
            yield from _x86(host, survey)
        elif host.arch is Arch.S390X:
            yield from _sysinfo(host)
        elif host.arch is Arch.PPC64:
            yield from _platform(host)
        else:
            yield from _named(host, survey)


def _absent(sign: Sign) -> Observation:
    return _said(
        State.ABSENT, sign.strength, sign.source, sign.asked, sign.value
    )


def _said(
    state: State,
    strength: Strength,
    source: str,
    asked: str,
    value: str,
    remedy: str = '',
    reason: str = '',
) -> Observation:
    short = shortened(value)
    reasons = {
        State.PRESENT: 'nothing shows a hypervisor under this machine',
        State.ABSENT: f'this machine is a guest: {source} says {short}',
        State.UNKNOWN: f'{source} does not show whether this is a guest',
    }
    return Source(Stage.CPU, strength, source, asked).observation(
        'bare_metal',
        state,
        value,
        reason or reasons[state],
        _GUEST() if state is State.ABSENT else remedy,
    )


def _denied(
    strength: Strength, source: str, asked: str, denied: Denied
) -> Observation:
    return _said(
        State.UNKNOWN, strength, source, asked, str(denied), access(denied)
    )


def _x86(host: ProbeContext, survey: Survey) -> Iterator[Observation]:
    """The processor's word, and whether it is more than one word."""
    guest = bool(survey.virtual)
    clear: list[Sign] = []
    for sign in (_hypervisor_bit(host), _hypervisor_flag(host)):
        if isinstance(sign, Observation):
            yield sign
            guest = guest or sign.state is State.ABSENT
        elif sign is not None:
            clear.append(sign)
    if guest:
        # A bit that is clear says nothing against a sign of a hypervisor.
        return
    for sign in clear:
        yield _clear(sign, survey)


def _clear(sign: Sign, survey: Survey) -> Observation:
    """What a clear bit proves, given what else could be looked at."""
    if survey.refused:
        path = survey.refused[0][0]
        reason = (
            f'no hypervisor shows in {sign.source}, but {path} may not be read'
        )
    elif not survey.looked:
        reason = (
            f'no hypervisor shows in {sign.source}, where some hide, and '
            'neither DMI nor the PCI devices can be read'
        )
    else:
        return _said(
            State.PRESENT, sign.strength, sign.source, sign.asked, sign.value
        )
    return _said(
        State.UNKNOWN,
        sign.strength,
        sign.source,
        sign.asked,
        sign.value,
        reason=reason,
    )


def _hypervisor_bit(host: ProbeContext) -> Sign | Observation:
    """A sign when the bit is clear, else the observation it makes."""
    asked = '1:ECX[31] hypervisor'
    strength = Strength.REGISTER
    try:
        guest = bool(host.cpuid(host.cpus[0], 1).ecx >> 31 & 1)
    except Denied as denied:
        return _denied(strength, 'CPUID', asked, denied)
    signature = _signature(host)
    if guest:
        name = signature.rstrip(b'\0').decode('ascii', 'replace')
        value = f'1, {name!r}' if name.isprintable() and name else '1'
        return _said(State.ABSENT, strength, 'CPUID', asked, value)
    if signature in _SIGNATURES:
        value = f'bit clear, {signature!r}'
        asked = '40000000 signature'
        return _said(State.ABSENT, Strength.FLAGS, 'CPUID', asked, value)
    return Sign('CPUID', asked, '0', strength)


def _signature(host: ProbeContext) -> bytes:
    """CPUID.40000000, which only hypervisors answer with their name."""
    try:
        regs = host.cpuid(host.cpus[0], 0x40000000)
    except Denied:
        # The bit alone says that there is a hypervisor, if not which.
        return b''
    return b''.join(
        part.to_bytes(4, 'little') for part in (regs.ebx, regs.ecx, regs.edx)
    )


def _hypervisor_flag(host: ProbeContext) -> Sign | Observation | None:
    """A sign when the flag is missing, None where there are no flags."""
    asked = 'flags: hypervisor'
    path = '/proc/cpuinfo'
    try:
        words = host.cpuinfo.words_anywhere('flags')
    except Denied as denied:
        return _denied(Strength.FLAGS, path, asked, denied)
    if not words:
        return None
    if 'hypervisor' in words:
        return _said(State.ABSENT, Strength.FLAGS, path, asked, 'hypervisor')
    return Sign(path, asked, 'not there')


def _sysinfo(host: ProbeContext) -> Iterator[Observation]:
    """Kernel arch/s390/kernel/sysinfo.c: VM00 is the innermost guest."""
    asked = 'VM00 Control Program'
    try:
        program = control_program(host)
    except Denied as denied:
        yield _denied(Strength.FLAGS, SYSINFO, asked, denied)
        return
    if program:
        value = 'a hypervisor' if program == '?' else program
        yield _said(State.ABSENT, Strength.FLAGS, SYSINFO, asked, value)
    elif program is not None:
        value = 'not there: a partition of the machine'
        yield _said(State.PRESENT, Strength.FLAGS, SYSINFO, asked, value)
    else:
        value = 'neither a partition nor a guest is named'
        yield _said(State.UNKNOWN, Strength.FLAGS, SYSINFO, asked, value)


def _platform(host: ProbeContext) -> Iterator[Observation]:
    """Kernel arch/powerpc/platforms/powernv and pseries, setup.c.

    A bare machine of QEMU's has firmware of its own to run, but says whose
    it is (QEMU hw/ppc/pnv.c, the root node's property model).
    """
    try:
        platform = host.cpuinfo.first('platform')
        model = host.cpuinfo.first('model') or host.cpuinfo.first('machine')
    except Denied as denied:
        yield _denied(Strength.FLAGS, '/proc/cpuinfo', 'platform', denied)
        return
    if platform == 'PowerNV' and _EMULATED_POWER.search(model):
        yield _said(
            State.ABSENT, Strength.FLAGS, '/proc/cpuinfo', 'model', model
        )
        return
    states = {'PowerNV': State.PRESENT, 'pSeries': State.ABSENT}
    yield _said(
        states.get(platform, State.UNKNOWN),
        Strength.FLAGS,
        '/proc/cpuinfo',
        'platform',
        platform or 'no such line',
    )


def _named(host: ProbeContext, survey: Survey) -> Iterator[Observation]:
    """Where no flag shows a guest: what the firmware calls the machine."""
    if survey.virtual:
        return
    if not survey.real:
        for path, denied in survey.unrecorded:
            yield _denied(Strength.FLAGS, path, 'signs of a guest', denied)
        yield from _unsettled(survey)
    for sign in survey.real:
        doubt = ''
        if survey.refused:
            doubt = f'{survey.refused[0][0]} may not be read'
        elif host.arch is Arch.ARM64 and _not_at_el2(host):
            doubt = (
                'its kernel was not entered at EL2: something else may run '
                'there'
            )
        elif survey.withheld and _no_kvm(host):
            doubt = f'only root may read {survey.withheld[0]}'
        reason = f'{sign.source} names {sign.asked}, but {doubt}'
        yield _said(
            State.UNKNOWN if doubt else State.PRESENT,
            Strength.REGISTER,
            sign.source,
            sign.asked,
            sign.value,
            reason=reason if doubt else '',
        )


def _unsettled(survey: Survey) -> Iterator[Observation]:
    """No sign of either kind; what there is to go by is named."""
    if not (survey.unsettled or survey.refused or survey.unrecorded):
        yield _said(
            State.UNKNOWN,
            Strength.FLAGS,
            machine_signs.DMI,
            'sys_vendor, product_name',
            'no name',
            reason='neither DMI nor a device tree names this machine',
        )
    for sign in survey.unsettled:
        short = shortened(sign.value)
        yield _said(
            State.UNKNOWN,
            sign.strength,
            sign.source,
            sign.asked,
            sign.value,
            reason=f'{sign.source} says {short}, which is known neither as a '
            'guest nor as a real machine',
        )


def _no_kvm(host: ProbeContext) -> bool:
    # Where it is not known whether guests are given EL2, that is no doubt.
    return not unless_denied(lambda: host.kvm_registered, True)


def _not_at_el2(host: ProbeContext) -> bool:
    """The kernel has KVM, was not to keep it off, and offers none."""
    modes = host.boot_words('kvm-arm.mode')
    if any(mode.value == 'none' for mode in modes):
        return False
    try:
        return host.module_loaded('kvm') and not host.kvm_registered
    except Denied as denied:
        # A recording that does not hold it leaves the firmware's word.
        return denied.error != NOT_RECORDED
