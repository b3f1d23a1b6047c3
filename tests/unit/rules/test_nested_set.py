# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.rules import nested_set


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
        found = nested_set.vmx({0x480: 0x00D8_1000_11E5_7ED0})
        self.assertIn('basic: revision 0x11e57ed0', found.features)
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

    def test_digest_differs_when_only_the_revision_does(self):
        self.assertNotEqual(
            nested_set.svm(1, 1).digest, nested_set.svm(2, 1).digest
        )
        self.assertIsNotNone(nested_set.svm(1, 0))
        self.assertIsNotNone(nested_set.svm(0, 1))
