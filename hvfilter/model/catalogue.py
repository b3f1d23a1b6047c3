# SPDX-License-Identifier: Apache-2.0
"""The catalogue: every capability hvfilter knows, in one table.

Traits, documentation, command output and the extra-spec validators derive
from ``CATALOGUE``; a capability is added by adding a row here and a probe
that observes it.
"""

from __future__ import annotations

import dataclasses
import enum
import re
import types
from collections.abc import Iterable, Mapping

from hvfilter.model import week

TRAIT_PREFIX = 'CUSTOM_HVFILTER_'


class Stage(enum.Enum):
    """Where a capability can be lost, in the order in which to mend it."""

    CPU = 'cpu'
    FIRMWARE = 'firmware'
    KVM = 'kvm'
    NOVA = 'nova'


class Arch(enum.Enum):
    """Processor families whose virtualization is looked at differently."""

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

_HARDWARE = (Stage.CPU, Stage.FIRMWARE)
_HOST = (Stage.CPU, Stage.FIRMWARE, Stage.KVM)
_GUEST = (Stage.CPU, Stage.FIRMWARE, Stage.KVM, Stage.NOVA)


@dataclasses.dataclass(frozen=True)
class Capability:
    """One row of the catalogue.

    :ivar key: lower snake case name, as in ``hvfilter:<key>=required``
    :ivar meaning: what PRESENT means, one clause for a person
    :ivar archs: where it can exist; elsewhere it is ABSENT at stage cpu
    :ivar stages: the stages it passes, in order
    :ivar decisive: the stages that must all be PRESENT for a PRESENT whole;
        the others can only spoil it by being ABSENT
    :ivar source: where the capability is specified
    """

    key: str
    meaning: str
    archs: frozenset[Arch]
    stages: tuple[Stage, ...]
    decisive: frozenset[Stage]
    source: str

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


def _row(
    key: str,
    meaning: str,
    source: str,
    *,
    archs: frozenset[Arch] = X86,
    stages: tuple[Stage, ...] = _HOST,
    decisive: tuple[Stage, ...] = (Stage.KVM,),
) -> Capability:
    return Capability(key, meaning, archs, stages, frozenset(decisive), source)


_KVM_AND_NOVA = (Stage.KVM, Stage.NOVA)

_UNKNOWN = '_UNKNOWN'

REPORTED_TRAIT = TRAIT_PREFIX + 'REPORTED'
"""The marker: hvfilter looked at this host. Not a finding: it is published
with every report and tells "lacks it" from "never asked"."""

CATALOGUE: tuple[Capability, ...] = (
    _row(
        'kvm',
        'Nova starts KVM guests and the processor itself executes them',
        'Linux Documentation/virt/kvm/api.rst',
        archs=ANY,
        stages=_GUEST,
        decisive=_KVM_AND_NOVA,
    ),
    _row(
        'tcg',
        'Nova starts guests without KVM (virt_type = qemu): QEMU emulates '
        'what lands here',
        'Nova nova/virt/libvirt/driver.py, _configure_guest_by_virt_type',
        archs=ANY,
        stages=(Stage.NOVA,),
        decisive=(Stage.NOVA,),
    ),
    _row(
        'hvm',
        'hardware-assisted virtualization, permitted by the firmware',
        'SDM vol. 3 ch. 24; APM vol. 2 ch. 15; Arm ARM D1.1; POP; Power ISA',
        archs=ANY,
        stages=_HARDWARE,
        decisive=(Stage.FIRMWARE,),
    ),
    _row(
        'vtx',
        'Intel VT-x (Zhaoxin and Centaur too), permitted by the firmware',
        'SDM vol. 3 sec. 24.6, 24.7',
        stages=_HARDWARE,
        decisive=(Stage.FIRMWARE,),
    ),
    _row(
        'amdv',
        'AMD-V (Hygon too), permitted by the firmware',
        'APM vol. 2 sec. 15.4, 15.30.1',
        stages=_HARDWARE,
        decisive=(Stage.FIRMWARE,),
    ),
    _row(
        'vti',
        'Itanium VT-i; Linux has no KVM for it any more',
        'Itanium Architecture SDM vol. 2 sec. 3.4',
        archs=frozenset({Arch.IA64}),
        stages=_HARDWARE,
        decisive=(Stage.CPU,),
    ),
    _row(
        'slat',
        'KVM uses second-level address translation (EPT, NPT, stage 2, ...)',
        'SDM vol. 3 ch. 29; APM vol. 2 sec. 15.25',
        archs=ANY,
    ),
    _row('ept', 'KVM uses Extended Page Tables', 'SDM vol. 3 sec. 29.3'),
    _row('npt', 'KVM uses Nested Page Tables', 'APM vol. 2 sec. 15.25'),
    _row(
        'nested',
        'a guest that Nova starts sees virtualization it can use itself',
        'Linux Documentation/virt/kvm/x86/running-nested-guests.rst',
        archs=ANY,
        stages=_GUEST,
        decisive=_KVM_AND_NOVA,
    ),
    _row(
        'nested_slat',
        'such a guest gets EPT or NPT as well',
        'Linux arch/x86/kvm/vmx/nested.c, arch/x86/kvm/svm/svm.c',
        stages=_GUEST,
        decisive=_KVM_AND_NOVA,
    ),
    _row(
        'unrestricted_guest',
        'real mode and unpaged guests run without emulation',
        'SDM vol. 3 sec. 25.6.2, bit 7',
    ),
    _row('vpid', 'TLB entries carry a VPID', 'SDM vol. 3 sec. 29.1'),
    _row(
        'apicv',
        'APIC-register virtualization and virtual-interrupt delivery',
        'SDM vol. 3 ch. 30; Linux arch/x86/kvm/vmx/vmx.c enable_apicv',
    ),
    _row(
        'posted_interrupts',
        'interrupts are posted to a running guest without an exit',
        'SDM vol. 3 sec. 30.6',
    ),
    _row('shadow_vmcs', 'VMCS shadowing', 'SDM vol. 3 sec. 25.10'),
    _row('pml', 'page-modification logging', 'SDM vol. 3 sec. 29.3.6'),
    _row('tsc_scaling', 'the guest TSC is scaled', 'SDM vol. 3 sec. 26.6.5'),
    _row('mbec', 'mode-based execute control', 'SDM vol. 3 sec. 25.6.2 b. 22'),
    _row('avic', 'AMD virtual interrupt controller', 'APM vol. 2 sec. 15.29'),
    _row('x2avic', 'AVIC in x2APIC mode', 'APM vol. 2 sec. 15.29'),
    _row('vgif', 'virtual global interrupt flag', 'APM vol. 2 sec. 15.33'),
    _row('vls', 'virtual VMLOAD and VMSAVE', 'APM vol. 2 sec. 15.33.1'),
    _row('vnmi', 'virtual NMI', 'APM vol. 2 sec. 15.21.10'),
    _row('lbrv', 'last-branch-record virtualization', 'APM vol. 2 15.23'),
    _row('nrips', 'next RIP saved on an exit', 'APM vol. 2 sec. 15.7.1'),
    _row(
        'sev',
        'SEV guests can be started here',
        'APM vol. 2 sec. 15.34',
        stages=_GUEST,
        decisive=(Stage.FIRMWARE, *_KVM_AND_NOVA),
    ),
    _row(
        'sev_es',
        'SEV-ES guests can be started here',
        'APM vol. 2 sec. 15.35',
        stages=_GUEST,
        decisive=(Stage.FIRMWARE, *_KVM_AND_NOVA),
    ),
    _row(
        'sev_snp',
        'SEV-SNP guests can be started here',
        'APM vol. 2 sec. 15.36',
        stages=_GUEST,
        decisive=(Stage.FIRMWARE, *_KVM_AND_NOVA),
    ),
    _row(
        'tdx',
        'Intel TDX guests can be started here',
        'Intel TDX Module Base Architecture Specification',
        stages=_GUEST,
        decisive=_KVM_AND_NOVA,
    ),
    _row(
        'secure_execution',
        'IBM Secure Execution guests can be started here',
        'Linux Documentation/virt/kvm/s390/s390-pv.rst',
        archs=frozenset({Arch.S390X}),
        stages=_GUEST,
        decisive=_KVM_AND_NOVA,
    ),
    _row(
        'iommu',
        'an IOMMU is active and has groups',
        'Linux Documentation/ABI/testing/sysfs-kernel-iommu_groups',
        archs=ANY,
    ),
    _row(
        'interrupt_remapping',
        'the IOMMU remaps interrupts',
        'VT-d spec. sec. 5.1; AMD IOMMU spec. sec. 2.2.5',
        archs=ANY,
    ),
    _row(
        'bare_metal',
        'the host is not a guest itself: its guests are L1, not L2',
        'CPUID.1:ECX[31]; Linux Documentation/ABI/stable/sysfs-hypervisor',
        archs=ANY,
        stages=(Stage.CPU,),
        decisive=(Stage.CPU,),
    ),
)

BY_KEY: Mapping[str, Capability] = types.MappingProxyType(
    {capability.key: capability for capability in CATALOGUE}
)

BUILT_ON: Mapping[str, frozenset[str]] = types.MappingProxyType(
    {
        'sev_es': frozenset({'sev'}),
        'sev_snp': frozenset({'sev', 'sev_es'}),
        'nested_slat': frozenset({'nested'}),
    }
)
"""Who asks for one of these asks for more of the same: a host that is kept
for guests that ask for the lesser is for this one too."""

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
