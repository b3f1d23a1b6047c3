# SPDX-License-Identifier: Apache-2.0

import time

import testtools

from hvfilter.model.nested_registers import Kind, Registers
from hvfilter.rules import nested_classes

NPT, NRIPS, GIF = 1, 8, 1 << 16
BIG = Registers.svm(NPT | NRIPS | GIF)
NO_NPT = Registers.svm(NRIPS | GIF)
NO_GIF = Registers.svm(NPT | NRIPS)
EPT = Registers.vmx({0x480: 0x11, 0x48B: 1 << 33 | 1 << 37})
NO_EPT = Registers.vmx({0x480: 0x11, 0x48B: 1 << 37})
OTHER = Registers.vmx({0x480: 0x12, 0x48B: 1 << 37})


class ClassesTest(testtools.TestCase):
    def test_none_of_nothing(self):
        found = nested_classes.group({})
        self.assertEqual(((), {}), (found.classes, found.common))
        self.assertTrue(found.exchange)

    def test_whoever_accepts_another_comes_first(self):
        found = nested_classes.group(
            {'d': NO_NPT, 'c': NO_GIF, 'b': BIG, 'a': NO_GIF}
        )
        self.assertEqual(
            [
                ('SVM-1', ('b',), ('SVM-2', 'SVM-3')),
                ('SVM-2', ('a', 'c'), ()),
                ('SVM-3', ('d',), ()),
            ],
            [(each.label, each.hosts, each.accepts) for each in found.classes],
        )

    def test_what_a_class_lacks_and_what_is_beyond_the_common_set(self):
        found = nested_classes.group({'a': BIG, 'b': NO_NPT, 'c': NO_GIF})
        self.assertEqual(Registers.svm(NRIPS), found.common[Kind.SVM])
        self.assertEqual(
            [
                ((), ('SVM: NPT', 'SVM: vGIF')),
                (('SVM: NPT',), ('SVM: vGIF',)),
                (('SVM: vGIF',), ('SVM: NPT',)),
            ],
            [(each.lacks, each.surplus) for each in found.classes],
        )
        self.assertFalse(found.exchange)

    def test_kinds_are_apart(self):
        found = nested_classes.group({'a': EPT, 'b': BIG})
        self.assertEqual(
            ['VMX-1', 'SVM-1'], [each.label for each in found.classes]
        )
        self.assertEqual({Kind.VMX: EPT, Kind.SVM: BIG}, found.common)
        self.assertEqual(['SVM-1'], [e.label for e in found.of(Kind.SVM)])
        self.assertFalse(found.exchange)
        self.assertTrue(nested_classes.group({'a': EPT, 'b': EPT}).exchange)

    def test_nothing_is_common_when_a_revision_differs(self):
        found = nested_classes.group({'a': EPT, 'b': OTHER})
        self.assertEqual({Kind.VMX: None}, found.common)
        self.assertEqual({()}, {each.surplus for each in found.classes})

    def test_flags_take_what_is_beyond(self):
        self.assertEqual(
            ('-npt', '-vgif'), nested_classes.flags(Registers.svm(NRIPS), BIG)
        )
        self.assertEqual(('-vmx-ept',), nested_classes.flags(NO_EPT, EPT))
        self.assertEqual((), nested_classes.flags(BIG, BIG))

    def test_parameters_may_add_what_is_lacked(self):
        self.assertEqual(
            ('kvm_amd npt=1',), nested_classes.parameters(NO_NPT, [BIG, EPT])
        )
        self.assertEqual(
            ('kvm_intel ept=1',),
            nested_classes.parameters(NO_EPT, [EPT, BIG]),
        )
        self.assertEqual((), nested_classes.parameters(BIG, [NO_NPT]))

    def test_differences_name_classes_and_features(self):
        self.assertEqual('', nested_classes.differences({}))
        self.assertEqual('', nested_classes.differences({'a': BIG, 'b': BIG}))
        self.assertEqual(
            'SVM-1 (a, b, c, ...) has all of its kind; SVM-2 (e) lacks SVM: '
            'NPT',
            nested_classes.differences(
                {**dict.fromkeys('abcd', BIG), 'e': NO_NPT}
            ),
        )
        self.assertEqual(
            'VMX-1 (a) has all of its kind; SVM-1 (b) has all of its kind',
            nested_classes.differences({'a': EPT, 'b': BIG}),
        )

    def test_what_is_lost(self):
        self.assertEqual(('SVM: NPT',), nested_classes.lost(BIG, NO_NPT))
        self.assertEqual(('all of it',), nested_classes.lost(BIG, None))

    def test_ten_thousand_hosts_take_little_time(self):
        sets = [Registers.svm(edx) for edx in range(40)]
        hosts = {f'kvm{n}': sets[n % len(sets)] for n in range(10_000)}
        began_s = time.process_time()
        found = nested_classes.group(hosts)
        self.assertEqual(40, len(found.classes))
        self.assertTrue(time.process_time() - began_s < 2)
