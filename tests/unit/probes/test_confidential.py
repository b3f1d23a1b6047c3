# SPDX-License-Identifier: Apache-2.0

from testtools.matchers import Contains

from hvfilter.host.snapshot import KvmAnswers
from hvfilter.model.catalogue import Stage
from hvfilter.model.finding import Strength
from hvfilter.probes.confidential import (
    KEYID_PARTITIONING,
    KVM_CAP_VM_TYPES,
    MTRRCAP,
    SYSCFG,
    Confidential,
)
from hvfilter.probes.context import parameter_path
from tests.unit.probes.base import (
    EACCES,
    EIO,
    ENOENT,
    ProbeTestCase,
    look_at,
    regs,
)

SEVS = {'sev': 1, 'sev_es': 3, 'sev_snp': 4}
AMD = 'vendor_id : AuthenticAMD\nflags : {}\n'
INTEL = 'vendor_id : GenuineIntel\nflags : {}\n'
VMX = {1: regs(ecx=1 << 5), 0x80000000: regs(0x80000008)}


def leaf(eax, ecx=0x1FD, edx=0x80):
    return {
        1: regs(),
        0x80000000: regs(0x8000001F),
        0x8000001F: regs(eax, 0, ecx, edx),
    }


def info(text):
    return {'/proc/cpuinfo': text}


class TestSev(ProbeTestCase):
    probe = Confidential

    def test_processor_when_cpuid_shows_each_form(self):
        for key, bit in SEVS.items():
            for eax, state in (
                (1 << bit, 'present'),
                (0xFFFFFFFF & ~(1 << bit), 'absent'),
            ):
                look = look_at(cpuid=leaf(eax))
                said = self.one(look, key, Stage.CPU)
                self.assertEqual(state, said.state.value)
                remedy = '' if state == 'present' else 'other hardware'
                self.assertEqual(remedy, said.remedy)

    def test_processor_when_the_leaf_is_beyond_the_maximum(self):
        cpuid = {**leaf(0xFFFFFFFF), 0x80000000: regs(0x8000001E)}
        look = look_at(cpuid=cpuid)
        for key in SEVS:
            self.assertEqual(['absent'], self.states(look, key, Stage.CPU))

    def test_processor_when_some_lack_it(self):
        look = look_at(cpuid=[leaf(2), leaf(0)], cpus=2)
        said = self.one(look, 'sev', Stage.CPU)
        self.assertEqual('absent', said.state.value)
        self.assertEqual('1 of 2 processors', said.value)

    def test_processor_when_cpuid_cannot_be_executed(self):
        for vendor, states in (
            (AMD, ['unknown']),
            (INTEL, ['unknown', 'absent']),
        ):
            look = look_at(files=info(vendor.format('')))
            for key in SEVS:
                self.assertEqual(
                    states, self.states(look, key, Stage.CPU), vendor
                )

    def test_firmware_when_the_word_is_printed(self):
        for key in SEVS:
            look = look_at(cpuid=leaf(0x1A), files=info(AMD.format(key)))
            self.assertEqual(
                ['present'], self.states(look, key, Stage.FIRMWARE)
            )
            self.assertEqual(
                ['present'] * 2, self.states(look, key, Stage.CPU)
            )

    def test_firmware_when_the_word_was_taken_out(self):
        for key, since, before in (
            ('sev', '4.15', '4.14'),
            ('sev_es', '5.8', '5.7'),
            ('sev_snp', '6.8', '6.7'),
        ):
            facts = {'cpuid': leaf(0x1A), 'files': info(AMD.format('fpu'))}
            said = self.one(
                look_at(kernel=since, **facts), key, Stage.FIRMWARE
            )
            self.assertEqual('absent', said.state.value)
            self.assertThat(said.remedy, Contains('firmware setup'))
            look = look_at(kernel=before, **facts)
            self.assertEqual([], self.states(look, key, Stage.FIRMWARE))

    def test_firmware_when_nothing_shows_the_feature(self):
        for facts in (
            {'cpuid': leaf(0), 'files': info(AMD.format('fpu'))},
            {'files': info(AMD.format('fpu'))},
            {'cpuid': leaf(0x1A)},
            {'cpuid': leaf(0x1A), 'files': info('')},
        ):
            for key in SEVS:
                look = look_at(**facts)
                self.assertEqual([], self.states(look, key, Stage.FIRMWARE))

    def test_firmware_when_syscfg_tells(self):
        for value, states in (
            (1 << 23, {'sev': ['present'], 'sev_es': [], 'sev_snp': []}),
            (~(1 << 23) & 2**64 - 1, {key: ['absent'] for key in SEVS}),
        ):
            look = look_at(cpuid=leaf(0x1A), msrs={SYSCFG: value})
            for key, expected in states.items():
                found = self.states(look, key, Stage.FIRMWARE)
                self.assertEqual(expected, found, key)
        look = look_at(
            cpuid=leaf(0x1A), msrs=[{SYSCFG: 1 << 23}, {SYSCFG: 0}], cpus=2
        )
        said = self.one(look, 'sev', Stage.FIRMWARE)
        self.assertEqual('absent', said.state.value)
        self.assertEqual('0x800000, 0x0', said.value)

    def test_firmware_when_it_shared_identifiers_out(self):
        for edx, absent in (
            (0, ['sev_es', 'sev_snp']),
            (1, ['sev_es', 'sev_snp']),
            (2, []),
            (10, []),
            (11, ['sev']),
        ):
            look = look_at(cpuid=leaf(0x1A, ecx=10, edx=edx))
            found = [
                key
                for key in SEVS
                if self.states(look, key, Stage.FIRMWARE) == ['absent']
            ]
            self.assertEqual(absent, found, edx)
        (said,) = self.said(look, 'sev', Stage.FIRMWARE)
        self.assertEqual('10 identifiers, SEV from 11', said.value)
        self.assertEqual(
            'the firmware gave all identifiers to SEV-ES and SEV-SNP',
            said.reason,
        )
        self.assertEqual(
            'lower the SEV-ES ASID space limit in the firmware setup',
            said.remedy,
        )

    def test_firmware_when_the_secure_processor_answers(self):
        look = look_at(files={'/proc/misc': '124 sev\n'})
        self.assertEqual(['present'], self.states(look, 'sev', Stage.FIRMWARE))
        look = look_at(files={'/proc/misc': '126 tun\n'})
        self.assertEqual([], self.states(look, 'sev', Stage.FIRMWARE))

    def test_kvm_when_the_parameter_tells(self):
        for key in SEVS:
            for value, state in (
                ('Y', 'present'),
                ('1', 'present'),
                ('N', 'absent'),
                ('0', 'absent'),
                ('?', 'unknown'),
            ):
                files = {parameter_path('kvm_amd', key): value}
                said = self.one(look_at(files=files), key, Stage.KVM)
                self.assertEqual(state, said.state.value)
                self.assertIs(Strength.PARAMETER, said.strength)
                if state == 'absent':
                    self.assertThat(
                        said.remedy, Contains(f'options kvm_amd {key}=1')
                    )

    def test_kvm_when_the_module_lacks_the_parameter(self):
        files = {parameter_path('kvm_amd', 'sev_snp'): ENOENT}
        look = look_at(files=files, modules={'kvm_amd'})
        said = self.one(look, 'sev_snp', Stage.KVM)
        self.assertEqual('absent', said.state.value)
        self.assertThat(said.reason, Contains('knows nothing of SEV-SNP'))

    def test_kvm_when_the_parameter_is_refused(self):
        files = {parameter_path('kvm_amd', 'sev'): EACCES}
        look = look_at(files=files, modules={'kvm_amd'})
        self.assertEqual(['unknown'], self.states(look, 'sev', Stage.KVM))

    def test_nothing_of_kvm_when_the_module_is_not_loaded(self):
        for modules in (set(), None):
            look = look_at(modules=modules)
            for key in (*SEVS, 'tdx'):
                self.assertEqual([], self.states(look, key, Stage.KVM))

    def types(self, value, kernel, key):
        kvm = KvmAnswers(extensions={KVM_CAP_VM_TYPES: value})
        return self.states(look_at(kvm=kvm, kernel=kernel), key, Stage.KVM)

    def test_vm_types_when_a_bit_is_set(self):
        for key, bit in (
            ('sev', 2),
            ('sev_es', 3),
            ('sev_snp', 4),
            ('tdx', 5),
        ):
            self.assertEqual(['present'], self.types(1 << bit, '6.12', key))
            others = 0x3F & ~(1 << bit)
            self.assertEqual(['absent'], self.types(others, '6.12', key))

    def test_vm_types_when_the_kernel_is_old(self):
        """SEV guests were started by another call before."""
        for key, kernel, since in (
            ('sev', '6.9', '6.10'),
            ('sev_es', '6.9', '6.10'),
            ('sev_snp', '6.10', '6.11'),
        ):
            self.assertEqual([], self.types(1, kernel, key))
            self.assertEqual(['absent'], self.types(1, since, key))
            self.assertEqual([], self.types(0, '6.12', key))
        self.assertEqual(['absent'], self.types(1, '6.8', 'tdx'))
        self.assertEqual([], self.types(0, '6.1', 'tdx'))


class TestTdx(ProbeTestCase):
    probe = Confidential

    def tdx(self, stage, **facts):
        return self.said(look_at(**facts), 'tdx', stage)

    def test_absent_when_amd(self):
        (said,) = self.tdx(Stage.CPU, files=info(AMD.format('')))
        self.assertEqual('absent', said.state.value)
        self.assertEqual('other hardware', said.remedy)

    def test_unknown_when_cpuinfo_cannot_be_read(self):
        (said,) = self.tdx(Stage.CPU, files=info(EACCES))
        self.assertEqual('unknown', said.state.value)

    def test_present_when_the_word_is_printed(self):
        files = info(INTEL.format('vmx tdx_host_platform'))
        for stage in (Stage.CPU, Stage.FIRMWARE):
            (said,) = self.tdx(stage, files=files, cpuid=VMX)
            self.assertEqual('present', said.state.value)

    def test_absent_without_vtx(self):
        cpuid = {1: regs(), 0x80000000: regs(0x80000008)}
        files = info(INTEL.format('fpu'))
        said = self.tdx(Stage.CPU, files=files, cpuid=cpuid)
        self.assertEqual('absent', said[0].state.value)
        self.assertThat(said[0].reason, Contains('needs VT-x'))

    def registers(self, stage, **values):
        return self.tdx(
            stage, files=info(INTEL.format('vmx')), cpuid=VMX, **values
        )

    def test_registers_when_they_tell(self):
        seam = 1 << 15
        for mtrrcap, keys, cpu, firmware in (
            (seam, 64 << 32 | 63, ['present'], ['present']),
            (seam, 1 << 32, ['present'], ['present']),
            (seam, 127, ['present'], ['absent']),
            (seam, EIO, ['present'], ['unknown']),
            (seam, 1 << 31, ['present'], ['absent']),
            (~seam & 0xFFFF, 64 << 32, ['absent'], []),
            (seam << 1, 64 << 32, ['absent'], []),
            (EACCES, 64 << 32, ['unknown'], []),
        ):
            msrs = {MTRRCAP: mtrrcap, KEYID_PARTITIONING: keys}
            for stage, states in (
                (Stage.CPU, cpu),
                (Stage.FIRMWARE, firmware),
            ):
                found = self.registers(stage, msrs=msrs)
                self.assertEqual(states, [o.state.value for o in found])

    def test_firmware_when_one_processor_has_no_keys(self):
        msrs = [
            {MTRRCAP: 1 << 15, KEYID_PARTITIONING: keys << 32}
            for keys in (4, 0)
        ]
        (said,) = self.registers(Stage.FIRMWARE, msrs=msrs, cpus=2)
        self.assertEqual('absent', said.state.value)
        self.assertEqual('0 private key identifiers', said.value)
        self.assertThat(said.remedy, Contains('firmware setup'))

    def test_words_when_the_processor_has_no_seam(self):
        (said,) = self.registers(Stage.CPU, msrs={MTRRCAP: 0xD0A})
        self.assertEqual('0xd0a', said.value)
        self.assertThat(said.reason, Contains('no SEAM range registers'))
        self.assertEqual('other hardware', said.remedy)

    def test_remedy_when_nothing_tells(self):
        (said,) = self.registers(Stage.CPU)
        self.assertEqual('unknown', said.state.value)
        self.assertThat(said.remedy, Contains('CONFIG_INTEL_TDX_HOST'))

    def test_parameter_when_it_tells(self):
        for value, state in (('Y', 'present'), ('N', 'absent')):
            files = {parameter_path('kvm_intel', 'tdx'): value}
            (said,) = self.tdx(Stage.KVM, files=files)
            self.assertEqual(state, said.state.value)
