# SPDX-License-Identifier: Apache-2.0
"""Lists of processors in the kernel's notation: ``0-3,8``."""

from __future__ import annotations

from collections.abc import Iterable

CPU_LIMIT = 65536
"""Processor numbers below this are believed: eight times what Linux can be
built for."""


def parse(text: str) -> tuple[int, ...]:
    """The numbers of a list, in its order, each once.

    :raises ValueError: when it is no list, or a number is beyond CPU_LIMIT
    """
    cpus: list[int] = []
    for part in text.split(','):
        low, dash, high = part.strip().partition('-')
        first = _number(low)
        last = _number(high) if dash else first
        if not first <= last < CPU_LIMIT or len(cpus) > CPU_LIMIT:
            raise ValueError(f'not a CPU list: {text[:80]!r}')
        cpus.extend(range(first, last + 1))
    return tuple(dict.fromkeys(cpus))


def render(cpus: Iterable[int]) -> str:
    """The shortest list of these numbers, in ascending order."""
    runs: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if runs and runs[-1][1] == cpu - 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ','.join(
        str(low) if low == high else f'{low}-{high}' for low, high in runs
    )


def _number(text: str) -> int:
    # int() also takes signs, underscores, blanks and foreign digits.
    if not (text.isascii() and text.isdecimal()) or len(text) > 6:
        raise ValueError(f'not a processor number: {text[:80]!r}')
    return int(text)
