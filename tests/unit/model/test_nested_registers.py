# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.model import catalogue, dated, nested_registers
from hvfilter.model.nested_registers import Kind, Registers

PREFIX = 'CUSTOM_HVFILTER_NESTED_SET_'
FULL = {0x400 | i: 2**64 - 1 for i in range(0x80, 0x94)}
SOME = {0x480: 0xD8100011E57ED0, 0x48B: 0x27BFF00000000, 0x491: 1}


class TraitTest(testtools.TestCase):
    def test_vmx_is_numbers_and_values(self):
        self.assertEqual(
            f'{PREFIX}VMX_80D8100011E57ED0_8B27BFF00000000_911',
            Registers.vmx(SOME).trait,
        )

    def test_svm_is_the_register(self):
        self.assertEqual(
            f'{PREFIX}SVM_10000021', Registers.svm(1 << 28 | 33).trait
        )
        self.assertEqual(f'{PREFIX}SVM_0', Registers.svm(0).trait)

    def test_zeros_and_other_registers_are_left_out(self):
        more = {**SOME, 0x485: 0, 0x481: 7, 0x487: 7, 0x48A: 0x32, 0x10A: 9}
        self.assertEqual(Registers.vmx(SOME), Registers.vmx(more))
        self.assertIsNone(Registers.vmx({0x481: 7, 0x48B: 0}))

    def test_name_is_as_long_as_placement_allows(self):
        most = Registers.vmx({i: v for i, v in FULL.items() if i < 0x492})
        self.assertEqual(len(f'{PREFIX}VMX') + 11 * 19, len(most.trait))
        self.assertTrue(len(most.trait) <= 255)
        self.assertEqual(most, nested_registers.parse_trait(most.trait))

    def test_no_name_when_it_would_be_too_long(self):
        self.assertEqual('', Registers.vmx(FULL).trait)

    def test_name_is_ours_and_no_capability(self):
        for found in (Registers.vmx(SOME), Registers.svm(9), Registers.svm(0)):
            self.assertTrue(catalogue.is_own(found.trait))
            self.assertNotIn(found.trait, catalogue.BY_TRAIT)
            self.assertIsNone(dated.parse(found.trait))
            self.assertEqual(found, nested_registers.parse_trait(found.trait))

    def test_names_of_others_are_left_alone(self):
        for name in (
            f'{PREFIX}VMX',
            f'{PREFIX}VMX_',
            f'{PREFIX}VMX_80',
            f'{PREFIX}VMX_800',
            f'{PREFIX}VMX_80g',
            f'{PREFIX}VMX_701',
            f'{PREFIX}VMX_80' + '1' * 17,
            f'{PREFIX}VMX_801\n',
            f'{PREFIX}SVM',
            f'{PREFIX}SVM_09',
            f'{PREFIX}SVM_123456789',
            f'{PREFIX}SVM_9_9',
            f'{PREFIX}EL2_9',
            f'X{PREFIX}SVM_9',
        ):
            self.assertFalse(catalogue.is_own(name), name)
            self.assertIsNone(nested_registers.parse_trait(name), name)

    def test_not_known_when_hvfilter_writes_no_such_name(self):
        for fields in ('8B1_801', '801_801', '811', '8A32_801'):
            name = f'{PREFIX}VMX_{fields}'
            self.assertTrue(catalogue.is_own(name))
            self.assertIsNone(nested_registers.parse_trait(name), name)


class TextTest(testtools.TestCase):
    def test_text_is_read_back(self):
        for found in (Registers.vmx(SOME), Registers.svm(9), Registers.svm(0)):
            text = str(found)
            self.assertEqual(
                found, nested_registers.parse_text(found.kind, text)
            )
        self.assertEqual(
            '0x480=0xd8100011e57ed0, 0x48b=0x27bff00000000, 0x491=0x1',
            str(Registers.vmx(SOME)),
        )
        self.assertEqual('0x8000000a=0x0', str(Registers.svm(0)))

    def test_none_when_it_is_something_else(self):
        for text in (
            '',
            '0x480',
            '0x480=1',
            '0x480=0x1,0x48b=0x1',
            '0x480=0x1...',
        ):
            for kind in Kind:
                self.assertIsNone(nested_registers.parse_text(kind, text))
        self.assertIsNone(nested_registers.parse_text(Kind.SVM, '0x480=0x1'))
        self.assertIsNone(
            nested_registers.parse_text(Kind.VMX, '0x8000000a=0x1')
        )
