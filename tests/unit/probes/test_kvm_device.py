# SPDX-License-Identifier: Apache-2.0

from testtools.matchers import Contains

from hvfilter.host.answers import Refusal
from hvfilter.host.facts import FileKind, FileStat, Sample, SmokeRun
from hvfilter.model.catalogue import Stage
from hvfilter.model.finding import State, Strength
from hvfilter.probes.kvm_device import KvmDevice
from tests.hosts.made.machine import failed, timed
from tests.recordings import KvmAnswers
from tests.unit.probes.base import EACCES, ENOENT, ProbeTestCase, look_at

OPEN = KvmAnswers(api_version=12)
OFFERED = {'/proc/misc': '232 kvm\n'}
NOT_OFFERED = {'/proc/misc': '126 tun\n'}
INTEL = {'/proc/cpuinfo': 'vendor_id : GenuineIntel\n'}
AMD = {'/proc/cpuinfo': 'vendor_id : HygonGenuine\n'}
NODE = '/dev/kvm'
LONG = tuple(2**power for power in (0, *range(9, 14)))


class KvmTestCase(ProbeTestCase):
    probe = KvmDevice

    def kvm(self, look):
        return self.said(look, 'kvm', Stage.KVM)


class TestNotOpen(KvmTestCase):
    def test_absent_when_the_kernel_offers_none(self):
        look = look_at(files={**NOT_OFFERED, **INTEL}, kvm=ENOENT)
        (said,) = self.kvm(look)
        self.assertEqual('absent', said.state.value)
        self.assertIs(Strength.PARAMETER, said.strength)
        self.assertThat(said.value, Contains('ENOENT'))
        self.assertThat(said.remedy, Contains('modprobe kvm_intel'))

    def test_all_that_needs_kvm_is_absent_when_there_is_none(self):
        look = look_at(files=NOT_OFFERED, kvm=ENOENT)
        found = {o.capability: o.state.value for o in self.said(look)}
        for key in ('kvm', 'nested', 'slat', 'ept', 'avic', 'sev', 'tdx'):
            self.assertEqual('absent', found[key], key)
        for key in ('iommu', 'interrupt_remapping', 'hvm', 'bare_metal'):
            self.assertNotIn(key, found)

    def test_remedy_when_of_each_architecture(self):
        for arch, files, words in (
            ('x86_64', INTEL, 'modprobe kvm_intel'),
            ('x86_64', AMD, 'modprobe kvm_amd'),
            ('x86_64', {}, 'kvm_intel or kvm_amd'),
            ('aarch64', {}, 'EL2'),
            ('s390x', {'/proc/cpuinfo': 'vendor_id : IBM/S390'}, 'kvm ('),
            ('ppc64le', {}, 'kvm_hv'),
            ('riscv64', {}, 'modprobe kvm'),
            ('loongarch64', {}, 'modprobe kvm'),
            ('sw_64', {}, "the architecture's"),
        ):
            look = look_at(arch, files={**NOT_OFFERED, **files}, kvm=ENOENT)
            (said,) = self.kvm(look)
            self.assertThat(said.remedy, Contains(words))

    def test_unknown_when_refused(self):
        for files in (OFFERED, NOT_OFFERED, {}):
            look = look_at(
                files=files,
                kvm=EACCES,
                stats={NODE: FileStat(FileKind.CHAR, 0o660, 'root', 'kvm')},
            )
            (said,) = self.kvm(look)
            self.assertEqual('unknown', said.state.value)
            self.assertThat(said.reason, Contains('may not be opened'))
            self.assertThat(said.remedy, Contains('the group kvm, which'))
            self.assertEqual('kvm', said.capability)

    def test_remedy_when_others_may_do_more_than_the_group(self):
        for mode, words in (
            (0o661, 'group kvm, which'),
            (0o606, 'security module'),
        ):
            look = look_at(
                files=OFFERED,
                kvm=EACCES,
                stats={NODE: FileStat(FileKind.CHAR, mode, 'root', 'kvm')},
            )
            (said,) = self.kvm(look)
            self.assertThat(said.remedy, Contains(words))

    def test_remedy_when_the_group_may_not_open_it_either(self):
        for mode in (0o600, 0o640, 0o620):
            look = look_at(
                files=OFFERED,
                kvm=EACCES,
                stats={NODE: FileStat(FileKind.CHAR, mode, 'root', 'root')},
            )
            (said,) = self.kvm(look)
            self.assertThat(said.remedy, Contains('chgrp kvm'))

    def test_remedy_when_the_node_cannot_be_looked_at(self):
        (said,) = self.kvm(look_at(files=OFFERED, kvm=EACCES))
        self.assertThat(said.remedy, Contains('the group kvm, which'))

    def test_unknown_when_only_the_node_is_missing(self):
        (said,) = self.kvm(look_at(files=OFFERED, kvm=ENOENT))
        self.assertEqual('unknown', said.state.value)
        self.assertThat(said.reason, Contains('missing here'))
        self.assertThat(said.remedy, Contains('10:232'))

    def test_unknown_when_it_fails_otherwise(self):
        for files in (OFFERED, {}):
            look = look_at(files=files, kvm=Refusal('EMFILE'))
            (said,) = self.kvm(look)
            self.assertEqual('unknown', said.state.value)
            self.assertThat(said.reason, Contains('could not be asked'))

    def test_module_counts_when_a_host_left_only_files(self):
        for error in (None, Refusal('EOPNOTSUPP')):
            look = look_at(files=OFFERED, kvm=error, modules={'kvm_intel'})
            first, second = self.kvm(look)
            self.assertEqual('unknown', first.state.value)
            self.assertEqual('present', second.state.value)
            self.assertIs(Strength.FLAGS, second.strength)
            look = look_at(files=OFFERED, kvm=error, modules={'kvm_pvm'})
            self.assertEqual(1, len(self.kvm(look)))
            look = look_at(kvm=error, modules={'kvm_intel'})
            self.assertEqual(1, len(self.kvm(look)))

    def test_module_does_not_count_when_the_device_refuses(self):
        look = look_at(files=OFFERED, kvm=EACCES, modules={'kvm_intel'})
        self.assertEqual(1, len(self.kvm(look)))


TOLD_NOT_TO = Refusal('ECANCELED', '', 'switched off by --no-smoke')
UNSETTLED = (
    timed(10, 0.5),
    failed('create_vm', 'ENOMEM'),
    failed('real_mode', 'TIMEOUT'),
    failed('long_mode', 'EINTR'),
    SmokeRun((), (), 0),
)


POWER9 = {'/proc/cpuinfo': 'cpu : POWER9\nplatform : PowerNV'}


class TestOpen(KvmTestCase):
    def opened(self, smoke=TOLD_NOT_TO, **facts):
        return self.kvm(look_at(kvm=OPEN, smoke=smoke, **facts))

    def test_no_claim_when_a_guest_that_ran_proved_nothing(self):
        """Nor when it could not be run: the module is no witness then."""
        for smoke in (*UNSETTLED, EACCES, Refusal('ENOMEM'), None):
            for arch, modules in (('x86_64', {'kvm_amd'}), ('aarch64', ())):
                said = self.opened(smoke, arch=arch, modules=modules)
                states = {observation.state.value for observation in said}
                self.assertEqual({'unknown'}, states, smoke)

    def test_run_counts_when_only_its_outcome_was_recorded(self):
        for smoke, expected in (
            (timed(0.6, 0.5), 'present'),
            (failed('real_mode', 'FAIL_ENTRY'), 'absent'),
            *((run, 'unknown') for run in UNSETTLED),
        ):
            look = look_at(files=OFFERED, modules={'kvm_intel'}, smoke=smoke)
            states = [o.state.value for o in self.kvm(look)]
            self.assertEqual(['unknown', expected], states)

    def test_module_does_not_count_when_a_guest_was_refused(self):
        look = look_at(files=OFFERED, modules={'kvm_intel'}, smoke=EACCES)
        self.assertEqual(['unknown'], [o.state.value for o in self.kvm(look)])

    def test_claim_when_the_module_needs_the_hardware(self):
        for arch, modules in (
            ('x86_64', {'kvm', 'kvm_intel'}),
            ('x86_64', {'kvm', 'kvm_amd'}),
            ('ppc64le', {'kvm_hv'}),
            ('aarch64', set()),
            ('s390x', {'kvm'}),
            ('riscv64', {'kvm'}),
            ('loongarch64', {'kvm'}),
        ):
            said = self.opened(arch=arch, modules=modules, files=POWER9)[0]
            self.assertEqual('present', said.state.value, arch)
            self.assertIs(Strength.PARAMETER, said.strength)
            self.assertThat(said.value, Contains('12'))
            self.assertEqual('', said.remedy)

    def test_no_claim_when_guests_need_more(self):
        """A guest that KVM runs is not yet a guest that QEMU runs."""
        power8 = (
            'processor : 0\nprocessor : 1\ncpu : POWER8\nplatform : PowerNV'
        )
        for facts, words in (
            (
                {
                    'arch': 'ppc64le',
                    'modules': {'kvm_hv'},
                    'files': {'/proc/cpuinfo': power8},
                },
                'threads of the cores are online',
            ),
            (
                {
                    'arch': 'ppc64le',
                    'modules': {'kvm_hv'},
                    'files': {'/proc/cpuinfo': EACCES},
                },
                'cannot be seen',
            ),
        ):
            said = self.opened(**facts)[0]
            self.assertEqual('unknown', said.state.value, words)
            self.assertThat(said.reason, Contains(words))

    def test_no_claim_when_guests_have_no_interrupt_controller(self):
        for answer, words in (
            (0, 'no interrupt controller'),
            (EACCES, 'could not be asked'),
        ):
            look = look_at(
                'aarch64',
                kvm=KvmAnswers(12, {0: answer}),
                smoke=timed(0.5),
            )
            said = [one for one in self.kvm(look) if words in one.reason]
            self.assertEqual(['unknown'], [o.state.value for o in said])
        for extensions in ({}, {0: 1}):
            look = look_at(
                'aarch64', kvm=KvmAnswers(12, extensions), smoke=timed(0.5)
            )
            states = {one.state.value for one in self.kvm(look)}
            self.assertIn('present', states)

    def test_no_claim_when_the_module_does_without(self):
        for arch, modules in (
            ('x86_64', {'kvm', 'kvm_pvm'}),
            ('x86_64', None),
            ('ppc64le', {'kvm_pr'}),
            ('ia64', {'kvm'}),
            ('sw_64', {'kvm_intel'}),
        ):
            said = self.opened(arch=arch, modules=modules)[0]
            self.assertEqual('unknown', said.state.value, arch)
            self.assertThat(said.remedy, Contains('smoke run'))

    def smoke(self, run, **facts):
        look = look_at(kvm=OPEN, modules={'kvm_intel'}, smoke=run, **facts)
        said = self.said(look)
        return [
            o
            for o in said
            if o.strength is Strength.SMOKE
            and (o.capability == 'kvm' or o.state is not State.UNKNOWN)
        ]

    def test_what_kvm_uses_is_in_doubt_when_no_guest_could_be_run(self):
        for kvm, run, doubted in (
            (OPEN, Refusal('EACCES'), True),
            (OPEN, None, True),
            (Refusal('EACCES'), None, True),
            (OPEN, SmokeRun((), (), 0), True),
            (OPEN, Refusal('ECANCELED'), False),
            (OPEN, timed(0.6, 0.5), False),
        ):
            look = look_at(kvm=kvm, modules={'kvm_intel'}, smoke=run)
            doubts = self.said(look, 'ept', Stage.KVM)
            self.assertEqual(
                [('unknown', Strength.SMOKE)] if doubted else [],
                [(said.state.value, said.strength) for said in doubts],
            )

    def test_present_when_a_guest_ran_natively(self):
        (said,) = self.smoke(timed(0.6, 0.5))
        self.assertEqual('present', said.state.value)
        self.assertEqual(
            'create_vm: ok, real_mode: IO, long_mode: IO', said.value
        )
        self.assertEqual('', said.remedy)

    def test_absent_when_a_guest_was_emulated(self):
        run = timed(1900, lengths=LONG, fixed_ns=19_000)
        said = {o.capability: o for o in self.smoke(run)}
        self.assertEqual('absent', said['kvm'].state.value)
        self.assertThat(said['kvm'].reason, Contains('emulated'))
        self.assertThat(said['kvm'].remedy, Contains('use hardware'))
        self.assertEqual('absent', said['nested'].state.value)
        self.assertEqual('absent', said['slat'].state.value)
        self.assertNotIn('iommu', said)
        self.assertNotIn('hvm', said)

    def test_absent_when_a_guest_failed_for_good(self):
        for step, error, words in (
            ('create_vm', 'EBUSY', 'VirtualBox'),
            ('create_vm', 'EIO', 'could not be enabled'),
            ('real_mode', 'FAIL_ENTRY', 'dmesg'),
            ('long_mode', 'SHUTDOWN', 'dmesg'),
        ):
            said = self.smoke(failed(step, error))
            self.assertEqual({'absent'}, {o.state.value for o in said})
            self.assertIn('kvm', {o.capability for o in said})
            self.assertIn('ept', {o.capability for o in said})
            self.assertThat(said[0].remedy, Contains(words))
            self.assertThat(said[0].reason, Contains(error))

    def test_unknown_when_the_error_proves_nothing(self):
        for step, error, words in (
            ('create_vm', 'ENODEV', 'being unloaded'),
            ('create_vm', 'EFAULT', 'dmesg'),
            ('create_vm', 'EINVAL', 'dmesg'),
            ('create_vm', 'EOPNOTSUPP', 'dmesg'),
            ('create_vm', 'ENOSYS', 'dmesg'),
            ('real_mode', 'EBUSY', 'dmesg'),
            ('real_mode', 'ENODEV', 'dmesg'),
            ('long_mode', 'EIO', 'dmesg'),
            ('long_mode', 'EFAULT', 'dmesg'),
        ):
            (said,) = self.smoke(failed(step, error))
            self.assertEqual('unknown', said.state.value, (step, error))
            self.assertThat(said.remedy, Contains(words))
            self.assertThat(said.reason, Contains(error))

    def test_unknown_when_a_guest_failed_of_the_moment(self):
        for error in (
            'ENOMEM',
            'EMFILE',
            'ENFILE',
            'EINTR',
            'EAGAIN',
            'ECANCELED',
            'TIMEOUT',
        ):
            (said,) = self.smoke(failed('create_vm', error))
            self.assertEqual('unknown', said.state.value, error)
            self.assertThat(said.remedy, Contains('again'))

    def test_unknown_when_a_guest_was_refused_to_this_process(self):
        for error in ('EACCES', 'EPERM'):
            for step in ('create_vm', 'long_mode'):
                (said,) = self.smoke(failed(step, error))
                self.assertEqual('unknown', said.state.value, error)
                self.assertThat(said.remedy, Contains('security module'))

    def test_unknown_when_the_speed_cannot_be_told(self):
        steps = (('create_vm', 'ok'), ('long_mode', 'IO'))
        run = SmokeRun(steps, (Sample(1, 9000, 50),) * 3, 1)
        (said,) = self.smoke(run)
        self.assertEqual('unknown', said.state.value)

    def test_unknown_when_no_guest_was_run(self):
        for refusal, remedy in (
            (
                Refusal('ECANCELED', '', 'switched off by --no-smoke'),
                'let the smoke run',
            ),
            (Refusal('EOPNOTSUPP'), ''),
            (Refusal('EACCES'), ''),
            (None, 'record the host again'),
        ):
            (said,) = self.smoke(refusal)
            self.assertEqual('unknown', said.state.value)
            self.assertThat(said.reason, Contains('no guest was run'))
            self.assertThat(said.remedy, Contains(remedy))
            self.assertEqual(remedy == '', said.remedy == '')

    def test_unknown_when_a_run_broke_off_without_a_word(self):
        for steps in ((), (('create_vm', 'ok'),), (('real_mode', 'IO'),)):
            (said,) = self.smoke(SmokeRun(steps, (), 0))
            self.assertEqual('unknown', said.state.value, steps)
