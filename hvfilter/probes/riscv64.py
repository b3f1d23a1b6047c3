# SPDX-License-Identifier: Apache-2.0
"""riscv64: the H extension in the isa line of cpuinfo.

The kernel prints the extensions that every hart has and that it may use
(arch/riscv/kernel/cpu.c); single letters stand before the first underscore
(RISC-V ISA manual, ch. "ISA Extension Naming Conventions").
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hvfilter.host.door import Denied
from hvfilter.model.catalogue import Arch
from hvfilter.model.finding import Observation
from hvfilter.probes import natural
from hvfilter.probes.base import Probe
from hvfilter.probes.context import Look

_ISA = re.compile(r'rv(?:32|64|128)([a-z]*)')


class Riscv64(Probe):
    """H, and KVM on it."""

    archs = frozenset({Arch.RISCV64})

    def observe(self, look: Look) -> Iterator[Observation]:
        yield from natural.from_device(look, 'the H extension')
        yield from _isa(look)
        yield natural.never_nested('riscv64', look.kernel)


def has_h(isa: str) -> bool | None:
    """Whether an isa string names H; None when it is no isa string."""
    base, *longer = isa.strip().lower().split('_')
    found = _ISA.match(base)
    if not found:
        return None
    # Names of more than one letter start with x or z where no underscore
    # parts them from the letters.
    letters = re.split('[xz]', found[1], maxsplit=1)[0]
    return 'h' in letters or 'h' in longer


def _isa(look: Look) -> Iterator[Observation]:
    try:
        lines = look.cpuinfo.values('isa')
    except Denied as denied:
        yield from natural.unreadable('isa', denied, 'the H extension')
        return
    answers = [has_h(line) for line in lines]
    has = all(answers) if answers and None not in answers else None
    yield from natural.from_word(
        'isa',
        'h',
        has,
        next(iter(lines), 'no such line'),
        'the H extension',
        'other hardware; on a virtual machine, nested virtualization is not '
        'offered by KVM for riscv64',
    )
