# SPDX-License-Identifier: Apache-2.0

from testtools.matchers import Contains

from hvfilter.model.catalogue import Stage
from hvfilter.model.finding import Strength
from hvfilter.probes.x86_features import SVM_FLAGS, VMX_FLAGS
from hvfilter.probes.x86_firmware import FEATURE_CONTROL, VM_CR, X86Firmware
from tests.recordings import KvmAnswers
from tests.unit.probes.base import (
    DELL,
    EACCES,
    EIO,
    ProbeTestCase,
    look_at,
    regs,
)
from tests.unit.probes.test_x86_readings import NEITHER, SVM, VMX

NEUTRAL = {'hvm', 'kvm', 'slat', 'nested', 'nested_slat'}


def flags(text):
    return {'/proc/cpuinfo': f'flags : {text}\n'}


class TestX86Firmware(ProbeTestCase):
    probe = X86Firmware

    def firmware(self, look, key='vtx'):
        said = self.said(look, key)
        for observation in said:
            self.assertIs(Stage.FIRMWARE, observation.stage)
        return {o.strength: o for o in said}

    def register(self, look, key='vtx'):
        return self.firmware(look, key)[Strength.REGISTER]

    def test_keys_when_of_each_maker(self):
        look = look_at(cpuid=VMX, msrs={FEATURE_CONTROL: 5})
        keys = {o.capability for o in self.said(look)}
        self.assertEqual({'vtx', *VMX_FLAGS, *NEUTRAL}, keys)
        look = look_at(cpuid=SVM, msrs={VM_CR: 0})
        keys = {o.capability for o in self.said(look)}
        self.assertEqual({'amdv', *SVM_FLAGS, *NEUTRAL}, keys)
        self.assertEqual([], self.said(look_at(cpuid=NEITHER)))

    def test_feature_control_when_read(self):
        for value, state in (
            (0x0, 'present'),
            (0x1, 'absent'),
            (0x2, 'present'),
            (0x3, 'absent'),
            (0x4, 'present'),
            (0x5, 'present'),
            (0x7, 'present'),
            (0xFF05, 'present'),
            (0xFFF9, 'absent'),
        ):
            look = look_at(cpuid=VMX, msrs={FEATURE_CONTROL: value})
            said = self.register(look)
            self.assertEqual(state, said.state.value, hex(value))
            self.assertEqual(hex(value), said.value)
            self.assertThat(said.asked, Contains('IA32_FEATURE_CONTROL'))
            remedy = 'in the firmware setup' if state == 'absent' else ''
            self.assertThat(said.remedy, Contains(remedy))

    def test_vm_cr_when_read(self):
        for value, state in (
            (0x0, 'present'),
            (0x8, 'present'),
            (0x10, 'absent'),
            (0x18, 'absent'),
            (0x6F, 'present'),
        ):
            look = look_at(cpuid=SVM, msrs={VM_CR: value})
            said = self.register(look, 'amdv')
            self.assertEqual(state, said.state.value, hex(value))
            remedy = 'AMD-V (SVM Mode)' if state == 'absent' else ''
            self.assertThat(said.remedy, Contains(remedy))
            self.assertEqual(remedy == '', said.remedy == '')

    def test_unknown_when_a_register_cannot_be_read(self):
        for refusal in (EACCES, EIO):
            look = look_at(
                cpuid=VMX,
                msrs=[{FEATURE_CONTROL: 5}, {FEATURE_CONTROL: refusal}],
                cpus=2,
            )
            said = self.register(look)
            self.assertEqual('unknown', said.state.value)
            self.assertThat(said.value, Contains(refusal.error))

    def test_absent_when_only_some_processors_are_locked(self):
        look = look_at(
            cpuid=VMX,
            msrs=[{FEATURE_CONTROL: value} for value in (5, 1, 5)],
            cpus=3,
        )
        said = self.register(look)
        self.assertEqual('absent', said.state.value)
        self.assertEqual(
            '0x5, 0x1 (only processors [1] are locked)', said.value
        )

    def test_locked_processors_are_named_up_to_the_eighth(self):
        look = look_at(
            cpuid=VMX,
            msrs=[{FEATURE_CONTROL: value} for value in [1] * 9 + [5]],
            cpus=10,
        )
        self.assertEqual(
            '0x1, 0x5 (only processors [0, 1, 2, 3, 4, 5, 6, 7] are locked)',
            self.register(look).value,
        )

    def test_word_when_the_kernel_hides_it_if_disabled(self):
        for cpuid, word, kernel, state in (
            (VMX, 'vmx', '5.5.0', 'unknown'),
            (VMX, 'vmx', '5.6.0', 'present'),
            (VMX, 'vmx', '6.1.0', 'present'),
            (SVM, 'svm', '6.1.0', 'unknown'),
            (SVM, 'svm', '6.6.9', 'unknown'),
            (SVM, 'svm', '6.7.0', 'present'),
            (SVM, 'svm', '7.0', 'present'),
        ):
            look = look_at(cpuid=cpuid, files=flags(word), kernel=kernel)
            said = self.firmware(look, 'hvm')[Strength.FLAGS]
            self.assertEqual(state, said.state.value, (word, kernel))
            self.assertEqual(f'flags: {word}', said.asked)

    def test_word_when_only_the_line_tells_the_kernels_age(self):
        for line, state in (('vmx flags : pml\n', 'present'), ('', 'unknown')):
            files = {'/proc/cpuinfo': f'flags : vmx\n{line}'}
            look = look_at(cpuid=VMX, files=files, kernel='unknown')
            said = self.firmware(look)[Strength.FLAGS]
            self.assertEqual(state, said.state.value)
        files = {'/proc/cpuinfo': 'flags : svm\nvmx flags : pml\n'}
        look = look_at(cpuid=SVM, files=files, kernel='unknown')
        said = self.firmware(look, 'amdv')[Strength.FLAGS]
        self.assertEqual('unknown', said.state.value)

    def test_word_when_it_was_taken_out(self):
        for cpuid, kernel in ((VMX, '6.1'), (SVM, '6.12'), (VMX, '4.19')):
            look = look_at(cpuid=cpuid, files=flags('fpu'), kernel=kernel)
            said = self.firmware(look, 'hvm')[Strength.FLAGS]
            self.assertEqual('absent', said.state.value)
            self.assertThat(said.remedy, Contains('firmware setup'))

    def test_nothing_of_words_when_there_are_none(self):
        for files in ({'/proc/cpuinfo': ''}, {'/proc/cpuinfo': EACCES}, None):
            look = look_at(cpuid=VMX, files=files)
            self.assertEqual({Strength.REGISTER}, set(self.firmware(look)))

    def test_word_when_cpuid_cannot_be_executed(self):
        look = look_at(files=flags('vmx'))
        said = self.firmware(look)
        self.assertEqual('present', said[Strength.FLAGS].state.value)
        self.assertEqual([], self.said(look_at(files=flags('fpu'))))
        self.assertEqual([], self.said(look_at()))

    def test_module_when_it_runs(self):
        look = look_at(
            cpuid=VMX, modules={'kvm_intel'}, kvm=KvmAnswers(api_version=12)
        )
        said = self.firmware(look)[Strength.IOCTL]
        self.assertEqual('present', said.state.value)
        self.assertEqual('12', said.value)
        self.assertEqual('the firmware permits VT-x', said.reason)

    def test_module_when_the_device_is_only_offered(self):
        for modules, misc, states in (
            ({'kvm', 'kvm_intel'}, '232 kvm\n', ['present']),
            ({'kvm', 'kvm_intel', 'kvm_pvm'}, '232 kvm\n', []),
            ({'kvm', 'kvm_amd'}, '232 kvm\n', []),
            ({'kvm', 'kvm_intel'}, '126 tun\n', []),
            ({'kvm', 'kvm_intel'}, EACCES, []),
        ):
            look = look_at(
                cpuid=VMX,
                modules=modules,
                kvm=EACCES,
                files={'/proc/misc': misc},
            )
            found = [
                o.state.value
                for o in self.said(look, 'vtx')
                if o.strength is Strength.PARAMETER
            ]
            self.assertEqual(states, found, (modules, misc))

    def test_module_when_it_does_not_run(self):
        for modules, kvm in (
            ({'kvm_amd'}, KvmAnswers(api_version=12)),
            ({'kvm_intel', 'kvm_pvm'}, KvmAnswers(api_version=12)),
            ({'kvm_intel'}, EACCES),
            (None, KvmAnswers(api_version=12)),
        ):
            look = look_at(cpuid=VMX, modules=modules, kvm=kvm)
            self.assertNotIn(Strength.IOCTL, self.firmware(look))

    def test_remedy_when_only_txt_may(self):
        for cpuinfo in ('flags : fpu\n', EACCES):
            files = {'/proc/cpuinfo': cpuinfo}
            look = look_at(cpuid=VMX, msrs={FEATURE_CONTROL: 3}, files=files)
            for said in self.said(look, 'vtx'):
                self.assertEqual('absent', said.state.value)
                self.assertThat(said.reason, Contains('TXT'))
                key = 'vtx_outside_txt_in_firmware'
                self.assertEqual(key, said.remedy.keys[0])

    def test_remedy_when_some_processors_are_locked_otherwise(self):
        msrs = [{FEATURE_CONTROL: 3}, {FEATURE_CONTROL: 1}]
        look = look_at(cpuid=VMX, msrs=msrs, cpus=2)
        said = self.register(look)
        self.assertEqual('vtx_in_firmware', said.remedy.keys[0])

    def test_remedy_of_each_kind_of_machine(self):
        real = dict(DELL)
        for bit, flags, files, keys in (
            (0, 'fpu', real, ('vtx_in_firmware',)),
            (31, 'hypervisor', {}, ('nested_on_the_host_under_it',)),
        ):
            files['/proc/cpuinfo'] = f'flags : {flags}\n'
            cpuid = {1: regs(ecx=1 << 5 | 1 << bit)}
            look = look_at(cpuid=cpuid, msrs={FEATURE_CONTROL: 1}, files=files)
            self.assertEqual(keys, self.register(look).remedy.keys)

    def test_word_when_the_command_line_hides_it(self):
        for cpuid, cmdline in (
            (VMX, 'clearcpuid=vmx'),
            (VMX, 'clearcpuid=5,133'),
            (SVM, 'clearcpuid=svm'),
            (SVM, 'clearcpuid=194'),
        ):
            files = flags('fpu') | {'/proc/cmdline': f'ro {cmdline}'}
            said = self.firmware(look_at(cpuid=cpuid, files=files), 'hvm')
            said = said[Strength.FLAGS]
            self.assertEqual('unknown', said.state.value)
            self.assertEqual(('clearcpuid_on_command_line',), said.remedy.keys)
        files = flags('fpu') | {'/proc/cmdline': 'clearcpuid=vmx clearcpuid=0'}
        said = self.firmware(look_at(cpuid=VMX, files=files), 'hvm')
        self.assertEqual('absent', said[Strength.FLAGS].state.value)

    def test_word_when_the_command_line_may_hide_it(self):
        for cmdline, value, state in (
            (EACCES, 5, 'unknown'),
            (EACCES, 1, 'absent'),
            (EACCES, EIO, 'absent'),
            ('ro', 5, 'absent'),
        ):
            files = flags('fpu') | {'/proc/cmdline': cmdline}
            look = look_at(
                cpuid=VMX, files=files, msrs={FEATURE_CONTROL: value}
            )
            said = self.firmware(look)[Strength.FLAGS]
            self.assertEqual(state, said.state.value)

    def test_word_that_is_hidden_when_cpuid_cannot_be_executed(self):
        for vendor, states in (
            ('GenuineIntel', ['unknown']),
            ('AuthenticAMD', []),
        ):
            files = {
                '/proc/cpuinfo': f'vendor_id : {vendor}\nflags : fpu\n',
                '/proc/cmdline': 'clearcpuid=vmx',
            }
            look = look_at(files=files)
            self.assertEqual(states, self.states(look, 'hvm', Stage.FIRMWARE))
        files['/proc/cmdline'] = 'ro'
        look = look_at(files=files)
        self.assertEqual([], self.states(look, 'hvm', Stage.FIRMWARE))

    def test_xen_holds_it(self):
        for vendor, key, other in (
            ('GenuineIntel', 'vtx', 'amdv'),
            ('AuthenticAMD', 'amdv', 'vtx'),
        ):
            look = look_at(
                cpuid=NEITHER,
                files={
                    '/proc/cpuinfo': f'vendor_id : {vendor}\nflags : fpu\n',
                    '/sys/hypervisor/type': 'xen',
                    '/proc/xen/capabilities': 'control_d',
                },
            )
            said = self.one(look, key, Stage.FIRMWARE)
            self.assertEqual('absent', said.state.value)
            self.assertThat(said.reason, Contains('Xen runs under this'))
            self.assertEqual(('virtualization_held_by_xen',), said.remedy.keys)
            self.assertEqual([], self.said(look, other))
