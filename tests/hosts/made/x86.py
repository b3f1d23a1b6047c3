# SPDX-License-Identifier: Apache-2.0
"""Intel and AMD hosts, every view of them derived from a few facts.

Sources of the numbers: SDM vol. 3 app. A (capability MSRs), APM vol. 3
app. E (CPUID), the kernel's cpufeatures.h (words), and its vmx.c, svm.c and
cpuid.c (what KVM offers to guests).
"""

from __future__ import annotations

import dataclasses

from hvfilter.host.answers import Refusal
from hvfilter.host.facts import CpuidRegs
from tests.hosts.made.machine import Made, bits, entries, timed
from tests.recordings import KvmAnswers

_COMMON = (
    'fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat '
    'pse36 clflush mmx fxsr sse sse2 ht syscall nx pdpe1gb rdtscp lm '
    'constant_tsc rep_good nopl pni pclmulqdq ssse3 fma cx16 sse4_1 sse4_2 '
    'movbe popcnt aes xsave avx f16c rdrand lahf_lm fsgsbase bmi1 avx2 smep '
    'bmi2 erms rdseed adx smap clflushopt'
)

_HYPERVISOR = 31

_VMX_WORDS = {
    # The word, and the MSR and bit that it stands for.
    'vnmi': (0x481, 37),
    'preemption_timer': (0x481, 38),
    'posted_intr': (0x481, 39),
    'invvpid': (0x48B, 37),
    'flexpriority': (0x48B, 32),
    'apicv': (0x48B, 41),
    'tsc_offset': (0x482, 35),
    'vtpr': (0x482, 53),
    'mtf': (0x482, 59),
    'vapic': (0x48B, 32),
    'ept': (0x48B, 33),
    'ept_ad': (0x48C, 21),
    'vpid': (0x48B, 37),
    'unrestricted_guest': (0x48B, 39),
    'vapic_reg': (0x48B, 40),
    'vid': (0x48B, 41),
    'ple': (0x48B, 42),
    'shadow_vmcs': (0x48B, 46),
    'pml': (0x48B, 49),
    'ept_mode_based_exec': (0x48B, 54),
    'tsc_scaling': (0x48B, 57),
}
_VMX_LINE = tuple(w for w in _VMX_WORDS if w not in ('apicv', 'vpid', 'ept'))

SECONDARY = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 17, 20, 22, 25)
"""Secondary controls of a server of the Ice Lake generation."""

NESTED_SECONDARY = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 14, 16, 17, 20, 25)
"""Those of them that KVM emulates for a guest."""


def _register(*allowed: int, must: int = 0) -> int:
    return bits(*(bit + 32 for bit in allowed)) | must


def vmx_msrs(
    secondary: tuple[int, ...], pin: tuple[int, ...]
) -> dict[int, int]:
    """The VMX capability MSRs; no secondary controls, no bit 31."""
    primary = (2, 3, 7, 9, 10, 11, 12, 15, 16, 19, 20, 21, 22, 23, 24, 25)
    more = (27, 28, 29, 30) + ((31,) if secondary else ())
    must = 0x0401E172
    always = tuple(bit for bit in range(32) if must >> bit & 1)
    found = {
        0x480: 0x00DA_0500_0000_0013,
        0x481: _register(*pin, 1, 2, 4, must=0x16),
        0x482: _register(*primary, *more, *always, must=must),
    }
    if secondary:
        found[0x48B] = _register(*secondary)
    if 1 in secondary:
        found[0x48C] = 0x0F01_0673_4141
    return found


@dataclasses.dataclass
class Intel:
    """An Intel host: the facts that matter.

    :ivar vtx: the processor has VT-x
    :ivar secondary: its secondary controls, () for none
    :ivar feature_control: MSR 0x3A
    :ivar parameters: of kvm_intel, as asked for at load
    :ivar loaded: kvm_intel was asked to be loaded
    :ivar hypervisor: signature of the hypervisor under it, '' for none
    """

    note: str
    kernel: str = '6.1.0-28-amd64'
    model_name: str = 'Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz'
    model: int = 106
    vendor: str = 'GenuineIntel'
    cpus: int = 4
    vtx: bool = True
    secondary: tuple[int, ...] = SECONDARY
    pin: tuple[int, ...] = (0, 3, 5, 6, 7)
    feature_control: int = 0x5
    parameters: dict[str, str] = dataclasses.field(default_factory=dict)
    more_msrs: dict[int, int] = dataclasses.field(default_factory=dict)
    more_words: tuple[str, ...] = ()
    loaded: bool = True
    hypervisor: str = ''
    dmi: tuple[str, str, str] = (
        'Dell Inc.',
        'PowerEdge R650',
        'Dell Inc.',
    )

    @property
    def permitted(self) -> bool:
        """The firmware lets VMX be switched on outside SMX."""
        return self.vtx and not (
            self.feature_control & 1 and not self.feature_control >> 2 & 1
        )

    @property
    def msrs(self) -> dict[int, int]:
        """The capability MSRs of each processor."""
        return vmx_msrs(self.secondary, self.pin) if self.vtx else {}

    def words(self) -> list[str]:
        """The flags; the kernel takes vmx out when it is disabled."""
        flags = _COMMON.split()
        if self.hypervisor:
            flags.append('hypervisor')
        if self.permitted:
            flags.append('vmx')
            flags += [
                word
                for word, (msr, bit) in (
                    ('tpr_shadow', (0x482, 21)),
                    ('flexpriority', (0x48B, 0)),
                    ('ept', (0x48B, 1)),
                    ('vpid', (0x48B, 5)),
                )
                if self.msrs.get(msr, 0) >> bit + 32 & 1
            ]
        return [*flags, *self.more_words]

    def vmx_words(self) -> list[str]:
        """The ``vmx flags`` line."""
        return [
            word
            for word in _VMX_LINE
            if self.msrs.get(_VMX_WORDS[word][0], 0) >> _VMX_WORDS[word][1] & 1
        ]

    def effective(self) -> dict[str, str]:
        """kvm_intel's parameters after load."""
        wanted = {
            'nested': 'Y',
            'ept': 'Y',
            'vpid': 'Y',
            'unrestricted_guest': 'Y',
            'enable_apicv': 'Y',
            'enable_shadow_vmcs': 'Y',
            'pml': 'Y',
            'eptad': 'Y',
            **self.parameters,
        }
        needs = {
            'ept': (1,),
            'vpid': (5,),
            'unrestricted_guest': (7,),
            'enable_apicv': (8, 9),
            'enable_shadow_vmcs': (14,),
            'pml': (17,),
            'eptad': (1,),
        }
        for name, numbers in needs.items():
            if not all(bit in self.secondary for bit in numbers):
                wanted[name] = 'N'
        if wanted['ept'] == 'N':
            for name in ('unrestricted_guest', 'pml', 'eptad'):
                wanted[name] = 'N'
        return wanted

    def make(self) -> Made:
        """The host, ready to be changed further."""
        made = Made('x86_64', self.kernel, self.note)
        leaves = _leaves(
            self.vendor.encode(),
            0x000606A6,
            bits(
                *((5,) if self.vtx else ()),
                *((_HYPERVISOR,) if self.hypervisor else ()),
            ),
            {
                (0x80000000, 0): CpuidRegs(0x80000008, 0, 0, 0),
                (0x80000001, 0): CpuidRegs(0, 0, 0x121, 0x2C100800),
            },
        )
        _hypervisor_leaf(leaves, self.hypervisor)
        for cpu in range(self.cpus):
            made.cpuid[cpu] = dict(leaves)
            made.msrs[cpu] = {
                **self.msrs,
                0x3A: self.feature_control,
                **self.more_msrs,
            }
        lines = [
            f'vendor_id\t: {self.vendor}',
            'cpu family\t: 6',
            f'model\t\t: {self.model}',
            f'model name\t: {self.model_name}',
            f'flags\t\t: {" ".join(self.words())}',
        ]
        if self.permitted:
            lines.append(f'vmx flags\t: {" ".join(self.vmx_words())}')
        common(made, self.cpus, lines, self.dmi)
        if not (self.loaded and self.permitted):
            made.modules({'kvm': _KVM_PARAMETERS} if self.loaded else {})
            made.misc(kvm=False)
            made.no_kvm()
            return made
        parameters = self.effective()
        made.modules({'kvm': _KVM_PARAMETERS, 'kvm_intel': parameters})
        made.misc(kvm=True)
        self._answers(made, parameters)
        made.smoke = timed(
            0.51 if not self.hypervisor else 0.56,
            fixed_ns=9_000 if not self.hypervisor else 60_000,
        )
        return made

    def _answers(self, made: Made, parameters: dict[str, str]) -> None:
        nested = parameters['nested'] == 'Y'
        offered = {
            (0, 0): made.cpuid[0][0, 0],
            (1, 0): CpuidRegs(
                0x000606A6, 0, bits(0, 21, 31, *((5,) if nested else ())), 0
            ),
            (0x80000000, 0): CpuidRegs(0x80000008, 0, 0, 0),
            (0x80000001, 0): CpuidRegs(0, 0, 0x121, 0x2C100800),
        }
        msrs = {0x8B: 0x1_0000_0000, 0x10A: 0x2B}
        if nested:
            known = tuple(b for b in NESTED_SECONDARY if b in self.secondary)
            if parameters['ept'] == 'N':
                known = tuple(b for b in known if b not in (1, 7, 17))
            if parameters['vpid'] == 'N':
                known = tuple(b for b in known if b != 5)
            msrs.update(vmx_msrs(known or (0,), (0, 3, 5, 6)))
        made.kvm = KvmAnswers(
            12,
            {
                60: int(25 in self.secondary),
                235: _types(
                    self.kernel,
                    *((5,) if parameters.get('tdx') == 'Y' else ()),
                ),
            },
            entries(offered),
            msrs,
        )


SVM_ALL = (0, 1, 2, 3, 4, 5, 6, 7, 10, 12, 13, 15, 16, 17, 18, 20, 24, 25)
"""CPUID 8000000A:EDX of a server of the Genoa generation."""

_SVM_WORDS = {
    'npt': 0,
    'lbrv': 1,
    'svm_lock': 2,
    'nrip_save': 3,
    'tsc_scale': 4,
    'vmcb_clean': 5,
    'flushbyasid': 6,
    'decodeassists': 7,
    'pausefilter': 10,
    'pfthreshold': 12,
    'avic': 13,
    'v_vmsave_vmload': 15,
    'vgif': 16,
    'v_spec_ctrl': 20,
    'x2avic': 18,
    'vnmi': 25,
}


@dataclasses.dataclass
class Amd:
    """An AMD host: the facts that matter.

    :ivar svm: the processor has AMD-V
    :ivar features: bits of CPUID 8000000A:EDX
    :ivar vm_cr: MSR 0xC0010114
    :ivar memory_encryption: CPUID 8000001F:EAX
    :ivar encrypts: the firmware switched memory encryption on
    :ivar first_sev_asid: CPUID 8000001F:EDX; those below are SEV-ES's
    """

    note: str
    kernel: str = '6.12.63+deb13-amd64'
    model_name: str = 'AMD EPYC 9354 32-Core Processor'
    family: int = 25
    model: int = 17
    vendor: str = 'AuthenticAMD'
    cpus: int = 4
    svm: bool = True
    features: tuple[int, ...] = SVM_ALL
    vm_cr: int = 0x8
    memory_encryption: int = 0
    parameters: dict[str, str] = dataclasses.field(default_factory=dict)
    more_msrs: dict[int, int] = dataclasses.field(default_factory=dict)
    more_words: tuple[str, ...] = ()
    loaded: bool = True
    hypervisor: str = ''
    encrypts: bool = True
    first_sev_asid: int = 100
    dmi: tuple[str, str, str] = (
        'Supermicro',
        'AS -1115CS-TNR',
        'American Megatrends',
    )

    @property
    def permitted(self) -> bool:
        """SVMDIS is not set."""
        return self.svm and not self.vm_cr >> 4 & 1

    def words(self) -> list[str]:
        """The flags; from 6.7 on the kernel takes svm out when disabled."""
        flags = _COMMON.split()
        if self.hypervisor:
            flags.append('hypervisor')
        shown = self.permitted or (self.svm and self.kernel.startswith('6.1.'))
        if shown:
            flags.append('svm')
        if self.svm:
            flags += [w for w, b in _SVM_WORDS.items() if b in self.features]
        flags += [
            word
            for word, bit in (('sev', 1), ('sev_es', 3), ('sev_snp', 4))
            if self.memory_encryption >> bit & 1 and self.encrypts
        ]
        return [*flags, *self.more_words]

    def effective(self) -> dict[str, str]:
        """kvm_amd's parameters after load."""
        wanted = {
            'nested': '1',
            'npt': 'Y',
            'avic': 'N',
            'vgif': '1',
            'vls': '1',
            'vnmi': 'Y',
            'lbrv': '1',
            'nrips': '1',
            'sev': 'N',
            'sev_es': 'N',
            'sev_snp': 'N',
            **self.parameters,
        }
        for name, bit in (
            ('npt', 0),
            ('lbrv', 1),
            ('nrips', 3),
            ('avic', 13),
            ('vls', 15),
            ('vgif', 16),
            ('vnmi', 25),
        ):
            if bit not in self.features:
                wanted[name] = 'N' if wanted[name] in 'YN' else '0'
        return wanted

    def make(self) -> Made:
        """The host, ready to be changed further."""
        made = Made('x86_64', self.kernel, self.note)
        svm = bits(2) if self.svm else 0
        extended = {
            (0x80000000, 0): CpuidRegs(0x80000028, 0, 0, 0),
            (0x80000001, 0): CpuidRegs(0x00A10F11, 0, 0x121 | svm, 0x2FD3FBFF),
            (0x8000000A, 0): CpuidRegs(
                1, 0x8000, 0, bits(*self.features) if self.svm else 0
            ),
            (0x8000001F, 0): CpuidRegs(
                self.memory_encryption,
                0x173 if self.memory_encryption else 0,
                0x1FD if self.memory_encryption else 0,
                self.first_sev_asid,
            ),
        }
        leaves = _leaves(
            self.vendor.encode(),
            0x00A10F11,
            bits(_HYPERVISOR) if self.hypervisor else 0,
            extended,
        )
        _hypervisor_leaf(leaves, self.hypervisor)
        for cpu in range(self.cpus):
            made.cpuid[cpu] = dict(leaves)
            made.msrs[cpu] = {0xC0010114: self.vm_cr, **self.more_msrs}
        common(
            made,
            self.cpus,
            [
                f'vendor_id\t: {self.vendor}',
                f'cpu family\t: {self.family}',
                f'model\t\t: {self.model}',
                f'model name\t: {self.model_name}',
                f'flags\t\t: {" ".join(self.words())}',
            ],
            self.dmi,
        )
        if not (self.loaded and self.permitted):
            made.modules({'kvm': _KVM_PARAMETERS} if self.loaded else {})
            made.misc(kvm=False)
            made.no_kvm()
            return made
        parameters = self.effective()
        made.modules({'kvm': _KVM_PARAMETERS, 'kvm_amd': parameters})
        made.misc(kvm=True)
        self._answers(made, parameters)
        made.smoke = timed(0.31, 0.3)
        if self.hypervisor:
            made.smoke = timed(0.36, 0.3, fixed_ns=70_000)
        return made

    def _answers(self, made: Made, parameters: dict[str, str]) -> None:
        nested = parameters['nested'] == '1'
        npt = nested and parameters['npt'] == 'Y'
        features = bits(0, 3, 15, 16, 28) if npt else bits(3)
        offered = {
            (0, 0): made.cpuid[0][0, 0],
            (1, 0): CpuidRegs(0x00A10F11, 0, bits(0, 21, 31), 0),
            (0x80000000, 0): CpuidRegs(0x80000028, 0, 0, 0),
            (0x80000001, 0): CpuidRegs(
                0x00A10F11, 0, 0x121 | (bits(2) if nested else 0), 0x2FD3FBFF
            ),
            (0x8000000A, 0): CpuidRegs(1, 8, 0, features)
            if nested
            else CpuidRegs(0, 0, 0, 0),
        }
        types = _types(
            self.kernel,
            *(
                bit
                for bit, name in ((2, 'sev'), (3, 'sev_es'), (4, 'sev_snp'))
                if parameters[name] == 'Y'
            ),
        )
        made.kvm = KvmAnswers(
            12,
            {60: int(4 in self.features), 235: types},
            entries(offered),
            {0x8B: 0xA101144, 0xC0010015: 0, 0xC0011029: 0x3000310E08202},
        )


def _types(kernel: str, *numbers: int) -> int:
    """KVM_CAP_VM_TYPES, which kernels before 6.8 do not know."""
    return 0 if kernel.startswith(('5.', '6.1.')) else bits(0, *numbers)


_KVM_PARAMETERS = {
    'halt_poll_ns': '200000',
    'tdp_mmu': 'Y',
}


def _leaves(
    vendor: bytes,
    signature: int,
    features: int,
    extended: dict[tuple[int, int], CpuidRegs],
) -> dict[tuple[int, int], CpuidRegs | Refusal]:
    ebx, edx, ecx = (
        int.from_bytes(vendor[at : at + 4], 'little') for at in (0, 4, 8)
    )
    leaves: dict[tuple[int, int], CpuidRegs | Refusal] = {
        (0, 0): CpuidRegs(0x1B, ebx, ecx, edx),
        (1, 0): CpuidRegs(
            signature, 0x800, 0x77FAFB1F & ~bits(5) | features, 0xBFEBFBFF
        ),
        **extended,
    }
    for leaf in (0x8000000A, 0x8000001F):
        leaves.setdefault((leaf, 0), Refusal('ENXIO'))
    return leaves


def _hypervisor_leaf(
    leaves: dict[tuple[int, int], CpuidRegs | Refusal], signature: str
) -> None:
    if not signature:
        leaves[0x40000000, 0] = Refusal('ENXIO')
        return
    raw = signature.encode().ljust(12, b'\0')
    leaves[0x40000000, 0] = CpuidRegs(
        0x40000001,
        *(int.from_bytes(raw[at : at + 4], 'little') for at in (0, 4, 8)),
    )


def common(
    made: Made, cpus: int, lines: list[str], dmi: tuple[str, str, str]
) -> None:
    """cpuinfo, processors online, DMI, no IOMMU."""
    blocks = []
    for cpu in range(cpus):
        blocks += [f'processor\t: {cpu}', *lines, '']
    made.text('/proc/cpuinfo', *blocks)
    made.text('/sys/devices/system/cpu/online', f'0-{cpus - 1}')
    for name, value in zip(
        ('sys_vendor', 'product_name', 'bios_vendor'), dmi, strict=True
    ):
        made.text(f'/sys/class/dmi/id/{name}', value)
    made.text('/proc/cmdline', 'ro quiet')
    made.iommu()
    made.chips('IO-APIC', 'IO-APIC', 'PCI-MSIX-0000:00:04.0')
