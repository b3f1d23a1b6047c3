# SPDX-License-Identifier: Apache-2.0

import traceback

import testtools

from hvfilter.host.base import Denied, Host
from hvfilter.host.facts import Machine
from hvfilter.model.catalogue import Arch
from hvfilter.probes import context
from hvfilter.probes.context import ProbeContext, truth
from tests.unit.probes.base import EACCES, ENOENT, entry, look_at


class Refusing(Host):
    """A host that denies everything, and counts."""

    origin = 'refusing'

    def __init__(self):
        self.asked = []

    def machine(self):
        raise Denied('uname', 'EACCES')

    def ask(self, question):
        self.asked.append(question)
        raise Denied(str(question), 'EACCES')


class TestParsers(testtools.TestCase):
    def test_truth_of_a_parameter(self):
        for text, value in (
            ('Y', True),
            ('N', False),
            ('1', True),
            ('0', False),
            ('y\n', True),
            (' n ', False),
            ('-1', None),
            ('', None),
            ('2', None),
            ('yes', None),
        ):
            self.assertIs(value, truth(text), text)

    def test_number_of_ordinary_size(self):
        for text, value in (
            ('0', 0),
            ('007', 7),
            ('999999999', 999999999),
            ('1000000000', None),
            ('9' * 5000, None),
            ('', None),
            ('-1', None),
            ('1 ', None),
            ('\u00b2', None),
        ):
            self.assertEqual(value, context.number(text), text[:20])

    def test_parameter_path(self):
        self.assertEqual(
            '/sys/module/kvm/parameters/nested',
            context.parameter_path('kvm', 'nested'),
        )


class TestLook(testtools.TestCase):
    def test_denial_when_asked_twice(self):
        """A fact is asked once, and its denial remembered."""
        host = Refusing()
        look = ProbeContext(host)
        questions = (
            lambda: look.cpuinfo,
            lambda: look.text('/a'),
            lambda: look.names('/a'),
            lambda: look.cpuid(0, 1),
            lambda: look.msr(0, 0x3A),
            look.kvm_api_version,
            lambda: look.kvm_extension(1),
            look.kvm_supported_cpuid,
            look.kvm_feature_msrs,
            look.smoke,
        )
        for question in (*questions, *questions):
            self.assertRaises(Denied, question)
        self.assertEqual(len(questions), len(host.asked))
        self.assertEqual(len(host.asked), len(set(host.asked)))

    def test_machine_when_denied(self):
        look = ProbeContext(Refusing())
        self.assertIs(Arch.OTHER, look.arch)
        self.assertEqual('', look.kernel)
        self.assertEqual((0, 0), look.kernel_version)
        self.assertEqual((0,), look.cpus)

    def test_kernel_version_when_of_many_forms(self):
        for kernel, version in (
            ('6.12.63+deb13-amd64', (6, 12)),
            ('5.4', (5, 4)),
            ('6.18.44-x', (6, 18)),
            ('7.0-rc1', (7, 0)),
            ('', (0, 0)),
            ('next', (0, 0)),
        ):
            self.assertEqual(
                version, look_at(kernel=kernel).kernel_version, kernel
            )

    def test_cpus_when_sysfs_tells(self):
        self.assertEqual((0, 1, 2), look_at(cpus=3).cpus)

    def test_cpus_when_only_cpuinfo_tells(self):
        look = look_at(
            files={
                '/sys/devices/system/cpu/online': ENOENT,
                '/proc/cpuinfo': 'processor: 3\nprocessor: x\nprocessor: 5\n',
            }
        )
        self.assertEqual((3, 5), look.cpus)

    def test_cpus_when_nothing_tells(self):
        for files in (
            {'/sys/devices/system/cpu/online': 'nonsense'},
            {'/sys/devices/system/cpu/online': EACCES, '/proc/cpuinfo': ''},
        ):
            self.assertEqual((0,), look_at(files=files).cpus)

    def test_misc_when_it_lists_devices(self):
        look = look_at(files={'/proc/misc': '232 kvm\n 1 psaux\nbroken\n'})
        self.assertTrue(look.kvm_registered)
        self.assertTrue(look.misc_registered('psaux'))
        self.assertFalse(look.misc_registered('sev'))
        self.assertFalse(look.misc_registered('1'))
        self.assertFalse(
            look_at(files={'/proc/misc': '9 kvm x\n'}).kvm_registered
        )

    def test_module_when_listed(self):
        look = look_at(
            modules={'kvm'},
            files={'/sys/module/kvm/parameters/nested': ' 1\n'},
        )
        self.assertTrue(look.module_loaded('kvm'))
        self.assertFalse(look.module_loaded('kvm_intel'))
        self.assertEqual('1', look.module_parameter('kvm', 'nested'))

    def test_supported_cpuid_when_asked_by_leaf(self):
        from tests.recordings import KvmAnswers

        answers = KvmAnswers(supported_cpuid=(entry(1, ecx=5), entry(7)))
        found = look_at(kvm=answers).guest_cpuid()
        self.assertEqual({(1, 0), (7, 0)}, set(found))
        self.assertEqual(5, found[1, 0].regs.ecx)

    def test_arch_when_told(self):
        self.assertIs(Arch.S390X, look_at(arch='s390x').arch)
        self.assertEqual('x86_64', look_at().host.machine().arch)
        self.assertIsInstance(look_at().host.machine(), Machine)


class TestCommandLine(testtools.TestCase):
    def test_word_that_wins(self):
        look = look_at(
            files={'/proc/cmdline': 'kvm-intel.ept=0 kvm_intel.ept=1 iommu=pt'}
        )
        self.assertEqual('1', look.boot_word('kvm_intel.ept').value)
        self.assertEqual(2, len(look.boot_words('kvm_intel.ept')))
        self.assertIsNone(look.boot_word('intel_iommu'))

    def test_no_word_when_the_line_cannot_be_read(self):
        look = look_at(files={'/proc/cmdline': EACCES})
        self.assertIsNone(look.boot_word('iommu'))
        self.assertEqual((), look.boot_words('iommu'))
        self.assertRaises(Denied, lambda: look.cmdline)


class TestDenials(testtools.TestCase):
    def test_no_memory_is_taken_when_a_denial_is_raised_again(self):
        host = Refusing()
        look = ProbeContext(host)
        depths = set()
        for _ in range(3):
            try:
                look.text('/x')
            except Denied as denied:
                depths.add(len(list(traceback.walk_tb(denied.__traceback__))))
        self.assertEqual(1, len(host.asked))
        self.assertEqual(1, len(depths))
