# SPDX-License-Identifier: Apache-2.0
"""The catalogue: every capability hvfilter knows, in one table.

Traits, documentation, command output, the extra-spec validators and, for x86
processors, what is read from registers, cpuinfo and module parameters follow
from ``CATALOGUE``. A capability that a flag shows is added by adding a row.
"""

from __future__ import annotations

import dataclasses
import enum
import re
import types
from collections.abc import Iterable, Mapping

from hvfilter.model import nested_registers, week

TRAIT_PREFIX = 'CUSTOM_HVFILTER_'


class Stage(enum.Enum):
    """Where a capability can be lost, in the order in which to fix it."""

    CPU = 'cpu'
    FIRMWARE = 'firmware'
    KVM = 'kvm'
    NOVA = 'nova'


class Arch(enum.Enum):
    """Processor families whose virtualization differs."""

    X86 = 'x86'
    ARM64 = 'arm64'
    S390X = 's390x'
    PPC64 = 'ppc64'
    RISCV64 = 'riscv64'
    LOONGARCH64 = 'loongarch64'
    IA64 = 'ia64'
    OTHER = 'other'

    @classmethod
    def from_machine(cls, machine: str) -> Arch:
        """The family of a ``uname -m`` string, OTHER when unknown."""
        return _MACHINES.get(machine, cls.OTHER)


_MACHINES: Mapping[str, Arch] = types.MappingProxyType(
    {
        'x86_64': Arch.X86,
        'amd64': Arch.X86,
        'i386': Arch.X86,
        'i486': Arch.X86,
        'i586': Arch.X86,
        'i686': Arch.X86,
        'aarch64': Arch.ARM64,
        'arm64': Arch.ARM64,
        's390x': Arch.S390X,
        'ppc64': Arch.PPC64,
        'ppc64le': Arch.PPC64,
        'riscv64': Arch.RISCV64,
        'loongarch64': Arch.LOONGARCH64,
        'ia64': Arch.IA64,
    }
)

ANY = frozenset(Arch)
X86 = frozenset({Arch.X86})


class Vendor(enum.Enum):
    """Makers of x86 processors whose extensions are alike.

    The value is the KVM module for these processors. INTEL stands for
    Zhaoxin and Centaur too, AMD for Hygon.
    """

    INTEL = 'kvm_intel'
    AMD = 'kvm_amd'

    @property
    def makers(self) -> str:
        """The makers, for a sentence."""
        return _MAKERS[self]


_MAKERS = {
    Vendor.INTEL: 'Intel, Zhaoxin and Centaur',
    Vendor.AMD: 'AMD and Hygon',
}

VMX_BASIC = 0x480
VMX_PINBASED = 0x481
VMX_PROCBASED = 0x482
VMX_PROCBASED2 = 0x48B
VMX_EPT_VPID_CAP = 0x48C
"""VMX capability MSRs, SDM vol. 3 app. A and vol. 4."""


@dataclasses.dataclass(frozen=True)
class VmxFlag:
    """Where a processor with VT-x shows a feature.

    :ivar bits: VMX capability MSR and number of the bit (0 to 63), all of
        which must be 1; the allowed-1 settings of controls are the high half
    :ivar words: of cpuinfo, which must all be there
    :ivar line: of cpuinfo in which they are, ``vmx flags`` or ``flags``
        (kernel arch/x86/include/asm/{vmxfeatures,cpufeatures}.h)
    """

    bits: tuple[tuple[int, int], ...]
    words: tuple[str, ...]
    line: str = 'vmx flags'

    vendor = Vendor.INTEL


@dataclasses.dataclass(frozen=True)
class SvmFlag:
    """Where a processor with AMD-V shows a feature.

    :ivar bit: of CPUID 8000000A:EDX, APM vol. 3 app. E.4.9
    :ivar word: in the line ``flags`` of cpuinfo (kernel
        arch/x86/include/asm/cpufeatures.h)
    """

    bit: int
    word: str

    vendor = Vendor.AMD


@dataclasses.dataclass(frozen=True)
class Capability:
    """One row of the catalogue.

    :ivar key: lower snake case name, as in ``hvfilter:<key>=required``
    :ivar name: what it is called in a sentence
    :ivar meaning: what PRESENT means, one clause for a person
    :ivar source: where the capability is specified
    :ivar archs: where it can exist; elsewhere it is ABSENT at stage cpu
    :ivar stages: the stages it passes, in order
    :ivar decisive: the stages that must all be PRESENT for a PRESENT whole;
        the others can only spoil it by being ABSENT
    :ivar vendors: whose x86 processors can have it; on those of others it is
        ABSENT at stage cpu
    :ivar flag: where the processor shows it; None where that takes code
    :ivar svm_flag: where a processor with AMD-V shows it, if ``flag`` is how
        one with VT-x does
    :ivar either: keys of the vendors' forms of it, of which an x86 processor
        must have one
    :ivar parameter: of the vendor's KVM module: whether KVM uses the feature,
        '' when there is none
    :ivar needs: parameters of the same module without which KVM switches
        ``parameter`` off
    :ivar since: the first kernel whose KVM has ``parameter``, and uses the
        feature; (0, 0) for older than any that matters
    """

    key: str
    name: str
    meaning: str
    source: str
    archs: frozenset[Arch] = X86
    stages: tuple[Stage, ...] = (Stage.CPU, Stage.FIRMWARE, Stage.KVM)
    decisive: frozenset[Stage] = frozenset({Stage.KVM})
    vendors: frozenset[Vendor] = frozenset(Vendor)
    flag: VmxFlag | SvmFlag | None = None
    svm_flag: SvmFlag | None = None
    either: tuple[str, ...] = ()
    parameter: str = ''
    needs: tuple[str, ...] = ()
    since: tuple[int, int] = (0, 0)

    @property
    def trait(self) -> str:
        """The Placement trait, on the compute node's root provider."""
        return TRAIT_PREFIX + self.key.upper()

    @property
    def unknown_trait(self) -> str:
        """The trait of a host that could not find out whether it has it.

        Without it a host that reported and has not :attr:`trait` lacks the
        capability.
        """
        return self.trait + _UNKNOWN

    @property
    def module(self) -> str:
        """The KVM module of the only vendor, or whose form ``flag`` is.

        '' when there are several.
        """
        if self.flag is not None:
            return self.flag.vendor.value
        vendor, *others = self.vendors
        return '' if others else vendor.value


_UNKNOWN = '_UNKNOWN'

REPORTED_TRAIT = TRAIT_PREFIX + 'REPORTED'
"""The marker: hvfilter reported on this host. Not a finding: it is published
with every report and separates "lacks it" from "never reported"."""

_ALL_STAGES = tuple(Stage)
_HARDWARE = (Stage.CPU, Stage.FIRMWARE)
_KVM_AND_NOVA = frozenset({Stage.KVM, Stage.NOVA})
_INTEL = frozenset({Vendor.INTEL})
_AMD = frozenset({Vendor.AMD})

_TPR_SHADOW = (VMX_PROCBASED, 53)

CATALOGUE: tuple[Capability, ...] = (
    Capability(
        'kvm',
        'KVM',
        'Nova starts KVM guests and the processor itself executes them',
        'Linux Documentation/virt/kvm/api.rst',
        archs=ANY,
        stages=_ALL_STAGES,
        decisive=_KVM_AND_NOVA,
        either=('vtx', 'amdv'),
    ),
    Capability(
        'tcg',
        'TCG',
        'Nova starts guests without KVM (virt_type = qemu): QEMU emulates '
        'what lands here',
        'Nova nova/virt/libvirt/driver.py, _configure_guest_by_virt_type',
        archs=ANY,
        stages=(Stage.NOVA,),
        decisive=frozenset({Stage.NOVA}),
    ),
    Capability(
        'hvm',
        'hardware virtualization',
        'hardware-assisted virtualization, permitted by the firmware',
        'SDM vol. 3 ch. 24; APM vol. 2 ch. 15; Arm ARM D1.1; POP; Power ISA',
        archs=ANY,
        stages=_HARDWARE,
        decisive=frozenset({Stage.FIRMWARE}),
        either=('vtx', 'amdv'),
    ),
    Capability(
        'vtx',
        'VT-x',
        'Intel VT-x (Zhaoxin and Centaur too), permitted by the firmware',
        'SDM vol. 3 sec. 24.6, 24.7',
        stages=_HARDWARE,
        decisive=frozenset({Stage.FIRMWARE}),
        vendors=_INTEL,
    ),
    Capability(
        'amdv',
        'AMD-V',
        'AMD-V (Hygon too), permitted by the firmware',
        'APM vol. 2 sec. 15.4, 15.30.1',
        stages=_HARDWARE,
        decisive=frozenset({Stage.FIRMWARE}),
        vendors=_AMD,
    ),
    Capability(
        'vti',
        'VT-i',
        'Itanium VT-i; Linux has no KVM for it any more',
        'Itanium Architecture SDM vol. 2 sec. 3.4',
        archs=frozenset({Arch.IA64}),
        stages=_HARDWARE,
        decisive=frozenset({Stage.CPU}),
    ),
    Capability(
        'slat',
        'second-level address translation',
        'KVM uses second-level address translation (EPT, NPT, stage 2, ...)',
        'SDM vol. 3 ch. 29; APM vol. 2 sec. 15.25',
        archs=ANY,
        either=('ept', 'npt'),
    ),
    Capability(
        'ept',
        'EPT',
        'KVM uses Extended Page Tables',
        'SDM vol. 3 sec. 29.3',
        vendors=_INTEL,
        flag=VmxFlag(((VMX_PROCBASED2, 33),), ('ept',), 'flags'),
        parameter='ept',
    ),
    Capability(
        'npt',
        'NPT',
        'KVM uses Nested Page Tables',
        'APM vol. 2 sec. 15.25',
        vendors=_AMD,
        flag=SvmFlag(0, 'npt'),
        parameter='npt',
    ),
    Capability(
        'nested',
        'nested virtualization',
        'a guest that Nova starts sees virtualization it can use itself',
        'Linux Documentation/virt/kvm/x86/running-nested-guests.rst',
        archs=ANY,
        stages=_ALL_STAGES,
        decisive=_KVM_AND_NOVA,
        either=('vtx', 'amdv'),
    ),
    Capability(
        'nested_slat',
        'nested EPT or NPT',
        'such a guest gets EPT or NPT as well',
        'Linux arch/x86/kvm/vmx/nested.c, arch/x86/kvm/svm/svm.c',
        stages=_ALL_STAGES,
        decisive=_KVM_AND_NOVA,
        either=('ept', 'npt'),
    ),
    Capability(
        'unrestricted_guest',
        'unrestricted guest',
        'real mode and unpaged guests run without emulation',
        'SDM vol. 3 sec. 25.6.2, bit 7',
        vendors=_INTEL,
        flag=VmxFlag(((VMX_PROCBASED2, 39),), ('unrestricted_guest',)),
        parameter='unrestricted_guest',
        needs=('ept',),
    ),
    Capability(
        'vpid',
        'VPID',
        'TLB entries carry a VPID',
        'SDM vol. 3 sec. 29.1',
        vendors=_INTEL,
        flag=VmxFlag(((VMX_PROCBASED2, 37),), ('vpid',), 'flags'),
        parameter='vpid',
    ),
    Capability(
        'apicv',
        'APICv',
        'APIC-register virtualization and virtual-interrupt delivery',
        'SDM vol. 3 ch. 30; Linux arch/x86/kvm/vmx/vmx.c enable_apicv',
        vendors=_INTEL,
        flag=VmxFlag(
            (_TPR_SHADOW, (VMX_PROCBASED2, 40), (VMX_PROCBASED2, 41)),
            ('vapic_reg', 'vid'),
        ),
        parameter='enable_apicv',
    ),
    Capability(
        'posted_interrupts',
        'posted interrupts',
        'interrupts are posted to a running guest without an exit',
        'SDM vol. 3 sec. 30.6',
        vendors=_INTEL,
        flag=VmxFlag(((VMX_PINBASED, 39),), ('posted_intr',)),
        # KVM uses them together with APICv.
        parameter='enable_apicv',
    ),
    Capability(
        'shadow_vmcs',
        'VMCS shadowing',
        'VMCS shadowing',
        'SDM vol. 3 sec. 25.10',
        vendors=_INTEL,
        flag=VmxFlag(((VMX_PROCBASED2, 46),), ('shadow_vmcs',)),
        parameter='enable_shadow_vmcs',
    ),
    Capability(
        'ept_ad',
        'EPT accessed and dirty flags',
        'the processor marks used and written guest pages in the EPT',
        'SDM vol. 3 sec. 29.3.5, app. A.10',
        vendors=_INTEL,
        flag=VmxFlag(
            ((VMX_PROCBASED2, 33), (VMX_EPT_VPID_CAP, 21)), ('ept_ad',)
        ),
        parameter='eptad',
        needs=('ept',),
        since=(3, 6),
    ),
    Capability(
        'pml',
        'PML',
        'page-modification logging',
        'SDM vol. 3 sec. 29.3.6',
        vendors=_INTEL,
        flag=VmxFlag(((VMX_PROCBASED2, 49),), ('pml',)),
        parameter='pml',
        needs=('ept', 'eptad'),
        since=(4, 0),
    ),
    Capability(
        'tsc_scaling',
        'TSC scaling',
        'the guest TSC is scaled',
        'SDM vol. 3 sec. 26.6.5; APM vol. 2 sec. 15.30.5',
        flag=VmxFlag(((VMX_PROCBASED2, 57),), ('tsc_scaling',)),
        svm_flag=SvmFlag(4, 'tsc_scale'),
    ),
    Capability(
        'mbec',
        'MBEC',
        'mode-based execute control',
        'SDM vol. 3 sec. 25.6.2 b. 22',
        vendors=_INTEL,
        flag=VmxFlag(((VMX_PROCBASED2, 54),), ('ept_mode_based_exec',)),
        parameter='mbec',
        needs=('ept',),
        since=(7, 0),
    ),
    Capability(
        'avic',
        'AVIC',
        'AMD virtual interrupt controller',
        'APM vol. 2 sec. 15.29',
        vendors=_AMD,
        flag=SvmFlag(13, 'avic'),
        parameter='avic',
        needs=('npt',),
        since=(4, 7),
    ),
    Capability(
        'x2avic',
        'x2AVIC',
        'AVIC in x2APIC mode',
        'APM vol. 2 sec. 15.29',
        vendors=_AMD,
        flag=SvmFlag(18, 'x2avic'),
        # KVM uses it together with AVIC.
        parameter='avic',
        needs=('npt',),
        since=(6, 0),
    ),
    Capability(
        'vgif',
        'vGIF',
        'virtual global interrupt flag',
        'APM vol. 2 sec. 15.33',
        vendors=_AMD,
        flag=SvmFlag(16, 'vgif'),
        parameter='vgif',
        since=(4, 13),
    ),
    Capability(
        'vls',
        'virtual VMLOAD and VMSAVE',
        'virtual VMLOAD and VMSAVE',
        'APM vol. 2 sec. 15.33.1',
        vendors=_AMD,
        flag=SvmFlag(15, 'v_vmsave_vmload'),
        parameter='vls',
        needs=('npt',),
        since=(4, 13),
    ),
    Capability(
        'vnmi',
        'vNMI',
        'virtual NMI',
        'APM vol. 2 sec. 15.21.10',
        vendors=_AMD,
        flag=SvmFlag(25, 'vnmi'),
        parameter='vnmi',
        needs=('vgif',),
        since=(6, 4),
    ),
    Capability(
        'lbrv',
        'LBR virtualization',
        'last-branch-record virtualization',
        'APM vol. 2 15.23',
        vendors=_AMD,
        flag=SvmFlag(1, 'lbrv'),
        parameter='lbrv',
    ),
    Capability(
        'nrips',
        'next-RIP saving',
        'next RIP saved on an exit',
        'APM vol. 2 sec. 15.7.1',
        vendors=_AMD,
        flag=SvmFlag(3, 'nrip_save'),
        parameter='nrips',
    ),
    Capability(
        'sev',
        'SEV',
        'SEV guests can be started here',
        'APM vol. 2 sec. 15.34',
        stages=_ALL_STAGES,
        decisive=_KVM_AND_NOVA | {Stage.FIRMWARE},
        vendors=_AMD,
    ),
    Capability(
        'sev_es',
        'SEV-ES',
        'SEV-ES guests can be started here',
        'APM vol. 2 sec. 15.35',
        stages=_ALL_STAGES,
        decisive=_KVM_AND_NOVA | {Stage.FIRMWARE},
        vendors=_AMD,
    ),
    Capability(
        'sev_snp',
        'SEV-SNP',
        'SEV-SNP guests can be started here',
        'APM vol. 2 sec. 15.36',
        stages=_ALL_STAGES,
        decisive=_KVM_AND_NOVA | {Stage.FIRMWARE},
        vendors=_AMD,
    ),
    Capability(
        'tdx',
        'TDX',
        'Intel TDX guests can be started here',
        'Intel TDX Module Base Architecture Specification',
        stages=_ALL_STAGES,
        decisive=_KVM_AND_NOVA,
        vendors=_INTEL,
    ),
    Capability(
        'secure_execution',
        'Secure Execution',
        'IBM Secure Execution guests can be started here',
        'Linux Documentation/virt/kvm/s390/s390-pv.rst',
        archs=frozenset({Arch.S390X}),
        stages=_ALL_STAGES,
        decisive=_KVM_AND_NOVA,
    ),
    Capability(
        'iommu',
        'IOMMU',
        'an IOMMU is active and has groups',
        'Linux Documentation/ABI/testing/sysfs-kernel-iommu_groups',
        archs=ANY,
    ),
    Capability(
        'interrupt_remapping',
        'interrupt remapping',
        'the IOMMU remaps interrupts',
        'VT-d spec. sec. 5.1; AMD IOMMU spec. sec. 2.2.5',
        archs=ANY,
    ),
    Capability(
        'bare_metal',
        'bare metal',
        'the host is not a guest itself: its guests are L1, not L2',
        'CPUID.1:ECX[31]; Linux Documentation/ABI/stable/sysfs-hypervisor',
        archs=ANY,
        stages=(Stage.CPU,),
        decisive=frozenset({Stage.CPU}),
    ),
)

BY_KEY: Mapping[str, Capability] = types.MappingProxyType(
    {capability.key: capability for capability in CATALOGUE}
)

KVM_GUESTS_ONLY: frozenset[str] = frozenset(
    capability.key
    for capability in CATALOGUE
    if {Stage.KVM, Stage.NOVA} <= set(capability.stages)
)
"""What guests get only where Nova starts them under KVM."""

BUILT_ON: Mapping[str, frozenset[str]] = types.MappingProxyType(
    {
        'sev_es': frozenset({'sev'}),
        'sev_snp': frozenset({'sev', 'sev_es'}),
        'nested_slat': frozenset({'nested'}),
    }
)
"""What each of these includes: a host that is reserved for guests that request
one of the included capabilities accepts guests that request this one."""

BY_TRAIT: Mapping[str, Capability] = types.MappingProxyType(
    {capability.trait: capability for capability in CATALOGUE}
)

RETIRED_TRAITS: frozenset[str] = frozenset()
"""Names that earlier releases published: removed wherever they are seen."""

UNKNOWN_TRAITS: frozenset[str] = frozenset(
    capability.unknown_trait for capability in CATALOGUE
)
"""Placement learns each name when a host first needs it: no flavor names
one."""

STATE_TRAITS: frozenset[str] = (
    frozenset(BY_TRAIT) | {REPORTED_TRAIT} | RETIRED_TRAITS
)
"""Names that stay as they are while their state is UNKNOWN."""

OWN_TRAITS: frozenset[str] = STATE_TRAITS | UNKNOWN_TRAITS
"""The names that are known beforehand; see :func:`is_own` for the others."""

_REPORTED_WEEK = f'{REPORTED_TRAIT}_{week.PATTERN}'
_STATE_WEEK = (
    f'(?:{"|".join(sorted(STATE_TRAITS))})_(?:UNKNOWN|REMOVED)_{week.PATTERN}'
)

OWN_PATTERNS: tuple[re.Pattern[str], ...] = tuple(
    re.compile(pattern + r'\Z')
    for pattern in (
        # The week of the last report: one on each provider that reported.
        _REPORTED_WEEK,
        # Since when a trait that is kept has been UNKNOWN, or when one was
        # removed: see hvfilter.model.dated.
        _STATE_WEEK,
        # The virtualization features that guests get: one on each provider
        # that has nested, see hvfilter.model.nested_registers.
        nested_registers.PATTERN,
    )
)
"""Names with a changing part. Strict: a name that only begins like one of
these belongs to somebody else. Such a name is created when it is first needed
and deleted by ``hvfilter prepare`` when no provider carries it any more."""


def is_own(name: str) -> bool:
    """Whether hvfilter may add this name to a provider, or remove it."""
    return name in OWN_TRAITS or any(
        pattern.match(name) for pattern in OWN_PATTERNS
    )


def own(names: Iterable[str]) -> frozenset[str]:
    """Those of the names that are hvfilter's; no others are ever changed."""
    return frozenset(name for name in names if is_own(name))
