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
blanks for the colon. There, registers are EAX, EBX, ECX and EDX, and MSRs are
those of every processor.
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
_MSR = re.compile(
    r'^\s*MSR\s+(?:0x)?(?P<index>[0-9a-f]{1,8})(?:\s*[:=]\s*|\s+)'
    r'(?:(?:0x)?(?P<value>[0-9a-f]{4}(?:-?[0-9a-f]{4}){3})|(?P<failed><))',
    re.ASCII | re.IGNORECASE,
)
_LONGEST_LINE = 1000


class NoDump(Exception):
    """A text holds no CPUID leaves."""


def text_of(data: bytes) -> str:
    """A file's text; Windows writes some in UTF-16."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode('utf-16', 'replace')
    return data.decode('utf-8', 'replace')


@dataclasses.dataclass
class Dump:
    """What a text holds.

    :ivar cpus: processor to leaf to registers
    :ivar msrs: index to value, of every processor
    """

    cpus: dict[int, dict[Leaf, CpuidRegs | Refusal]] = dataclasses.field(
        default_factory=dict
    )
    msrs: dict[int, int | Refusal] = dataclasses.field(default_factory=dict)


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
        self._cpu = 0
        self._left = _LEAVES_LIMIT

    def line(self, line: str) -> None:
        found = _CPUID.match(line)
        if found:
            self._leaf(found)
            return
        found = _MSR.match(line)
        if found:
            self._msr(found)
            return
        found = _CPU.search(line)
        if found:
            number = found['plain'] or found['counted'] or '0'
            if int(number) < cpulist.CPU_LIMIT:
                self._cpu = int(number)

    def _leaf(self, found: re.Match[str]) -> None:
        self._left -= 1
        if self._left < 0:
            return
        aida = found['leaf'] is None
        end = '2' if aida else ''
        leaf = int(found[f'leaf{end}'], 16)
        regs = CpuidRegs(*(int(found[f'{name}{end}'], 16) for name in _NAMES))
        said = found[f'subleaf{end}']
        table = self.dump.cpus.setdefault(self._cpu, {})
        subleaf = int(said, 16) if said else _next_subleaf(table, leaf)
        table.setdefault((leaf, subleaf), regs)

    def _msr(self, found: re.Match[str]) -> None:
        index = int(found['index'], 16)
        if found['failed']:
            self.dump.msrs.setdefault(index, Refusal('EIO'))
        else:
            value = int(found['value'].replace('-', ''), 16)
            self.dump.msrs.setdefault(index, value)


_NAMES = ('eax', 'ebx', 'ecx', 'edx')


def _next_subleaf(table: dict[Leaf, CpuidRegs | Refusal], leaf: int) -> int:
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
            msrs=dict.fromkeys(dump.cpus, dump.msrs) if dump.msrs else {},
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
