# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.rules import nested_set

CONTROLS = (
    (0x481, 'pin'),
    (0x482, 'primary'),
    (0x483, 'exit'),
    (0x484, 'entry'),
    (0x48B, 'secondary'),
    (0x48D, 'true pin'),
    (0x48E, 'true primary'),
    (0x48F, 'true exit'),
    (0x490, 'true entry'),
)
"""SDM vol. 3 app. A.3 to A.5: what must be 1 and what may be."""

CAPABILITIES = (
    (0x480, 'basic'),
    (0x485, 'misc'),
    (0x486, 'cr0 fixed 1'),
    (0x487, 'cr0 allowed 1'),
    (0x488, 'cr4 fixed 1'),
    (0x489, 'cr4 allowed 1'),
    (0x48A, 'vmcs fields'),
    (0x48C, 'ept and vpid'),
    (0x491, 'vm functions'),
    (0x492, 'tertiary'),
    (0x493, 'secondary exit'),
)
"""SDM vol. 3 app. A.1 and A.6 to A.11: each bit for itself."""

PIN = {
    0: 'external-interrupt exiting',
    3: 'NMI exiting',
    5: 'virtual NMIs',
    6: 'preemption timer',
    7: 'posted interrupts',
}
"""SDM vol. 3 table 25-5; bit numbers as in Linux asm/vmxfeatures.h."""

PRIMARY = {
    21: 'TPR shadow',
    25: 'I/O bitmaps',
    27: 'monitor trap flag',
    28: 'MSR bitmaps',
    31: 'secondary controls',
}
"""SDM vol. 3 table 25-6."""

SECONDARY = {
    0: 'virtualize APIC accesses',
    1: 'EPT',
    2: 'descriptor-table exiting',
    3: 'RDTSCP',
    4: 'virtualize x2APIC mode',
    5: 'VPID',
    6: 'WBINVD exiting',
    7: 'unrestricted guest',
    8: 'APIC-register virtualization',
    9: 'virtual-interrupt delivery',
    10: 'PAUSE-loop exiting',
    11: 'RDRAND exiting',
    12: 'INVPCID',
    13: 'VM functions',
    14: 'VMCS shadowing',
    15: 'ENCLS exiting',
    16: 'RDSEED exiting',
    17: 'PML',
    18: 'EPT violation #VE',
    20: 'XSAVES/XRSTORS',
    22: 'mode-based execute control',
    25: 'TSC scaling',
    26: 'user wait and pause',
}
"""SDM vol. 3 table 25-7."""

EPT = {
    0: 'execute-only EPT',
    6: '4-level EPT',
    7: '5-level EPT',
    16: '2 MiB EPT pages',
    17: '1 GiB EPT pages',
    20: 'INVEPT',
    21: 'EPT accessed and dirty flags',
    32: 'INVVPID',
}
"""SDM vol. 3 app. A.10."""

SVM = {
    0: 'NPT',
    1: 'LBRV',
    2: 'SVM lock',
    3: 'NRIPS',
    4: 'TSC rate MSR',
    5: 'VMCB clean bits',
    6: 'flush by ASID',
    7: 'decode assists',
    10: 'pause filter',
    12: 'pause-filter threshold',
    13: 'AVIC',
    15: 'V_VMSAVE_VMLOAD',
    16: 'vGIF',
    18: 'x2AVIC',
    25: 'vNMI',
}
"""CPUID 8000000A:EDX, APM vol. 3 app. E.4.9."""


def words(register, names, bits):
    return {f'{register}: {names.get(n, f"bit {n}")}' for n in range(bits)}


class TestVmx(testtools.TestCase):
    def test_none_when_guests_get_no_vmx(self):
        self.assertIsNone(nested_set.vmx({}))
        self.assertIsNone(nested_set.vmx({0x10A: 5, 0x47F: 1, 0x494: 1}))

    def test_settings_are_named_when_they_are_controls(self):
        found = nested_set.vmx({0x48B: (1 << 33) | (1 << 32 + 30) | 1 << 2})
        self.assertEqual(
            {
                'secondary: EPT',
                'secondary: bit 30',
                'secondary: descriptor-table exiting is always on',
            },
            found.features,
        )
        self.assertEqual('VMX', found.kind)

    def test_each_setting_is_named_as_the_manual_numbers_it(self):
        for index, register, names in (
            (0x481, 'pin', PIN),
            (0x48D, 'true pin', PIN),
            (0x482, 'primary', PRIMARY),
            (0x48E, 'true primary', PRIMARY),
            (0x483, 'exit', {}),
            (0x48B, 'secondary', SECONDARY),
        ):
            found = nested_set.vmx({index: 0xFFFFFFFF << 32})
            self.assertEqual(words(register, names, 32), found.features)
        for index, register, names in (
            (0x48C, 'ept and vpid', EPT),
            (0x491, 'vm functions', {0: 'EPTP switching'}),
        ):
            found = nested_set.vmx({index: 2**64 - 1})
            self.assertEqual(words(register, names, 64), found.features)

    def test_low_half_is_always_on_when_the_register_holds_controls(self):
        for index, register in CONTROLS:
            (feature,) = nested_set.vmx({index: 1 << 2}).features
            self.assertTrue(feature.startswith(f'{register}: '), feature)
            self.assertTrue(feature.endswith(' is always on'), feature)
            (feature,) = nested_set.vmx({index: 1}).features
            self.assertTrue(feature.endswith(' is always on'), feature)

    def test_low_half_is_like_the_high_when_the_register_holds_others(self):
        for index, register in CAPABILITIES[1:]:
            found = nested_set.vmx({index: 1 << 2 | 1 << 34})
            self.assertEqual(
                {f'{register}: bit 2', f'{register}: bit 34'}, found.features
            )

    def test_every_register_has_a_name(self):
        self.assertEqual(
            set(nested_set.VMX_MSRS),
            {index for index, _ in CONTROLS + CAPABILITIES},
        )

    def test_settings_are_named_alike_when_they_are_true_controls(self):
        found = nested_set.vmx({0x48D: 1 << 39, 0x490: 1 << 32})
        self.assertEqual(
            {'true pin: posted interrupts', 'true entry: bit 0'},
            found.features,
        )

    def test_bits_are_named_when_they_are_capabilities(self):
        found = nested_set.vmx({0x48C: 1 << 6 | 1 << 32, 0x493: 1 << 63})
        self.assertEqual(
            {
                'ept and vpid: 4-level EPT',
                'ept and vpid: INVVPID',
                'secondary exit: bit 63',
            },
            found.features,
        )

    def test_revision_is_one_feature_when_it_is_the_basic_msr(self):
        found = nested_set.vmx({0x480: 0x00D8_1000_11E5_7ED1})
        self.assertIn('basic: revision 0x11e57ed1', found.features)
        self.assertIn('basic: bit 55', found.features)
        self.assertNotIn('basic: bit 4', found.features)

    def test_digest_is_equal_exactly_when_the_registers_are(self):
        one = nested_set.vmx({0x480: 5, 0x48B: 1 << 33})
        same = nested_set.vmx({0x48B: 1 << 33, 0x480: 5, 0x10A: 99})
        other = nested_set.vmx({0x480: 5, 0x48B: 1 << 34})
        fewer = nested_set.vmx({0x480: 5})
        self.assertEqual(one, same)
        self.assertEqual(one.digest, same.digest)
        self.assertEqual(3, len({one.digest, other.digest, fewer.digest}))
        self.assertRegex(one.digest, '^[0-9a-f]{16}$')
        self.assertEqual(f'VMX {one.digest} (2 features)', str(one))


class TestSvm(testtools.TestCase):
    def test_none_when_guests_get_no_svm(self):
        self.assertIsNone(nested_set.svm(0, 0))

    def test_features_are_named_when_known(self):
        found = nested_set.svm(1, 0b1001 | 1 << 31)
        self.assertEqual(
            {'SVM: NPT', 'SVM: NRIPS', 'SVM: bit 31'}, found.features
        )
        self.assertEqual('SVM', found.kind)
        found = nested_set.svm(1, 2**32 - 1)
        self.assertEqual(words('SVM', SVM, 32), found.features)

    def test_digest_differs_when_only_the_revision_does(self):
        self.assertNotEqual(
            nested_set.svm(1, 1).digest, nested_set.svm(2, 1).digest
        )
        self.assertEqual(
            (('CPUID 8000000A:EAX', 1), ('CPUID 8000000A:EDX', 9)),
            nested_set.svm(1, 9).values,
        )
        self.assertIsNotNone(nested_set.svm(1, 0))
        self.assertIsNotNone(nested_set.svm(0, 1))
