# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.probes import iommu_cause
from hvfilter.probes.iommu_cause import TABLES
from tests.unit.probes.base import DELL, EACCES, ENOENT, look_at

INTEL = 'vendor_id : GenuineIntel\nflags : vmx\n'
ZHAOXIN = 'vendor_id : CentaurHauls\nflags : vmx\n'
AMD = 'vendor_id : AuthenticAMD\nflags : svm\n'
HYGON = 'vendor_id : HygonGenuine\nflags : svm\n'
GUEST = 'vendor_id : GenuineIntel\nflags : hypervisor\n'
XEN = {
    '/sys/hypervisor/type': 'xen',
    '/proc/xen/capabilities': 'control_d',
}


def host(cmdline='ro', cpuinfo=INTEL, table='', arch='x86_64', **more):
    tables = ('APIC', table) if table else ('APIC',)
    files = {'/proc/cmdline': cmdline, **more}
    if cpuinfo:
        files['/proc/cpuinfo'] = cpuinfo
    if table in ('refused', 'missing'):
        tables = EACCES if table == 'refused' else ENOENT
    return look_at(arch, files=files, directories={TABLES: tables})


class CauseTestCase(testtools.TestCase):
    why = None

    def check(self, keys, *texts, **facts):
        reason, advice = type(self).why(host(**facts))
        self.assertEqual(keys, advice.keys, facts)
        for text in texts:
            self.assertIn(text, f'{reason} {advice}')


class TestNoIommu(CauseTestCase):
    why = iommu_cause.no_iommu

    def test_word_of_the_driver_that_is_there(self):
        for cpuinfo, table, cmdline, word in (
            (INTEL, 'DMAR', 'ro intel_iommu=off', 'intel_iommu=off'),
            (INTEL, 'DMAR', 'intel-iommu=off', 'intel-iommu=off'),
            (INTEL, 'DMAR', 'intel_iommu=on intel_iommu=sm_on,off', ',off'),
            (INTEL, 'DMAR', 'iommu=pt,off iommu=pt', 'iommu=pt,off'),
            (INTEL, '', 'intel_iommu=off', 'intel_iommu=off'),
            (INTEL, 'refused', 'intel_iommu=off', 'intel_iommu=off'),
            (AMD, 'IVRS', 'amd_iommu=off quiet', 'amd_iommu=off'),
            (AMD, 'IVRS', 'amd_iommu=off amd_iommu=fullflush', '=off'),
            (AMD, '', 'amd_iommu=off', 'amd_iommu=off'),
            (AMD, 'IVRS', 'iommu=off', 'iommu=off'),
            ('', '', 'amd_iommu=off', 'amd_iommu=off'),
            ('', '', 'intel_iommu=off', 'intel_iommu=off'),
            (INTEL, 'DMAR', 'acpi=off', 'acpi=off'),
        ):
            self.check(
                ('iommu_off_on_command_line',),
                f'switches the IOMMU off: {cmdline.split()[0][:4]}'
                if cmdline.startswith(word)
                else word,
                f'{word} from the kernel command line',
                cpuinfo=cpuinfo,
                table=table,
                cmdline=cmdline,
            )

    def test_words_that_switch_nothing_off(self):
        for cmdline in (
            'amd_iommu=off',
            'intel_iommu=off intel_iommu=on,sm_on iommu=soft',
            'intel_iommu=igfx_off',
            'x="iommu=off" -- iommu=off',
        ):
            word = 'on' if 'on,' in cmdline else ''
            self.check(
                ('iommu_intel_failed' if word else 'iommu_intel_iommu_on',),
                'the firmware describes Intel VT-d (DMAR)',
                table='DMAR',
                cmdline=cmdline,
            )
        self.check(
            ('iommu_amd_failed', 'iommu_amd_force_enable'),
            cpuinfo=AMD,
            table='IVRS',
            cmdline='intel_iommu=off',
        )

    def test_nothing_that_does_not_exist_or_is_set(self):
        for cpuinfo in (AMD, HYGON):
            _, advice = iommu_cause.no_iommu(
                host(cpuinfo=cpuinfo, table='IVRS')
            )
            self.assertNotIn('amd_iommu=on', advice)
            self.assertNotIn('intel', advice)
            self.assertTrue(advice.startswith('check the IOMMU setting in'))
        self.check(
            ('iommu_amd_failed',),
            cpuinfo=AMD,
            table='IVRS',
            cmdline='amd_iommu=force_enable',
        )
        _, advice = iommu_cause.no_iommu(host('intel_iommu=on', table='DMAR'))
        self.assertNotIn('put intel_iommu', advice)

    def test_firmware_of_the_vendor_when_there_is_no_table(self):
        real = DELL
        for cpuinfo, keys in (
            (INTEL, ('iommu_vtd_in_firmware',)),
            (ZHAOXIN, ('iommu_vtd_in_firmware',)),
            (AMD, ('iommu_amd_vi_in_firmware',)),
            (HYGON, ('iommu_amd_vi_in_firmware',)),
        ):
            self.check(keys, 'describes no IOMMU', cpuinfo=cpuinfo, **real)

    def test_all_that_can_be_when_nothing_is_known(self):
        self.check(
            (
                'iommu_vtd_in_firmware',
                'iommu_amd_vi_in_firmware',
                'iommu_virtual',
            ),
            cpuinfo='',
        )

    def test_virtual_iommu_when_it_is_a_guest(self):
        self.check(('iommu_virtual',), 'virtual machine', cpuinfo=GUEST)
        self.check(
            ('iommu_virtio_driver',),
            cpuinfo=GUEST,
            table='VIOT',
            cmdline='iommu=off intel_iommu=off',
        )

    def test_xen_when_it_runs_under_the_kernel(self):
        for table in ('', 'DMAR', 'refused'):
            self.check(
                ('iommu_held_by_xen',),
                'without Xen',
                table=table,
                cmdline='intel_iommu=off',
                **XEN,
            )

    def test_elsewhere(self):
        for arch, keys, files in (
            ('s390x', ('iommu_s390_pci_function',), {}),
            ('ppc64le', ('iommu_other_driver',), {}),
            (
                'riscv64',
                ('iommu_other_driver',),
                {'/proc/device-tree/compatible': 'linux,dummy-virt'},
            ),
            ('ia64', ('iommu_other_driver',), {}),
            ('aarch64', ('iommu_smmu_in_firmware', 'iommu_virtual_arm'), {}),
            (
                'aarch64',
                ('iommu_virtual_arm',),
                {'/proc/device-tree/hypervisor/compatible': 'xen,xen'},
            ),
        ):
            self.check(keys, arch=arch, cpuinfo='x : y\n', **files)
            look = host(arch=arch, cpuinfo='x : y\n', **files)
            self.assertEqual(keys, iommu_cause.missing_table(look).keys)

    def test_arm64_when_a_device_tree_describes_it(self):
        look = host(
            arch='aarch64',
            cpuinfo='x : y\n',
            table='missing',
            **{
                '/proc/device-tree/compatible': 'raspberrypi,4-model-b',
                '/proc/device-tree/hypervisor/compatible': ENOENT,
                '/proc/device-tree/psci/method': ENOENT,
            },
        )
        keys = iommu_cause.missing_table(look).keys
        self.assertEqual(('iommu_other_driver',), keys)

    def test_s390x_when_pci_is_off(self):
        look = {'arch': 's390x', 'cpuinfo': 'x : y\n'}
        self.check(
            ('iommu_off_on_command_line',),
            'remove pci=nomio,off from',
            cmdline='ro pci=nomio,off',
            **look,
        )
        self.check(
            ('iommu_s390_pci_function',), cmdline='ro pci=nomio', **look
        )


class TestNoRemapping(CauseTestCase):
    why = iommu_cause.no_remapping

    def test_word_that_switches_it_off(self):
        for cmdline, word in (
            ('ro nointremap', 'nointremap'),
            ('intremap=on nointremap', 'nointremap'),
            ('intremap=on intremap=nosid,off', 'intremap=nosid,off'),
            ('noapic', 'noapic'),
            ('nolapic', 'nolapic'),
            ('disableapic', 'disableapic'),
            ('acpi=off', 'acpi=off'),
        ):
            for cpuinfo, table in ((INTEL, 'DMAR'), (AMD, 'IVRS')):
                self.check(
                    ('iommu_off_on_command_line',),
                    f'not remapped: {word}',
                    cpuinfo=cpuinfo,
                    table=table,
                    cmdline=cmdline,
                )
        self.check(
            ('iommu_off_on_command_line',),
            cpuinfo=AMD,
            table='IVRS',
            cmdline='amd_iommu=off',
        )

    def test_table_when_no_word_does(self):
        for cmdline in (
            'ro',
            'nointremap intremap=on',
            'intremap=off,on',
            'intel_iommu=off iommu=off amd_iommu=off',
            'intremap=no_x2apic_optout nox2apic',
        ):
            self.check(
                ('intremap_dmar_table',),
                'although there is a DMAR table',
                table='DMAR',
                cmdline=cmdline,
            )
        self.check(
            ('intremap_ivrs_table',),
            'ivrs_ioapic=',
            cpuinfo=AMD,
            table='IVRS',
            cmdline='iommu=off intel_iommu=off',
        )

    def test_iommu_first_when_there_is_none(self):
        self.check(
            ('iommu_amd_vi_in_firmware',), 'no IOMMU', cpuinfo=AMD, **REAL
        )

    def test_virtual_iommu(self):
        self.check(('iommu_virtual',), cpuinfo=GUEST)
        for table in ('DMAR', 'VIOT'):
            self.check(('intremap_virtual',), cpuinfo=GUEST, table=table)
        self.check(('intremap_virtual',), cpuinfo=INTEL, table='VIOT')

    def test_xen(self):
        self.check(('iommu_held_by_xen',), 'Xen does that', **XEN)


REAL = DELL
