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
KVM_CAP_VM_TYPES shows which kinds of machines it makes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

from hvfilter.host.base import NOT_RECORDED, Denied, unless_denied
from hvfilter.host.facts import CpuidRegs
from hvfilter.model.catalogue import X86, Arch, Stage
from hvfilter.model.finding import Observation, State, Strength
from hvfilter.probes import secure_execution
from hvfilter.probes.base import Probe
from hvfilter.probes.context import ProbeContext, truth
from hvfilter.probes.evidence import Source, shortened
from hvfilter.probes.kvm_extension import KvmExtension
from hvfilter.probes.module_parameter import ModuleParameter
from hvfilter.probes.remedies import NONE, Advice, Remedy, first
from hvfilter.probes.x86_readings import (
    AMD_VENDORS,
    has_vmx,
    vendor_module,
)

VM_TYPES = KvmExtension('KVM_CAP_VM_TYPES', 235)
ENCRYPTION_LEAF = 0x8000001F
SYSCFG = 0xC0010010
MTRRCAP = 0xFE
KEYID_PARTITIONING = 0x87
RMP_BASE, RMP_END = 0xC0010132, 0xC0010133

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

_SEV_C = 'kernel arch/x86/kvm/svm/sev.c'
_SETUP = {
    'sev': Remedy(
        'firmware_sev',
        'switch memory encryption (SMEE, SME/SEV) on in the firmware setup',
        'memory encryption is off',
        vendor='AMD',
        source='APM vol. 2 sec. 7.10',
    ),
    'sev_es': Remedy(
        'firmware_sev_es',
        'switch memory encryption on in the firmware setup, and raise the '
        'SEV-ES ASID space limit above 1',
        'memory encryption is off',
        vendor='AMD',
        source=f'APM vol. 2 sec. 7.10; {_SEV_C}',
    ),
    'sev_snp': Remedy(
        'firmware_sev_snp',
        'switch memory encryption, SEV-SNP support and SNP memory (RMP '
        'table) coverage on in the firmware setup',
        'SEV-SNP is off, or has no memory for its table',
        vendor='AMD',
        kernel='6.8 and later',
        source='kernel arch/x86/virt/svm/sev.c',
    ),
}
_LOWER_LIMIT = Remedy(
    'firmware_sev_es_limit_lower',
    'lower the "SEV-ES ASID space limit" (Dell: "Minimum SEV non-ES ASID") in '
    'the firmware setup, so that identifiers are left for plain SEV',
    'all identifiers belong to SEV-ES and SEV-SNP',
    vendor='AMD',
    source=f'{_SEV_C} sev_asid_new',
)
_RAISE_LIMIT = Remedy(
    'firmware_sev_es_limit_raise',
    'raise the "SEV-ES ASID space limit" (Dell: "Minimum SEV non-ES ASID") in '
    'the firmware setup above 1',
    'no identifiers are set aside for SEV-ES and SEV-SNP',
    vendor='AMD',
    source=f'{_SEV_C} sev_hardware_setup',
)
_IOMMU_WORD = Remedy(
    'iommu_word_against_snp',
    'remove {word} from the kernel command line: SEV-SNP needs the IOMMU on, '
    'not in passthrough mode and with v1 page tables',
    'the kernel command line sets the IOMMU so that SEV-SNP cannot work',
    vendor='AMD',
    kernel='6.9 and later',
    source='kernel drivers/iommu/amd/init.c iommu_snp_enable',
)
_LOAD_CCP = Remedy(
    'load_ccp',
    'load the module ccp (modprobe ccp) and read what it says in dmesg; '
    'enable the PSP (secure processor) in the firmware setup if it finds none',
    'no /dev/sev',
    vendor='AMD',
    source='kernel drivers/crypto/ccp/sev-dev.c',
)
_NOHIBERNATE = Remedy(
    'nohibernate_for_tdx',
    'add nohibernate to the kernel command line: the kernel gives TDX up '
    'while it could hibernate',
    'hibernation is possible',
    vendor='Intel',
    kernel='6.8 and later',
    source='kernel arch/x86/virt/vmx/tdx/tdx.c tdx_init',
)
_TDX_FIRMWARE = Remedy(
    'firmware_tdx',
    'switch TME-MT and TDX on in the firmware setup, with a TDX key split '
    'above 1',
    'too few private key identifiers',
    vendor='Intel',
    source='kernel arch/x86/virt/vmx/tdx/tdx.c',
)
_TDX_KERNEL = Remedy(
    'kernel_with_tdx',
    'run a kernel with CONFIG_INTEL_TDX_HOST (6.8 or later), or run hvfilter '
    'as root with the module msr loaded',
    'neither flags nor registers show TDX',
    vendor='Intel',
    source='kernel arch/x86/Kconfig',
)
_WORD_OFF = Remedy(
    'parameter_word_off',
    'remove {word} from the kernel command line, which overrides '
    '/etc/modprobe.d/',
    'the kernel command line switches the parameter off',
    source='kernel kernel/params.c; kmod libkmod-config.c',
)
_SWITCH_ON = Remedy(
    'confidential_parameter_on',
    'set "options {module} {parameter}=1" in /etc/modprobe.d/ and reload the '
    'module or reboot, or {module}.{parameter}=1 on the kernel command line '
    'if the module is built in',
    'the parameter may only be switched off',
    source=_SEV_C,
)
_DMESG = Remedy(
    'confidential_dmesg',
    'read what {module} says in dmesg',
    'KVM does not use the feature',
    source=_SEV_C,
)
_NEWER_KERNEL = Remedy(
    'kernel_with_feature',
    'run a kernel whose {module} has {feature} built in',
    'the module has no such parameter',
    source=_SEV_C,
)
_LOAD = Remedy(
    'load_for_confidential',
    'load {module} (modprobe {module})',
    'the module is not loaded',
    source=_SEV_C,
)
_OTHER_HARDWARE = Remedy(
    'confidential_other_hardware',
    'other hardware',
    'the processor does not have it',
    source='APM vol. 3 app. E.4.17; Intel TDX Module Base Architecture '
    'Specification',
)


class Confidential(Probe):
    """What encrypts guests."""

    archs = X86 | {Arch.S390X}

    def observe(self, host: ProbeContext) -> Iterator[Observation]:
        if host.arch is Arch.S390X:
            yield from secure_execution.observe(host)
            return
        maker = vendor_module(host)
        for sev in _SEVS:
            yield from _sev_processor(host, sev)
            if maker in ('', 'kvm_amd'):
                yield from _together(_sev_kvm(host, sev))
        yield from _tdx_processor(host)
        if maker in ('', 'kvm_intel'):
            yield from _together(_tdx_kvm(host))


def _together(conditions: Iterable[Observation]) -> Iterator[Observation]:
    """What KVM needs all of: one that is not met, or not known, leaves those
    that are met without weight, however strong their sources are."""
    observations = list(conditions)
    met = all(
        observation.state is State.PRESENT for observation in observations
    )
    for observation in observations:
        if met or observation.state is not State.PRESENT:
            yield observation
        else:
            yield dataclasses.replace(
                observation,
                state=State.UNKNOWN,
                # What is not met or not known comes first.
                strength=Strength.REGISTER,
                reason=f'{observation.reason}; that alone is not enough',
            )


def _sev_kvm(host: ProbeContext, sev: _Sev) -> Iterator[Observation]:
    """KVM switches SEV-ES and SEV-SNP off together with SEV."""
    for name in dict.fromkeys(('sev', sev.parameter)):
        yield from _parameter(host, sev.key, 'kvm_amd', name)
    yield from _device(host, sev.key)
    if host.kernel_version >= sev.type_since:
        yield from _vm_type(host, sev.key, sev.name, sev.vm_type)


def _tdx_kvm(host: ProbeContext) -> Iterator[Observation]:
    yield from _parameter(host, 'tdx', 'kvm_intel', 'tdx')
    yield from _vm_type(host, 'tdx', 'TDX', _TDX_TYPE)


def _leaf(host: ProbeContext, cpu: int) -> CpuidRegs | None:
    """CPUID 8000001F; None where the processor has no such leaf."""
    if host.cpuid(cpu, 0x80000000).eax < ENCRYPTION_LEAF:
        return None
    return host.cpuid(cpu, ENCRYPTION_LEAF)


def _sev_processor(host: ProbeContext, sev: _Sev) -> Iterator[Observation]:
    """Stages cpu and firmware: CPUID, SYSCFG and the word in the flags."""
    source = Source(
        Stage.CPU, Strength.REGISTER, 'CPUID', f'8000001F:EAX[{sev.bit}]'
    )
    has: bool | None = None
    shared_out = True
    try:
        leaves = [_leaf(host, cpu) for cpu in host.cpus]
    except Denied as denied:
        reason = f'CPUID does not show whether it has {sev.name}'
        yield source.denied(sev.key, denied, reason)
        shared_out = False
    else:
        having = [leaf for leaf in leaves if leaf and leaf.eax >> sev.bit & 1]
        has = len(having) == len(leaves)
        value = f'{len(having)} of {len(leaves)} processors'
        if has:
            reason = f'the processor has {sev.name}'
            yield source.present(sev.key, value, reason)
            yield from _identifiers(host, sev, having)
        else:
            yield source.absent(
                sev.key,
                value,
                f'the processor has no {sev.name}',
                _OTHER_HARDWARE(),
            )
    yield from _sev_vendor(host, sev)
    yield from _sev_word(host, sev, has, shared_out)
    if has:
        yield from _syscfg(host, sev)
    if has and sev.key == 'sev_snp':
        yield from _rmp(host)


def _sev_vendor(host: ProbeContext, sev: _Sev) -> Iterator[Observation]:
    """Without CPUID, the maker shows as much."""
    vendor = unless_denied(lambda: host.cpuinfo.first('vendor_id'), '')
    if vendor and vendor not in AMD_VENDORS:
        source = Source(
            Stage.CPU, Strength.FLAGS, '/proc/cpuinfo', 'vendor_id'
        )
        reason = f'{sev.name} is a feature of AMD processors'
        yield source.absent(sev.key, vendor, reason, _OTHER_HARDWARE())


def _identifiers(
    host: ProbeContext, sev: _Sev, leaves: Sequence[CpuidRegs]
) -> Iterator[Observation]:
    """How the firmware shared out the address space identifiers.

    Those from EDX to ECX are SEV's, those below EDX are SEV-ES's and
    SEV-SNP's (kernel arch/x86/kvm/svm/sev.c, sev_hardware_setup and
    sev_asid_new; commit 0aa6b90ef9d7). That none are left says more than the
    feature's word in the flags, so it is the stronger observation.
    """
    strength = Strength.PARAMETER
    if sev.key != 'sev' and _counted(host):
        strength = Strength.REGISTER
    source = Source(Stage.FIRMWARE, strength, 'CPUID', '8000001F:ECX, EDX')
    for highest, lowest in {(leaf.ecx, leaf.edx) for leaf in leaves}:
        value = f'{highest} identifiers, SEV from {lowest}'
        if not highest:
            yield source.absent(
                sev.key,
                value,
                'the firmware set no identifiers of encrypted guests aside',
                _SETUP[sev.key](),
            )
        elif sev.key == 'sev' and lowest > highest:
            yield source.absent(
                sev.key,
                value,
                'the firmware gave all identifiers to SEV-ES and SEV-SNP',
                _LOWER_LIMIT(),
            )
        elif sev.key != 'sev' and lowest <= 1:
            causes = [_RAISE_LIMIT()]
            if sev.key == 'sev_snp':
                causes.append(_snp_cause(host))
            yield source.absent(
                sev.key,
                value,
                f'the firmware set no identifiers aside for {sev.name}',
                first(*causes),
            )


def _counted(host: ProbeContext) -> bool:
    """KVM runs with SEV-ES on, which it does not without identifiers for it;
    or it is not known whether it does."""
    try:
        value = host.module_parameter('kvm_amd', 'sev_es')
    except Denied as denied:
        return not denied.not_found
    return truth(value) is True


def _snp_cause(host: ProbeContext) -> Advice:
    """The word on the kernel's command line without which SNP could work.

    SNP needs the IOMMU on, and neither in passthrough mode nor with v2 page
    tables (kernel drivers/iommu/amd/init.c iommu_snp_enable, 6.9 and later).
    """
    for name, off in (
        ('iommu', ('pt', 'off')),
        ('amd_iommu', ('off', 'pgtbl_v2')),
        ('iommu.passthrough', ('1', 'y', 'Y', 'on')),
    ):
        word = host.boot_word(name)
        if word is not None and set(word.options) & set(off):
            return _IOMMU_WORD(word=shortened(word.text))
    return NONE


def _rmp(host: ProbeContext) -> Iterator[Observation]:
    """The reverse map table, for which the firmware sets memory aside (kernel
    arch/x86/virt/svm/sev.c probe_range_info); the registers need root."""
    source = Source(
        Stage.FIRMWARE,
        Strength.PARAMETER,
        'MSR',
        f'RMP_BASE ({RMP_BASE:#x}), RMP_END ({RMP_END:#x})',
    )
    try:
        base, end = (
            host.msr(host.cpus[0], RMP_BASE),
            host.msr(host.cpus[0], RMP_END),
        )
    except Denied:
        # Without root: the word in the flags says as much, if less surely.
        return
    if not base or not end:
        yield source.absent(
            'sev_snp',
            f'{base:#x}, {end:#x}',
            'the firmware set no memory for the RMP table aside',
            _SETUP['sev_snp'](),
        )


def _sev_word(
    host: ProbeContext, sev: _Sev, has: bool | None, shared_out: bool
) -> Iterator[Observation]:
    """The kernel prints the word only where the firmware switched it on.

    :param has: whether CPUID shows the feature; None when it is not known
    :param shared_out: whether it is known how the firmware shared out the
        identifiers, which the word does not show
    """
    source = Source(
        Stage.FIRMWARE,
        Strength.FLAGS,
        '/proc/cpuinfo',
        f'flags: {sev.word}',
    )
    try:
        sets = host.cpuinfo.words('flags')
    except Denied as denied:
        reason = f'the flags do not show whether {sev.name} is on'
        yield source.denied(sev.key, denied, reason)
        return
    if sets and all(sev.word in words for words in sets):
        yield dataclasses.replace(source, stage=Stage.CPU).present(
            sev.key, 'there', f'the processor has {sev.name}'
        )
        if shared_out:
            reason = f'the firmware permits {sev.name}'
            yield source.present(sev.key, 'there', reason)
        else:
            reason = (
                f'the firmware permits {sev.name}; whether it set identifiers '
                'aside is not known'
            )
            yield source.unknown(sev.key, 'there', reason)
        return
    prints = host.kernel_version >= sev.word_since
    if sets and has and prints:
        yield source.absent(
            sev.key,
            'not there although CPUID shows the feature',
            f'the firmware has not switched {sev.name} on',
            first(_snp_cause(host), _SETUP[sev.key]())
            if sev.key == 'sev_snp'
            else _SETUP[sev.key](),
        )


def _syscfg(host: ProbeContext, sev: _Sev) -> Iterator[Observation]:
    source = Source(
        Stage.FIRMWARE,
        Strength.REGISTER,
        'MSR',
        f'SYSCFG ({SYSCFG:#x}) bit {_SYSCFG_ENCRYPTION}',
    )
    try:
        values = [host.msr(cpu, SYSCFG) for cpu in host.cpus]
    except Denied:
        # Any guest and any user but root: the flags show it as well.
        return
    on = all(value >> _SYSCFG_ENCRYPTION & 1 for value in values)
    shown = ', '.join(f'{value:#x}' for value in dict.fromkeys(values))
    if not on:
        yield source.absent(
            sev.key,
            shown,
            'the firmware has not switched memory encryption on',
            _SETUP[sev.key](),
        )
    elif sev.key == 'sev':
        yield source.present(
            sev.key, shown, 'the firmware switched memory encryption on'
        )


def _device(host: ProbeContext, key: str) -> Iterator[Observation]:
    """/dev/sev, which QEMU opens to start any such guest (QEMU
    target/i386/sev.c, sev-device); its driver is ccp."""
    source = Source(Stage.KVM, Strength.PARAMETER, '/proc/misc', 'sev')
    try:
        there = host.misc_registered('sev')
    except Denied as denied:
        reason = 'whether the kernel offers /dev/sev is not known'
        yield source.denied(key, denied, reason)
        return
    # That it is there proves nothing: ccp registers it for plain SEV too.
    if not there:
        yield source.absent(
            key,
            'not there',
            'the kernel offers no /dev/sev, which QEMU needs: the driver ccp '
            'is not loaded, or does not reach the secure processor',
            _LOAD_CCP(),
        )


def _tdx_processor(host: ProbeContext) -> Iterator[Observation]:
    """Stages cpu and firmware; SEAMRR is the part of it that registers show.

    The word comes with a kernel that has TDX built in (6.8 and later), so a
    missing one proves nothing.
    """
    cpu = Source(
        Stage.CPU, Strength.FLAGS, '/proc/cpuinfo', 'flags: tdx_host_platform'
    )
    firmware = dataclasses.replace(cpu, stage=Stage.FIRMWARE)
    try:
        info = host.cpuinfo
    except Denied as denied:
        yield cpu.denied('tdx', denied, 'cpuinfo does not show TDX')
        return
    if info.first('vendor_id') in AMD_VENDORS:
        yield cpu.absent(
            'tdx',
            info.first('vendor_id'),
            'TDX is a feature of Intel processors',
            _OTHER_HARDWARE(),
        )
        return
    if 'tdx_host_platform' in info.words_everywhere('flags'):
        reason = 'the kernel found private key identifiers for TDX'
        yield cpu.present('tdx', 'there', reason)
        yield firmware.present('tdx', 'there', reason)
        return
    yield from _tdx_without_vtx(host)
    yield from _tdx_registers(host)


def _tdx_without_vtx(host: ProbeContext) -> Iterator[Observation]:
    source = Source(Stage.CPU, Strength.REGISTER, 'CPUID', '1:ECX[5] VMX')
    if not unless_denied(
        lambda: any(has_vmx(host, cpu) for cpu in host.cpus), True
    ):
        reason = 'TDX needs VT-x, which the processor does not have'
        yield source.absent('tdx', '0', reason, _OTHER_HARDWARE())


def _tdx_registers(host: ProbeContext) -> Iterator[Observation]:
    source = Source(
        Stage.CPU,
        Strength.REGISTER,
        'MSR',
        f'IA32_MTRRCAP ({MTRRCAP:#x}) bit {_SEAMRR} SEAMRR',
    )
    try:
        values = [host.msr(cpu, MTRRCAP) for cpu in host.cpus]
    except Denied as denied:
        reason = 'neither the flags nor a register show TDX'
        yield source.denied('tdx', denied, reason, _TDX_KERNEL())
        return
    shown = ', '.join(f'{value:#x}' for value in dict.fromkeys(values))
    if not all(value >> _SEAMRR & 1 for value in values):
        reason = 'the processor has no SEAM range registers: no TDX'
        yield source.absent('tdx', shown, reason, _OTHER_HARDWARE())
        return
    yield source.present('tdx', shown, 'the processor has SEAM')
    yield from _tdx_keys(host)


def _tdx_keys(host: ProbeContext) -> Iterator[Observation]:
    source = Source(
        Stage.FIRMWARE,
        Strength.REGISTER,
        'MSR',
        f'IA32_MKTME_KEYID_PARTITIONING ({KEYID_PARTITIONING:#x})',
    )
    try:
        keys = [host.msr(cpu, KEYID_PARTITIONING) >> 32 for cpu in host.cpus]
    except Denied as denied:
        reason = 'the register of private key identifiers cannot be read'
        yield source.denied('tdx', denied, reason)
        return
    value = f'{min(keys)} private key identifiers'
    # One identifier is the TDX module's own.
    if min(keys) > 1:
        yield source.present('tdx', value, 'the firmware permits TDX')
    else:
        yield source.absent(
            'tdx',
            value,
            'the firmware set too few key identifiers aside for TDX',
            _TDX_FIRMWARE(),
        )


def _parameter(
    host: ProbeContext, key: str, module: str, name: str
) -> Iterator[Observation]:
    """What a parameter of KVM says; one that is not there is off."""
    feature = name.upper().replace('_', '-')
    cause = 'it is switched off, or something that it needs is missing'
    yield from ModuleParameter(
        module,
        name,
        on=f'KVM uses {feature}',
        off=f'KVM does not use {feature}',
        feature=feature,
        load=_LOAD(module=module),
        newer=_NEWER_KERNEL(module=module, feature=feature),
    ).observe(
        host, key, lambda: (cause, _parameter_remedy(host, key, module, name))
    )


def _parameter_remedy(
    host: ProbeContext, key: str, module: str, name: str
) -> Advice:
    """The likeliest cause first, and nothing that is set already."""
    causes = []
    if key == 'sev_snp':
        causes.append(_snp_cause(host))
    if key == 'tdx' and not _tdx_platform(host):
        causes.append(_tdx_cause(host))
    word = host.boot_word(f'{module}.{name}')
    requested = truth((word.value if word else None) or '')
    if requested is False and word is not None:
        causes.append(_WORD_OFF(word=shortened(word.text)))
    elif requested is None and not ModuleParameter(module, name).is_set(
        host, True
    ):
        causes.append(_SWITCH_ON(module=module, parameter=name))
    causes.append(_DMESG(module=module))
    return first(*causes)


def _tdx_platform(host: ProbeContext) -> bool:
    return unless_denied(
        lambda: 'tdx_host_platform' in host.cpuinfo.words_everywhere('flags'),
        False,
    )


def _tdx_cause(host: ProbeContext) -> Advice:
    """The kernel gives TDX up while it could hibernate (kernel
    arch/x86/virt/vmx/tdx/tdx.c tdx_init)."""
    word = host.boot_word('hibernate')
    off = word is not None and word.value in ('no', 'noresume')
    if off or host.boot_word('nohibernate') is not None:
        return NONE
    return _NOHIBERNATE()


def _vm_type(
    host: ProbeContext, key: str, name: str, bit: int
) -> Iterator[Observation]:
    """KVM_CAP_VM_TYPES (api.rst 8.37): a bitmap, 0 on an older kernel.

    Only for kernels that make machines of the type at all: older ones start
    SEV by another call.
    """
    source = VM_TYPES.source
    try:
        types = host.kvm_extension(VM_TYPES.number)
    except Denied as denied:
        # Recordings of what files alone show: the parameter is effective,
        # and KVM makes these machines exactly if it is on.
        if denied.error not in (NOT_RECORDED, 'EOPNOTSUPP'):
            reason = f'KVM could not be asked whether it makes {name} machines'
            yield source.denied(key, denied, reason)
        return
    if types >> bit & 1:
        reason = f'KVM makes {name} machines'
        yield source.present(key, f'{types:#x}', reason)
    elif types:
        module, parameter = _SWITCH[key]
        yield source.absent(
            key,
            f'{types:#x}',
            f'KVM makes no {name} machines',
            _parameter_remedy(host, key, module, parameter),
        )


_SWITCH = {
    'sev': ('kvm_amd', 'sev'),
    'sev_es': ('kvm_amd', 'sev_es'),
    'sev_snp': ('kvm_amd', 'sev_snp'),
    'tdx': ('kvm_intel', 'tdx'),
}
"""Module and parameter that switch KVM's use on and off."""
