# SPDX-License-Identifier: Apache-2.0
"""SEV, SEV-ES, SEV-SNP and TDX, stage by stage.

AMD: CPUID 8000001F (APM vol. 3 app. E.4.17), SYSCFG (APM vol. 2 sec. 7.10);
what the kernel made of them: arch/x86/kernel/cpu/amd.c takes the words out
of the flags unless the firmware switched memory encryption on, and sev_snp
(6.8 and later) unless it set memory for the RMP aside. The secure processor
speaks through /dev/sev (drivers/crypto/ccp/sev-dev.c).
Intel: IA32_MTRRCAP and IA32_MKTME_KEYID_PARTITIONING (Intel TDX Module Base
Architecture Specification); the word tdx_host_platform (6.8 and later).
KVM: the parameters of kvm_amd and kvm_intel are effective after load, and
KVM_CAP_VM_TYPES tells what kinds of machines it makes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from hvfilter.host.door import CpuidRegs, Denied
from hvfilter.model.catalogue import X86, Stage
from hvfilter.model.finding import Observation, Strength
from hvfilter.probes.asking import Question
from hvfilter.probes.base import Probe
from hvfilter.probes.context import Look, parameter_path, truth
from hvfilter.probes.x86_readings import AMD_VENDORS, has_vmx

KVM_CAP_VM_TYPES = 235
ENCRYPTION_LEAF = 0x8000001F
SYSCFG = 0xC0010010
MTRRCAP = 0xFE
KEYID_PARTITIONING = 0x87

_SYSCFG_ENCRYPTION = 23
_SEAMRR = 15


@dataclasses.dataclass(frozen=True)
class _Sev:
    """One form of SEV.

    :ivar bit: of CPUID 8000001F:EAX
    :ivar word: of cpuinfo
    :ivar word_since: the first kernel that prints the word
    :ivar parameter: of kvm_amd
    :ivar vm_type: bit of KVM_CAP_VM_TYPES
    :ivar type_since: the first kernel that makes machines of the type
    """

    key: str
    name: str
    bit: int
    word: str
    word_since: tuple[int, int]
    parameter: str
    vm_type: int
    type_since: tuple[int, int]


_SEVS = (
    _Sev('sev', 'SEV', 1, 'sev', (4, 15), 'sev', 2, (6, 10)),
    _Sev('sev_es', 'SEV-ES', 3, 'sev_es', (5, 8), 'sev_es', 3, (6, 10)),
    _Sev('sev_snp', 'SEV-SNP', 4, 'sev_snp', (6, 8), 'sev_snp', 4, (6, 11)),
)
_TDX_TYPE = 5

_SETUP = {
    'sev': 'switch memory encryption (SMEE, SME/SEV) on in the firmware setup',
    'sev_es': 'switch memory encryption on in the firmware setup, and raise '
    'the SEV-ES ASID space limit above 1',
    'sev_snp': 'switch memory encryption, SEV-SNP support and SNP memory (RMP '
    'table) coverage on in the firmware setup',
}
_OTHER_HARDWARE = 'other hardware'


class Confidential(Probe):
    """What encrypts guests."""

    archs = X86

    def observe(self, look: Look) -> Iterator[Observation]:
        for sev in _SEVS:
            yield from _sev_processor(look, sev)
            yield from _parameter(look, sev.key, 'kvm_amd', sev.parameter)
        yield from _secure_processor(look)
        yield from _tdx_processor(look)
        yield from _parameter(look, 'tdx', 'kvm_intel', 'tdx')
        yield from _vm_types(look)


def _leaf(look: Look, cpu: int) -> CpuidRegs | None:
    """CPUID 8000001F; None where the processor has no such leaf."""
    if look.cpuid(cpu, 0x80000000).eax < ENCRYPTION_LEAF:
        return None
    return look.cpuid(cpu, ENCRYPTION_LEAF)


def _sev_processor(look: Look, sev: _Sev) -> Iterator[Observation]:
    """Stages cpu and firmware: CPUID, SYSCFG and the word in the flags."""
    question = Question(
        Stage.CPU, Strength.REGISTER, 'CPUID', f'8000001F:EAX[{sev.bit}]'
    )
    has: bool | None = None
    try:
        leaves = [_leaf(look, cpu) for cpu in look.cpus]
    except Denied as denied:
        reason = f'CPUID does not tell whether it has {sev.name}'
        yield question.denied(sev.key, denied, reason)
    else:
        having = [leaf for leaf in leaves if leaf and leaf.eax >> sev.bit & 1]
        has = len(having) == len(leaves)
        value = f'{len(having)} of {len(leaves)} processors'
        if has:
            reason = f'the processor has {sev.name}'
            yield question.present(sev.key, value, reason)
            yield from _identifiers(sev, having[0])
        else:
            yield question.absent(
                sev.key,
                value,
                f'the processor has no {sev.name}',
                _OTHER_HARDWARE,
            )
    yield from _sev_vendor(look, sev)
    yield from _sev_word(look, sev, has)
    if has:
        yield from _syscfg(look, sev)


def _sev_vendor(look: Look, sev: _Sev) -> Iterator[Observation]:
    """Without CPUID, the maker tells as much."""
    try:
        vendor = look.cpuinfo.first('vendor_id')
    except Denied:
        return
    if vendor and vendor not in AMD_VENDORS:
        question = Question(
            Stage.CPU, Strength.FLAGS, '/proc/cpuinfo', 'vendor_id'
        )
        reason = f'{sev.name} is a feature of AMD processors'
        yield question.absent(sev.key, vendor, reason, _OTHER_HARDWARE)


def _identifiers(sev: _Sev, leaf: CpuidRegs) -> Iterator[Observation]:
    """How the firmware shared out the address space identifiers.

    Those from EDX to ECX are SEV's, those below EDX are SEV-ES's and
    SEV-SNP's (kernel arch/x86/kvm/svm/sev.c, sev_hardware_setup).
    """
    highest, lowest = leaf.ecx, leaf.edx
    question = Question(
        Stage.FIRMWARE, Strength.REGISTER, 'CPUID', '8000001F:ECX, EDX'
    )
    value = f'{highest} identifiers, SEV from {lowest}'
    if sev.key == 'sev' and lowest > highest:
        yield question.absent(
            sev.key,
            value,
            'the firmware gave all identifiers to SEV-ES and SEV-SNP',
            'lower the SEV-ES ASID space limit in the firmware setup',
        )
    if sev.key != 'sev' and lowest <= 1:
        yield question.absent(
            sev.key,
            value,
            f'the firmware set no identifiers aside for {sev.name}',
            'raise the SEV-ES ASID space limit in the firmware setup',
        )


def _sev_word(
    look: Look, sev: _Sev, has: bool | None
) -> Iterator[Observation]:
    question = Question(
        Stage.FIRMWARE,
        Strength.FLAGS,
        '/proc/cpuinfo',
        f'flags: {sev.word}',
    )
    try:
        sets = look.cpuinfo.words('flags')
    except Denied:
        return
    if sets and all(sev.word in words for words in sets):
        yield dataclasses.replace(question, stage=Stage.CPU).present(
            sev.key, 'there', f'the processor has {sev.name}'
        )
        yield question.present(
            sev.key, 'there', f'the firmware permits {sev.name}'
        )
        return
    prints = look.kernel_version >= sev.word_since
    if sets and has and prints:
        yield question.absent(
            sev.key,
            'not there although CPUID shows the feature',
            f'the firmware has not switched {sev.name} on',
            f'{_SETUP[sev.key]}; on a virtual machine, ask for it on the '
            'host under it',
        )


def _syscfg(look: Look, sev: _Sev) -> Iterator[Observation]:
    question = Question(
        Stage.FIRMWARE,
        Strength.REGISTER,
        'MSR',
        f'SYSCFG ({SYSCFG:#x}) bit {_SYSCFG_ENCRYPTION}',
    )
    try:
        values = [look.msr(cpu, SYSCFG) for cpu in look.cpus]
    except Denied:
        # Any guest and any user but root: the flags tell as well.
        return
    on = all(value >> _SYSCFG_ENCRYPTION & 1 for value in values)
    shown = ', '.join(f'{value:#x}' for value in dict.fromkeys(values))
    if not on:
        yield question.absent(
            sev.key,
            shown,
            'the firmware has not switched memory encryption on',
            _SETUP[sev.key],
        )
    elif sev.key == 'sev':
        yield question.present(
            sev.key, shown, 'the firmware switched memory encryption on'
        )


def _secure_processor(look: Look) -> Iterator[Observation]:
    """/dev/sev: its driver has reached the secure processor."""
    question = Question(
        Stage.FIRMWARE, Strength.PARAMETER, '/proc/misc', 'sev'
    )
    try:
        there = look.misc_registered('sev')
    except Denied:
        return
    if there:
        yield question.present(
            'sev', 'there', "the secure processor's firmware answers"
        )


def _tdx_processor(look: Look) -> Iterator[Observation]:
    """Stages cpu and firmware; SEAMRR is the part of it that registers show.

    The word comes with a kernel that has TDX built in (6.8 and later), so a
    missing one proves nothing.
    """
    cpu = Question(
        Stage.CPU, Strength.FLAGS, '/proc/cpuinfo', 'flags: tdx_host_platform'
    )
    firmware = dataclasses.replace(cpu, stage=Stage.FIRMWARE)
    try:
        info = look.cpuinfo
    except Denied as denied:
        yield cpu.denied('tdx', denied, 'cpuinfo does not tell of TDX')
        return
    if info.first('vendor_id') in AMD_VENDORS:
        yield cpu.absent(
            'tdx',
            info.first('vendor_id'),
            'TDX is a feature of Intel processors',
            _OTHER_HARDWARE,
        )
        return
    if 'tdx_host_platform' in info.words_everywhere('flags'):
        reason = 'the kernel found private key identifiers for TDX'
        yield cpu.present('tdx', 'there', reason)
        yield firmware.present('tdx', 'there', reason)
        return
    yield from _tdx_without_vtx(look)
    yield from _tdx_registers(look)


def _tdx_without_vtx(look: Look) -> Iterator[Observation]:
    question = Question(Stage.CPU, Strength.REGISTER, 'CPUID', '1:ECX[5] VMX')
    try:
        vmx = any(has_vmx(look, cpu) for cpu in look.cpus)
    except Denied:
        return
    if not vmx:
        reason = 'TDX needs VT-x, which the processor does not have'
        yield question.absent('tdx', '0', reason, _OTHER_HARDWARE)


def _tdx_registers(look: Look) -> Iterator[Observation]:
    question = Question(
        Stage.CPU,
        Strength.REGISTER,
        'MSR',
        f'IA32_MTRRCAP ({MTRRCAP:#x}) bit {_SEAMRR} SEAMRR',
    )
    try:
        values = [look.msr(cpu, MTRRCAP) for cpu in look.cpus]
    except Denied as denied:
        reason = 'neither the flags nor a register tell of TDX'
        yield question.denied(
            'tdx',
            denied,
            reason,
            'run a kernel with CONFIG_INTEL_TDX_HOST (6.8 or later), or let '
            'root look with the msr module loaded',
        )
        return
    shown = ', '.join(f'{value:#x}' for value in dict.fromkeys(values))
    if not all(value >> _SEAMRR & 1 for value in values):
        reason = 'the processor has no SEAM range registers: no TDX'
        yield question.absent('tdx', shown, reason, _OTHER_HARDWARE)
        return
    yield question.present('tdx', shown, 'the processor has SEAM')
    yield from _tdx_keys(look)


def _tdx_keys(look: Look) -> Iterator[Observation]:
    question = Question(
        Stage.FIRMWARE,
        Strength.REGISTER,
        'MSR',
        f'IA32_MKTME_KEYID_PARTITIONING ({KEYID_PARTITIONING:#x})',
    )
    try:
        keys = [look.msr(cpu, KEYID_PARTITIONING) >> 32 for cpu in look.cpus]
    except Denied as denied:
        reason = 'the register of private key identifiers cannot be read'
        yield question.denied('tdx', denied, reason)
        return
    value = f'{min(keys)} private key identifiers'
    if all(keys):
        yield question.present('tdx', value, 'the firmware permits TDX')
    else:
        yield question.absent(
            'tdx',
            value,
            'the firmware set no key identifiers aside for TDX',
            'switch TME-MT and TDX on in the firmware setup, with a TDX key '
            'split above 0',
        )


def _parameter(
    look: Look, key: str, module: str, name: str
) -> Iterator[Observation]:
    path = parameter_path(module, name)
    question = Question(Stage.KVM, Strength.PARAMETER, path, name)
    label = name.upper().replace('_', '-')
    try:
        value = look.module_parameter(module, name)
    except Denied as denied:
        yield from _no_parameter(look, key, module, label, question, denied)
        return
    uses = truth(value)
    if uses is None:
        reason = f'{path} is neither yes nor no'
        yield question.unknown(key, value, reason)
    elif uses:
        yield question.present(key, value, f'KVM uses {label}')
    else:
        yield question.absent(
            key,
            value,
            f'KVM does not use {label}: it is switched off, or something '
            'that it needs is missing',
            f'read what {module} says in dmesg; if it is only switched off, '
            f'set "options {module} {name}=1" in /etc/modprobe.d/ and '
            'reload the module or reboot',
        )


def _no_parameter(
    look: Look,
    key: str,
    module: str,
    label: str,
    question: Question,
    denied: Denied,
) -> Iterator[Observation]:
    """A module that runs without the parameter was built without it."""
    try:
        loaded = look.module_loaded(module)
    except Denied:
        loaded = False
    if loaded and denied.missing:
        yield question.absent(
            key,
            str(denied),
            f'{module} of this kernel knows nothing of {label}',
            f'run a kernel whose {module} has {label} built in',
        )
    elif loaded:
        reason = f'{question.source} does not tell whether KVM uses {label}'
        yield question.denied(key, denied, reason)


def _vm_types(look: Look) -> Iterator[Observation]:
    """KVM_CAP_VM_TYPES (api.rst 8.37): a bitmap, 0 on an older kernel.

    A missing bit proves something only where the kernel makes machines of
    that type at all; older kernels start SEV by another call.
    """
    question = Question(
        Stage.KVM,
        Strength.IOCTL,
        'KVM_CHECK_EXTENSION',
        f'KVM_CAP_VM_TYPES ({KVM_CAP_VM_TYPES})',
    )
    try:
        types = look.kvm_extension(KVM_CAP_VM_TYPES)
    except Denied:
        # Of /dev/kvm that does not open, another probe tells.
        return
    asked = [
        (s.key, s.name, s.vm_type, look.kernel_version >= s.type_since)
        for s in _SEVS
    ]
    for key, name, bit, decides in (*asked, ('tdx', 'TDX', _TDX_TYPE, True)):
        if types >> bit & 1:
            reason = f'KVM makes {name} machines'
            yield question.present(key, f'{types:#x}', reason)
        elif types and decides:
            yield question.absent(
                key,
                f'{types:#x}',
                f'KVM makes no {name} machines',
                f'read what the KVM module says of {name} in dmesg, and '
                'see that the firmware, the kernel and the module parameter '
                'allow it',
            )
