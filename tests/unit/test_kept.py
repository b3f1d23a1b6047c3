# SPDX-License-Identifier: Apache-2.0
"""What a package is found to keep in memory."""

import sys
import types

import testtools

from tests import kept


class KeptTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.module = types.ModuleType('keeper.inner')
        exec('class Thing:\n    pass\n', vars(self.module))
        sys.modules[self.module.__name__] = self.module
        self.addCleanup(sys.modules.pop, self.module.__name__)
        self.before = kept.kept('keeper', [])

    def more(self, *roots: object) -> tuple[int, int]:
        size, alive = kept.kept('keeper', roots)
        return size - self.before[0], alive - self.before[1]

    def test_nothing_more_is_nothing(self) -> None:
        self.assertEqual((0, 0), self.more())

    def test_what_a_module_holds_counts(self) -> None:
        self.module.cache = {number: f'{number:50}' for number in range(1000)}
        size, alive = self.more()
        self.assertGreater(size, 100_000)
        self.assertEqual(0, alive)

    def test_what_a_root_holds_counts_however_deep(self) -> None:
        thing = self.module.Thing()
        thing.inner = [self.module.Thing(), {'x': (bytes(100_000),)}]
        size, alive = self.more(thing)
        self.assertGreater(size, 100_000)
        self.assertEqual(2, alive)

    def test_object_that_others_keep_counts(self) -> None:
        strangers = [self.module.Thing() for _ in range(10)]
        size, alive = self.more()
        self.assertEqual((0, len(strangers)), (size, alive))

    def test_what_strangers_hold_is_theirs(self) -> None:
        thing = self.module.Thing()
        thing.stranger = types.SimpleNamespace(much=bytes(100_000))
        self.assertLess(self.more(thing)[0], 10_000)
