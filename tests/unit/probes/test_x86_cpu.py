# SPDX-License-Identifier: Apache-2.0

from testtools.matchers import Contains

from hvfilter.model.catalogue import Stage
from hvfilter.model.finding import Strength
from hvfilter.probes.x86_cpu import X86Cpu
from tests.unit.probes.base import DELL, EACCES, ProbeTestCase, look_at, regs
from tests.unit.probes.test_x86_readings import NEITHER, SVM, VMX


def flags(text, **more):
    return {'/proc/cpuinfo': f'flags : {text}\n', **more}


class TestX86Cpu(ProbeTestCase):
    probe = X86Cpu

    def cpu(self, look, key):
        return {o.strength: o for o in self.said(look, key, Stage.CPU)}

    def test_both_sources_speak(self):
        said = self.cpu(look_at(cpuid=VMX, files=flags('vmx')), 'vtx')
        self.assertEqual({Strength.REGISTER, Strength.FLAGS}, set(said))
        for observation in said.values():
            self.assertEqual('present', observation.state.value)
            self.assertEqual('the processor has VT-x', observation.reason)
            self.assertEqual('', observation.remedy)

    def test_missing_word_when_cpuid_shows_the_feature(self):
        """That is the firmware's doing, and stage firmware's to tell."""
        look = look_at(cpuid=VMX, files=flags('fpu'))
        for key in ('vtx', 'hvm', 'kvm', 'nested'):
            said = self.cpu(look, key)
            self.assertEqual('unknown', said[Strength.FLAGS].state.value)
            self.assertThat(
                said[Strength.FLAGS].value, Contains('the kernel hides')
            )
            self.assertEqual('present', said[Strength.REGISTER].state.value)

    def test_missing_word_when_cpuid_does_not_tell(self):
        said = self.cpu(look_at(files=flags('fpu')), 'vtx')
        self.assertEqual('absent', said[Strength.FLAGS].state.value)
        self.assertEqual('unknown', said[Strength.REGISTER].state.value)

    def test_reason_when_cpuid_does_not_tell(self):
        look = look_at(files=flags('fpu'))
        for key in ('vtx', 'amdv', 'hvm', 'kvm', 'nested', 'ept', 'slat'):
            said = self.cpu(look, key)[Strength.FLAGS]
            self.assertEqual('absent', said.state.value, key)
            self.assertThat(said.reason, Contains('or the firmware has'))
            self.assertThat(said.remedy, Contains('firmware setup'))
        svm = 'vendor_id : AuthenticAMD\nflags : svm\n'
        for key in ('npt', 'lbrv', 'ept', 'slat'):
            look = look_at(files={'/proc/cpuinfo': svm})
            said = self.cpu(look, key)[Strength.FLAGS]
            words = 'only processors of' if key == 'ept' else 'has no'
            self.assertThat(said.reason, Contains(words))

    def test_words_of_vtx_when_the_kernel_took_vmx_out(self):
        """CPUID shows VT-x, its MSRs cannot be read: nothing is known."""
        look = look_at(cpuid=VMX, files=flags('fpu'))
        for key in ('ept', 'pml', 'slat', 'nested_slat'):
            for observation in self.cpu(look, key).values():
                self.assertEqual('unknown', observation.state.value, key)

    def test_words_of_vtx_when_the_processor_has_none(self):
        look = look_at(cpuid=NEITHER, files=flags('fpu'))
        for key in ('ept', 'pml', 'slat', 'nested_slat'):
            for observation in self.cpu(look, key).values():
                self.assertEqual('absent', observation.state.value, key)

    def test_reason_when_vmx_is_there(self):
        said = self.cpu(look_at(files=flags('vmx')), 'vtx')[Strength.FLAGS]
        self.assertEqual('the processor has VT-x', said.reason)

    def test_remedy_when_absent(self):
        said = self.cpu(look_at(cpuid=NEITHER, files=flags('fpu')), 'npt')
        for observation in said.values():
            self.assertEqual('absent', observation.state.value)
            self.assertThat(observation.reason, Contains('has no NPT'))
            self.assertThat(observation.remedy, Contains('other hardware'))

    def test_reason_when_processors_disagree(self):
        look = look_at(cpuid=[VMX, NEITHER], cpus=2)
        said = self.cpu(look, 'vtx')[Strength.REGISTER]
        self.assertEqual('absent', said.state.value)
        self.assertThat(said.reason, Contains('not every processor has VT-x'))
        self.assertThat(said.remedy, Contains('offline'))

    def test_reason_when_the_kernel_took_vmx_out_on_some(self):
        """Each processor has its own register of what firmware permits."""
        text = ''.join(
            f'processor : {cpu}\nvendor_id : GenuineIntel\nflags : {words}\n\n'
            for cpu, words in enumerate(('fpu vmx', 'fpu'))
        )
        look = look_at(files={'/proc/cpuinfo': text}, cpus=2)
        for key in ('vtx', 'hvm', 'kvm', 'nested'):
            said = self.cpu(look, key)[Strength.FLAGS]
            self.assertEqual('absent', said.state.value, key)
            self.assertEqual(
                'not every processor has VT-x: processors disagree: 1 of 2 '
                'have it',
                said.reason,
            )
            self.assertThat(said.remedy, Contains('firmware setup'))
            self.assertThat(said.remedy, Contains('offline'))

    def test_reason_when_unknown(self):
        said = self.cpu(look_at(files={'/proc/cpuinfo': EACCES}), 'vtx')
        self.assertThat(
            said[Strength.FLAGS].reason,
            Contains('/proc/cpuinfo does not show whether it has VT-x'),
        )

    def test_no_flags_reading_when_there_is_no_line(self):
        said = self.cpu(look_at(cpuid=VMX, files=flags('vmx')), 'pml')
        self.assertEqual({Strength.REGISTER}, set(said))

    def test_other_kvm_when_it_needs_no_extension(self):
        """A KVM that does without: whether it works is stage kvm's."""
        files = flags('fpu', **{'/proc/misc': '232 kvm\n'})
        modules = {'kvm', 'kvm_intel', 'kvm_amd', 'kvm_pvm'}
        look = look_at(cpuid=NEITHER, files=files, modules=modules)
        for observation in self.cpu(look, 'kvm').values():
            self.assertEqual('unknown', observation.state.value)
            self.assertThat(observation.reason, Contains('kvm_pvm offers'))
            self.assertEqual('', observation.remedy)
        for observation in self.cpu(look, 'hvm').values():
            self.assertEqual('absent', observation.state.value)

    def test_kvm_is_absent_when_no_other_kvm_is_offered(self):
        for modules, misc in (
            ({'kvm', 'kvm_pvm'}, ''),
            ({'kvm', 'kvm_intel', 'kvmgt'}, '232 kvm\n'),
        ):
            files = flags('fpu', **{'/proc/misc': misc})
            look = look_at(cpuid=NEITHER, files=files, modules=modules)
            for observation in self.cpu(look, 'kvm').values():
                self.assertEqual('absent', observation.state.value)

    def test_kvm_is_unknown_when_another_may_be_offered(self):
        for modules, misc in (
            (None, '232 kvm\n'),
            ({'kvm', 'kvm_pvm'}, EACCES),
            ({'kvm', 'kvm_pvm'}, None),
        ):
            more = {} if misc is None else {'/proc/misc': misc}
            files = flags('fpu', **more)
            look = look_at(cpuid=NEITHER, files=files, modules=modules)
            for observation in self.cpu(look, 'kvm').values():
                self.assertEqual('unknown', observation.state.value)
            for observation in self.cpu(look, 'hvm').values():
                self.assertEqual('absent', observation.state.value)

    def test_kvm_is_present_when_another_kvm_is_loaded_as_well(self):
        files = flags('svm', **{'/proc/misc': '232 kvm\n'})
        look = look_at(cpuid=SVM, files=files, modules={'kvm_pvm'})
        for observation in self.cpu(look, 'kvm').values():
            self.assertEqual('present', observation.state.value)

    def test_slat_when_npt_comes_without_svm(self):
        cpuid = {**SVM, 0x80000001: regs(), 0x8000000A: regs(edx=1)}
        text = 'vendor_id : AuthenticAMD\nflags : npt nrip_save\n'
        files = {'/proc/cpuinfo': text}
        look = look_at(cpuid=cpuid, files=files)
        for key in ('npt', 'slat', 'nrips'):
            for observation in self.cpu(look, key).values():
                self.assertEqual('absent', observation.state.value, key)


INTEL = 'vendor_id : GenuineIntel\n'
AMD = 'vendor_id : AuthenticAMD\n'
CENTAUR = 'vendor_id : CentaurHauls\n'
REAL = DELL


class TestMakers(ProbeTestCase):
    """Only AMD and Hygon have AMD-V; the others have VT-x."""

    probe = X86Cpu

    def cpuinfo(self, text, flags='fpu', **more):
        cpuinfo = f'{text}flags : {flags}\n'
        return {'/proc/cpuinfo': cpuinfo, **more}

    def test_a_bit_that_another_maker_sets_is_none(self):
        """A Centaur C5A returns garbage in 80000001:ECX, bit 2 set."""
        for vendor in (CENTAUR, 'vendor_id :   Shanghai  \n', INTEL):
            look = look_at(cpuid=SVM, files=self.cpuinfo(vendor, 'svm npt'))
            for key in ('amdv', 'npt', 'hvm', 'kvm', 'slat'):
                for said in self.said(look, key):
                    self.assertEqual('absent', said.state.value, key)

    def test_same_when_only_cpuid_names_the_maker(self):
        centaur = regs(1, 0x746E6543, 0x736C7561, 0x48727561)
        look = look_at(cpuid={**SVM, 0: centaur})
        states = {said.state.value for said in self.said(look, 'amdv')}
        self.assertNotIn('present', states)

    def test_no_remedy_when_another_maker_has_it(self):
        for vendor, keys, words in (
            (INTEL, ('amdv', 'npt', 'avic'), 'AMD and Hygon'),
            (AMD, ('vtx', 'ept', 'pml'), 'Intel, Zhaoxin and Centaur'),
        ):
            look = look_at(cpuid=NEITHER, files=self.cpuinfo(vendor))
            for key in keys:
                for said in self.said(look, key):
                    self.assertEqual('absent', said.state.value)
                    self.assertEqual('', said.remedy)
                    self.assertThat(said.reason, Contains(words))

    def test_neutral_words_are_in_the_makers_terms(self):
        for vendor, term in ((INTEL, 'VT-x'), (AMD, 'AMD-V')):
            look = look_at(cpuid=NEITHER, files=self.cpuinfo(vendor, **REAL))
            for said in self.said(look, 'hvm'):
                self.assertEqual(f'the processor has no {term}', said.reason)
                self.assertEqual(('other_hardware',), said.remedy.keys)

    def test_remedy_when_it_is_a_guest(self):
        for cpuid in (NEITHER, None):
            files = self.cpuinfo(INTEL, 'fpu hypervisor')
            look = look_at(cpuid=cpuid, files=files)
            for key in ('hvm', 'kvm', 'vtx', 'ept'):
                for said in self.said(look, key):
                    if said.state.value == 'absent':
                        keys = ('nested_on_the_host_under_it',)
                        self.assertEqual(keys, said.remedy.keys)
                        self.assertThat(said.reason, Contains('hypervisor'))

    def test_remedy_when_the_firmware_may_have_done_it(self):
        for vendor, more, keys in (
            (INTEL, REAL, ('vtx_in_firmware', 'other_hardware')),
            (AMD, REAL, ('amdv_in_firmware', 'other_hardware')),
        ):
            look = look_at(files=self.cpuinfo(vendor, **more))
            said = self.said(look, 'hvm')
            flags = next(o for o in said if o.strength is Strength.FLAGS)
            self.assertEqual(keys, flags.remedy.keys)

    def test_unknown_when_the_command_line_hides_it(self):
        for word in ('clearcpuid=vmx', 'clearcpuid=smap,133'):
            files = self.cpuinfo(INTEL, **{'/proc/cmdline': f'ro {word}'})
            look = look_at(files=files)
            for key in ('vtx', 'hvm', 'kvm', 'ept'):
                said = self.said(look, key)
                flags = next(o for o in said if o.strength is Strength.FLAGS)
                self.assertEqual('unknown', flags.state.value)
                keys = ('clearcpuid_on_command_line',)
                self.assertEqual(keys, flags.remedy.keys)
                self.assertThat(flags.reason, Contains(word))

    def test_unknown_when_the_command_line_may_not_be_read(self):
        """It may hide the word; which files alone, without it, do not say."""
        for vendor, keys in ((INTEL, ('vtx', 'ept')), (AMD, ('amdv', 'npt'))):
            files = self.cpuinfo(vendor, **{'/proc/cmdline': EACCES})
            for key in (*keys, 'hvm', 'kvm'):
                said = self.by_flags(files, key)
                self.assertEqual('unknown', said.state.value, key)
                self.assertThat(said.reason, Contains('/proc/cmdline'))
                self.assertThat(said.remedy, Contains('/proc/cmdline'))
        said = self.by_flags(files, 'vtx')
        self.assertEqual('absent', said.state.value)

    def by_flags(self, files, key):
        said = self.said(look_at(files=files), key)
        return next(o for o in said if o.strength is Strength.FLAGS)

    def test_unknown_when_xen_shows_it_to_nobody(self):
        xen = {'/sys/hypervisor/type': 'xen', **REAL}
        look = look_at(cpuid=NEITHER, files=self.cpuinfo(INTEL, **xen))
        for key in ('vtx', 'hvm', 'kvm', 'ept', 'slat'):
            for said in self.said(look, key):
                self.assertEqual('unknown', said.state.value)
                keys = ('virtualization_held_by_xen',)
                self.assertEqual(keys, said.remedy.keys)
        for said in self.said(look, 'amdv'):
            self.assertEqual('absent', said.state.value)
