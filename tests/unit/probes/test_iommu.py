# SPDX-License-Identifier: Apache-2.0

from testtools.matchers import Contains, EndsWith

from hvfilter.model.catalogue import Stage
from hvfilter.probes.iommu import Iommu
from tests.unit.probes.base import EACCES, ENOENT, ProbeTestCase, look_at, regs

TABLES = '/sys/firmware/acpi/tables'
GROUPS = '/sys/kernel/iommu_groups'
CLASS = '/sys/class/iommu'
IRQ = '/sys/kernel/irq'
SHOWN = {'/sys/kernel': ('debug',)}
KEYS = ('iommu', 'interrupt_remapping')


def chips(*names):
    return {
        'directories': {IRQ: (*tuple(map(str, range(len(names)))), 'x')},
        'files': {
            f'{IRQ}/{number}/chip_name': name
            for number, name in enumerate(names)
            if name
        },
    }


class TestTables(ProbeTestCase):
    probe = Iommu

    def test_present_when_a_table_describes_one(self):
        for table in ('DMAR', 'IVRS', 'VIOT'):
            look = look_at(directories={TABLES: ('APIC', table)})
            for stage in (Stage.CPU, Stage.FIRMWARE):
                said = self.one(look, 'iommu', stage)
                self.assertEqual('present', said.state.value)
                self.assertEqual(table, said.value)

    def test_absent_when_no_table_does(self):
        look = look_at(directories={TABLES: ('APIC', 'IORT')})
        for key in KEYS:
            said = self.one(look, key, Stage.FIRMWARE)
            self.assertEqual('absent', said.state.value)
            self.assertThat(said.remedy, Contains('VT-d'))
            self.assertEqual([], self.said(look, key, Stage.CPU))

    def test_unknown_when_the_tables_cannot_be_seen(self):
        for tables in (ENOENT, EACCES, ()):
            look = look_at(directories={TABLES: tables})
            for key in KEYS:
                said = self.one(look, key, Stage.FIRMWARE)
                self.assertEqual('unknown', said.state.value)

    def test_unknown_when_xen_keeps_the_table(self):
        look = look_at(
            directories={TABLES: ('APIC',)},
            files={
                '/sys/hypervisor/type': 'xen',
                '/sys/class/dmi/id/sys_vendor': 'Dell Inc.',
            },
        )
        for key in KEYS:
            said = self.one(look, key, Stage.FIRMWARE)
            self.assertEqual('unknown', said.state.value)
            self.assertThat(said.remedy, Contains('without Xen'))

    def test_nothing_when_the_architecture_tells_otherwise(self):
        for arch in ('aarch64', 's390x', 'ppc64le', 'riscv64'):
            for tables in (ENOENT, ('APIC',)):
                look = look_at(arch, directories={TABLES: tables})
                for key in KEYS:
                    self.assertEqual([], self.said(look, key, Stage.FIRMWARE))


class TestGroups(ProbeTestCase):
    probe = Iommu

    def groups(self, directories, cmdline=ENOENT, **more):
        look = look_at(
            directories=directories, files={'/proc/cmdline': cmdline}, **more
        )
        return self.one(look, 'iommu', Stage.KVM)

    def test_present_when_there_are_groups(self):
        said = self.groups({GROUPS: ('0', '1'), CLASS: ('dmar0', 'dmar1')})
        self.assertEqual('present', said.state.value)
        self.assertEqual('2 groups; drivers: dmar0, dmar1', said.value)

    def test_drivers_when_many_or_none(self):
        said = self.groups({GROUPS: ('0',), CLASS: tuple('abcde')})
        self.assertThat(said.value, Contains('a, b, c, d, ...'))
        said = self.groups({GROUPS: ('0',), CLASS: tuple('abcd')})
        self.assertEqual('1 groups; drivers: a, b, c, d', said.value)
        said = self.groups({GROUPS: ('0',)})
        self.assertThat(said.value, Contains('none named'))

    def test_absent_when_there_is_no_group(self):
        for groups in ((), ENOENT):
            said = self.groups({GROUPS: groups, **SHOWN})
            self.assertEqual('absent', said.state.value)
            self.assertEqual('no groups', said.value)
            self.assertThat(said.reason, Contains('none is in use'))

    def test_unknown_when_sysfs_is_masked(self):
        for sysfs in (ENOENT, ()):
            said = self.groups({GROUPS: ENOENT, '/sys/kernel': sysfs})
            self.assertEqual('unknown', said.state.value)
        said = self.groups({GROUPS: EACCES, **SHOWN})
        self.assertEqual('unknown', said.state.value)

    def test_every_stage_when_there_are_groups(self):
        """What the kernel uses is there, whatever a table lacks."""
        look = look_at(
            directories={
                GROUPS: ('0', '1'),
                CLASS: ('virtio0',),
                TABLES: ('APIC',),
            }
        )
        for stage in (Stage.CPU, Stage.FIRMWARE, Stage.KVM):
            said = self.said(look, 'iommu', stage)
            strongest = max(said, key=lambda said: said.strength)
            self.assertEqual('present', strongest.state.value)

    def names(self, *names, **more):
        groups = tuple(str(number) for number in range(len(names)))
        look = look_at(
            more.pop('arch', 'x86_64'),
            directories={GROUPS: groups, **more},
            files={
                f'{GROUPS}/{number}/name': name
                for number, name in enumerate(names)
                if name is not None
            },
        )
        return self.one(look, 'iommu', Stage.KVM)

    def test_groups_without_an_iommu_do_not_count(self):
        for shown in ({CLASS: ()}, {CLASS: ENOENT}, {CLASS: EACCES}, {}):
            said = self.names('vfio-noiommu', 'vfio-noiommu', **shown)
            self.assertEqual('absent', said.state.value)
            self.assertEqual('2, all vfio-noiommu', said.value)

    def test_other_groups_count(self):
        for names in (
            (ENOENT,),
            ('x',),
            ('vfio-noiommu', ENOENT),
            ('vfio-noiommu', 'x'),
        ):
            said = self.names(*names, **{CLASS: ()})
            self.assertEqual('present', said.state.value, names)
            self.assertThat(said.value, Contains('1 groups'))
        said = self.names('vfio-noiommu', **{CLASS: ('dmar0',)})
        self.assertEqual('present', said.state.value)

    def test_unknown_when_the_names_would_tell(self):
        for name in (EACCES, None):
            said = self.names(name, **{CLASS: ()})
            self.assertEqual('unknown', said.state.value)

    def test_present_when_the_architecture_names_no_driver(self):
        said = self.names(None, arch='ppc64le', **{CLASS: ()})
        self.assertEqual('present', said.state.value)


class TestInterruptRemapping(ProbeTestCase):
    probe = Iommu

    def chips(self, *names, arch='x86_64', cmdline=ENOENT):
        facts = chips(*names)
        facts['files']['/proc/cmdline'] = cmdline
        look = look_at(arch, **facts)
        return self.one(look, 'interrupt_remapping', Stage.KVM)

    def test_present_when_a_chip_remaps(self):
        for arch, name in (
            ('x86_64', 'IR-IO-APIC'),
            ('x86_64', 'IR-PCI-MSI-0000:00:1c.0'),
            ('aarch64', 'ITS-MSI'),
        ):
            said = self.chips('', name, 'IO-APIC', arch=arch)
            self.assertEqual('present', said.state.value)
            self.assertThat(said.value, EndsWith(name))

    def test_present_when_the_its_comes_after_many_others(self):
        said = self.chips(*['GICv3'] * 150, 'ITS-PCI-MSIX', arch='aarch64')
        self.assertEqual('present', said.state.value)
        self.assertEqual('ITS-PCI-MSIX', said.value)

    def test_present_when_platform_devices_come_after_the_its(self):
        chips = ['GICv3'] * 90 + ['ITS-PCI-MSIX'] + ['pl061'] * 90
        said = self.chips(*chips, arch='aarch64')
        self.assertEqual('present', said.state.value)
        self.assertEqual('pl061, ITS-PCI-MSIX', said.value)

    def test_bounded_when_there_are_thousands(self):
        said = self.chips('ITS-MSI', *['GICv3'] * 1024, arch='aarch64')
        self.assertEqual('unknown', said.state.value)

    def test_absent_when_no_chip_remaps(self):
        said = self.chips('IO-APIC', 'IO-APIC', 'PCI-MSI', 'FOR-IR')
        self.assertEqual('absent', said.state.value)
        self.assertEqual('IO-APIC, PCI-MSI, FOR-IR', said.value)
        self.assertThat(said.remedy, Contains('firmware setup'))

    def test_every_stage_when_a_chip_remaps(self):
        facts = chips('IR-IO-APIC')
        facts['directories'][TABLES] = ('APIC',)
        for stage in (Stage.CPU, Stage.FIRMWARE, Stage.KVM):
            said = self.said(look_at(**facts), 'interrupt_remapping', stage)
            strongest = max(said, key=lambda said: said.strength)
            self.assertEqual('present', strongest.state.value)

    def hyperv(self, tables, signature=b'Microsoft Hv'):
        facts = chips('IR-IO-APIC')
        facts['directories'][TABLES] = tables
        parts = [
            int.from_bytes(signature[at : at + 4], 'little')
            for at in (0, 4, 8)
        ]
        leaf = regs(0x40000001, *parts)
        look = look_at(cpuid={0x40000000: leaf}, **facts)
        return self.one(look, 'interrupt_remapping', Stage.KVM).state.value

    def test_absent_when_only_hyperv_redirects(self):
        self.assertEqual('absent', self.hyperv(('APIC',)))
        self.assertEqual('present', self.hyperv(('DMAR',)))
        self.assertEqual('unknown', self.hyperv(EACCES))
        self.assertEqual('present', self.hyperv(('APIC',), b'KVMKVMKVM\0\0\0'))

    def test_open_when_cpuid_cannot_be_read(self):
        """Only a kernel that runs under something may run under Hyper-V."""
        for flags, state in (
            ('fpu hypervisor', 'unknown'),
            ('fpu', 'present'),
        ):
            facts = chips('IR-IO-APIC')
            facts['directories'][TABLES] = ('APIC',)
            facts['files']['/proc/cpuinfo'] = f'flags : {flags}\n'
            said = self.one(look_at(**facts), 'interrupt_remapping', Stage.KVM)
            self.assertEqual(state, said.state.value)

    def test_unknown_when_chips_do_not_tell(self):
        for names, arch in (((), 'x86_64'), (('GICv3',), 'aarch64')):
            said = self.chips(*names, arch=arch)
            self.assertEqual('unknown', said.state.value)

    def test_unknown_when_chips_cannot_be_seen(self):
        look = look_at(directories={IRQ: EACCES})
        said = self.one(look, 'interrupt_remapping', Stage.KVM)
        self.assertEqual('unknown', said.state.value)

    def test_chip_without_a_name_is_passed_over(self):
        look = look_at(
            directories={IRQ: ('0', '1')},
            files={
                f'{IRQ}/0/chip_name': '\n',
                f'{IRQ}/1/chip_name': 'IO-APIC',
            },
        )
        said = self.one(look, 'interrupt_remapping', Stage.KVM)
        self.assertEqual('IO-APIC', said.value)

    def test_present_on_s390x(self):
        look = look_at('s390x')
        said = self.one(look, 'interrupt_remapping', Stage.KVM)
        self.assertEqual('present', said.state.value)

    def test_chips_are_few_when_there_are_many_interrupts(self):
        names = ['A'] * 64 + ['IR-IO-APIC']
        self.assertEqual('absent', self.chips(*names).state.value)
        names = ['A'] * 63 + ['IR-IO-APIC']
        self.assertEqual('present', self.chips(*names).state.value)

    def test_interrupts_are_looked_at_in_order_of_number(self):
        look = look_at(
            directories={IRQ: ('10', '2')},
            files={
                f'{IRQ}/10/chip_name': 'PCI-MSI',
                f'{IRQ}/2/chip_name': 'IO-APIC',
            },
        )
        said = self.one(look, 'interrupt_remapping', Stage.KVM)
        self.assertEqual('IO-APIC, PCI-MSI', said.value)

    def table(self, data):
        look = look_at(files={f'{TABLES}/DMAR': data})
        return [
            o.state.value
            for o in self.said(look, 'interrupt_remapping', Stage.FIRMWARE)
            if o.source.endswith('DMAR')
        ]

    def test_flags_of_the_table(self):
        start = b'DMAR' + bytes(33)
        for data, states in (
            (start + b'\1', ['present']),
            (start + b'\3', ['present']),
            (start + b'\0', ['absent']),
            (start + b'\2', ['absent']),
            (start, []),
            (b'', []),
            (EACCES, []),
        ):
            self.assertEqual(states, self.table(data), data)

    def test_words_of_the_table(self):
        data = b'DMAR' + bytes(33) + b'\2'
        look = look_at(files={f'{TABLES}/DMAR': data})
        said = next(
            o
            for o in self.said(look, 'interrupt_remapping', Stage.FIRMWARE)
            if o.source.endswith('DMAR')
        )
        self.assertEqual('0x2', said.value)
        self.assertEqual(
            'the DMAR table does not offer interrupt remapping', said.reason
        )
        self.assertThat(said.remedy, Contains('in the firmware setup'))

    def ecap(self, *values, arch='x86_64'):
        units = tuple(f'dmar{n}' for n in range(len(values)))
        look = look_at(
            arch,
            directories={CLASS: (*units, 'ivhd0')},
            files={
                f'{CLASS}/{unit}/intel-iommu/ecap': value
                for unit, value in zip(units, values, strict=True)
            },
        )
        return self.said(look, 'interrupt_remapping', Stage.CPU)

    def test_capability_of_the_units(self):
        for values, state in (
            (('f020df', '8'), 'present'),
            (('f020df', '0'), 'absent'),
            (('fffffff7',), 'absent'),
            (('80',), 'absent'),
        ):
            (said,) = self.ecap(*values)
            self.assertEqual(state, said.state.value)
        self.assertThat(self.ecap('8', '0')[0].value, Contains('not dmar1'))
        self.assertEqual('other hardware', self.ecap('0')[0].remedy)

    def test_nothing_of_the_units_when_they_do_not_tell(self):
        for values in ((), ('x',), (EACCES,), ('8', '')):
            self.assertEqual([], self.ecap(*values))
        self.assertEqual([], self.ecap('8', arch='aarch64'))
