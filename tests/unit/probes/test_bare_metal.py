# SPDX-License-Identifier: Apache-2.0

from testtools.matchers import Contains

from hvfilter.model.catalogue import Stage
from hvfilter.model.finding import Strength
from hvfilter.probes.bare_metal import BareMetal
from hvfilter.rules import combine
from tests.unit.probes.base import EACCES, ENOENT, ProbeTestCase, look_at, regs

DMI = '/sys/class/dmi/id'
TREE = '/proc/device-tree'


def dmi(vendor, product='', bios=''):
    return {
        f'{DMI}/sys_vendor': vendor,
        f'{DMI}/product_name': product,
        f'{DMI}/bios_vendor': bios,
    }


class TestBareMetal(ProbeTestCase):
    probe = BareMetal

    def found(self, look):
        said = self.said(look)
        for observation in said:
            self.assertEqual('bare_metal', observation.capability)
            if observation.state.value != 'unknown':
                self.assertEqual(
                    observation.state.value == 'absent',
                    observation.remedy != '',
                )
            refused = 'EACCES' in observation.value
            self.assertEqual(refused, 'look as root' in observation.remedy)
        return combine.decide(Stage.CPU, said)

    def check(self, state, look, words=''):
        found = self.found(look)
        self.assertEqual(state, found.state.value, found)
        self.assertThat(found.reason, Contains(words))

    def test_hypervisor_bit_when_read(self):
        guest = {1: regs(ecx=1 << 31)}
        self.check('absent', look_at(cpuid=guest), 'CPUID says 1')
        self.check('present', look_at(cpuid={1: regs(ecx=~(1 << 31))}))

    def test_signature_when_there_is_one(self):
        for name, value in (
            (b'KVMKVMKVM\0\0\0', "1, 'KVMKVMKVM'"),
            (b'Microsoft Hv', "1, 'Microsoft Hv'"),
            (b'\0' * 12, '1'),
            (b'\1\2\3' * 4, '1'),
            (b'\xffVM\0\0\0\0\0\0\0\0\0', "1, '\ufffdVM'"),
            (b'XVMX\0\0\0\0\0\0\0\0', "1, 'XVMX'"),
        ):
            words = [
                int.from_bytes(name[at : at + 4], 'little') for at in (0, 4, 8)
            ]
            cpuid = {1: regs(ecx=1 << 31), 0x40000000: regs(0, *words)}
            said = self.said(look_at(cpuid=cpuid))[0]
            self.assertEqual(value, said.value)

    def test_flag_when_printed(self):
        for text, state in (
            ('flags : fpu hypervisor', 'absent'),
            ('flags : fpu', 'present'),
            ('flags : hypervisors', 'present'),
            ('', 'unknown'),
        ):
            self.check(state, look_at(files={'/proc/cpuinfo': text}))

    def test_unknown_when_nothing_can_be_asked(self):
        look = look_at(files={'/proc/cpuinfo': EACCES})
        self.check('unknown', look)
        self.assertEqual(2, len(self.said(look)))

    def test_guest_when_dmi_names_a_virtual_machine(self):
        for vendor, product, bios in (
            ('QEMU', 'Standard PC', 'SeaBIOS'),
            ('Bochs', '', 'The Bochs Project'),
            ('X', 'Y', 'The Bochs Project'),
            ('VMware, Inc.', 'VMware7,1', 'VMware, Inc.'),
            ('innotek GmbH', 'VirtualBox', 'innotek GmbH'),
            ('Microsoft Corporation', 'Virtual Machine', 'Microsoft'),
            ('Xen', 'HVM domU', 'Xen'),
            ('Google', 'Google Compute Engine', 'Google'),
            ('OpenStack Foundation', 'OpenStack Nova', 'SeaBIOS'),
            ('Red Hat', 'KVM', 'SeaBIOS'),
            ('Amazon EC2', 'c5.large', 'Amazon EC2'),
            (ENOENT, 'KVM', ENOENT),
        ):
            look = look_at(
                files={
                    '/proc/cpuinfo': 'flags : fpu',
                    **dmi(vendor, product, bios),
                }
            )
            self.check('absent', look, 'this machine is a guest')

    def test_no_guest_when_dmi_names_a_machine(self):
        for vendor, product, bios in (
            ('Dell Inc.', 'PowerEdge R650', 'Dell Inc.'),
            ('Amazon EC2', 'c5.metal', 'Amazon EC2'),
            ('Microsoft Corporation', 'Surface Book', 'Microsoft'),
            ('Xenon Systems', 'R1', 'AMI'),
            ('Amazon EC2', ENOENT, ENOENT),
            ('ASUSTeK COMPUTER INC.', 'RS720-E11', 'AMI'),
        ):
            look = look_at(
                files={
                    '/proc/cpuinfo': 'flags : fpu',
                    **dmi(vendor, product, bios),
                }
            )
            self.check('present', look)

    def test_dmi_tells_on_arm64_but_not_on_x86(self):
        self.check('present', look_at('aarch64', files=dmi('HPE', 'RL300')))
        self.check('present', look_at('loongarch64', files=dmi('Loongson')))
        self.check('unknown', look_at('riscv64', files=dmi('X')))
        self.check('unknown', look_at(files=dmi('Dell Inc.')))

    def test_xen_when_it_shows_itself(self):
        files = {
            '/sys/hypervisor/type': 'xen\n',
            '/proc/cpuinfo': 'flags : fpu',
        }
        self.check('absent', look_at(files=files), 'xen')
        files['/sys/hypervisor/type'] = ''
        self.check('present', look_at(files=files))

    def test_sysinfo_on_s390x(self):
        for text, state, words in (
            (
                'Type: 8561\nVM00 Control Program: KVM/Linux \n',
                'absent',
                'KVM',
            ),
            ('VM00 Control Program: z/VM    7.2.0\n', 'absent', 'z/VM'),
            ('VM00 Control Program:\n', 'absent', 'says a hyp'),
            ('Type: 8561\nLPAR Number: 1\n', 'present', ''),
            ('', 'unknown', ''),
            (EACCES, 'unknown', ''),
        ):
            look = look_at('s390x', files={'/proc/sysinfo': text})
            self.check(state, look, words)

    def test_platform_on_ppc64(self):
        for text, state in (
            ('platform : PowerNV\n', 'present'),
            ('platform : pSeries\n', 'absent'),
            ('platform : Cell\n', 'unknown'),
            ('', 'unknown'),
            (EACCES, 'unknown'),
        ):
            look = look_at('ppc64le', files={'/proc/cpuinfo': text})
            self.check(state, look)

    def test_device_tree_when_a_hypervisor_is_named(self):
        for arch in ('aarch64', 'riscv64'):
            files = {f'{TREE}/hypervisor/compatible': 'linux,kvm\0'}
            self.check('absent', look_at(arch, files=files), 'linux,kvm')
            self.assertEqual(
                'compatible', self.said(look_at(arch, files=files))[0].asked
            )

    def test_device_tree_when_it_names_the_machine(self):
        for arch, text, state in (
            ('aarch64', 'linux,dummy-virt\0', 'absent'),
            ('riscv64', 'riscv-virtio\0', 'absent'),
            ('riscv64', 'sifive,hifive-unmatched\0sifive,fu740\0', 'present'),
            ('aarch64', 'raspberrypi,4\0', 'present'),
        ):
            files = {f'{TREE}/compatible': text}
            self.check(state, look_at(arch, files=files))
        said = self.said(
            look_at('riscv64', files={f'{TREE}/compatible': 'a\0b\0'})
        )
        self.assertEqual('a, b', said[0].value)

    def test_psci_when_a_hypervisor_answers_it(self):
        for method, arch, state in (
            ('hvc\0', 'aarch64', 'absent'),
            ('smc\0', 'aarch64', 'present'),
            ('hvc\0', 'riscv64', 'present'),
        ):
            files = {
                f'{TREE}/compatible': 'maker,board\0',
                f'{TREE}/psci/method': method,
            }
            self.check(state, look_at(arch, files=files))

    def test_strength_when_sources_contradict(self):
        """A hypervisor that hides its bit is found in DMI."""
        files = {'/proc/cpuinfo': 'flags : fpu', **dmi('QEMU')}
        found = self.found(look_at(cpuid={1: regs()}, files=files))
        self.assertEqual('absent', found.state.value)
        self.assertTrue(found.contradicted)
        self.assertIs(Strength.FLAGS, found.observations[0].strength)
