# SPDX-License-Identifier: Apache-2.0
"""A host of which only a text with CPUID leaves and MSRs is known.

Read are lines with a leaf's registers in any of the forms that
:mod:`hvfilter.host.cpuid_lines` knows, the headings that name a processor,
and lines with an MSR; others are ignored::

    CPU 0:
       0x00000007 0x00: eax=0x00000000 ebx=0x... ecx=0x... edx=0x...

    ------[ Logical CPU #0 ]------
    CPUID 00000007: 00000000-209C01A9-00000000-00000000 [SL 00]
    MSR 00000480: 00DA-0400-0000-0004

MSRs under a heading that names a processor are that one's; others are every
processor's. Some texts have no headings at all: leaf 0 begins the next
processor.
"""

from __future__ import annotations

import codecs
import dataclasses
import functools
import re
from typing import Any, TypeVar, cast

from hvfilter.host import cpuid, cpuid_lines, cpulist
from hvfilter.host import question as questions
from hvfilter.host.answers import Refusal
from hvfilter.host.base import NOT_RECORDED, UNKNOWN, Denied, Holder
from hvfilter.host.facts import CpuidRegs, Machine
from hvfilter.host.question import Kind, Question
from hvfilter.host.recorded import RecordedHost
from hvfilter.host.snapshot import Making, Provenance, Snapshot

FactT = TypeVar('FactT')

Leaf = tuple[int, int]
"""CPUID leaf and subleaf."""

ONLINE = '/sys/devices/system/cpu/online'

_LEAVES_LIMIT = 200_000

_MARKLESS = 4096
"""Bytes that show a text's encoding."""

_CPU = re.compile(
    r'^\s*(?:CPU|Processor)(?:\s*#?(?P<plain>\d{1,5}))?\s*:\s*$'
    r'|(?:Logical CPU|\(CPU|^\s*CPU) ?#(?P<counted>\d{1,5})'
    r'|^\W*CPU Thread #?(?P<thread>\d{1,5})\s*$',
    re.ASCII | re.IGNORECASE,
)
# What all processors are said to have in common, leaves among it.
_SUMMARY = re.compile(r'\[ All CPUs \]')
# Of Xen's tables only the raw one is what the processor says.
_POLICY = re.compile(r'^(\w[\w ]*) policy: \d+ leaves')
_MSR_HEADING = re.compile(
    r'MSR Registers(?:.*?CPU ?#(?P<cpu>\d{1,5}))?', re.ASCII
)
_MSR = re.compile(
    r'^\s*MSR\s+(?:0x)?(?P<index>[0-9a-f]{1,8})(?:\s*[:=]\s*|\s+)'
    r'(?:(?:0x)?(?P<value>[0-9a-f]{4}(?:[- ]?[0-9a-f]{4}){3})|(?P<failed><))',
    re.ASCII | re.IGNORECASE,
)
_MSR_APART = re.compile('[- ]')
_LINE = re.compile(r'\S[^\r\n]*')
_LINES_LIMIT = 400_000
_LONGEST_LINE = 1000


Leaves = dict[Leaf, CpuidRegs | Refusal]
Msrs = dict[int, int | Refusal]


class NoDump(Exception):
    """A text holds no CPUID leaves, or more than any machine has."""


def text_of(data: bytes) -> str:
    """A file's text; Windows writes some in UTF-16, or marks UTF-8.

    Where no mark says so, UTF-16 shows in its many NUL bytes.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode('utf-16', 'replace')
    start = data[:_MARKLESS]
    for first, encoding in ((1, 'utf-16-le'), (0, 'utf-16-be')):
        zeros = start[first::2].count(0)
        if zeros * 2 > len(start) // 2 > 0:
            return data.decode(encoding, 'replace')
    return data.decode('utf-8-sig', 'replace')


@dataclasses.dataclass
class Dump:
    """What a text holds.

    :ivar cpus: processor to leaf to registers
    :ivar msrs: processor to index to value; under None those of which the
        text does not say whose they are
    """

    cpus: dict[int, Leaves] = dataclasses.field(default_factory=dict)
    msrs: dict[int | None, Msrs] = dataclasses.field(default_factory=dict)

    def msrs_by_cpu(self) -> dict[int, Msrs]:
        """Each processor's own, then those of nobody in particular.

        Where the text has them of some processors only, those of one of the
        same kind stand for them: not those of another core type.
        """
        common = self.msrs.get(None, {})
        of_kind = {
            _kind(self.cpus[cpu]): own
            for cpu, own in reversed(self.msrs.items())
            if cpu is not None and cpu in self.cpus
        }
        return {
            cpu: {**common, **self.msrs.get(cpu, of_kind.get(_kind(t), {}))}
            for cpu, t in self.cpus.items()
        }


def _kind(leaves: Leaves) -> tuple[object, ...]:
    """CPUID.1:EAX, the signature, and CPUID.1AH:EAX, the core type."""
    return tuple(
        getattr(leaves.get((leaf, 0)), 'eax', None) for leaf in (1, 0x1A)
    )


def parse(text: str) -> Dump:
    """The leaves and registers in a text.

    :raises NoDump: when there is no leaf in it, or far too many
    """
    reader = _Reader()
    for number, line in enumerate(_LINE.finditer(text)):
        if number > _LINES_LIMIT:
            raise NoDump(f'it holds more than {_LINES_LIMIT} lines')
        reader.line(line[0][:_LONGEST_LINE].replace('\xa0', ' '))
    if not any(reader.dump.cpus.values()):
        raise NoDump('there is no line of CPUID registers in it')
    reader.dump.cpus = {c: t for c, t in reader.dump.cpus.items() if t}
    return reader.dump


class _Reader:
    def __init__(self) -> None:
        self.dump = Dump()
        self._cpu: int | None = 0
        self._highest = 0
        self._msr_cpu: int | None = None
        self._left = _LEAVES_LIMIT
        self._heading: int | None = None

    def line(self, line: str) -> None:
        if parsed := cpuid_lines.read(line, self._heading):
            self._leaf(parsed)
        elif msr := _MSR.match(line):
            self._msr(msr)
        elif heading := _MSR_HEADING.search(line):
            cpu = heading['cpu']
            self._msr_cpu = int(cpu) if cpu else None
        elif cpu_heading := _CPU.search(line):
            self._msr_cpu = None
            number = next(filter(None, cpu_heading.groups()), '0')
            if int(number) < cpulist.CPU_LIMIT:
                self._cpu = int(number)
        elif _SUMMARY.search(line) and self.dump.cpus:
            self._cpu = None
        elif policy := _POLICY.match(line):
            self._cpu = 0 if policy[1] == 'Raw' else None
        else:
            leaf = cpuid_lines.heading(line)
            self._heading = self._heading if leaf is None else leaf

    def _leaf(self, parsed: cpuid_lines.Line) -> None:
        self._left -= 1
        if self._left < 0:
            raise NoDump(f'it holds more than {_LEAVES_LIMIT} leaves')
        if self._cpu is None:
            return
        leaf, subleaf = parsed.leaf, parsed.subleaf
        table = self.dump.cpus.setdefault(self._cpu, {})
        if leaf == 0 and (0, 0) in table and not subleaf:
            # Leaf 0 has no subleaves: this is another processor.
            self._cpu = min(self._highest + 1, cpulist.CPU_LIMIT - 1)
            table = self.dump.cpus.setdefault(self._cpu, {})
        self._highest = max(self._highest, self._cpu)
        if subleaf is None:
            subleaf = _next_subleaf(table, leaf)
        table.setdefault((leaf, subleaf), parsed.regs)

    def _msr(self, match: re.Match[str]) -> None:
        index = int(match['index'], 16)
        table = self.dump.msrs.setdefault(self._msr_cpu, {})
        if match['failed']:
            table.setdefault(index, Refusal('EIO'))
        else:
            value = int(_MSR_APART.sub('', match['value']), 16)
            table.setdefault(index, value)


def _next_subleaf(table: Leaves, leaf: int) -> int:
    """Older dumps repeat a leaf for its subleaves and do not number them."""
    subleaf = 0
    while (leaf, subleaf) in table and subleaf < 64:
        subleaf += 1
    return subleaf


class DumpHost(RecordedHost):
    """A host of which such a text is all that is known.

    Its list of processors is that of the text.

    :raises NoDump: when there is no leaf in the text
    """

    def __init__(self, text: str, origin: str) -> None:
        dump = parse(text)
        online = cpulist.render(dump.cpus)
        answers: dict[Question[Any], object] = {
            questions.file(ONLINE): f'{online}\n'.encode()
        }
        for cpu, leaves in dump.cpus.items():
            for at, regs in leaves.items():
                answers[questions.cpuid(cpu, *at)] = regs
        for cpu, msrs in dump.msrs_by_cpu().items():
            for index, value in msrs.items():
                answers[questions.msr(cpu, index)] = value
        snapshot = Snapshot(
            Provenance(Making.RECORDED, note=origin),
            Machine(_arch(dump), UNKNOWN),
            answers,
        )
        super().__init__(snapshot, origin)

    def ask(self, question: Question[FactT]) -> FactT:
        """A leaf that the processor does not have is denied as a live one
        is, with ENXIO."""
        try:
            return self._answer(question)
        except Denied as denied:
            if denied.error != NOT_RECORDED:
                raise
            raise Denied.not_held(str(question), Holder.DUMP) from denied

    def _answer(self, question: Question[FactT]) -> FactT:
        if question.kind is not Kind.CPUID:
            return super().ask(question)
        cpu, leaf, subleaf = question.key
        # Dumps give each leaf as many subleaves as matter.
        execute = functools.partial(self._recorded, cpu)
        regs = cpuid.checked(execute, leaf, subleaf, str(question))
        return cast(FactT, regs)

    def _recorded(self, cpu: int, leaf: int, subleaf: int) -> CpuidRegs:
        return super().ask(questions.cpuid(cpu, leaf, subleaf))


def _arch(dump: Dump) -> str:
    """CPUID 80000001:EDX[29], "long mode" (SDM vol. 2, APM vol. 3)."""
    first = dump.cpus[min(dump.cpus)]
    extended = first.get((0x80000001, 0))
    long_mode = isinstance(extended, CpuidRegs) and extended.edx >> 29 & 1
    return 'x86_64' if long_mode else 'i686'
