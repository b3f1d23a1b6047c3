# SPDX-License-Identifier: Apache-2.0

import itertools
import xml.etree.ElementTree as ET

import testtools

from hvfilter.host.question import KVM_FEATURE_MSRS
from hvfilter.model import nested_flags
from hvfilter.model.nested_registers import RESTORED_MSRS, Registers
from hvfilter.rules import nested_set
from tests.unit.model import libvirt_features
from tests.unit.test_hosts import recorded_hosts

LEFT_OUT = {'vmx-ept-uc', 'vmx-ept-wb', 'vmx-true-ctls'}
NAMES = set(nested_flags.FLAGS.values())

MAP = """\
<cpus>
  <feature name='vmx-ept'>
    <msr index='0x0000048b' eax='0x00000002' edx='0x00000000'/>
  </feature>
  <feature name='vmx-ins-outs'>
    <msr index='0x00000480' eax='0x00000000' edx='0x00400000'/>
  </feature>
  <feature name='npt'>
    <cpuid eax_in='0x8000000a' edx='0x00000001'/>
  </feature>
  <feature name='ssbd'>
    <cpuid eax_in='0x07' ecx_in='0x00' edx='0x80000000'/>
    <msr index='0x00000122' eax='0x1' edx='0x0'/>
  </feature>
</cpus>
"""


def recorded_sets():
    """Every distinct set of VMX that a recorded host offers."""
    found = {}
    for _, recorded in recorded_hosts():
        msrs = recorded.answers.get(KVM_FEATURE_MSRS)
        if isinstance(msrs, dict) and Registers.vmx(msrs):
            found[Registers.vmx(msrs)] = None
    return list(found)


class NamesTest(testtools.TestCase):
    def wanted(self, features):
        """What our table must hold of these."""
        counted = (*RESTORED_MSRS, libvirt_features.SVM)
        return {
            (register, bits.bit_length() - 1): name
            for name, register, bits in features
            if name not in LEFT_OUT and register in counted
        }

    def test_those_of_libvirt(self):
        features = libvirt_features.recorded()
        self.assertEqual(self.wanted(features), dict(nested_flags.FLAGS))

    def test_those_of_the_installed_libvirt(self):
        try:
            xml = libvirt_features.INSTALLED.read_text()
        except OSError:
            self.skipTest('libvirt is not installed')
        installed = self.wanted(libvirt_features.parse(xml))
        for bit, name in installed.items():
            self.assertEqual(name, nested_flags.FLAGS.get(bit, name))
        self.assertIn('npt', installed.values())

    def test_map_is_read_as_libvirt_means_it(self):
        self.assertEqual(
            [
                ('vmx-ept', 0x48B, 2 << 32),
                ('vmx-ins-outs', 0x480, 1 << 54),
                ('npt', 0x8000000A, 1),
            ],
            list(libvirt_features.parse(MAP)),
        )
        self.assertRaises(
            ET.ParseError, lambda: list(libvirt_features.parse('<cpus>'))
        )


class WithoutTest(testtools.TestCase):
    def test_what_qemu_removes_with_ept(self):
        (offered, *_) = recorded_sets()
        less = nested_flags.without(offered, ['vmx-ept'])
        self.assertTrue(offered[0x48B] >> 33 & 1)
        self.assertFalse(less[0x48B] >> 33 & 1)
        self.assertFalse(less[0x48B] >> 39 & 1)
        self.assertEqual(0, less[0x48C] & 0xFFFFFFFF)
        self.assertEqual(offered[0x48C] >> 32, less[0x48C] >> 32)

    def test_all_secondary_controls_go_with_their_switch(self):
        offered = Registers.vmx(
            {0x48B: 0x222 << 32, 0x48C: 0x4141, 0x48E: 1 << 63 | 1 << 39}
        )
        less = nested_flags.without(offered, ['vmx-secondary-ctls'])
        self.assertEqual(Registers.vmx({0x48E: 1 << 39}), less)

    def test_nothing_when_the_flag_is_another(self):
        for offered in recorded_sets():
            same = nested_flags.without(offered, ['pcid', 'vmx', 'npt'])
            self.assertEqual(offered, same)

    def test_svm(self):
        offered = Registers.svm(0x10000009)
        less = nested_flags.without(offered, ['npt', 'vmx-ept'])
        self.assertEqual(Registers.svm(0x10000008), less)
        self.assertEqual(
            Registers.svm(0), nested_flags.without(Registers.svm(1), ['npt'])
        )

    def test_none_when_nothing_is_left(self):
        offered = Registers.vmx({0x491: 1})
        self.assertIsNone(
            nested_flags.without(offered, ['vmx-eptp-switching'])
        )

    def test_guests_with_less_go_on_where_there_is_more(self):
        """By KVM's rule, whatever was removed."""
        for offered, name in itertools.product(recorded_sets(), NAMES):
            less = nested_flags.without(offered, [name])
            self.assertEqual((), nested_set.missing(offered, less), name)
