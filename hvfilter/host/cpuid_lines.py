# SPDX-License-Identifier: Apache-2.0
"""One line of a text with CPUID leaves, whichever tool printed it.

Registers are named, as ``cpuid -r``, the kernel's ``kcpuid`` and ``x86info``
do, or they are listed as EAX, EBX, ECX, EDX, as AIDA64, CPU-Z and processor
collections do. Tools differ in what stands between the numbers (colons,
dashes, blanks, commas, tabs), in ``0x`` and in how they name a subleaf; none
of this carries meaning, so none of it is required.

Three name the leaf in a way of their own: libcpuid (``cpuid_tool --raw``,
by table and row), Xen (``xen-cpuid -p``, by an arrow) and FreeBSD
(``cpucontrol -i``, by ``level``).
"""

from __future__ import annotations

import dataclasses
import re

from hvfilter.host.facts import CpuidRegs

_NAMED = re.compile(
    r'[\s,;]*'.join(
        rf'e{name}x\s*[=:]\s*(?:0x)?([0-9a-f]{{1,8}})h?\b' for name in 'abcd'
    )
)
_APART = re.compile(r'[\s:=,;.|/()\[\]-]+')
_NUMBER = re.compile(r'0x[0-9a-f]{1,8}|[0-9a-f]{1,8}h?')
_WHOLE = re.compile(r'(?:0x)?[0-9a-f]{8}h?')
_SHORT = re.compile(r'(?:0x)?[0-9a-f]{1,2}h?')
_MARKED = re.compile(r'0x[0-9a-f]{1,8}')
_LEAF = re.compile(rf'{_MARKED.pattern}|{_WHOLE.pattern}')
_ROW = re.compile(r'[0-9]{1,3}')
_FILLERS = frozenset(
    {'cpuid', 'leaf', 'subleaf', 'function', 'index', 'in', 'eax', 'ecx', 'sl'}
)
_XEN = re.compile(
    r'\s*([0-9a-f]{8}):([0-9a-f]{8}) -> ' + ':'.join(['([0-9a-f]{8})'] * 4)
)
_NO_SUBLEAF = 0xFFFFFFFF
"""What Xen writes for a leaf that has no subleaves."""

_LIBCPUID = re.compile(
    r'\s*(?:(basic|ext)_cpuid|(?:intel|amd)_fn([0-9a-f]+)(h?))'
    r'\[(\d{1,3})\]=' + ' '.join(['([0-9a-f]{8})'] * 4)
)
_LIBCPUID_RANGES = {'basic': 0, 'ext': 0x80000000}
_LEVELS = ('level', 'level_type')
_HEADING = re.compile(r'\s*0x([0-9a-f]{8})\s*:?\s*sublea(?:fs|ves)\s*:?\s*$')


@dataclasses.dataclass(frozen=True)
class Line:
    """A leaf's registers.

    :ivar subleaf: None where the line does not name one
    """

    leaf: int
    subleaf: int | None
    regs: CpuidRegs


def heading(line: str) -> int | None:
    """The leaf whose subleaves follow, one a line, as kcpuid prints them."""
    match = _HEADING.match(line.lower())
    return int(match[1], 16) if match else None


def read(line: str, under: int | None = None) -> Line | None:
    """The leaf on a line; None when there is none.

    :param under: the leaf that :func:`heading` named for this line
    """
    line = line.lower()
    own = _xen(line) or _libcpuid(line)
    if own:
        return own
    if match := _NAMED.search(line):
        regs = CpuidRegs(*(int(digits, 16) for digits in match.groups()))
        return _named(line[: match.start()], regs, under)
    if line.lstrip().startswith(('cpuid', '0x')):
        return _listed([word for word in _APART.split(line) if word])
    return None


def _xen(line: str) -> Line | None:
    match = _XEN.match(line)
    if not match:
        return None
    leaf, subleaf, *regs = (int(digits, 16) for digits in match.groups())
    if subleaf == _NO_SUBLEAF:
        subleaf = 0
    return Line(leaf, subleaf, CpuidRegs(*regs))


def _libcpuid(line: str) -> Line | None:
    """``basic_cpuid[LEAF]``, ``intel_fn11[SUBLEAF]``, ``amd_fn8000001dh[..]``

    The leaf in a table's name is decimal unless an ``h`` ends it.
    """
    match = _LIBCPUID.match(line)
    if not match:
        return None
    part, leaf, hexadecimal, row, *regs = match.groups()
    registers = CpuidRegs(*(int(digits, 16) for digits in regs))
    if part:
        return Line(_LIBCPUID_RANGES[part] + int(row), 0, registers)
    if not hexadecimal and not leaf.isdecimal():
        return None
    number = int(leaf[:8], 16 if hexadecimal else 10)
    return Line(number, int(row), registers)


def _named(head: str, regs: CpuidRegs, under: int | None) -> Line | None:
    words = [word for word in _APART.split(head) if word]
    counted = [word for word in words if word not in _FILLERS]
    if not all(_NUMBER.fullmatch(word) for word in counted):
        return None
    if under is not None and len(counted) == 1:
        row = _ROW.fullmatch(counted[0])
        if row:
            return Line(under, int(row[0]), regs)
    if len(counted) not in (1, 2):
        return None
    leaf, *subleaf = counted
    # A bare number of few digits is a leaf only where it says so.
    if words[0] == leaf and not _LEAF.fullmatch(leaf):
        return None
    return Line(_number(leaf), _number(subleaf[0]) if subleaf else None, regs)


def _listed(words: list[str]) -> Line | None:
    """``cpuid LEAF [SUBLEAF] EAX EBX ECX EDX [... sl SUBLEAF]``"""
    named = words[0] == 'cpuid'
    if named:
        del words[0]
    if words[:1] == ['level']:
        words = _levelled(words)
    if not words or not _WHOLE.fullmatch(words[0]):
        return None
    leaf, *rest = words
    if not named and not all(map(_MARKED.fullmatch, rest[-4:])):
        return None
    subleaf = None
    if rest and rest[0] == 'sl':
        del rest[0]
    if len(rest) > 4 and (
        _SHORT.fullmatch(rest[0]) or all(map(_WHOLE.fullmatch, rest[:5]))
    ):
        subleaf = _number(rest.pop(0))
    if len(rest) < 4 or not all(map(_WHOLE.fullmatch, rest[:4])):
        return None
    regs = CpuidRegs(*map(_number, rest[:4]))
    behind = rest[4:]
    if 'sl' in behind[:-1]:
        word = behind[behind.index('sl') + 1]
        subleaf = _number(word) if _NUMBER.fullmatch(word) else subleaf
    return Line(_number(leaf), subleaf, regs)


def _levelled(words: list[str]) -> list[str]:
    """FreeBSD writes ``level`` and ``level_type`` with as few digits as do."""
    numbers = [word for word in words if word not in _LEVELS]
    if not all(map(_MARKED.fullmatch, numbers)):
        return []
    return [f'{int(word, 16):#010x}' for word in numbers]


def _number(word: str) -> int:
    return int(word.rstrip('h'), 16)
