# SPDX-License-Identifier: Apache-2.0

import re

import testtools

from hvfilter.model import catalogue
from hvfilter.model.catalogue import CATALOGUE, Arch, Stage


class TestCatalogue(testtools.TestCase):
    def test_rows_when_read(self):
        keys = [row.key for row in CATALOGUE]
        self.assertEqual(len(keys), len(set(keys)))
        for row in CATALOGUE:
            self.assertTrue(re.fullmatch('[a-z][a-z0-9_]*', row.key), row.key)
            self.assertEqual(f'CUSTOM_HVFILTER_{row.key.upper()}', row.trait)
            # As Placement takes them.
            self.assertTrue(re.fullmatch('[A-Z0-9_]{1,255}', row.trait))
            self.assertTrue(row.meaning)
            self.assertTrue(row.source)
            self.assertFalse(row.meaning.endswith('.'), row.key)

    def test_stages_when_read(self):
        order = list(Stage)
        for row in CATALOGUE:
            positions = [order.index(stage) for stage in row.stages]
            self.assertEqual(sorted(positions), positions, row.key)
            # What Nova alone decides asks nothing of the processor.
            first = Stage.NOVA if row.key == 'tcg' else Stage.CPU
            self.assertIs(first, row.stages[0])
            self.assertTrue(row.decisive)
            self.assertLessEqual(row.decisive, set(row.stages))

    def test_vendors_when_a_flag_is_one_vendors_form(self):
        """Or the rules hold it possible on the other vendor's hosts."""
        for row in CATALOGUE:
            forms = [form for form in (row.flag, row.svm_flag) if form]
            if forms:
                vendors = {form.vendor for form in forms}
                self.assertEqual(vendors, row.vendors, row.key)
            self.assertTrue(row.name)
            if row.parameter:
                self.assertTrue(row.module, row.key)

    def test_indexes_when_read(self):
        self.assertEqual(len(CATALOGUE), len(catalogue.BY_KEY))
        self.assertEqual(len(CATALOGUE), len(catalogue.BY_TRAIT))
        for row in CATALOGUE:
            self.assertIs(row, catalogue.BY_KEY[row.key])
            self.assertIs(row, catalogue.BY_TRAIT[row.trait])
            self.assertIn(row.trait, catalogue.OWN_TRAITS)
        self.assertIn(catalogue.REPORTED_TRAIT, catalogue.OWN_TRAITS)
        self.assertNotIn('reported', catalogue.BY_KEY)

    def test_retired_traits_when_read(self):
        self.assertLessEqual(catalogue.RETIRED_TRAITS, catalogue.OWN_TRAITS)
        self.assertFalse(catalogue.RETIRED_TRAITS & set(catalogue.BY_TRAIT))

    def test_arch_when_of_a_machine(self):
        for machine, arch in (
            ('x86_64', Arch.X86),
            ('i686', Arch.X86),
            ('aarch64', Arch.ARM64),
            ('s390x', Arch.S390X),
            ('ppc64le', Arch.PPC64),
            ('riscv64', Arch.RISCV64),
            ('loongarch64', Arch.LOONGARCH64),
            ('ia64', Arch.IA64),
            ('armv7l', Arch.OTHER),
            ('', Arch.OTHER),
        ):
            self.assertIs(arch, Arch.from_machine(machine), machine)

    def test_own_when_name_has_a_changing_part(self):
        for name in (
            'CUSTOM_HVFILTER_KVM',
            'CUSTOM_HVFILTER_REPORTED',
            'CUSTOM_HVFILTER_REPORTED_2026W48',
            'CUSTOM_HVFILTER_REPORTED_2026W53',
            'CUSTOM_HVFILTER_NESTED_UNKNOWN_2026W01',
            'CUSTOM_HVFILTER_NESTED_SLAT_UNKNOWN_2026W01',
            'CUSTOM_HVFILTER_REPORTED_UNKNOWN_2026W01',
        ):
            self.assertTrue(catalogue.is_own(name), name)

    def test_own_when_name_only_begins_like_it(self):
        for name in (
            'CUSTOM_HVFILTER_REPORTED_',
            'CUSTOM_HVFILTER_REPORTED_2026',
            'CUSTOM_HVFILTER_REPORTED_2026W54',
            'CUSTOM_HVFILTER_REPORTED_2026W00',
            'CUSTOM_HVFILTER_REPORTED_2026W48_1',
            'CUSTOM_HVFILTER_REPORTED_2026W48\n',
            'CUSTOM_HVFILTER_REPORTED_1999W48',
            'CUSTOM_HVFILTER_REPORTED_BY_SOMEBODY',
            'CUSTOM_HVFILTER_KVM_2026W48',
            'CUSTOM_HVFILTER_MINE_UNKNOWN_2026W48',
            'CUSTOM_HVFILTER_UNKNOWN_2026W48',
            'XCUSTOM_HVFILTER_REPORTED_2026W48',
            'CUSTOM_HVFILTER_',
            '',
        ):
            self.assertFalse(catalogue.is_own(name), name)

    def test_own_when_names_are_sorted_out(self):
        names = {'CUSTOM_GOLD', 'CUSTOM_HVFILTER_REPORTED_2026W48'}
        self.assertEqual(
            names - {'CUSTOM_GOLD'}, catalogue.own(names | {'OWNER_NOVA'})
        )
