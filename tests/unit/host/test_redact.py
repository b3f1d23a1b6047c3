# SPDX-License-Identifier: Apache-2.0

import testtools
from hypothesis import given
from hypothesis import strategies as st

from hvfilter.host import facts, snapshot
from hvfilter.host.answers import Refusal
from hvfilter.host.redact import Redaction
from tests.recordings import a_snapshot, tables

UUID = '0a1b2c3d-0a1b-2c3d-4e5f-0a1b2c3d4e5f'


class TestRedaction(testtools.TestCase):
    def redacted(self, path, text, *names):
        data = Redaction(names).content(path, text.encode())
        return data.decode()

    def test_only_virtualization_is_kept_when_it_is_the_command_line(self):
        told = (
            f'BOOT_IMAGE=/vmlinuz root=UUID={UUID} ro quiet '
            'ip=10.0.0.7::10.0.0.1:255.255.255.0:node17 intel_iommu=on '
            'iommu=pt kvm_intel.nested=1 kvm-arm.mode=nested '
            'mitigations=auto,nosmt nosmt ifname=e0:00:11:22:33:44:55 '
            'mem_encrypt=on secretword -- --token=abc kvm'
        )
        self.assertEqual(
            'BOOT_IMAGE=(redacted) root=(redacted) '
            'ip=(redacted) intel_iommu=on iommu=pt kvm_intel.nested=1 '
            'kvm-arm.mode=nested mitigations=auto,nosmt nosmt '
            'ifname=(redacted) mem_encrypt=on\n',
            self.redacted('/proc/cmdline', told),
        )

    def test_words_that_a_remedy_needs_are_kept(self):
        for text in (
            'ro nointremap nohibernate clearcpuid=vmx kvm_intel.nested=0\n',
            'kvm-intel.nested=0 "kvm_amd.npt=0" module_blacklist=kvm_amd\n',
            'kvm.enable_virt_at_boot=0 iommu.passthrough=1 noapic acpi=off\n',
        ):
            kept = self.redacted('/proc/cmdline', text)
            self.assertEqual(text.replace('ro ', ''), kept)

    def test_quotes_hide_nothing_that_is_to_go(self):
        for text, kept in (
            ('x="a iommu=off" nosmt', 'x=(redacted) nosmt\n'),
            ('"x=a secret=b" nosmt', 'x=(redacted) nosmt\n'),
            ('nosmt "a b=1', 'nosmt\n'),
            ('nosmt x"=secret y', 'nosmt\n'),
        ):
            self.assertEqual(kept, self.redacted('/proc/cmdline', text))

    def test_serial_number_goes_when_it_is_arms_cpuinfo(self):
        told = (
            'processor\t: 0\nHardware\t: BCM2835\nRevision\t: c03112\n'
            'Serial\t\t: 10000000abcdef01\nModel\t\t: Raspberry Pi 4\n'
        )
        self.assertEqual(
            told.replace('10000000abcdef01', '(redacted)'),
            self.redacted('/proc/cpuinfo', told),
        )

    def test_identification_goes_when_it_is_s390s_cpuinfo(self):
        told = (
            'processor 0: version = FF,  identification = 133F87,  '
            'machine = 2817\n'
        )
        self.assertEqual(
            told.replace('133F87', '000000'),
            self.redacted('/proc/cpuinfo', told),
        )

    def test_names_go_when_it_is_s390s_sysinfo(self):
        told = (
            'Manufacturer:         IBM\nType:                 2964\n'
            'Sequence Code:        00000000000F3F87\n'
            'LPAR Name:            R35LP48\n'
            'LPAR Extended Name:   Long Name\n'
            'VM00 Name:            LINUX1\n'
            'VM00 Control Program: z/VM    6.4.0\n'
        )
        shown = self.redacted('/proc/sysinfo', told)
        for gone in ('0F3F87', 'R35LP48', 'Long Name', 'LINUX1'):
            self.assertNotIn(gone, shown)
        self.assertIn('Manufacturer:         IBM\n', shown)
        self.assertIn('VM00 Control Program: z/VM    6.4.0\n', shown)

    def test_builder_goes_when_it_is_the_kernels_version(self):
        self.assertEqual(
            'Linux version 6.1.0 (redacted) (gcc 12.2.0) #1 SMP\n',
            self.redacted(
                '/proc/version',
                'Linux version 6.1.0 (root@node17) (gcc 12.2.0) #1 SMP\n',
            ),
        )

    def test_only_virtualization_is_kept_when_it_is_kernel_messages(self):
        told = (
            '6,9,99,-;kvm: Nested Virtualization enabled\n'
            '6,10,99,-;usb 1-1: SerialNumber: 12345\n'
            ' SUBSYSTEM=usb\n'
            '6,11,99,-;DMAR: IOMMU enabled\n'
        )
        self.assertEqual(
            '6,9,99,-;kvm: Nested Virtualization enabled\n'
            '6,11,99,-;DMAR: IOMMU enabled\n',
            self.redacted('/dev/kmsg', told),
        )

    def test_whole_content_goes_when_the_file_is_secret(self):
        for path in (
            '/sys/class/dmi/id/product_serial',
            '/sys/class/dmi/id/product_uuid',
            '/sys/class/dmi/id/chassis_asset_tag',
            '/proc/device-tree/serial-number',
            '/proc/device-tree/system-id',
            '/etc/machine-id',
            '/proc/sys/kernel/hostname',
            '/sys/class/net/eth0/address',
        ):
            self.assertEqual('(redacted)\n', self.redacted(path, 'X123'))

    def test_kept_when_the_dmi_field_is_no_secret(self):
        self.assertEqual(
            'PowerEdge R740\n',
            self.redacted(
                '/sys/class/dmi/id/product_name', 'PowerEdge R740\n'
            ),
        )

    def test_addresses_go_wherever_they_are(self):
        self.assertEqual(
            'a (redacted) (redacted) b',
            self.redacted('/x', f'a 00:1A:2b:3c:4d:5e {UUID} b'),
        )

    def test_pci_addresses_stay_when_they_look_alike(self):
        for told in ('0000:00:1f.0', '00:11:22:33:44:55:66', 'a::1'):
            self.assertEqual(told, self.redacted('/x', told))

    def test_names_go_when_given(self):
        self.assertEqual(
            'on (redacted), (redacted)! mynode17 node170',
            self.redacted(
                '/x',
                'on node17.example.org, NODE17! mynode17 node170',
                'node17',
                'node17.example.org',
            ),
        )

    def test_flags_and_parameters_stay_when_a_host_is_called_so(self):
        for path, text in (
            ('/proc/cpuinfo', 'flags: vmx ept\n'),
            ('/sys/module/kvm/parameters/x', 'vmx\n'),
            ('/proc/misc', '232 vmx\n'),
        ):
            self.assertEqual(text, self.redacted(path, text, 'vmx', '232'))
        text = 'flags: ept\n'
        self.assertEqual(text, self.redacted('/proc/cpuinfo', text, 'ept'))
        self.assertEqual(
            'model name: (redacted)\nflags: ept\n',
            self.redacted(
                '/proc/cpuinfo', 'model name: ept\nflags: ept\n', 'ept'
            ),
        )

    def test_what_kvm_says_of_its_flushes_stays(self):
        # Linux arch/x86/kvm/vmx/vmx.c, vmentry_l1d_param.
        path = '/sys/module/kvm_intel/parameters/vmentry_l1d_flush'
        for value in ('auto', 'never', 'EPT disabled', 'not required'):
            self.assertEqual(f'{value}\n', self.redacted(path, f'{value}\n'))

    def test_overwritten_in_place_when_not_text(self):
        self.assertEqual(
            b'\xff ?????? 1',
            Redaction(['node17']).content('/x', b'\xff node17 1'),
        )
        self.assertEqual(
            b'\xff node17', Redaction().content('/x', b'\xff node17')
        )

    def test_order_of_files_is_kept_when_names_are_hidden(self):
        recorded = a_snapshot(
            snapshot.Provenance(snapshot.Making.RECORDED),
            facts.Machine('x86_64', '6.1'),
            directories={
                '/c.d': ('00.conf', 'node17.conf', 'node18.conf', 'z.conf'),
                '/d.d': ('node17',),
                '/e.d': Refusal('EACCES', 'list /node17/e.d', 'of node18'),
            },
            options={
                '/c.d/node18.conf': {'a': {'b': ('2',)}},
                '/c.d/node17.conf': {'a': {'b': ('1',)}},
            },
            stats={'/d.d/node17/node18': Refusal('EIO')},
        )
        shown = Redaction(['node17', 'node18']).snapshot(recorded)
        self.assertEqual(
            {
                '/c.d': (
                    '00000-(redacted).conf',
                    '00001-(redacted).conf',
                    '00002-(redacted).conf',
                    '00003-(redacted).conf',
                ),
                '/d.d': ('(redacted)',),
                '/e.d': Refusal(
                    'EACCES', 'list /(redacted)/e.d', 'of (redacted)'
                ),
            },
            tables(shown).directories,
        )
        self.assertEqual(
            {
                '/c.d/00001-(redacted).conf': {'a': {'b': ('1',)}},
                '/c.d/00002-(redacted).conf': {'a': {'b': ('2',)}},
            },
            tables(shown).options,
        )
        self.assertEqual(
            ['/d.d/(redacted)/(redacted)'], list(tables(shown).stats)
        )

    def test_only_files_to_read_are_kept_of_a_unit(self):
        for told, kept in (
            (
                '/bin/nova-compute --token=x --config-file /a.conf y '
                '--config-dir=/b.d z',
                "/bin/nova-compute '(redacted)' --config-file /a.conf "
                "'(redacted)' --config-dir=/b.d '(redacted)'",
            ),
            ('/bin/nova-compute "', '(redacted)'),
            ('', ''),
        ):
            options = {'Service': {'ExecStart': (told,)}}
            recorded = a_snapshot(
                snapshot.Provenance(snapshot.Making.RECORDED),
                facts.Machine('x86_64', '6.1'),
                options={'/u': options},
            )
            shown = tables(Redaction().snapshot(recorded)).options['/u']
            self.assertEqual((kept,), shown['Service']['ExecStart'])

    def test_ignored_when_a_name_is_too_short(self):
        self.assertEqual('a b', self.redacted('/x', 'a b', 'a', ''))

    @given(
        st.binary(max_size=80),
        st.sampled_from(
            [
                '/proc/cpuinfo',
                '/proc/cmdline',
                '/proc/sysinfo',
                '/dev/kmsg',
                '/x',
            ]
        ),
    )
    def test_same_when_redacted_twice(self, data, path):
        redaction = Redaction(['node17'])
        once = redaction.content(path, data)
        self.assertEqual(once, redaction.content(path, once))
