# SPDX-License-Identifier: Apache-2.0
"""Which hosts can take which guests, compared with KVM's own rule."""

import itertools
import pathlib
import random

import testtools

from hvfilter.host import snapshot
from hvfilter.host.recorded import RecordedHost
from hvfilter.model import nested_evidence
from hvfilter.model.nested_registers import (
    RESTORED_MSRS,
    SVM_FEATURES,
    Kind,
    Registers,
)
from hvfilter.rules import nested_set
from tests.hosts import make
from tests.unit.rules.kvm_restore import Vcpu

HOSTS = pathlib.Path(make.__file__).parent
CONTROLS = (0x48B, 0x48D, 0x48E, 0x48F, 0x490)
IN_KVM = tuple(n for n in RESTORED_MSRS if n not in (0x492, 0x493))


def recorded():
    """Each set that a recording at hand has, with one that has it."""
    found = {}
    for path in sorted(HOSTS.glob('*.json')):
        host = snapshot.loads(path.read_bytes())
        registers = nested_evidence.registers(make.report_on(host))
        if registers is not None:
            found.setdefault(registers, RecordedHost(host))
    return found


RECORDED = recorded()
VMX = [each for each in RECORDED if each.kind is Kind.VMX]
SVM = [each for each in RECORDED if each.kind is Kind.SVM]


def msrs(registers):
    return dict(registers.values)


def kvm_accepts(target, source):
    # KVM lists each of them, also those that are 0.
    return Vcpu(msrs(target)).arrives({n: source[n] for n in IN_KVM})


def varied(registers, rng, changes):
    """A host like it, with some bits changed."""
    values = msrs(registers)
    for _ in range(changes):
        number = rng.choice(IN_KVM)
        bits = 64 if number in CONTROLS or number == 0x480 else 48
        values[number] = values.get(number, 0) ^ 1 << rng.randrange(bits)
    return Registers.vmx(values)


def offered(registers):
    """What a host may offer: no VMX with addresses of 32 bits."""
    values = msrs(registers)
    values[0x480] &= ~(1 << 48)
    return Registers.vmx(values)


class RecordingsTest(testtools.TestCase):
    def test_recordings_have_sets_of_both_kinds(self):
        self.assertTrue(len(VMX) >= 6 and len(SVM) >= 6, RECORDED)

    def test_all_pairs_agree_with_kvms_rule(self):
        for target, source in itertools.product(VMX, VMX):
            self.assertEqual(
                kvm_accepts(target, source),
                nested_set.accepts(target, source),
                nested_set.missing(target, source),
            )

    def test_set_is_what_kvm_offers(self):
        """Or less, where Nova's flags remove some of it from guests."""
        for registers, host in RECORDED.items():
            if 'cpu_model_extra_flags removes' in host.snapshot.origin.note:
                continue
            if registers.kind is Kind.VMX:
                shown = host.kvm_feature_msrs()
                for number in shown.keys() & RESTORED_MSRS:
                    self.assertEqual(shown[number], registers[number])
                self.assertTrue(msrs(registers).keys() <= shown.keys())
            else:
                (leaf,) = (
                    entry.regs
                    for entry in host.kvm_supported_cpuid()
                    if entry.leaf == SVM_FEATURES
                )
                self.assertEqual(leaf.edx, registers[SVM_FEATURES])

    def test_trait_carries_all_of_it(self):
        for registers in RECORDED:
            self.assertEqual(registers, nested_set.of_trait(registers.trait))

    def test_svm_follows_the_features_in_cpuid(self):
        for target, source in itertools.product(SVM, SVM):
            lacking = source[SVM_FEATURES] & ~target[SVM_FEATURES]
            self.assertEqual(not lacking, nested_set.accepts(target, source))

    def test_neither_kind_accepts_the_other(self):
        for one, other in itertools.product(VMX, SVM):
            self.assertEqual(
                ('SVM (it offers VMX)',), nested_set.missing(one, other)
            )
            self.assertEqual(
                ('VMX (it offers SVM)',), nested_set.missing(other, one)
            )
            self.assertIsNone(nested_set.common([one, other]))


class VariedHostsTest(testtools.TestCase):
    """Hosts that nobody recorded: bits of recorded ones changed."""

    def setUp(self):
        super().setUp()
        rng = random.Random(16)
        self.pairs = []
        for each in VMX * 300:
            one = offered(varied(each, rng, rng.randrange(3)))
            self.pairs.append((one, varied(one, rng, rng.randrange(1, 4))))

    def test_varied_hosts_agree_with_kvms_rule(self):
        verdicts = set()
        for target, source in self.pairs:
            verdict = kvm_accepts(target, source)
            verdicts.add(verdict)
            self.assertEqual(
                verdict,
                nested_set.accepts(target, source),
                (str(target), str(source)),
            )
        self.assertEqual({True, False}, verdicts)

    def test_what_is_common_is_accepted_by_both(self):
        found = 0
        for one, other in self.pairs:
            common = nested_set.common([one, other])
            if common is None:
                continue
            found += 1
            for each in (one, other):
                self.assertTrue(
                    kvm_accepts(each, common), (str(each), str(common))
                )
        self.assertTrue(found > len(self.pairs) / 4)

    def test_what_is_common_is_the_greatest(self):
        for one, other in self.pairs:
            if nested_set.accepts(one, other):
                common = nested_set.common([one, other])
                self.assertIsNotNone(common)
                self.assertTrue(nested_set.accepts(common, other))

    def test_set_accepts_itself(self):
        for one, _ in self.pairs:
            self.assertEqual((), nested_set.missing(one, one))


class WordsTest(testtools.TestCase):
    def missing(self, there, has):
        return nested_set.missing(Registers.vmx(there), Registers.vmx(has))

    def test_controls_are_named(self):
        ept, vpid = 1 << 33, 1 << 37
        self.assertEqual(
            ('secondary: EPT',),
            self.missing({0x48B: vpid}, {0x48B: vpid | ept}),
        )
        self.assertEqual(
            ('true pin: NMI exiting can be off',),
            self.missing({0x48D: 0x7F << 32 | 8}, {0x48D: 0x7F << 32}),
        )

    def test_numbers_are_named(self):
        self.assertEqual(
            ('basic: revision 0x11',),
            self.missing({0x480: 0x13}, {0x480: 0x11}),
        )
        self.assertEqual(
            ('basic: VMCS of 1024 bytes',),
            self.missing({0x480: 0x1000 << 32 | 1}, {0x480: 1 << 42 | 1}),
        )
        timer = {0x48D: 1 << 38}
        self.assertEqual(
            ('misc: preemption timer rate 5',),
            self.missing({**timer, 0x485: 7}, {**timer, 0x485: 5}),
        )
        self.assertEqual(
            (
                'misc: bit 14',
                'misc: 4 CR3 targets',
                'misc: 2 times 512 MSRs',
                'misc: SMM monitor revision 0x1',
            ),
            self.missing({0x485: 7}, {0x485: 0x1_0404_4007}),
        )

    def test_fixed_bits_are_named(self):
        self.assertEqual(
            ('cr4 fixed 1: bit 13 may be 0',),
            self.missing({0x480: 1, 0x488: 1 << 13}, {0x480: 1}),
        )

    def test_features_of_svm_are_named(self):
        self.assertEqual(
            ('SVM: NPT', 'SVM: vGIF', 'SVM: bit 28'),
            nested_set.missing(Registers.svm(0x8), Registers.svm(0x10010009)),
        )

    def test_order_is_that_of_the_registers(self):
        has = {0x480: 1 << 55, 0x48B: 1 << 33, 0x491: 1}
        self.assertEqual(
            (
                'basic: bit 55',
                'secondary: EPT',
                'vm functions: EPTP switching',
            ),
            self.missing({0x485: 1 << 5}, has),
        )


class CommonTest(testtools.TestCase):
    def test_none_of_nothing(self):
        self.assertIsNone(nested_set.common([]))

    def test_the_set_itself_when_it_is_one(self):
        self.assertEqual(SVM[0], nested_set.common([SVM[0]]))

    def test_none_when_any_three_have_none(self):
        self.assertIsNone(nested_set.common([SVM[0], VMX[0], SVM[0]]))

    def test_none_when_a_number_must_be_the_same(self):
        for number, value in ((0x480, 0x11), (0x485, 1 << 32)):
            one = Registers.vmx({number: value, 0x48B: 1 << 33})
            other = Registers.vmx({0x48B: 1 << 33})
            self.assertIsNone(nested_set.common([one, other]))

    def test_timer_is_dropped_when_its_rates_differ(self):
        one = Registers.vmx({0x485: 5, 0x48D: 0x7F << 32})
        other = Registers.vmx({0x485: 7, 0x48D: 0x7F << 32})
        found = nested_set.common([one, other])
        self.assertEqual({0x48D: 0x3F << 32}, msrs(found))

    def test_svm_is_what_both_have(self):
        found = nested_set.common([Registers.svm(9), Registers.svm(0x21)])
        self.assertEqual(Registers.svm(1), found)


class OfTraitsTest(testtools.TestCase):
    def test_known_when_there_is_one(self):
        one = SVM[0]
        names = {'CUSTOM_HVFILTER_NESTED', one.trait, 'HW_CPU_X86_SVM'}
        self.assertEqual(one, nested_set.of_traits(names))

    def test_not_known_when_there_is_none_or_two(self):
        self.assertIsNone(nested_set.of_traits({'CUSTOM_HVFILTER_NESTED'}))
        self.assertIsNone(nested_set.of_traits({SVM[0].trait, SVM[1].trait}))
