# SPDX-License-Identifier: Apache-2.0
"""A host of which only a text with CPUID leaves and MSRs is known.

Two forms are understood, line by line; other lines are passed over::

    CPU 0:
       0x00000007 0x00: eax=0x00000000 ebx=0x... ecx=0x... edx=0x...

as ``cpuid -r`` prints it (one processor with ``-1``), and

::

    ------[ Logical CPU #0 ]------
    CPUID 00000007: 00000000-209C01A9-00000000-00000000 [SL 00]
    MSR 00000480: 00DA-0400-0000-0004

as AIDA64 writes it and processor collections keep it, in older versions with
blanks for the colon. There, registers are EAX, EBX, ECX and EDX. MSRs under a
heading that names a processor are that one's; others are every processor's.
Some texts have no headings at all: leaf 0 begins the next processor.
"""

from __future__ import annotations

import codecs
import dataclasses
import re

from hvfilter.host import cpuid, cpulist, words
from hvfilter.host.combined import UNKNOWN
from hvfilter.host.door import NOT_RECORDED, CpuidRegs, Denied, Machine
from hvfilter.host.recorded import RecordedHost
from hvfilter.host.snapshot import (
    Leaf,
    Making,
    Provenance,
    Refusal,
    Snapshot,
)

ONLINE = '/sys/devices/system/cpu/online'

_LEAVES_LIMIT = 4_000_000

_CPU = re.compile(
    r'^\s*CPU\s*(?P<plain>\d{1,5})?:\s*$'
    r'|(?:Logical CPU|\(CPU|^\s*CPU) ?#(?P<counted>\d{1,5})',
    re.ASCII,
)
_CPUID = re.compile(
    r'^\s*0x(?P<leaf>[0-9a-f]{1,8})(?:\s+0x(?P<subleaf>[0-9a-f]{1,8}))?\s*:'
    r'\s*eax=0x(?P<eax>[0-9a-f]{1,8})\s+ebx=0x(?P<ebx>[0-9a-f]{1,8})'
    r'\s+ecx=0x(?P<ecx>[0-9a-f]{1,8})\s+edx=0x(?P<edx>[0-9a-f]{1,8})'
    r'|^\s*CPUID\s+(?P<leaf2>[0-9a-f]{8})(?:\s*:\s*|\s+)'
    r'(?P<eax2>[0-9a-f]{8})-(?P<ebx2>[0-9a-f]{8})'
    r'-(?P<ecx2>[0-9a-f]{8})-(?P<edx2>[0-9a-f]{8})'
    r'(?:.*\[SL\s+(?P<subleaf2>[0-9a-f]{1,8})\])?',
    re.ASCII | re.IGNORECASE,
)
# What all processors are said to have in common, leaves among it.
_SUMMARY = re.compile(r'\[ All CPUs \]')
_MSR_HEADING = re.compile(
    r'MSR Registers(?:.*?CPU ?#(?P<cpu>\d{1,5}))?', re.ASCII
)
_MSR = re.compile(
    r'^\s*MSR\s+(?:0x)?(?P<index>[0-9a-f]{1,8})(?:\s*[:=]\s*|\s+)'
    r'(?:(?:0x)?(?P<value>[0-9a-f]{4}(?:-?[0-9a-f]{4}){3})|(?P<failed><))',
    re.ASCII | re.IGNORECASE,
)
_LONGEST_LINE = 1000


Leaves = dict[Leaf, CpuidRegs | Refusal]
Msrs = dict[int, int | Refusal]


class NoDump(Exception):
    """A text holds no CPUID leaves."""


def text_of(data: bytes) -> str:
    """A file's text; Windows writes some in UTF-16, or marks UTF-8."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode('utf-16', 'replace')
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

    :raises NoDump: when there is no leaf in it
    """
    reader = _Reader()
    for line in text.splitlines():
        reader.line(line[:_LONGEST_LINE])
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

    def line(self, line: str) -> None:
        if found := _CPUID.match(line):
            self._leaf(found)
        elif found := _MSR.match(line):
            self._msr(found)
        elif found := _MSR_HEADING.search(line):
            cpu = found['cpu']
            self._msr_cpu = int(cpu) if cpu else None
        elif found := _CPU.search(line):
            self._msr_cpu = None
            number = found['plain'] or found['counted'] or '0'
            if int(number) < cpulist.CPU_LIMIT:
                self._cpu = int(number)
        elif _SUMMARY.search(line) and self.dump.cpus:
            self._cpu = None

    def _leaf(self, found: re.Match[str]) -> None:
        self._left -= 1
        if self._left < 0 or self._cpu is None:
            return
        aida = found['leaf'] is None
        end = '2' if aida else ''
        leaf = int(found[f'leaf{end}'], 16)
        regs = CpuidRegs(*(int(found[f'{name}{end}'], 16) for name in _NAMES))
        said = found[f'subleaf{end}']
        table = self.dump.cpus.setdefault(self._cpu, {})
        if leaf == 0 and (0, 0) in table and not said:
            # Leaf 0 has no subleaves: this is another processor.
            self._cpu = min(self._highest + 1, cpulist.CPU_LIMIT - 1)
            table = self.dump.cpus.setdefault(self._cpu, {})
        self._highest = max(self._highest, self._cpu)
        subleaf = int(said, 16) if said else _next_subleaf(table, leaf)
        table.setdefault((leaf, subleaf), regs)

    def _msr(self, found: re.Match[str]) -> None:
        index = int(found['index'], 16)
        table = self.dump.msrs.setdefault(self._msr_cpu, {})
        if found['failed']:
            table.setdefault(index, Refusal('EIO'))
        else:
            value = int(found['value'].replace('-', ''), 16)
            table.setdefault(index, value)


_NAMES = ('eax', 'ebx', 'ecx', 'edx')


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
        snapshot = Snapshot(
            Provenance(Making.RECORDED, note=origin),
            Machine(_arch(dump), UNKNOWN),
            files={ONLINE: f'{online}\n'.encode()},
            cpuid=dump.cpus,
            msrs=dump.msrs_by_cpu(),
        )
        super().__init__(snapshot, origin)

    def cpuid(self, cpu: int, leaf: int, subleaf: int = 0) -> CpuidRegs:
        """A leaf that the processor does not have is denied as a live one
        is, with ENXIO."""

        def execute(leaf: int, subleaf: int) -> CpuidRegs:
            # Dumps give each leaf as many subleaves as matter.
            return super(DumpHost, self).cpuid(cpu, leaf, subleaf)

        what = words.cpuid(cpu, leaf, subleaf)
        try:
            return cpuid.checked(execute, leaf, subleaf, what)
        except Denied as denied:
            if denied.error == NOT_RECORDED:
                raise Denied(what, NOT_RECORDED) from denied
            raise


def _arch(dump: Dump) -> str:
    """CPUID 80000001:EDX[29], "long mode" (SDM vol. 2, APM vol. 3)."""
    first = dump.cpus[min(dump.cpus)]
    extended = first.get((0x80000001, 0))
    long_mode = isinstance(extended, CpuidRegs) and extended.edx >> 29 & 1
    return 'x86_64' if long_mode else 'i686'
