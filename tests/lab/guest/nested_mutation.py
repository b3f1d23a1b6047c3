# SPDX-License-Identifier: Apache-2.0
"""Guests in guests whose memory was changed at random: none may take longer
than the timer allows, and the host's next guest must run as before.
"""

import random
import time

from hvfilter.host import kvm, live, smoke

LIMIT_NS = 200_000_000
"""Of all attempts; shorter than hvfilter's, to try many."""

PLACES = (
    (0x2000, 0x200),  # the outer guest's code
    (0x2800, 0x20),  # the inner guest's code
    (0x4000, 0x18),  # descriptors
    (0x5000, 8),  # page tables
    (0x6000, 8),
    (0x7000, 8),
    (0xA000, 0x100),  # the VMCB's controls
    (0xA400, 0x270),  # the VMCB's state
    (0xC000, 0x700),  # fields and values of the VMCS
    (0xD000, 8),  # nested paging
    (0xE000, 8),
    (0xF000, 8),
)
"""Where something lies that a guest reads: address and size."""


def mutated(guest_class, dice):
    """A class of guests with a few bytes changed."""

    class Mutated(guest_class):
        def _nested(self):
            countdown = super()._nested()
            for _ in range(dice.choice((1, 1, 2, 4, 16))):
                start, size = dice.choice(PLACES)
                at = start + dice.randrange(size)
                self._memory[at] ^= 1 << dice.randrange(8)
            return countdown

    return Mutated


def run_all(guest_classes, times, seed, path=kvm.DEVICE):
    """So many guests: endings and how often, and the longest in ns."""
    dice = random.Random(seed)
    endings, longest = {}, 0
    for number in range(times):
        guest_class = guest_classes[number % len(guest_classes)]
        with kvm.Device(path) as device:
            start = time.perf_counter_ns()
            run = smoke.run(device, mutated(guest_class, dice), LIMIT_NS)
            longest = max(longest, time.perf_counter_ns() - start)
        ending = run.steps[-1][1]
        endings[ending] = endings.get(ending, 0) + 1
    return {'endings': endings, 'longest_ns': longest, 'limit_ns': LIMIT_NS}


def offered(path=kvm.DEVICE):
    """The nested guests of what KVM offers to guests."""
    with kvm.Device(path) as device:
        extension = live._extension(device)
    return [
        guest
        for (which, _), guest in live.NESTED_GUESTS.items()
        if which == extension
    ]
