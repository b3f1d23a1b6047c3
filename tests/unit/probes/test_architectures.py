# SPDX-License-Identifier: Apache-2.0
"""arm64, ia64, loongarch64, ppc64, riscv64, s390x and what they share."""

import testtools
from hypothesis import given
from hypothesis import strategies as st
from testtools.matchers import Contains

from hvfilter.host.snapshot import KvmAnswers
from hvfilter.model.catalogue import Arch, Stage
from hvfilter.model.finding import State
from hvfilter.probes import riscv64
from hvfilter.probes.arm64 import Arm64
from hvfilter.probes.ia64 import Ia64
from hvfilter.probes.loongarch64 import Loongarch64
from hvfilter.probes.natural import HARDWARE
from hvfilter.probes.ppc64 import Ppc64
from hvfilter.probes.riscv64 import Riscv64
from hvfilter.probes.s390x import S390x
from hvfilter.rules import combine
from tests.unit.probes.base import EACCES, ENOENT, ProbeTestCase, look_at

CMDLINE = '/proc/cmdline'
NESTED = '/sys/module/{}/parameters/nested'


def opened(**extensions):
    return KvmAnswers(
        api_version=12,
        extensions={int(k[1:]): v for k, v in extensions.items()},
    )


class ArchTestCase(ProbeTestCase):
    arch = ''

    def look(self, cpuinfo=ENOENT, kvm=ENOENT, files=None, **facts):
        return look_at(
            self.arch,
            files={'/proc/cpuinfo': cpuinfo, **(files or {})},
            kvm=kvm,
            **facts,
        )

    def decided(self, look, key, stage):
        return combine.decide(stage, self.said(look, key, stage))

    def check(self, state, look, key, stage, words='', remedy=None):
        found = self.decided(look, key, stage)
        self.assertEqual(state, found.state.value, (key, stage, found))
        self.assertThat(found.reason, Contains(words))
        if remedy is not None:
            self.assertThat(found.remedy, Contains(remedy))
            self.assertEqual(remedy == '', found.remedy == '')

    def check_hardware(self, state, look, stages, words=''):
        for stage in stages:
            for key in HARDWARE:
                self.check(state, look, key, stage, words)


BOTH = (Stage.CPU, Stage.FIRMWARE)


class TestArm64(ArchTestCase):
    probe = Arm64
    arch = 'aarch64'

    def test_archs(self):
        self.assertEqual({Arch.ARM64}, Arm64.archs)

    def test_el2_when_kvm_runs(self):
        look = self.look(kvm=opened(_240=0))
        self.check_hardware('present', look, BOTH, 'EL2')
        self.check('present', look, 'slat', Stage.KVM, 'second-level')

    def test_el2_when_kvm_is_only_offered(self):
        for misc, state in (
            ('232 kvm', 'present'),
            ('126 tun', 'unknown'),
            (EACCES, 'unknown'),
        ):
            look = self.look(kvm=EACCES, files={'/proc/misc': misc})
            self.check_hardware(state, look, BOTH)
            at_kvm = [o for o in self.said(look) if o.stage is Stage.KVM]
            found = [o for o in at_kvm if o.state is State.PRESENT]
            self.assertEqual(
                [('slat', '/proc/misc', 'kvm', 'there')]
                if state == 'present'
                else [],
                [(o.capability, o.source, o.asked, o.value) for o in found],
            )

    def test_el2_when_nothing_tells(self):
        self.check_hardware('unknown', self.look(), BOTH, 'no flag')
        self.assertEqual([], self.states(self.look(), 'slat', Stage.KVM))

    def test_kvm_when_switched_off(self):
        for cmdline, state in (
            ('ro kvm-arm.mode=none', 'absent'),
            ('kvm-arm.mode=nvhe kvm-arm.mode=none', 'absent'),
            ('kvm-arm.mode=none kvm-arm.mode=protected', 'unknown'),
            ('ro', 'unknown'),
            ('xkvm-arm.mode=none', 'unknown'),
        ):
            look = self.look(files={CMDLINE: cmdline})
            for key in ('kvm', 'slat'):
                self.check(state, look, key, Stage.KVM)
            if state == 'absent':
                self.check(
                    state, look, 'nested', Stage.KVM, '', 'kvm-arm.mode=none'
                )

    def test_el2_when_psci_goes_to_a_hypervisor(self):
        for method, state in (('hvc\0', 'absent'), ('smc\0', 'unknown')):
            files = {'/proc/device-tree/psci/method': method}
            self.check_hardware(
                state, self.look(files=files), (Stage.FIRMWARE,)
            )

    def test_el2_when_nested_in_a_hypervisor(self):
        """KVM that runs outweighs where PSCI goes."""
        files = {'/proc/device-tree/psci/method': 'hvc\0'}
        look = self.look(kvm=opened(_240=0), files=files)
        self.check_hardware('present', look, BOTH)

    def test_nested_when_kvm_answers(self):
        look = self.look(kvm=opened(_240=1))
        self.check('present', look, 'nested', Stage.KVM, 'EL2', '')
        look = self.look(kvm=opened(_240=0))
        self.check('absent', look, 'nested', Stage.KVM, '', '=nested')
        self.check('unknown', self.look(), 'nested', Stage.KVM, 'not be')


class TestS390x(ArchTestCase):
    probe = S390x
    arch = 's390x'

    def test_sie_when_printed(self):
        for cpuinfo, stages, state in (
            ('features : esan3 sie', BOTH, 'present'),
            ('features : esan3 sief', (Stage.CPU,), 'absent'),
            ('vendor_id : IBM/S390', (Stage.CPU,), 'unknown'),
            (EACCES, (Stage.CPU,), 'unknown'),
        ):
            self.check_hardware(state, self.look(cpuinfo), stages, 'SIE')
        look = self.look('features : esan3')
        self.check('absent', look, 'hvm', Stage.CPU, '', 'kvm.nested=1')
        self.assertEqual([], self.states(look, 'hvm', Stage.FIRMWARE))

    def test_sie_when_kvm_runs(self):
        self.check_hardware('present', self.look(kvm=opened()), BOTH)

    def test_nested_when_the_parameter_tells(self):
        for value, state in (
            ('1', 'present'),
            ('Y', 'present'),
            ('0', 'absent'),
            ('x', 'unknown'),
            (EACCES, 'unknown'),
        ):
            look = self.look(files={NESTED.format('kvm'): value})
            self.check(state, look, 'nested', Stage.KVM)
        look = self.look(files={NESTED.format('kvm'): '0'})
        self.check(
            'absent', look, 'nested', Stage.KVM, 'kvm.nested', 'options kvm'
        )
        look = self.look(files={NESTED.format('kvm'): ENOENT})
        self.assertEqual([], self.states(look, 'nested', Stage.KVM))


class TestPpc64(ArchTestCase):
    probe = Ppc64
    arch = 'ppc64le'

    def test_hypervisor_state_by_platform(self):
        for cpuinfo, state in (
            ('platform : PowerNV', 'present'),
            ('platform : pSeries', 'unknown'),
            ('cpu : POWER9', 'unknown'),
        ):
            self.check_hardware(state, self.look(cpuinfo), BOTH)
        self.check_hardware('unknown', self.look(EACCES), (Stage.CPU,))
        look = self.look('platform : pSeries')
        self.check('unknown', look, 'hvm', Stage.CPU, '', 'modprobe kvm_hv')

    def test_hypervisor_state_when_kvm_hv_runs(self):
        look = self.look(
            'platform : pSeries', opened(_160=0), modules={'kvm_hv'}
        )
        self.check_hardware('present', look, BOTH)
        self.check('present', look, 'slat', Stage.KVM)

    def test_kvm_that_does_without_the_hardware(self):
        for modules, words in (
            ({'kvm', 'kvm_pr'}, 'kvm_pr only'),
            ({'kvm'}, 'neither'),
        ):
            look = self.look(kvm=opened(_160=0), modules=modules)
            for key in ('slat', 'nested'):
                self.check('absent', look, key, Stage.KVM)
            found = self.decided(look, 'slat', Stage.KVM)
            self.assertThat(found.observations[0].value, Contains(words))
        for facts in ({'kvm': opened(_160=0)}, {'modules': {'kvm_pr'}}):
            look = self.look(**facts)
            self.assertEqual([], self.states(look, 'slat', Stage.KVM))

    def test_nested_when_kvm_answers(self):
        modules = {'kvm_hv'}
        look = self.look(kvm=opened(_160=1), modules=modules)
        self.check('present', look, 'nested', Stage.KVM, 'guests can', '')
        look = self.look(kvm=opened(_160=0), modules=modules)
        self.check('absent', look, 'nested', Stage.KVM, '', 'POWER9')
        self.check('unknown', self.look(), 'nested', Stage.KVM)

    def test_nested_when_the_parameter_tells(self):
        for value, state in (('Y', 'present'), ('N', 'absent')):
            files = {NESTED.format('kvm_hv'): value}
            self.check(state, self.look(files=files), 'nested', Stage.KVM)


class TestRiscv64(ArchTestCase):
    probe = Riscv64
    arch = 'riscv64'

    def test_h_when_printed(self):
        for isa, h in (
            ('rv64imafdch', True),
            ('rv64imafdch_zicbom_svinval', True),
            ('RV64IMAFDCVH', True),
            ('rv64imafdc', False),
            ('rv64imafdc_zhinx_zicntr', False),
            ('rv64imafdczhinx', False),
            ('rv64imafdc_h_zba', True),
            ('rv32imach', True),
            ('rv64imafdcxthead', False),
            ('rv128gh', True),
            ('sv48', None),
            ('', None),
        ):
            self.assertIs(h, riscv64.has_h(isa), isa)

    @given(st.text('rv64imafdch_zsx ', max_size=20))
    def test_h_in_any_text(self, isa):
        self.assertIn(riscv64.has_h(isa), (True, False, None))

    def test_extension_when_harts_agree_or_not(self):
        for cpuinfo, state in (
            ('isa : rv64ih\nisa : rv64ih', 'present'),
            ('isa : rv64ih\nisa : rv64i', 'absent'),
            ('isa : rv64ih\nisa : what', 'unknown'),
            ('hart : 0', 'unknown'),
            (EACCES, 'unknown'),
        ):
            self.check_hardware(state, self.look(cpuinfo), (Stage.CPU,))
        look = self.look('isa : rv64ih')
        self.check('present', look, 'hvm', Stage.FIRMWARE)

    def test_nested_is_never_there(self):
        look = self.look('isa : rv64ih', opened())
        self.check('absent', look, 'nested', Stage.KVM, 'riscv64', 'another')
        self.check('present', look, 'slat', Stage.KVM)


class TestLoongarch64(ArchTestCase):
    probe = Loongarch64
    arch = 'loongarch64'

    def test_lvz_when_printed(self):
        for cpuinfo, state in (
            ('Features : cpucfg lvz', 'present'),
            ('Features : cpucfg lvzx', 'absent'),
            ('Model Name : 3C5000', 'unknown'),
            (EACCES, 'unknown'),
        ):
            self.check_hardware(state, self.look(cpuinfo), (Stage.CPU,))

    def test_nested_is_never_there(self):
        look = self.look('Features : lvz', opened())
        self.check('absent', look, 'nested', Stage.KVM)
        self.check('present', look, 'slat', Stage.KVM)


class TestIa64(ArchTestCase):
    probe = Ia64
    arch = 'ia64'

    def test_vti_by_family(self):
        for cpuinfo, state in (
            ('family : 31', 'absent'),
            ('family : 32', 'present'),
            ('family : 33', 'present'),
            ('family : Itanium 2', 'unknown'),
            ('family :', 'unknown'),
            ('', 'unknown'),
            (EACCES, 'unknown'),
        ):
            look = self.look(cpuinfo)
            self.check(state, look, 'vti', Stage.CPU)
            self.check(state, look, 'hvm', Stage.CPU)

    def test_words_when_the_family_does_not_tell(self):
        said = self.said(self.look(EACCES), stage=Stage.CPU)
        self.assertEqual(
            ['vti', 'hvm', 'kvm', 'slat', 'nested'],
            [o.capability for o in said],
        )
        for cpuinfo, value in (('family : x 2', 'x 2'), ('', 'no such line')):
            (said,) = self.said(self.look(cpuinfo), 'vti', Stage.CPU)
            self.assertEqual(value, said.value)

    def test_kvm_is_never_there(self):
        look = self.look('family : 33', opened())
        for key in ('kvm', 'slat', 'nested'):
            self.check('absent', look, key, Stage.KVM, 'no KVM', 'another')


class TestEveryProbe(testtools.TestCase):
    def test_each_looks_at_its_own_architecture_only(self):
        for probe, arch in (
            (S390x, Arch.S390X),
            (Ppc64, Arch.PPC64),
            (Riscv64, Arch.RISCV64),
            (Loongarch64, Arch.LOONGARCH64),
            (Ia64, Arch.IA64),
        ):
            self.assertEqual({arch}, probe.archs)
