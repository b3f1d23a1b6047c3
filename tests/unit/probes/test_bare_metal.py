# SPDX-License-Identifier: Apache-2.0

from testtools.matchers import Contains

from hvfilter.model.catalogue import Stage
from hvfilter.model.finding import Strength
from hvfilter.probes import psci
from hvfilter.probes.bare_metal import BareMetal
from hvfilter.rules import combine
from tests.unit.probes.base import (
    DELL,
    EACCES,
    ENOENT,
    ProbeTestCase,
    look_at,
    regs,
)

DMI = '/sys/class/dmi/id'
TREE = '/proc/device-tree'


def dmi(vendor, product='', bios=''):
    return {
        f'{DMI}/sys_vendor': vendor,
        f'{DMI}/product_name': product,
        f'{DMI}/bios_vendor': bios,
    }


EMULATED = 'IBM PowerNV (emulated by qemu)'


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
            if observation.state.value == 'present':
                states = {one.state.value for one in said}
                self.assertNotIn('absent', states)
            refused = 'EACCES' in observation.value
            advised = 'run hvfilter as root' in observation.remedy
            self.assertEqual(refused, advised)
        return combine.decide(Stage.CPU, said)

    def check(self, state, look, words=''):
        found = self.found(look)
        self.assertEqual(state, found.state.value, found)
        self.assertThat(found.reason, Contains(words))

    def test_hypervisor_bit_when_read(self):
        guest = {1: regs(ecx=1 << 31)}
        self.check('absent', look_at(cpuid=guest), 'CPUID says 1')
        clear = {1: regs(ecx=~(1 << 31))}
        self.check('present', look_at(cpuid=clear, files=DELL))
        look = look_at(cpuid=clear, files={'/proc/cpuinfo': 'bugs :'})
        self.check('unknown', look, 'where some hide')

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
            look = look_at(files={**DELL, '/proc/cpuinfo': text})
            self.check(state, look)

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
            ('OpenStack Foundation', 'OpenStack Nova', 'SeaBIOS'),
            ('Red Hat', 'KVM', 'SeaBIOS'),
            ('Amazon EC2', 'c5.large', 'Amazon EC2'),
            ('Amazon EC2', 'u7i-12tb.224xlarge', 'Amazon EC2'),
            ('DigitalOcean', 'Droplet', 'DigitalOcean'),
            ('Hetzner', 'vServer', 'Hetzner'),
            ('Nutanix', 'AHV', 'SeaBIOS'),
            ('Alibaba Cloud', 'Alibaba Cloud ECS', 'SeaBIOS'),
            ('Somebody', 'ebmg7', 'SeaBIOS'),
            ('Oracle Corporation', 'VirtualBox', 'innotek GmbH'),
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
            ('Amazon EC2', 'm7i.metal-24xl', 'Amazon EC2'),
            ('Amazon EC2', 'm7a.metal-48xl', 'Amazon EC2'),
            ('Amazon EC2', 'x99.whole-machine', 'Amazon EC2'),
            ('Google', 'Google Compute Engine', 'Google'),
            ('Google', 'c3-standard-192-metal', 'Google'),
            ('Oracle Corporation', 'BM.Standard3.64', 'Oracle'),
            ('Oracle Corporation', 'ORACLE SERVER E4-2c', 'Oracle'),
            ('IBM:VPC', 'bx2-metal-96x384', 'IBM'),
            ('Alibaba Cloud', 'ebmg7', 'SeaBIOS'),
            ('Alibaba Cloud', 'Alibaba Cloud ECS', 'Alibaba'),
            ('Huawei Cloud', 'physical.s4.3xlarge', 'Huawei'),
            ('Microsoft Corporation', 'Surface Book', 'Microsoft'),
            ('Xenon Systems', 'R1', 'AMI'),
            ('Amazon EC2', ENOENT, ENOENT),
            ('Dell Inc.', ENOENT, ENOENT),
            ('ASUSTeK COMPUTER INC.', 'RS720-E11', 'AMI'),
        ):
            look = look_at(
                files={
                    '/proc/cpuinfo': 'flags : fpu',
                    **dmi(vendor, product, bios),
                }
            )
            self.check('present', look)

    def test_maker_counts_where_no_flag_shows_a_guest(self):
        self.check('present', look_at('aarch64', files=dmi('HPE', 'RL300')))
        self.check('present', look_at('loongarch64', files=dmi('Loongson')))
        self.check('present', look_at('riscv64', files=dmi('Dell Inc.')))
        self.check('unknown', look_at('riscv64', files=dmi('X')))
        self.check('unknown', look_at(files=dmi('Dell Inc.')))

    def test_no_machine_when_its_maker_is_not_known(self):
        """That no known word of a virtual machine is there proves nothing."""
        files = dmi('Somebody', 'Something', 'Somebody')
        look = look_at('aarch64', files=files)
        self.check('unknown', look, 'says Somebody, which is known neither')
        chassis = f'{DMI}/chassis_type'
        for kind, state in (('1', 'unknown'), ('23', 'present')):
            look = look_at('aarch64', files={**files, chassis: kind})
            self.check(state, look)
        look = look_at('aarch64', files={**files, chassis: EACCES})
        self.check('unknown', look)
        look = look_at('loongarch64', files=dmi('', '', ''))
        self.check('unknown', look, 'neither DMI nor a device tree')

    def test_sizes_of_clouds_on_arm64(self):
        for vendor, product, kvm, state in (
            ('Amazon EC2', 'm8g.metal-24xl', True, 'present'),
            ('Amazon EC2', 'm6g.metal', False, 'present'),
            ('Amazon EC2', 'm8g.large', True, 'absent'),
            ('Amazon EC2', 'm8g.strange', True, 'unknown'),
            ('Amazon EC2', 'm8g.strange', False, 'absent'),
            ('Google', 'Google Compute Engine', False, 'absent'),
            ('Google', 'Google Compute Engine', True, 'unknown'),
            ('Google', 'c4a-highmem-96-metal', True, 'present'),
            ('Oracle Corporation', 'BM.Standard.A1.160', True, 'present'),
            ('Alibaba Cloud', 'Alibaba Cloud ECS', False, 'absent'),
            ('Alibaba Cloud', 'ebmg8y', True, 'present'),
            ('Alibaba Cloud', 'ecs.ebmg8y.32xlarge', True, 'present'),
            ('Microsoft Corporation', 'Virtual Machine', False, 'absent'),
            ('GIGABYTE', 'R152-P30-00', True, 'present'),
            ('Giga Computing', 'R163-P30', True, 'present'),
            ('Heavy Metal Inc', 'Box', True, 'unknown'),
        ):
            files = {
                **dmi(vendor, product, vendor),
                '/proc/misc': '232 kvm' if kvm else '126 tun',
            }
            self.check(state, look_at('aarch64', files=files))
        files = dmi('Google', 'Google Compute Engine')
        look = look_at('aarch64', files={**files, '/proc/misc': EACCES})
        self.check('unknown', look)

    def test_doubt_when_the_kernel_was_not_entered_at_el2(self):
        for modules, misc, cmdline, state in (
            ({'kvm'}, '126 tun', 'ro', 'unknown'),
            ({'kvm'}, '232 kvm', 'ro', 'present'),
            ({'loop'}, '126 tun', 'ro', 'present'),
            ({'kvm'}, '126 tun', 'kvm_arm.mode=none', 'present'),
            ({'kvm'}, EACCES, 'ro', 'unknown'),
            (None, '126 tun', 'ro', 'present'),
        ):
            look = look_at(
                'aarch64',
                modules=modules,
                files={
                    **dmi('HPE', 'RL300'),
                    '/proc/misc': misc,
                    '/proc/cmdline': cmdline,
                },
            )
            self.check(state, look)

    def test_smbios_when_it_says_virtual(self):
        raw = '/sys/firmware/dmi/entries/0-0/raw'
        for table, state in (
            (bytes([0, 24, *[0] * 17, 0x1C, 0, 0]), 'absent'),
            (bytes([0, 24, *[0] * 17, 0x0C, 0, 0]), 'present'),
            (bytes([0, 18, *[0] * 17, 0x1C, 0, 0]), 'present'),
            (b'', 'present'),
            (EACCES, 'present'),
        ):
            look = look_at('aarch64', files={**dmi('HPE'), raw: table})
            self.check(state, look)

    def test_unknown_when_a_table_that_could_show_a_guest_is_for_root(self):
        """Only a kernel that offers KVM, so runs at EL2, needs no more."""
        for path in ('/sys/firmware/dmi/entries/0-0/raw', psci.FADT):
            for misc, state in (
                ('126 tun', 'unknown'),
                ('232 kvm', 'present'),
                (EACCES, 'present'),
            ):
                look = look_at(
                    'aarch64',
                    files={**dmi('HPE'), path: EACCES, '/proc/misc': misc},
                    modules=(),
                )
                words = f'only root may read {path}'
                self.check(state, look, words if state == 'unknown' else '')

    def test_fadt_when_psci_goes_to_a_hypervisor(self):
        for flags, state in (
            (b'\3\0', 'absent'),
            (b'\1\0', 'present'),
            (b'\2\0', 'present'),
            (b'\0\3', 'present'),
            (b'', 'present'),
        ):
            table = bytes(129) + flags
            files = {**dmi('HPE'), psci.FADT: table}
            self.check(state, look_at('aarch64', files=files))

    def test_unknown_when_one_word_of_dmi_is_refused(self):
        for name in ('sys_vendor', 'product_name', 'bios_vendor'):
            files = {
                '/proc/cpuinfo': 'flags : fpu',
                **DELL,
                f'{DMI}/{name}': EACCES,
            }
            self.check('unknown', look_at(files=files), 'may not be')

    def test_unknown_when_only_part_of_dmi_was_recorded(self):
        files = {
            '/proc/cpuinfo': 'flags : fpu',
            f'{DMI}/sys_vendor': 'Dell Inc.',
        }
        self.check('unknown', look_at(files=files), 'where some hide')

    def test_signature_when_the_bit_is_hidden(self):
        words = [
            int.from_bytes(b'VBoxVBoxVBox'[at : at + 4], 'little')
            for at in (0, 4, 8)
        ]
        cpuid = {1: regs(), 0x40000000: regs(0, *words)}
        self.check('absent', look_at(cpuid=cpuid, files=DELL), 'VBox')
        cpuid[0x40000000] = regs(7, 2, 4, 8)
        self.check('present', look_at(cpuid=cpuid, files=DELL))

    def test_guest_when_a_pci_device_is_a_hypervisors(self):
        for identity, state in (
            ('80eebeef', 'absent'),
            ('80eecafe', 'absent'),
            ('15ad0740', 'absent'),
            ('58530001', 'absent'),
            ('1b360008', 'absent'),
            ('12341111', 'absent'),
            ('14145353', 'absent'),
            ('1ab84005', 'absent'),
            ('fb5d40fb', 'absent'),
            ('1af41110', 'absent'),
            ('1af41041', 'present'),
            ('12342222', 'present'),
            ('8086a708', 'present'),
            ('1d0fec20', 'present'),
            ('rubbish', 'unknown'),
            ('', 'unknown'),
        ):
            files = {
                '/proc/cpuinfo': 'flags : fpu',
                '/proc/bus/pci/devices': f'0010\t{identity}\t0\n',
            }
            self.check(state, look_at(files=files))
            sysfs = '/sys/bus/pci/devices'
            files = {
                '/proc/cpuinfo': 'flags : fpu',
                f'{sysfs}/0000:00:02.0/vendor': f'0x{identity[:4]}',
                f'{sysfs}/0000:00:02.0/device': f'0x{identity[4:]}',
            }
            look = look_at(files=files, directories={sysfs: ('0000:00:02.0',)})
            self.check(state, look)

    def test_unknown_when_pci_may_not_be_looked_at(self):
        files = {'/proc/cpuinfo': 'flags : fpu', **DELL}
        self.check('present', look_at(files=files))
        files['/proc/bus/pci/devices'] = EACCES
        self.check('unknown', look_at(files=files), '/proc/bus/pci')

    def test_guest_when_a_bus_or_an_acpi_device_is_a_hypervisors(self):
        for path, names, state in (
            ('/sys/bus/acpi/devices', ('PNP0A08:00', 'VMGENCTR:00'), 'absent'),
            ('/sys/bus/acpi/devices', ('LNRO0005:00',), 'absent'),
            ('/sys/bus/acpi/devices', ('VMBUS:00',), 'absent'),
            (
                '/sys/bus/acpi/devices',
                ('PNP0A08:00', 'ACPI0007:00'),
                'present',
            ),
            ('/sys/bus/acpi/devices', EACCES, 'unknown'),
            ('/sys/bus/vmbus/devices', ('1eccfd72-4b41',), 'absent'),
            ('/sys/bus/vmbus/devices', (), 'present'),
            ('/sys/bus/xen/devices', ('vif-0',), 'absent'),
            ('/sys/bus/xen/devices', (), 'present'),
        ):
            look = look_at(
                files={'/proc/cpuinfo': 'flags : fpu', **DELL},
                directories={path: names},
            )
            self.check(state, look)

    def test_guest_when_an_acpi_device_is_one_of_qemu(self):
        path = '/sys/bus/acpi/devices'
        look = look_at(
            'aarch64',
            files=dmi('HPE', 'RL300', 'HPE'),
            directories={path: ('ACPI0007:00', 'QEMU0002:00')},
        )
        self.check('absent', look, 'QEMU0002')

    def test_xen_when_it_shows_itself(self):
        files = {
            '/sys/hypervisor/type': 'xen\n',
            '/proc/cpuinfo': 'flags : fpu',
            **DELL,
        }
        self.check('absent', look_at(files=files), 'xen')
        files['/sys/hypervisor/type'] = ''
        self.check('present', look_at(files=files))
        files['/sys/hypervisor/type'] = EACCES
        self.check('unknown', look_at(files=files), '/sys/hypervisor/type')
        files['/sys/hypervisor/type'] = ENOENT
        for domain in ('control_d\n', ''):
            files['/proc/xen/capabilities'] = domain
            self.check('absent', look_at(files=files), 'capabilities says')
        del files['/proc/xen/capabilities']
        for names, state in (((), 'absent'), (ENOENT, 'present')):
            look = look_at(files=files, directories={'/proc/xen': names})
            self.check(state, look)

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
            ('rubbish', 'unknown', ''),
            (EACCES, 'unknown', ''),
        ):
            look = look_at('s390x', files={'/proc/sysinfo': text})
            self.check(state, look, words)

    def test_platform_on_ppc64(self):
        for text, state in (
            ('platform : PowerNV\n', 'present'),
            ('platform : PowerNV\nmodel : 9006-22P\n', 'present'),
            (f'platform : PowerNV\nmodel : {EMULATED}\n', 'absent'),
            (f'platform : PowerNV\nmachine : {EMULATED}\n', 'absent'),
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
            ('loongarch64', 'linux,dummy-loongson3\0', 'absent'),
            ('riscv64', 'freebsd,bhyve\0', 'absent'),
            ('aarch64', 'xen,xenvm-4.17\0xen,xenvm\0', 'absent'),
            ('riscv64', 'riscv-virtio\0', 'absent'),
            ('riscv64', 'sifive,hifive-unmatched\0sifive,fu740\0', 'present'),
            ('aarch64', 'raspberrypi,4\0', 'present'),
            ('aarch64', '', 'unknown'),
            ('aarch64', ENOENT, 'unknown'),
        ):
            files = {
                f'{TREE}/compatible': text,
                f'{TREE}/hypervisor/compatible': ENOENT,
                f'{TREE}/psci/method': ENOENT,
            }
            self.check(state, look_at(arch, files=files))
            if state == 'present':
                del files[f'{TREE}/hypervisor/compatible']
                self.check('unknown', look_at(arch, files=files))
        files = {
            f'{TREE}/compatible': 'a\0b\0',
            f'{TREE}/hypervisor/compatible': ENOENT,
        }
        said = self.said(look_at('riscv64', files=files))
        self.assertEqual('a, b', said[0].value)

    def test_device_tree_when_qemu_made_it(self):
        for names, state in (
            (('compatible', 'fw-cfg@9020000'), 'absent'),
            (('compatible', 'fw_cfg@1e020000'), 'absent'),
            (('compatible', 'soc'), 'present'),
            (EACCES, 'unknown'),
        ):
            files = {
                f'{TREE}/compatible': 'maker,board\0',
                f'{TREE}/hypervisor/compatible': ENOENT,
            }
            look = look_at('riscv64', files=files, directories={TREE: names})
            self.check(state, look)

    def test_psci_when_a_hypervisor_answers_it(self):
        for method, arch, state in (
            ('hvc\0', 'aarch64', 'absent'),
            ('smc\0', 'aarch64', 'present'),
            ('hvc\0', 'riscv64', 'present'),
        ):
            files = {
                f'{TREE}/compatible': 'maker,board\0',
                f'{TREE}/hypervisor/compatible': ENOENT,
                f'{TREE}/psci/method': method,
            }
            self.check(state, look_at(arch, files=files))
            if state == 'absent':
                (said,) = self.said(look_at(arch, files=files))
                self.assertEqual(f'{TREE}/psci/method', said.source)
                self.assertEqual('hvc', said.value)

    def test_unknown_when_the_device_tree_is_refused(self):
        board = {f'{TREE}/compatible': 'maker,board\0'}
        for hypervisor, method in (
            (ENOENT, EACCES),
            (EACCES, ENOENT),
            (EACCES, EACCES),
            (EACCES, 'smc\0'),
        ):
            files = {
                **board,
                f'{TREE}/hypervisor/compatible': hypervisor,
                f'{TREE}/psci/method': method,
            }
            self.check('unknown', look_at('aarch64', files=files))
        self.check('unknown', look_at('aarch64', files=board))

    def test_sign_when_the_processor_shows_none(self):
        """A hypervisor that hides its bit is found in DMI."""
        files = {'/proc/cpuinfo': 'flags : fpu', **dmi('QEMU')}
        found = self.found(look_at(cpuid={1: regs()}, files=files))
        self.assertEqual('absent', found.state.value)
        self.assertIs(Strength.FLAGS, found.observations[0].strength)

    def test_sign_when_only_the_register_shows_it(self):
        files = {'/proc/cpuinfo': 'flags : fpu', **DELL}
        look = look_at(cpuid={1: regs(ecx=1 << 31)}, files=files)
        self.check('absent', look, 'CPUID')
