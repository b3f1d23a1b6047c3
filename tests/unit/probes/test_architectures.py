# SPDX-License-Identifier: Apache-2.0
"""arm64, ia64, loongarch64, ppc64, riscv64, s390x and what they share."""

import testtools
from hypothesis import given
from hypothesis import strategies as st
from testtools.matchers import Contains, StartsWith

from hvfilter.host.facts import SmokeRun
from hvfilter.model.catalogue import Arch, Stage
from hvfilter.model.finding import State
from hvfilter.probes import arm64, per_arch, ppc64, psci, riscv64, s390x
from hvfilter.probes.arm64 import Arm64
from hvfilter.probes.ia64 import Ia64
from hvfilter.probes.loongarch64 import Loongarch64
from hvfilter.probes.machine_signs import COMPATIBLE
from hvfilter.probes.ppc64 import Ppc64
from hvfilter.probes.riscv64 import Riscv64
from hvfilter.probes.s390x import S390x
from hvfilter.probes.single_kvm import HARDWARE
from hvfilter.rules import combine
from tests.fakes.timing import TimedMachine
from tests.hosts.made.machine import failed, timed
from tests.recordings import KvmAnswers
from tests.unit.probes.base import EACCES, ENOENT, ProbeTestCase, look_at

CMDLINE = '/proc/cmdline'
NESTED = '/sys/module/{}/parameters/nested'
SYSINFO = '/proc/sysinfo'
ONLINE = '/sys/devices/system/cpu/online'
SUBCORES = '/sys/devices/system/cpu/subcores_per_core'


def opened(**extensions):
    return KvmAnswers(
        api_version=12,
        extensions={int(k[1:]): v for k, v in extensions.items()},
    )


EMULATED = SmokeRun(
    (('create_vm', 'ok'), ('real_mode', 'MMIO'), ('long_mode', 'MMIO')),
    TimedMachine(20_000, 1400, 0.55).samples(),
    9_000_000,
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

    def test_el2_when_the_guest_that_was_run_failed(self):
        """An offered /dev/kvm is a weak witness."""
        for run in (failed('real_mode', 'FAIL_ENTRY'), EMULATED):
            look = self.look(kvm=opened(_240=0), smoke=run)
            self.check_hardware('unknown', look, BOTH)
        look = self.look(kvm=opened(_240=0), smoke=EACCES)
        self.check_hardware('unknown', look, BOTH)
        look = self.look(smoke=timed(0.5, step='MMIO'))
        self.check_hardware('present', look, BOTH, 'runs guests')

    def test_el2_when_nothing_tells(self):
        self.check_hardware('unknown', self.look(), BOTH, 'no flag')
        self.assertEqual([], self.states(self.look(), 'slat', Stage.KVM))

    def test_kvm_when_switched_off(self):
        for cmdline, state in (
            ('ro kvm-arm.mode=none', 'absent'),
            ('kvm-arm.mode=nvhe kvm-arm.mode=none', 'absent'),
            ('kvm-arm.mode=none kvm-arm.mode=protected', 'unknown'),
            ('kvm_arm.mode=none', 'absent'),
            ('kvm-arm.mode=none kvm-arm.mode=rubbish', 'absent'),
            ('kvm-arm.mode=none kvm_arm.mode=nested', 'unknown'),
            ('ro', 'unknown'),
            ('xkvm-arm.mode=none', 'unknown'),
        ):
            look = self.look(files={CMDLINE: cmdline})
            for key in ('kvm', 'slat'):
                self.check(state, look, key, Stage.KVM)
            if state == 'absent':
                self.check(state, look, 'nested', Stage.KVM, '', '.mode=none')
                self.assertThat(arm64.start(look), Contains('.mode=none'))

    def test_el2_when_psci_goes_to_a_hypervisor(self):
        for method, state in (('hvc\0', 'absent'), ('smc\0', 'unknown')):
            files = {'/proc/device-tree/psci/method': method}
            self.check_hardware(
                state, self.look(files=files), (Stage.FIRMWARE,)
            )

    def test_el2_when_the_fadt_tells_where_psci_goes(self):
        for flags, state in ((3, 'absent'), (1, 'unknown'), (None, 'unknown')):
            table = EACCES if flags is None else bytes(129) + bytes([flags, 0])
            look = self.look(files={psci.FADT: table}, modules={'kvm'})
            self.check_hardware(state, look, (Stage.FIRMWARE,))
            words = 'host under' if flags == 3 else 'firmware or the boot'
            self.assertThat(arm64.start(look), StartsWith(f'let the {words}'))

    def test_el2_when_nested_in_a_hypervisor(self):
        """KVM that runs outweighs where PSCI goes."""
        for files in (
            {psci.METHOD: 'hvc\0'},
            {psci.FADT: bytes(129) + b'\3\0'},
        ):
            look = self.look(kvm=opened(_240=0), files=files)
            self.check_hardware('present', look, BOTH)

    def test_el2_when_a_hypervisor_names_itself(self):
        for compatible, words in (
            ('xen,xen-4.17\0xen,xen\0', 'without Xen'),
            ('gunyah-hypervisor\0', 'Gunyah'),
            ('linux,kvm\0', 'nested virtualization'),
        ):
            files = {'/proc/device-tree/hypervisor/compatible': compatible}
            look = self.look(files=files)
            self.check('absent', look, 'hvm', Stage.FIRMWARE, '', words)
            look = self.look(files=files, modules={'kvm'})
            self.assertThat(arm64.start(look), Contains(words))
            self.check_hardware(
                'present', self.look(kvm=opened(_0=1), files=files), BOTH
            )

    def test_el2_when_xen_is_there_without_a_device_tree(self):
        files = {'/sys/hypervisor/type': 'xen'}
        look = self.look(files=files, modules={'kvm'})
        self.check('absent', look, 'hvm', Stage.FIRMWARE, 'xen', 'without Xen')
        self.assertThat(arm64.start(look), Contains('without Xen'))

    def test_why_there_is_no_kvm(self):
        for facts, words in (
            ({'modules': {'loop'}}, 'built without'),
            ({'modules': {'kvm'}}, 'not entered at EL2, or KVM did not start'),
            ({}, 'built without, or not entered'),
            ({'files': {CMDLINE: 'kvm_arm.mode=none'}}, 'kvm_arm.mode=none'),
        ):
            reason = per_arch.why_no_kvm(self.look(**facts))
            self.assertThat(reason, Contains(words))

    def test_how_to_start_kvm(self):
        """Only what applies to this machine is advised."""
        conduit = '/proc/device-tree/psci/method'
        for facts, words, others in (
            ({'modules': {'loop'}}, 'CONFIG_KVM', 'EL2'),
            ({'modules': {'kvm'}}, 'boot loader', 'CONFIG_KVM'),
            ({}, 'boot loader', 'CONFIG_KVM'),
            (
                {'modules': {'kvm'}, 'files': {conduit: 'hvc\0'}},
                'host under',
                'boot loader',
            ),
            (
                {'modules': {'kvm'}, 'files': {COMPATIBLE: 'qcom,x1e\0'}},
                "Qualcomm's Gunyah, or other hardware; if that does not help",
                'host under',
            ),
        ):
            look = self.look(**facts)
            remedy = arm64.start(look)
            self.assertThat(remedy, Contains(words))
            self.assertNotIn(others, remedy)
            self.check('unknown', look, 'hvm', Stage.CPU, '', words)

    def test_kvm_when_guests_have_no_interrupt_controller(self):
        look = self.look(kvm=opened(_0=0, _240=0))
        self.check('absent', look, 'kvm', Stage.KVM, 'GICv2', 'maintenance')
        self.check_hardware('present', look, BOTH)
        self.check('present', look, 'slat', Stage.KVM)
        look = self.look(kvm=opened(_0=1, _240=0))
        self.assertEqual([], self.states(look, 'kvm', Stage.KVM))

    def test_nested_when_something_is_missing(self):
        """What is missing, and never what is set already."""
        for cmdline, kernel, words, others in (
            ('ro', '6.18.2', 'put kvm-arm.mode=nested', '6.16'),
            ('ro', '', 'put kvm-arm.mode=nested', '6.16'),
            ('ro', '6.12.1', '6.16 or later: 6.12.1 gives', '\0'),
            ('kvm-arm.mode=nested', '6.18.2', 'FEAT_NV2', 'put '),
            ('kvm_arm.mode=nested', '6.12.1', 'FEAT_NV2', 'put '),
            ('kvm_arm.mode=nested', '6.12.1', '6.16', 'replace'),
            (
                'kvm-arm.mode=nvhe',
                '6.18.2',
                'replace kvm-arm.mode=nvhe',
                'put',
            ),
        ):
            look = self.look(
                kvm=opened(_240=0), kernel=kernel, files={CMDLINE: cmdline}
            )
            found = self.decided(look, 'nested', Stage.KVM)
            self.assertEqual('absent', found.state.value)
            self.assertThat(found.remedy, Contains(words))
            self.assertNotIn(others, found.remedy)
            if 'nested' in cmdline:
                self.assertThat(found.reason, Contains('FEAT_NV2'))

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

    def test_a_reason_at_each_stage_when_cpuinfo_does_not_tell(self):
        for cpuinfo, reason in (
            ('', 'does not show whether the processor has SIE'),
            (EACCES, 'cpuinfo cannot be read'),
        ):
            for stage in BOTH:
                look = self.look(cpuinfo)
                self.check('unknown', look, 'hvm', stage, reason)

    def test_sie_when_kvm_runs(self):
        self.check_hardware('present', self.look(kvm=opened()), BOTH)

    def test_sie_when_kvm_runs_and_cpuinfo_knows_better(self):
        look = self.look('features : esan3', opened())
        self.check('absent', look, 'hvm', Stage.CPU)

    def test_sie_when_somebody_could_give_it(self):
        """The remedy names who could, and nobody else."""
        for sysinfo, words, others in (
            ('VM00 Control Program: KVM/Linux \n', 'KVM host', 'z/VM'),
            ('VM00 Control Program: z/VM    7.3.0\n', 'z/VM', 'nested'),
            ('VM00 Control Program:\n', 'hypervisor under', 'z/VM'),
            ('Type: 8561\nLPAR Number: 1\n', 'HMC', 'nested'),
            (EACCES, 'HMC', '\0'),
            ('', 'kvm.nested=1', '\0'),
        ):
            look = self.look('features : esan3', files={SYSINFO: sysinfo})
            found = self.decided(look, 'hvm', Stage.CPU)
            self.assertThat(found.remedy, Contains(words))
            self.assertNotIn(others, found.remedy)

    def test_how_to_start_kvm(self):
        for cmdline, words in (
            ('ro', 'modprobe kvm'),
            ('kvm.nested=1 kvm.hpage=0', 'modprobe kvm'),
            ('kvm.nested=0 kvm.hpage=1', 'modprobe kvm'),
            ('kvm.nested=1 kvm.hpage=1', 'remove kvm.nested=1 or kvm.hpage=1'),
        ):
            remedy = s390x.start(self.look(files={CMDLINE: cmdline}))
            self.assertThat(remedy, Contains(words))

    def test_nested_when_huge_pages_are_on(self):
        """kvm refuses to load with both, and all guests are lost."""
        for hpage, cmdline, words in (
            ('1', 'ro', 'choose one of the two'),
            ('Y', 'ro', 'choose one of the two'),
            ('0', 'ro', 'put "options kvm nested=1"'),
            (ENOENT, 'ro', 'put "options kvm nested=1"'),
            ('0', 'kvm.nested=0', 'replace kvm.nested=0 by kvm.nested=1'),
            ('1', 'kvm.nested=0', 'choose one of the two'),
            ('1', 'kvm.hpage=0', 'options of kvm in /etc/modprobe.d/'),
            ('1', 'kvm.hpage', 'first remove kvm.hpage from the kernel'),
        ):
            look = self.look(
                files={
                    NESTED.format('kvm'): '0',
                    '/sys/module/kvm/parameters/hpage': hpage,
                    CMDLINE: cmdline,
                }
            )
            self.check('absent', look, 'nested', Stage.KVM, '', words)

    def test_nested_when_the_parameter_tells(self):
        for value, state in (
            ('1', 'present'),
            ('Y', 'present'),
            ('0', 'absent'),
            ('x', 'unknown'),
            (EACCES, 'unknown'),
            (ENOENT, 'unknown'),
        ):
            look = self.look(files={NESTED.format('kvm'): value})
            self.check(state, look, 'nested', Stage.KVM)
        look = self.look(files={NESTED.format('kvm'): '0'})
        self.check(
            'absent', look, 'nested', Stage.KVM, 'kvm.nested', 'options kvm'
        )
        files = {NESTED.format('kvm'): ENOENT}
        look = self.look(files=files, modules=())
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
        look = self.look('platform : PowerMac')
        self.check('unknown', look, 'hvm', Stage.CPU, 'this platform')
        self.assertEqual('', self.one(look, 'hvm', Stage.CPU).remedy)

    def test_how_to_start_kvm(self):
        for cpu, platform, model, words in (
            ('POWER9', 'PowerNV', '9006-22P', ()),
            ('POWER8', 'pSeries', 'IBM,8408-E8E', ()),
            ('POWER9', 'pSeries', 'IBM,9009-42A', ()),
            ('POWER10', 'pSeries', 'IBM,9080-HEX', ('the HMC',)),
            (
                'POWER10',
                'pSeries',
                'IBM pSeries (emulated by qemu)',
                ('cap-nested-hv=on',),
            ),
        ):
            look = self.look(
                f'cpu : {cpu}\nplatform : {platform}\nmodel : {model}'
            )
            advice = ppc64.start(look)
            self.assertThat(advice, StartsWith('load kvm_hv'))
            for word in ('the HMC', 'cap-nested-hv=on'):
                self.assertEqual(word in words, word in advice, advice)

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
        look = self.look('platform : pSeries', modules={'kvm_pr'})
        self.assertEqual([], self.states(look, 'slat', Stage.KVM))

    def test_kvm_hv_that_is_built_in_and_did_not_start(self):
        look = self.look(
            'platform : pSeries',
            opened(_80=0, _160=0),
            modules={'kvm', 'kvm_hv', 'kvm_pr'},
        )
        for key in ('slat', 'nested'):
            self.check('absent', look, key, Stage.KVM)
        self.check('absent', look, 'slat', Stage.KVM, 'did not', 'built into')
        self.check('unknown', look, 'hvm', Stage.FIRMWARE)
        self.assertThat(ppc64.unmet_need(look), Contains('not seen to run'))

    def test_kvm_hv_runs_when_only_opening_is_refused(self):
        kvm = KvmAnswers(EACCES, {80: EACCES, 160: EACCES})
        look = self.look(
            'platform : pSeries',
            kvm,
            {'/proc/misc': '232 kvm'},
            modules={'kvm_hv'},
        )
        self.check_hardware('present', look, BOTH)
        self.assertEqual('', ppc64.unmet_need(look))

    def test_unknown_when_kvm_hv_cannot_be_asked(self):
        kvm = KvmAnswers(12, {80: EACCES, 160: 0})
        look = self.look('platform : pSeries', kvm, modules={'kvm_hv'})
        self.check('unknown', look, 'slat', Stage.KVM, 'not be asked')
        self.check('unknown', look, 'hvm', Stage.FIRMWARE)
        self.assertThat(ppc64.unmet_need(look), Contains('not seen to run'))

    def test_module_when_it_cannot_be_seen(self):
        look = self.look(kvm=opened(_160=0))
        for key in ('slat', 'nested'):
            said = self.said(look, key, Stage.KVM)
            self.assertIn('/sys/module', [one.source for one in said])
        self.check('unknown', look, 'slat', Stage.KVM, 'cannot be seen')

    def test_hypervisor_state_when_kvm_hv_is_only_registered(self):
        """/dev/kvm may not be opened: kvm_hv runs all the same."""
        cpuinfo = 'cpu : POWER10 (architected)\nplatform : pSeries'
        look = self.look(
            cpuinfo, EACCES, {'/proc/misc': '232 kvm'}, modules={'kvm_hv'}
        )
        self.check_hardware('present', look, BOTH)
        self.check('present', look, 'slat', Stage.KVM)
        look = self.look(
            cpuinfo, EACCES, {'/proc/misc': '126 tun'}, modules={'kvm_hv'}
        )
        self.check('unknown', look, 'hvm', Stage.FIRMWARE, '', '')
        look = self.look(
            cpuinfo, EACCES, {'/proc/misc': '232 kvm'}, modules={'kvm_pr'}
        )
        self.check('unknown', look, 'hvm', Stage.FIRMWARE, '', 'modprobe')

    def test_hypervisor_state_when_the_partition_is_too_old(self):
        cpuinfo = 'cpu : POWER8 (architected)\nplatform : pSeries'
        look = self.look(cpuinfo)
        for key in ('hvm', 'slat', 'nested'):
            self.check('absent', look, key, Stage.FIRMWARE, '', 'PowerNV')
            self.check('unknown', look, key, Stage.CPU)
        self.check('unknown', look, 'kvm', Stage.FIRMWARE)

    def threads(self, cpu, online, subcores=ENOENT, platform='PowerNV'):
        processors = ''.join(f'processor : {n}\n' for n in online)
        return self.look(
            f'{processors}cpu : {cpu}\nplatform : {platform}\n',
            files={SUBCORES: subcores},
        )

    def test_kvm_when_threads_are_online(self):
        """Up to POWER8 KVM runs guests on cores with one thread online."""
        for cpu, online, subcores, state in (
            ('POWER8E (raw), altivec supported', range(16), ENOENT, 'absent'),
            ('POWER8NVL (raw)', (0, 8, 16), ENOENT, 'unknown'),
            ('POWER8', (0, 8, 9), ENOENT, 'absent'),
            ('POWER8', (0, 7), ENOENT, 'absent'),
            ('POWER8', (0, 2, 4, 6), '4', 'unknown'),
            ('POWER8', (0, 2, 4, 6), '2', 'absent'),
            ('POWER8', (0, 4, 8, 12), '2', 'unknown'),
            ('POWER8', (0, 4, 8, 12), '1', 'absent'),
            ('POWER8', (0, 4, 8, 12), 'x', 'absent'),
            ('POWER8', (0, 4, 8, 12), EACCES, 'unknown'),
            ('POWER8', (0, 1, 8), EACCES, 'absent'),
            ('POWER8', (0, 8), EACCES, 'unknown'),
            ('POWER7 (raw)', (0, 4, 8), ENOENT, 'unknown'),
            ('POWER7 (raw)', range(4), ENOENT, 'absent'),
            ('POWER9, altivec supported', range(128), ENOENT, 'unknown'),
            ('Power11', range(128), ENOENT, 'unknown'),
            ('PPC970', range(4), ENOENT, 'unknown'),
        ):
            look = self.threads(cpu, online, subcores)
            for key in ('kvm', 'slat'):
                self.check(state, look, key, Stage.KVM)
            if state == 'absent':
                self.check(state, look, 'kvm', Stage.KVM, 'EBUSY', '--smt=off')
        look = self.threads('POWER8', (0, 4), EACCES)
        self.assertThat(ppc64.unmet_need(look), Contains('cannot be seen'))
        self.assertEqual('', ppc64.unmet_need(self.threads('POWER8', (0, 8))))
        look = self.threads('POWER8', range(16), platform='pSeries')
        self.check('unknown', look, 'kvm', Stage.KVM)

    def test_kvm_when_one_core_of_many_has_its_threads_online(self):
        look = self.threads('POWER8', (0, 8, *range(16, 25)))
        self.check('absent', look, 'kvm', Stage.KVM, '1 of 4 cores')

    def test_kvm_when_power9_runs_guests_as_power8_does(self):
        mode = '/sys/module/kvm_hv/parameters/indep_threads_mode'
        for value, numbers, state in (
            ('N', range(8), 'absent'),
            ('N', (0, 4, 8), 'unknown'),
            ('Y', range(8), 'unknown'),
            (ENOENT, range(8), 'unknown'),
            (EACCES, range(8), 'unknown'),
        ):
            processors = ''.join(f'processor : {n}\n' for n in numbers)
            look = self.look(
                f'{processors}cpu : POWER9\nplatform : PowerNV',
                files={mode: value},
            )
            self.check(state, look, 'kvm', Stage.KVM)
            unmet = ppc64.unmet_need(look)
            self.assertEqual(value == EACCES, 'cannot be seen' in unmet)

    def test_threads_when_cpuinfo_does_not_list_them(self):
        cpuinfo = 'cpu : POWER8\nplatform : PowerNV\n'
        for online, state in (
            ('0-7', 'absent'),
            ('0,8', 'unknown'),
            ('rubbish', 'unknown'),
            (EACCES, 'unknown'),
        ):
            look = self.look(cpuinfo, files={ONLINE: online})
            self.check(state, look, 'kvm', Stage.KVM)
            self.assertEqual(
                online == EACCES, 'seen' in ppc64.unmet_need(look)
            )

    def test_nested_when_kvm_answers(self):
        modules = {'kvm_hv'}
        look = self.look(kvm=opened(_160=1), modules=modules)
        self.check('present', look, 'nested', Stage.KVM, 'guests can', '')
        look = self.look(kvm=opened(_160=0), modules=modules)
        self.check('absent', look, 'nested', Stage.KVM, '', 'POWER9')
        self.check('unknown', self.look(), 'nested', Stage.KVM)

    def test_nested_when_the_parameter_tells(self):
        """On is its default everywhere: it can only say no."""
        for value, state in (('Y', 'unknown'), ('N', 'absent')):
            files = {NESTED.format('kvm_hv'): value}
            self.check(state, self.look(files=files), 'nested', Stage.KVM)

    def test_nested_when_it_cannot_be(self):
        """What is missing, and never what is set already."""
        power9 = 'cpu : POWER9\nplatform : PowerNV\nMMU : Radix\n'
        on = {NESTED.format('kvm_hv'): 'Y'}
        for cpuinfo, files, words, remedy in (
            ('cpu : POWER8E (raw)', on, 'POWER8 cannot', 'on POWER9'),
            (power9.replace('Radix', 'Hash'), on, 'hash mode', 'radix mode'),
            (
                power9.replace('Radix', 'Hash'),
                {**on, CMDLINE: 'ro disable-radix'},
                'hash mode',
                'remove disable-radix',
            ),
            (
                power9.replace('Radix', 'Hash'),
                {**on, CMDLINE: 'ro disable_radix=no'},
                'hash mode',
                'boot the host in radix',
            ),
            (
                power9,
                {NESTED.format('kvm_hv'): 'N'},
                'kvm_hv.nested is off',
                'options kvm_hv nested=1',
            ),
            (
                power9,
                {NESTED.format('kvm_hv'): 'N', CMDLINE: 'kvm-hv.nested=0'},
                'kvm_hv.nested is off',
                'remove kvm-hv.nested=0',
            ),
            (
                power9.replace('PowerNV', 'pSeries'),
                on,
                'to the partition only',
                'PowerNV',
            ),
            (power9, on, 'run kvm_hv', 'dmesg'),
        ):
            look = self.look(
                cpuinfo, opened(_160=0), files, modules={'kvm_hv'}
            )
            found = self.decided(look, 'nested', Stage.KVM)
            self.check('absent', look, 'nested', Stage.KVM, words, remedy)
            if files == on:
                self.assertNotIn('nested=1', found.remedy)

    def test_nested_when_kvm_may_not_be_asked(self):
        for cpuinfo, state in (
            ('cpu : POWER8\nplatform : PowerNV', 'absent'),
            ('cpu : POWER9\nplatform : PowerNV\nMMU : Hash', 'absent'),
            ('cpu : POWER9\nplatform : PowerNV\nMMU : Radix', 'unknown'),
            ('cpu : POWER10\nplatform : pSeries', 'unknown'),
        ):
            look = self.look(
                cpuinfo,
                EACCES,
                {NESTED.format('kvm_hv'): 'Y'},
                modules={'kvm_hv'},
            )
            self.check(state, look, 'nested', Stage.KVM)


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
            ('rv64imafdcvsu', False),
            ('rv64imafdcsuh', True),
            ('rv64imafdcshcounterenw', False),
            ('rv64imafdchsscofpmf', True),
            ('rv64i2p1m2p0a2p1f2p2d2p2c2p0h1p0_zicsr2p0', True),
            ('rv64i2p1m2p0a2p1f2p2d2p2c2p0_h1p0_zicsr2p0', True),
            ('rv64i2p1m2p0a2p1f2p2d2p2c2p0_zicsr2p0', False),
            ('rv64imafdc_zicsr_sstc_smaia_shcounterenw', False),
            ('i\0m\0a\0f\0d\0c\0h\0zicsr', True),
            ('i\0m\0a\0f\0d\0c\0zicsr\0zihpm', False),
            ('i m a h', True),
            ('e, m, c', False),
            ('h', None),
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
            ('isa : rv64i\nisa : what', 'absent'),
            ('hart isa : rv64ih\nhart isa : rv64ih', 'present'),
            ('hart isa : rv64ih\nhart isa : rv64i', 'absent'),
            ('isa : rv64i\nhart isa : rv64ih', 'absent'),
            ('isa-ext : i m a h zicsr', 'present'),
            ('isa-ext : i m a zicsr', 'absent'),
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

    def test_device_proves_nothing_of_the_processor(self):
        """Vendors' kernels offer /dev/kvm on processors without H."""
        for cpuinfo, state in (
            ('isa : rv64imafdcvsu', 'absent'),
            ('hart : 0', 'unknown'),
            (EACCES, 'unknown'),
        ):
            for kvm in (opened(), EACCES):
                look = self.look(cpuinfo, kvm, {'/proc/misc': '232 kvm'})
                self.check_hardware(state, look, (Stage.CPU,))

    def test_guest_proves_the_extension(self):
        look = self.look(
            'hart : 0', opened(), smoke=timed(1.1, 1.1, step='MMIO')
        )
        self.check_hardware('present', look, BOTH, 'runs guests')
        for run in (
            failed('real_mode', 'FAIL_ENTRY'),
            EMULATED,
        ):
            look = self.look('hart : 0', opened(), smoke=run)
            self.check_hardware('unknown', look, BOTH)
            self.assertEqual([], self.states(look, 'slat', Stage.KVM))

    def test_no_claim_when_the_guest_could_not_be_run(self):
        look = self.look('isa : rv64ih', opened(), smoke=EACCES)
        self.assertEqual([], self.states(look, 'slat', Stage.KVM))

    def test_device_tree_when_cpuinfo_does_not_tell(self):
        cpus = '/proc/device-tree/cpus'
        for first, second, state in (
            (
                {'riscv,isa-extensions': 'i\0m\0h\0'},
                {'riscv,isa-extensions': 'i\0m\0h\0'},
                'present',
            ),
            (
                {'riscv,isa-extensions': 'i\0m\0h\0'},
                {'riscv,isa-extensions': 'i\0m\0'},
                'absent',
            ),
            (
                {'riscv,isa': 'rv64imh\0'},
                {'riscv,isa': 'rv64imh\0'},
                'present',
            ),
            ({'riscv,isa': 'rv64im\0'}, {'riscv,isa': 'rv64im\0'}, 'absent'),
            ({'riscv,isa': 'rv64imh\0'}, {}, 'unknown'),
            ({}, {}, 'unknown'),
        ):
            files = {
                f'{cpus}/cpu@{number}/{name}': value
                for number, properties in enumerate((first, second))
                for name, value in properties.items()
            }
            for cpuinfo in ('hart : 0', EACCES):
                look = self.look(
                    cpuinfo,
                    files=files,
                    directories={cpus: ('cpu-map', 'cpu@0', 'cpu@1')},
                )
                self.check_hardware(state, look, (Stage.CPU,))
        look = self.look('hart : 0', directories={cpus: ('cpu-map',)})
        self.check_hardware('unknown', look, (Stage.CPU,))


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

    def test_device_proves_nothing_of_the_processor(self):
        look = self.look('Features : cpucfg', opened())
        self.check_hardware('absent', look, (Stage.CPU,))
        look = self.look('Model Name : 3C5000', opened())
        self.check_hardware('unknown', look, BOTH)

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
            ('family : Itanium', 'absent'),
            ('family : Itanium 2', 'absent'),
            ('family : McKinley', 'absent'),
            ('family : Itanium 3', 'unknown'),
            (
                'family : Itanium 2\nfeatures : 16-byte atomic ops',
                'unknown',
            ),
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


class TestPerArch(testtools.TestCase):
    def test_start_when_a_module_is_barred(self):
        for arch, cmdline, module in (
            ('s390x', 'ro module_blacklist=a,kvm', 'kvm'),
            ('ppc64le', 'ro module_blacklist=kvm_hv', 'kvm_hv'),
            ('riscv64', 'module-blacklist=kvm', 'kvm'),
            ('riscv64', 'module_blacklist=kvm_hv', ''),
            ('loongarch64', 'modprobe.blacklist=kvm_hv', ''),
            ('aarch64', 'module_blacklist=kvm', ''),
        ):
            look = look_at(arch, files={CMDLINE: cmdline})
            reason = per_arch.why_no_kvm(look)
            keys = per_arch.start(look).keys
            barred = 'module_blacklisted_on_command_line' in keys
            self.assertEqual(bool(module), barred, cmdline)
            self.assertEqual(
                bool(module), reason.endswith(f' bars {module}'), reason
            )

    def test_start_when_its_function_is_not_called(self):
        for arch, function in (
            ('aarch64', 'kvm_arm_init'),
            ('aarch64', 'arm_init'),
            ('ppc64le', 'kvmppc_book3s_init'),
            ('ppc64le', 'kvmppc_book3s_init_hv'),
            ('s390x', 'kvm_s390_init'),
            ('riscv64', 'riscv_kvm_init'),
            ('loongarch64', 'kvm_loongarch_init'),
        ):
            # The words add up.
            word = f'initcall_blacklist=x,{function}'
            cmdline = f'{word} ro initcall_blacklist=y'
            look = look_at(arch, files={CMDLINE: cmdline})
            self.assertThat(per_arch.why_no_kvm(look), Contains(word))
            advice = per_arch.start(look)
            self.assertEqual(
                ('initcall_blacklisted_on_command_line',), advice.keys
            )
            self.assertThat(advice, Contains(f'remove {function} from'))
            other = look_at(arch, files={CMDLINE: f'{word}_of_another'})
            self.assertNotEqual(advice, per_arch.start(other))

    def test_start_when_a_module_is_not_loaded_by_itself(self):
        for arch, module, loaded, word in (
            ('loongarch64', 'kvm', (), 'modprobe.blacklist=a,kvm'),
            ('ppc64le', 'kvm_hv', ('kvm',), 'modprobe.blacklist=kvm-hv'),
            ('ppc64le', '', ('kvm', 'kvm_hv'), 'modprobe.blacklist=kvm_hv'),
            ('ppc64le', '', (), 'modprobe.blacklist=kvm'),
        ):
            look = look_at(arch, files={CMDLINE: word}, modules=loaded)
            reason = per_arch.why_no_kvm(look)
            keys = per_arch.start(look).keys
            kept = 'module_not_loaded_by_itself' in keys
            self.assertEqual(bool(module), kept, word)
            self.assertEqual(
                bool(module),
                f'keeps {module} from being loaded' in reason,
                reason,
            )


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
