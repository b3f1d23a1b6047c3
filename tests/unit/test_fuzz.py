# SPDX-License-Identifier: Apache-2.0
"""The targets of tests/fuzz hold what they are fuzzed from.

Only their failures are wanted when they run for long, not those of a target
that does not know what the code refuses by now.
"""

import itertools

import testtools

from tests.fuzz.targets import TARGETS, seeds

DAMAGE = {
    'whole': lambda data: data,
    'cut': lambda data: data[: len(data) // 2],
    'without its first line': lambda data: data.partition(b'\n')[2],
    'a stray line': lambda data: data + b'\nvi]\n',
    'other bytes': lambda data: data.translate(bytes(range(255, -1, -1))),
    'nothing': lambda data: b'',
}
SEEDS = 2


class TargetsTest(testtools.TestCase):
    def test_each_holds_its_seeds_and_these_damaged(self):
        failed = {}
        for name, target in TARGETS.items():
            for seed in itertools.islice(seeds(name), SEEDS):
                for what, damage in DAMAGE.items():
                    try:
                        target(damage(seed))
                    except Exception as error:
                        failed[name, what] = repr(error)
        self.assertEqual({}, failed)
