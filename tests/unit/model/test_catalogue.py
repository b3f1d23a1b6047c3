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
