# SPDX-License-Identifier: Apache-2.0

from testtools.matchers import Contains

from hvfilter.model.catalogue import Stage
from hvfilter.model.finding import Strength
from hvfilter.probes.context import parameter_path
from hvfilter.probes.x86_kvm import PARAMETERS, X86Kvm
from tests.recordings import KvmAnswers
from tests.unit.probes.base import EACCES, ENOENT, ProbeTestCase, look_at

INTEL = {'kvm', 'kvm_intel'}
AMD = {'kvm', 'kvm_amd'}


def parameters(module, **values):
    return {
        parameter_path(module, name): value for name, value in values.items()
    }


class TestX86Kvm(ProbeTestCase):
    probe = X86Kvm

    def kvm(self, look, key):
        return self.states(look, key, Stage.KVM)

    def test_each_parameter_of_each_module(self):
        expected = {
            'ept': ('kvm_intel', 'ept'),
            'vpid': ('kvm_intel', 'vpid'),
            'unrestricted_guest': ('kvm_intel', 'unrestricted_guest'),
            'apicv': ('kvm_intel', 'enable_apicv'),
            'posted_interrupts': ('kvm_intel', 'enable_apicv'),
            'shadow_vmcs': ('kvm_intel', 'enable_shadow_vmcs'),
            'pml': ('kvm_intel', 'pml'),
            'mbec': ('kvm_intel', 'mbec'),
            'npt': ('kvm_amd', 'npt'),
            'avic': ('kvm_amd', 'avic'),
            'x2avic': ('kvm_amd', 'avic'),
            'vgif': ('kvm_amd', 'vgif'),
            'vls': ('kvm_amd', 'vls'),
            'vnmi': ('kvm_amd', 'vnmi'),
            'lbrv': ('kvm_amd', 'lbrv'),
            'nrips': ('kvm_amd', 'nrips'),
        }
        found = {row.key: (row.module, row.parameter) for row in PARAMETERS}
        self.assertEqual(expected, {key: found[key] for key in expected})
        for key, (module, name) in found.items():
            for value, state in (
                ('Y', 'present'),
                ('1', 'present'),
                ('N', 'absent'),
                ('0', 'absent'),
                ('-1', 'unknown'),
            ):
                look = look_at(
                    kernel='7.1.0',
                    files=parameters(module, **{name: value}),
                    modules={module},
                )
                said = self.one(look, key, Stage.KVM)
                self.assertEqual(state, said.state.value, (key, value))
                self.assertIs(Strength.PARAMETER, said.strength)
                self.assertEqual(value, said.value)
                self.assertEqual(parameter_path(module, name), said.source)
                if state == 'absent':
                    self.assertThat(
                        said.remedy, Contains(f'"options {module} {name}=1"')
                    )

    def test_value_is_cut_when_it_is_long_nonsense(self):
        files = parameters('kvm_intel', ept='x' * 99)
        said = self.one(look_at(files=files, modules=INTEL), 'ept', Stage.KVM)
        self.assertEqual('x' * 99, said.value)
        path = parameter_path('kvm_intel', 'ept')
        self.assertEqual(
            f"{path} is '{'x' * 40}', neither yes nor no",
            said.reason,
        )

    def test_nothing_of_a_module_that_is_not_loaded(self):
        for module in (INTEL, AMD, set()):
            look = look_at(modules=module)
            for row in PARAMETERS:
                if row.module not in module:
                    self.assertEqual([], self.kvm(look, row.key))

    def test_unknown_when_sysfs_is_masked(self):
        look = look_at(
            files=parameters('kvm_intel', ept=ENOENT, pml=EACCES),
            directories={'/sys/module': ENOENT},
        )
        for key in ('ept', 'pml'):
            said = self.one(look, key, Stage.KVM)
            self.assertEqual('unknown', said.state.value)
            self.assertThat(said.reason, Contains('does not show whether'))

    def test_unknown_when_a_parameter_is_refused(self):
        files = parameters('kvm_intel', ept=EACCES)
        look = look_at(files=files, modules=INTEL)
        self.assertEqual(['unknown'], self.kvm(look, 'ept'))

    def test_absent_when_the_kernel_is_older_than_the_feature(self):
        for key, module, name, kernel, since in (
            ('pml', 'kvm_intel', 'pml', '3.19', '4.0'),
            ('mbec', 'kvm_intel', 'mbec', '6.12.1', '7.0'),
            ('avic', 'kvm_amd', 'avic', '4.6', '4.7'),
            ('x2avic', 'kvm_amd', 'avic', '5.19.0', '6.0'),
            ('vgif', 'kvm_amd', 'vgif', '4.12', '4.13'),
            ('vls', 'kvm_amd', 'vls', '4.12', '4.13'),
            ('vnmi', 'kvm_amd', 'vnmi', '6.3.9', '6.4'),
        ):
            for value in (ENOENT, 'Y'):
                look = look_at(
                    kernel=kernel,
                    files=parameters(module, **{name: value}),
                    modules={module},
                )
                said = self.one(look, key, Stage.KVM)
                self.assertEqual('absent', said.state.value, key)
                self.assertThat(said.remedy, Contains(f'from {since} on'))
            look = look_at(
                kernel=since,
                files=parameters(module, **{name: ENOENT}),
                modules={module},
            )
            self.assertEqual(['unknown'], self.kvm(look, key))

    def test_unknown_when_the_kernel_is_not_known(self):
        files = parameters('kvm_amd', vnmi=ENOENT)
        look = look_at(kernel='', files=files, modules=AMD)
        self.assertEqual(['unknown'], self.kvm(look, 'vnmi'))

    def test_slat_when_a_module_uses_its_form(self):
        files = parameters('kvm_intel', ept='Y')
        look = look_at(files=files, modules=INTEL)
        self.assertEqual(['present'], self.kvm(look, 'slat'))
        files = parameters('kvm_amd', npt='N')
        look = look_at(files=files, modules=AMD)
        self.assertEqual(['absent'], self.kvm(look, 'slat'))

    def test_slat_when_two_modules_are_loaded(self):
        files = {
            **parameters('kvm_amd', npt='Y'),
            **parameters('kvm_intel', ept='N'),
        }
        look = look_at(files=files, modules=INTEL | AMD)
        self.assertEqual(['present'], self.kvm(look, 'slat'))
        files = {
            **parameters('kvm_amd', npt='N'),
            **parameters('kvm_intel', ept='N'),
        }
        look = look_at(files=files, modules=INTEL | AMD)
        self.assertEqual(['absent'], self.kvm(look, 'slat'))

    def test_nothing_of_another_makers_module_that_is_built_in(self):
        files = {
            **parameters('kvm_amd', npt='N'),
            **parameters('kvm_intel', ept='Y'),
            '/proc/cpuinfo': 'vendor_id : AuthenticAMD',
        }
        look = look_at(files=files, modules=INTEL | AMD)
        self.assertEqual(['absent'], self.kvm(look, 'slat'))
        self.assertEqual([], self.kvm(look, 'ept'))
        files['/proc/cpuinfo'] = 'vendor_id : GenuineIntel'
        look = look_at(files=files, modules=INTEL | AMD)
        self.assertEqual(['present'], self.kvm(look, 'slat'))
        self.assertEqual([], self.kvm(look, 'npt'))

    def test_slat_when_a_parameter_does_not_tell(self):
        files = parameters('kvm_intel', ept=EACCES)
        look = look_at(files=files, modules=INTEL)
        self.assertEqual(['unknown'], self.kvm(look, 'slat'))

    def test_tsc_scaling_when_kvm_answers(self):
        for answer, state in ((1, 'present'), (0, 'absent')):
            kvm = KvmAnswers(extensions={60: answer})
            said = self.one(look_at(kvm=kvm), 'tsc_scaling', Stage.KVM)
            self.assertEqual(state, said.state.value)
            self.assertIs(Strength.IOCTL, said.strength)
        said = self.one(look_at(kvm=EACCES), 'tsc_scaling', Stage.KVM)
        self.assertEqual('unknown', said.state.value)

    def off(self, module, cmdline='ro', kernel='7.1.0', **values):
        """Why the first parameter is off, and the keys of the remedy."""
        look = look_at(
            kernel=kernel,
            files={
                **parameters(module, **values),
                '/proc/cmdline': cmdline,
                '/proc/misc': '232 kvm\n',
            },
            modules={'kvm', module},
        )
        name = next(iter(values))
        row = next(row for row in PARAMETERS if row.parameter == name)
        said = self.one(look, row.key, Stage.KVM)
        self.assertEqual('absent', said.state.value)
        return said

    def test_parameter_that_another_one_switches_off(self):
        for module, values, named in (
            ('kvm_intel', {'unrestricted_guest': 'N', 'ept': 'N'}, 'ept'),
            ('kvm_intel', {'pml': 'N', 'ept': 'N', 'eptad': 'N'}, 'ept'),
            ('kvm_intel', {'pml': 'N', 'ept': 'Y', 'eptad': 'N'}, 'eptad'),
            ('kvm_intel', {'mbec': 'N', 'ept': 'N'}, 'ept'),
            ('kvm_amd', {'avic': 'N', 'npt': 'N'}, 'npt'),
            ('kvm_amd', {'vls': '0', 'npt': 'N'}, 'npt'),
            ('kvm_amd', {'vnmi': 'N', 'vgif': '0'}, 'vgif'),
        ):
            said = self.off(module, **values)
            self.assertThat(said.reason, Contains(f'parameter {named} of'))
            self.assertThat(said.remedy, Contains(f'{module} {named}=1"'))
            own = next(iter(values))
            self.assertNotIn(f'{own}=1', said.remedy)

    def test_parameter_when_the_other_one_is_on_or_not_known(self):
        for values in (
            {'pml': 'N', 'ept': 'Y', 'eptad': 'Y'},
            {'pml': 'N', 'ept': EACCES, 'eptad': ENOENT},
        ):
            said = self.off('kvm_intel', **values)
            self.assertThat(said.remedy, Contains('kvm_intel pml=1"'))

    def test_parameter_that_the_command_line_switches_off(self):
        said = self.off('kvm_amd', 'kvm-amd.npt=0', npt='N')
        self.assertEqual(('parameter_off_on_command_line',), said.remedy.keys)
        said = self.off('kvm_intel', 'kvm_intel.ept=0', pml='N', ept='N')
        self.assertThat(said.remedy, Contains('remove kvm_intel.ept=0'))
        said = self.off('kvm_amd', 'clearcpuid=vgif', vgif='0')
        self.assertEqual(('clearcpuid_on_command_line',), said.remedy.keys)

    def test_nothing_is_advised_that_is_set(self):
        said = self.off('kvm_amd', 'kvm_amd.avic=1', avic='N', npt='Y')
        self.assertEqual(('parameter_refused',), said.remedy.keys)

    def test_processor_when_it_may_have_none(self):
        said = self.off('kvm_amd', vgif='0')
        self.assertThat(said.reason, Contains('or the processor has none'))

    def kept(self, cmdline, flags='fpu', misc='126 tun\n', modules=(), **more):
        cpuinfo = f'vendor_id : GenuineIntel\nflags : {flags}\n'
        look = look_at(
            files={
                '/proc/cpuinfo': cpuinfo,
                '/proc/cmdline': cmdline,
                '/proc/misc': misc,
                **more,
            },
            modules=modules,
        )
        return [o for o in self.said(look) if o.source == '/proc/cmdline']

    def test_command_line_that_keeps_kvm_from_starting(self):
        for cmdline, flags, key in (
            ('clearcpuid=vmx', 'fpu', 'clearcpuid_on_command_line'),
            ('clearcpuid=133', 'fpu', 'clearcpuid_on_command_line'),
            (
                'module_blacklist=x,kvm_intel',
                'vmx',
                'module_blacklisted_on_command_line',
            ),
            (
                'module_blacklist=kvm',
                'vmx',
                'module_blacklisted_on_command_line',
            ),
            (
                'initcall_blacklist=x,vmx_init',
                'vmx',
                'initcall_blacklisted_on_command_line',
            ),
            (
                'initcall_blacklist=vt_init',
                'vmx',
                'initcall_blacklisted_on_command_line',
            ),
            (
                'initcall_blacklist=kvm_x86_init',
                'vmx',
                'initcall_blacklisted_on_command_line',
            ),
            (
                'modprobe.blacklist=x,kvm-intel',
                'vmx',
                'module_not_loaded_by_itself',
            ),
        ):
            said = self.kept(cmdline, flags)
            self.assertIn('kvm', {o.capability for o in said})
            self.assertIn('ept', {o.capability for o in said})
            self.assertNotIn('iommu', {o.capability for o in said})
            for observation in said:
                self.assertEqual('absent', observation.state.value)
                self.assertEqual((key,), observation.remedy.keys)
                self.assertThat(observation.reason, Contains(cmdline))

    def test_command_line_that_does_not(self):
        for cmdline, flags, misc in (
            ('clearcpuid=vmx', 'fpu', '232 kvm\n'),
            ('clearcpuid=vmx', 'vmx', '126 tun\n'),
            ('clearcpuid=svm', 'fpu', '126 tun\n'),
            ('clearcpuid=vmx clearcpuid=smap', 'fpu', '126 tun\n'),
            ('module_blacklist=kvm_amd', 'vmx', '126 tun\n'),
            ('module_blacklist=kvm_intel', 'vmx', EACCES),
            # As what kvm_intel needs, kvm is loaded all the same.
            ('modprobe.blacklist=kvm', 'vmx', '126 tun\n'),
            ('modprobe.blacklist=kvm_amd', 'vmx', '126 tun\n'),
            ('initcall_blacklist=svm_init', 'vmx', '126 tun\n'),
            ('initcall_blacklist=vmx_init', 'vmx', '232 kvm\n'),
            ('initcall_blacklist=vmx', 'vmx', '126 tun\n'),
            ('ro', 'fpu', '126 tun\n'),
            (EACCES, 'fpu', '126 tun\n'),
        ):
            self.assertEqual([], self.kept(cmdline, flags, misc))
        word = 'modprobe.blacklist=kvm_intel'
        for modules in ({'kvm_intel'}, None):
            self.assertEqual([], self.kept(word, 'vmx', modules=modules))
        # What is there has started, or was not needed.
        word = 'initcall_blacklist=kvm_x86_init'
        self.assertEqual([], self.kept(word, 'vmx', modules={'kvm'}))
        refused = {'/proc/cpuinfo': EACCES}
        self.assertEqual([], self.kept('clearcpuid=vmx', **refused))

    def test_command_line_when_only_the_flags_tell(self):
        self.assertNotEqual([], self.kept('clearcpuid=vmx', misc=EACCES))
