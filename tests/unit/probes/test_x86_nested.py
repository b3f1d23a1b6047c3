# SPDX-License-Identifier: Apache-2.0

from testtools.matchers import Contains

from hvfilter.model.catalogue import Stage
from hvfilter.model.finding import Strength
from hvfilter.probes.context import parameter_path
from hvfilter.probes.x86_nested import X86Nested
from tests.recordings import KvmAnswers
from tests.unit.probes.base import (
    EACCES,
    ENOENT,
    ProbeTestCase,
    entry,
    look_at,
)
from tests.unit.probes.test_x86_readings import high, vmx_msrs


def offers(ecx=0, extended=0, edx=0, msrs=None, **more):
    return look_at(
        kvm=KvmAnswers(
            supported_cpuid=(
                entry(1, ecx=ecx),
                entry(0x80000001, ecx=extended),
                entry(0x8000000A, edx=edx),
            ),
            feature_msrs=msrs,
        ),
        **more,
    )


VMX = 1 << 5
SVM = 1 << 2


class TestOffered(ProbeTestCase):
    probe = X86Nested

    def kvm(self, look, key):
        return self.states(look, key, Stage.KVM)

    def test_nested_when_kvm_offers_an_extension(self):
        for ecx, extended, state in (
            (VMX, 0, 'present'),
            (0, SVM, 'present'),
            (0, 0, 'absent'),
            (~VMX & 0xFFFFFFFF, ~SVM & 0xFFFFFFFF, 'absent'),
        ):
            look = offers(ecx, extended, msrs=vmx_msrs())
            said = self.one(look, 'nested', Stage.KVM)
            self.assertEqual(state, said.state.value)
            self.assertIs(Strength.IOCTL, said.strength)
            remedy = 'nested=1' if state == 'absent' else ''
            self.assertThat(said.remedy, Contains(remedy))

    def test_remedy_when_the_maker_is_known(self):
        for vendor, nested, slat in (
            (
                'GenuineIntel',
                'kvm_intel nested=1"',
                'kvm_intel nested=1 ept=1',
            ),
            ('AuthenticAMD', 'kvm_amd nested=1"', 'kvm_amd nested=1 npt=1"'),
            ('', 'help: put "options kvm_amd nested=1', 'nested=1 npt=1"'),
        ):
            look = offers(files={'/proc/cpuinfo': f'vendor_id : {vendor}'})
            for key, words in (('nested', nested), ('nested_slat', slat)):
                said = self.one(look, key, Stage.KVM)
                self.assertThat(said.remedy, Contains(words))

    def test_remedy_when_the_module_is_known(self):
        for module in ('kvm_intel', 'kvm_amd'):
            look = offers(modules={'kvm', module})
            said = self.one(look, 'nested', Stage.KVM)
            self.assertThat(said.remedy, Contains(f'options {module} nested'))
            self.assertNotIn('if that does not help', said.remedy)

    def test_remedy_when_it_is_on_already(self):
        path = parameter_path('kvm_amd', 'nested')
        vendor = {'/proc/cpuinfo': 'vendor_id : AuthenticAMD'}
        said = self.said(offers(files={path: '1', **vendor}), 'nested')
        (ioctl,) = [o for o in said if o.state.value == 'absent']
        self.assertEqual(('nested_already_on',), ioctl.remedy.keys)
        npt = parameter_path('kvm_amd', 'npt')
        files = {path: '1', npt: 'N', **vendor}
        for said in self.said(offers(files=files), 'nested_slat'):
            self.assertThat(said.remedy, Contains('kvm_amd npt=1"'))
            self.assertNotIn('nested=1', said.remedy)

    def test_remedy_when_the_command_line_switches_it_off(self):
        files = {
            '/proc/cpuinfo': 'vendor_id : GenuineIntel',
            '/proc/cmdline': 'kvm_intel.nested=1 kvm-intel.nested=0',
            parameter_path('kvm_intel', 'nested'): 'N',
        }
        for said in self.said(offers(files=files), 'nested'):
            self.assertEqual('absent', said.state.value)
            keys = ('parameter_off_on_command_line',)
            self.assertEqual(keys, said.remedy.keys)
            self.assertThat(said.remedy, Contains('kvm-intel.nested=0'))

    def test_absent_when_kvm_lists_none_of_the_leaves(self):
        look = look_at(kvm=KvmAnswers(supported_cpuid=()))
        for key in ('nested', 'nested_slat'):
            self.assertEqual(['absent'], self.kvm(look, key))

    def test_unknown_when_kvm_cannot_be_asked(self):
        look = look_at(kvm=EACCES)
        for key in ('nested', 'nested_slat'):
            said = self.one(look, key, Stage.KVM)
            self.assertEqual('unknown', said.state.value)
            self.assertThat(said.value, Contains('EACCES'))

    def test_nested_npt_when_offered(self):
        for edx, state in ((1, 'present'), (0, 'absent'), (6, 'absent')):
            look = offers(0, SVM, edx)
            for key in ('nested_slat', 'npt', 'slat'):
                self.assertEqual([state], self.kvm(look, key), key)

    def test_npt_without_svm_proves_nothing(self):
        look = offers(0, 0, 1)
        self.assertEqual(['absent'], self.kvm(look, 'nested_slat'))
        for key in ('npt', 'slat', 'ept'):
            self.assertEqual([], self.kvm(look, key))

    def test_nested_ept_when_its_control_is_shown(self):
        for secondary, state in (((1,), 'present'), ((0, 2), 'absent')):
            look = offers(VMX, msrs=vmx_msrs(secondary=secondary))
            for key in ('nested_slat', 'ept', 'slat'):
                said = self.one(look, key, Stage.KVM)
                self.assertEqual(state, said.state.value, key)
                self.assertThat(said.source, Contains('KVM_GET_MSRS'))

    def test_what_kvm_uses_when_guests_are_shown_it(self):
        for key, bit in (('vpid', 5), ('unrestricted_guest', 7), ('ept', 1)):
            look = offers(VMX, msrs=vmx_msrs(secondary=(bit,)))
            self.assertEqual(['present'], self.kvm(look, key))
            rest = tuple(b for b in range(32) if b != bit)
            look = offers(VMX, msrs=vmx_msrs(secondary=rest))
            said = self.one(look, key, Stage.KVM)
            self.assertEqual('absent', said.state.value)
            self.assertThat(said.remedy, Contains('modprobe.d'))

    def test_nested_ept_when_secondary_controls_cannot_be_activated(self):
        msrs = vmx_msrs(primary=(0,), secondary=(1,))
        look = offers(VMX, msrs=msrs)
        self.assertEqual(['absent'], self.kvm(look, 'nested_slat'))

    def test_unknown_when_the_list_lacks_the_controls(self):
        for msrs in ({0x482: high(31)}, {0x8B: 1}, {}):
            said = self.one(offers(VMX, msrs=msrs), 'nested_slat', Stage.KVM)
            self.assertEqual('unknown', said.state.value)
            self.assertThat(said.value, Contains('not in the list'))
            self.assertEqual(
                'KVM does not list the VMX controls that guests get',
                said.reason,
            )
            self.assertIs(Strength.IOCTL, said.strength)
            self.assertEqual([], self.kvm(offers(VMX, msrs=msrs), 'ept'))

    def test_unknown_when_the_list_is_refused(self):
        look = offers(VMX, msrs=EACCES)
        said = self.one(look, 'nested_slat', Stage.KVM)
        self.assertEqual('unknown', said.state.value)
        self.assertIs(Strength.IOCTL, said.strength)
        self.assertEqual('KVM_GET_MSRS', said.source)
        self.assertEqual('feature MSR 0x48b bit 33 EPT', said.asked)
        self.assertThat(said.value, Contains('EACCES'))
        self.assertEqual(
            'KVM could not be asked about nested EPT', said.reason
        )
        self.assertThat(said.remedy, Contains('to the group of /dev/kvm'))
        self.assertEqual([], self.kvm(look, 'ept'))


class TestParameters(ProbeTestCase):
    probe = X86Nested

    def parameter(self, key, **files):
        look = look_at(
            files={
                parameter_path(*path.split('__')): value
                for path, value in files.items()
            },
            kvm=ENOENT,
        )
        return [
            o
            for o in self.said(look, key, Stage.KVM)
            if o.strength is Strength.PARAMETER
        ]

    def test_nested_in_each_form(self):
        for module in ('kvm_intel', 'kvm_amd'):
            for value, state in (
                ('Y', 'present'),
                ('1', 'present'),
                ('N', 'absent'),
                ('0', 'absent'),
            ):
                (said,) = self.parameter(
                    'nested', **{f'{module}__nested': value}
                )
                self.assertEqual(state, said.state.value)
                remedy = (
                    f'options {module} nested=1"' if state == 'absent' else ''
                )
                self.assertThat(said.remedy, Contains(remedy))

    def test_nothing_of_another_makers_module_that_is_built_in(self):
        for vendor, module in (
            ('AuthenticAMD', 'kvm_amd'),
            ('CentaurHauls', 'kvm_intel'),
        ):
            look = look_at(
                files={
                    '/proc/cpuinfo': f'vendor_id : {vendor}',
                    parameter_path('kvm_intel', 'nested'): 'N',
                    parameter_path('kvm_amd', 'nested'): '0',
                },
                kvm=ENOENT,
            )
            (said,) = [
                o
                for o in self.said(look, 'nested')
                if o.strength is Strength.PARAMETER
            ]
            self.assertEqual(parameter_path(module, 'nested'), said.source)

    def test_nothing_when_it_is_neither_yes_nor_no(self):
        self.assertEqual([], self.parameter('nested', kvm_amd__nested='x'))
        self.assertEqual([], self.parameter('nested', kvm_amd__nested=EACCES))
        self.assertEqual([], self.parameter('nested'))

    def test_nested_slat_when_both_are_on(self):
        for nested, ept, state in (
            ('Y', 'Y', 'present'),
            ('Y', 'N', 'absent'),
            ('N', 'Y', 'absent'),
            ('N', 'N', 'absent'),
        ):
            (said,) = self.parameter(
                'nested_slat', kvm_intel__nested=nested, kvm_intel__ept=ept
            )
            self.assertEqual(state, said.state.value)
            self.assertEqual(f'{nested}, {ept}', said.value)
        (said,) = self.parameter(
            'nested_slat', kvm_amd__nested='1', kvm_amd__npt='Y'
        )
        self.assertEqual('present', said.state.value)

    def test_nothing_of_nested_slat_when_one_does_not_tell(self):
        for ept in (EACCES, 'x'):
            self.assertEqual(
                [],
                self.parameter(
                    'nested_slat', kvm_intel__nested='Y', kvm_intel__ept=ept
                ),
            )
