# SPDX-License-Identifier: Apache-2.0
"""A machine that can be timed without there being one."""

from __future__ import annotations

import dataclasses
import random

from hvfilter.host import facts, pace


@dataclasses.dataclass
class TimedMachine:
    """Answers what a loop would take.

    :ivar fixed_ns: cost of a KVM_RUN
    :ivar guest_ns: of one iteration in the guest
    :ivar host_ns: of one iteration on the host
    :ivar slice_ns: time another program takes away at once
    :ivar busy: chance that it does so during a run
    """

    fixed_ns: float
    guest_ns: float
    host_ns: float
    slice_ns: float = 0
    busy: float = 0
    seed: int = 0

    def samples(self) -> tuple[facts.Sample, ...]:
        """What a smoke run would take on it."""
        dice = random.Random(self.seed)
        samples: list[facts.Sample] = []
        elapsed = 0.0
        while True:
            length = pace.next_length(samples, int(elapsed))
            if length is None:
                return tuple(samples)
            guest = self.fixed_ns + length * self.guest_ns
            guest *= dice.uniform(1, 1.1)
            host = 400 + length * self.host_ns * dice.uniform(1, 1.1)
            for _ in range(1 + int(guest / 3_000_000)):
                if dice.random() < self.busy:
                    guest += self.slice_ns * dice.uniform(0.5, 1)
            samples.append(facts.Sample(length, int(guest), int(host)))
            elapsed += guest + host
