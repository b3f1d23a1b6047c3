# SPDX-License-Identifier: Apache-2.0

from testtools.matchers import Contains

from hvfilter.model.catalogue import Stage
from hvfilter.probes.confidential import (
    KEYID_PARTITIONING,
    MTRRCAP,
    RMP_BASE,
    RMP_END,
    SYSCFG,
    VM_TYPES,
    Confidential,
)
from hvfilter.probes.context import parameter_path
from hvfilter.rules.combine import decide
from tests.recordings import KvmAnswers
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
            {'cpuid': leaf(0x1A), 'files': info('')},
        ):
            for key in SEVS:
                look = look_at(**facts)
                self.assertEqual([], self.states(look, key, Stage.FIRMWARE))

    def test_firmware_when_the_flags_cannot_be_read(self):
        for answer in (EACCES, ENOENT):
            look = look_at(cpuid=leaf(0x1A), files=info(answer))
            for key in SEVS:
                found = self.states(look, key, Stage.FIRMWARE)
                self.assertEqual(['unknown'], found)

    def test_firmware_when_only_the_word_is_known(self):
        """How the identifiers were shared out, the word does not show."""
        for key in SEVS:
            look = look_at(files=info(AMD.format(key)))
            self.assertEqual(
                ['unknown'], self.states(look, key, Stage.FIRMWARE)
            )

    def test_firmware_when_syscfg_tells(self):
        for value, states in (
            (1 << 23, {'sev': ['present'], 'sev_es': [], 'sev_snp': []}),
            (~(1 << 23) & 2**64 - 1, {key: ['absent'] for key in SEVS}),
        ):
            files = info(AMD.format('').replace('flags', 'none'))
            msrs = {SYSCFG: value}
            look = look_at(cpuid=leaf(0x1A), msrs=msrs, files=files)
            for key, expected in states.items():
                found = self.states(look, key, Stage.FIRMWARE)
                self.assertEqual(expected, found, key)
        look = look_at(
            cpuid=leaf(0x1A),
            msrs=[{SYSCFG: 1 << 23}, {SYSCFG: 0}],
            cpus=2,
            files=files,
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
            files = info(AMD.format('sev sev_es sev_snp'))
            files[parameter_path('kvm_amd', 'sev_es')] = 'N'
            look = look_at(cpuid=leaf(0x1A, ecx=10, edx=edx), files=files)
            found = [
                key
                for key in SEVS
                if decide(
                    Stage.FIRMWARE, self.said(look, key, Stage.FIRMWARE)
                ).state.value
                == 'absent'
            ]
            self.assertEqual(absent, found, edx)
        said, _ = self.said(look, 'sev', Stage.FIRMWARE)
        self.assertEqual('10 identifiers, SEV from 11', said.value)
        self.assertEqual(
            'the firmware gave all identifiers to SEV-ES and SEV-SNP',
            said.reason,
        )
        self.assertThat(said.remedy, Contains('lower the "SEV-ES ASID space'))

    def test_firmware_when_there_are_no_identifiers(self):
        files = {parameter_path('kvm_amd', 'sev_es'): ENOENT}
        look = look_at(cpuid=leaf(0x1A, ecx=0, edx=1), files=files)
        for key in SEVS:
            said = self.said(look, key, Stage.FIRMWARE)[0]
            self.assertEqual('absent', said.state.value)
            self.assertThat(said.reason, Contains('no identifiers'))

    def test_firmware_when_kvm_found_identifiers(self):
        """KVM that runs with SEV-ES on counted some; a dump that shows none
        is not believed, and neither where KVM could not be asked."""
        for answer in ('Y', EACCES):
            files = info(AMD.format('sev_es'))
            files[parameter_path('kvm_amd', 'sev_es')] = answer
            look = look_at(cpuid=leaf(0x1A, edx=1), files=files)
            said = self.said(look, 'sev_es', Stage.FIRMWARE)
            found = decide(Stage.FIRMWARE, said)
            self.assertEqual('present', found.state.value)
            self.assertTrue(found.contradicted)

    def test_firmware_when_no_memory_was_set_aside_for_snp(self):
        files = info(AMD.format('sev_snp'))
        for base, end, expected in (
            (0, 0, 'absent'),
            (1 << 32, 0, 'absent'),
            (0, 1 << 32, 'absent'),
            (1 << 32, 1 << 33, 'present'),
            (EACCES, 0, 'present'),
            (1, EACCES, 'present'),
        ):
            msrs = {RMP_BASE: base, RMP_END: end}
            look = look_at(cpuid=leaf(0x1A), files=files, msrs=msrs)
            said = self.said(look, 'sev_snp', Stage.FIRMWARE)
            found = decide(Stage.FIRMWARE, said)
            self.assertEqual(expected, found.state.value, (base, end))

    def kvm(self, key, files=None, types=None, kernel='6.12', **facts):
        """Stage kvm of a host on which everything is on."""
        given = {
            **info(AMD.format('sev sev_es sev_snp')),
            '/proc/misc': '124 sev\n',
            **{parameter_path('kvm_amd', name): 'Y' for name in SEVS},
            **(files or {}),
        }
        if types is not None:
            facts['kvm'] = KvmAnswers(extensions={VM_TYPES.number: types})
        facts.setdefault('modules', {'kvm_amd'})
        look = look_at(files=given, kernel=kernel, **facts)
        said = self.said(look, key, Stage.KVM)
        return decide(Stage.KVM, said)

    def test_kvm_when_all_that_is_needed_is_there(self):
        for key in SEVS:
            for types in (None, 0, 0x1D):
                self.assertEqual(
                    'present', self.kvm(key, types=types).state.value
                )

    def test_kvm_when_the_parameter_tells(self):
        for key in SEVS:
            for value, state in (
                ('Y', 'present'),
                ('1', 'present'),
                ('N', 'absent'),
                ('0', 'absent'),
                ('?', 'unknown'),
                (EACCES, 'unknown'),
                (EIO, 'unknown'),
            ):
                files = {parameter_path('kvm_amd', key): value}
                found = self.kvm(key, files)
                self.assertEqual(state, found.state.value, value)
                if state == 'absent':
                    self.assertThat(
                        found.remedy, Contains(f'options kvm_amd {key}=1')
                    )

    def test_kvm_when_sev_itself_is_off(self):
        for value, state in (('N', 'absent'), (EACCES, 'unknown')):
            files = {parameter_path('kvm_amd', 'sev'): value}
            for key in SEVS:
                found = self.kvm(key, files, types=0x1D)
                self.assertEqual(state, found.state.value)

    def test_kvm_when_the_kernel_offers_no_device(self):
        for answer, state in (
            ('126 tun\n', 'absent'),
            (EACCES, 'unknown'),
            (ENOENT, 'unknown'),
        ):
            for types in (None, 0x1D):
                for key in SEVS:
                    found = self.kvm(key, {'/proc/misc': answer}, types)
                    self.assertEqual(state, found.state.value, answer)
                    if state == 'absent':
                        self.assertThat(found.remedy, Contains('ccp'))

    def test_kvm_when_the_module_lacks_the_parameter(self):
        files = {parameter_path('kvm_amd', 'sev_snp'): ENOENT}
        for modules, state, words in (
            ({'kvm_amd'}, 'absent', 'does not know SEV-SNP'),
            (set(), 'absent', 'not loaded'),
            (None, 'unknown', 'does not show'),
        ):
            found = self.kvm('sev_snp', files, modules=modules)
            self.assertEqual(state, found.state.value)
            self.assertThat(found.reason, Contains(words))

    def test_nothing_of_kvm_when_it_is_the_other_makers(self):
        for text, keys in ((INTEL, SEVS), (AMD, ('tdx',))):
            for key in keys:
                look = look_at(files=info(text.format('')), modules=set())
                self.assertEqual([], self.states(look, key, Stage.KVM))

    def test_vm_types_when_a_bit_is_missing(self):
        for key, bit in (('sev', 2), ('sev_es', 3), ('sev_snp', 4)):
            found = self.kvm(key, types=0x3F & ~(1 << bit))
            self.assertEqual('absent', found.state.value)
            self.assertNotIn('=1', found.remedy)

    def test_vm_types_when_kvm_cannot_be_asked(self):
        kvm = KvmAnswers(extensions={VM_TYPES.number: EACCES})
        for key in SEVS:
            self.assertEqual('unknown', self.kvm(key, kvm=kvm).state.value)
            found = self.kvm(key, kvm=kvm, kernel='6.9')
            self.assertEqual('present', found.state.value)

    def test_vm_types_when_the_kernel_is_old(self):
        """SEV guests were started by another call before."""
        for key, kernel, since in (
            ('sev', '6.9', '6.10'),
            ('sev_es', '6.9', '6.10'),
            ('sev_snp', '6.10', '6.11'),
        ):
            for release, state in ((kernel, 'present'), (since, 'absent')):
                found = self.kvm(key, types=1, kernel=release)
                self.assertEqual(state, found.state.value)

    def test_cause_when_the_command_line_names_it(self):
        for line, word in (
            ('iommu=pt', 'iommu=pt'),
            ('iommu=nopt', ''),
            ('iommu=pt iommu=nopt', ''),
            ('amd_iommu=pgtbl_v2', 'amd_iommu=pgtbl_v2'),
            ('amd_iommu=off', 'amd_iommu=off'),
            ('iommu.passthrough=1', 'iommu.passthrough=1'),
            ('iommu.passthrough=0', ''),
            ('kvm-amd.sev_snp=0', 'kvm-amd.sev_snp=0'),
        ):
            files = {
                '/proc/cmdline': line,
                parameter_path('kvm_amd', 'sev_snp'): 'N',
            }
            for types in (None, 0x0D):
                found = self.kvm('sev_snp', files, types=types)
                self.assertEqual('absent', found.state.value)
                if word:
                    self.assertIn(f'remove {word} from', found.remedy)
                else:
                    self.assertNotIn('take ', found.remedy)

    def test_remedy_when_it_was_switched_on_already(self):
        files = {
            '/proc/cmdline': 'kvm_amd.sev_snp=1',
            parameter_path('kvm_amd', 'sev_snp'): 'N',
        }
        self.assertEqual(
            'read what kvm_amd says in dmesg',
            self.kvm('sev_snp', files).remedy,
        )


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
            (seam, 2 << 32, ['present'], ['present']),
            (seam, 1 << 32, ['present'], ['absent']),
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

    def kvm(self, value, types=None, line='', words='vmx'):
        files = {
            **info(INTEL.format(words)),
            '/proc/cmdline': line,
            parameter_path('kvm_intel', 'tdx'): value,
        }
        facts = {}
        if types is not None:
            facts['kvm'] = KvmAnswers(extensions={VM_TYPES.number: types})
        found = self.tdx(
            Stage.KVM, files=files, modules={'kvm_intel'}, **facts
        )
        return decide(Stage.KVM, found)

    def test_kvm_when_parameter_and_types_tell(self):
        for value, types, state in (
            ('Y', None, 'present'),
            ('Y', 0x21, 'present'),
            ('Y', 0x01, 'absent'),
            ('Y', EACCES, 'unknown'),
            ('N', None, 'absent'),
            ('N', 0x21, 'absent'),
            (EACCES, 0x21, 'unknown'),
            (ENOENT, None, 'absent'),
        ):
            found = self.kvm(value, types).state.value
            self.assertEqual(state, found, (value, types))

    def test_cause_when_the_kernel_could_hibernate(self):
        for line, words, hibernation, switched in (
            ('', 'vmx', True, True),
            ('kvm_intel.tdx=1', 'vmx', True, False),
            ('nohibernate', 'vmx', False, True),
            ('hibernate=no', 'vmx', False, True),
            ('nohibernate kvm_intel.tdx=1', 'vmx', False, False),
            ('', 'vmx tdx_host_platform', False, True),
        ):
            for types in (None, 1):
                remedy = self.kvm('N', types, line, words).remedy
                self.assertEqual(hibernation, 'nohibernate' in remedy, line)
                self.assertEqual(switched, 'tdx=1' in remedy, line)
                self.assertIn('dmesg', remedy)
