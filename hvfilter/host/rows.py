# SPDX-License-Identifier: Apache-2.0
"""How each kind of fact is written in a snapshot: one row a kind.

A row names the member of the document, how its answers are arranged there,
and how one answer is written and read.
"""

from __future__ import annotations

import abc
import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hvfilter.host import content, cpulist
from hvfilter.host.answers import Refusal
from hvfilter.host.base import NOT_RECORDED
from hvfilter.host.facts import (
    CpuidEntry,
    CpuidRegs,
    FileKind,
    FileStat,
    Sample,
    SmokeRun,
)
from hvfilter.host.question import Kind, Options
from hvfilter.model import form

Key = tuple[Any, ...]
"""The key of a question of the row's kind."""

Write = Callable[[Any], Any]
Read = Callable[[form.JsonNode], Any]

_ERROR = re.compile(r'[A-Z][A-Z0-9]{1,20}')
_HEX = re.compile(r'0x[0-9a-f]{1,16}')
_DECIMAL = re.compile(r'[0-9]{1,10}')
_LEAF = re.compile(r'0x([0-9a-f]{1,8})/0x([0-9a-f]{1,8})')
_REGS = re.compile(
    r'eax=0x([0-9a-f]{1,8}) ebx=0x([0-9a-f]{1,8}) '
    r'ecx=0x([0-9a-f]{1,8}) edx=0x([0-9a-f]{1,8})'
)
_U32 = 2**32 - 1
_CELLS_LIMIT = 600_000
"""CPUID leaves or MSRs, over all processors, that one snapshot may hold."""


# Arrangements


class Arrangement(abc.ABC):
    """How the answers of one kind stand in a document."""

    @abc.abstractmethod
    def write(self, facts: Mapping[Key, Any], one: Write) -> Any:
        """The JSON value of all answers, at least one.

        :param one: writes one answer or refusal
        """

    @abc.abstractmethod
    def read(
        self, part: form.JsonNode, one: Callable[[form.JsonNode, Key], Any]
    ) -> Iterable[tuple[Key, Any]]:
        """The answers with their keys.

        :param one: reads one answer or refusal
        :raises DocumentError: naming the place that is wrong
        """


class Single(Arrangement):
    """There is one answer at the most."""

    def write(self, facts: Mapping[Key, Any], one: Write) -> Any:
        return one(facts[()])

    def read(
        self, part: form.JsonNode, one: Callable[[form.JsonNode, Key], Any]
    ) -> Iterable[tuple[Key, Any]]:
        yield (), one(part, ())


@dataclasses.dataclass(frozen=True)
class Named(Arrangement):
    """An object with a member for each answer.

    :ivar number: whether the names are decimal numbers
    """

    number: bool = False

    def write(self, facts: Mapping[Key, Any], one: Write) -> Any:
        return {str(key[0]): one(facts[key]) for key in sorted(facts)}

    def read(
        self, part: form.JsonNode, one: Callable[[form.JsonNode, Key], Any]
    ) -> Iterable[tuple[Key, Any]]:
        for name, answer in part.entries().items():
            key = (_read_number(answer, name) if self.number else name,)
            yield key, one(answer, key)


@dataclasses.dataclass(frozen=True)
class ByProcessors(Arrangement):
    """Each answer once, with the processors that gave it.

    :ivar member: the name of the answers in each group
    :ivar write_name: of the key without the processor, as a name
    :ivar read_name: the reverse
    """

    member: str
    write_name: Callable[..., str]
    read_name: Callable[[form.JsonNode, str], Key]

    def write(self, facts: Mapping[Key, Any], one: Write) -> Any:
        answers: dict[tuple[Key, Any], list[int]] = {}
        for (cpu, *rest), fact in sorted(facts.items(), key=_processor):
            answers.setdefault((tuple(rest), fact), []).append(cpu)
        groups: dict[tuple[int, ...], list[tuple[Key, Any]]] = {}
        for answer, cpus in answers.items():
            groups.setdefault(tuple(cpus), []).append(answer)
        # The answers that most processors share come first.
        ordered = sorted(groups, key=lambda cpus: (-len(cpus), cpus))
        return [
            {
                'cpus': cpulist.render(cpus),
                self.member: {
                    self.write_name(*key): one(fact)
                    for key, fact in sorted(
                        groups[cpus], key=lambda answer: answer[0]
                    )
                },
            }
            for cpus in ordered
        ]

    def read(
        self, part: form.JsonNode, one: Callable[[form.JsonNode, Key], Any]
    ) -> Iterable[tuple[Key, Any]]:
        seen: set[Key] = set()
        cells = 0
        for group in part.items():
            members = group.members(('cpus', self.member))
            try:
                cpus = cpulist.parse(members['cpus'].text())
            except ValueError:
                raise members['cpus'].fail(
                    'must be a list of processors, such as "0-3,8"'
                ) from None
            for name, answer in members[self.member].entries().items():
                rest = self.read_name(answer, name)
                fact = one(answer, rest)
                cells += len(cpus)
                if cells > _CELLS_LIMIT:
                    raise group.fail(
                        f'more than {_CELLS_LIMIT} answers altogether'
                    )
                for cpu in cpus:
                    key = (cpu, *rest)
                    if key in seen:
                        raise answer.fail(
                            f'processor {cpu} has answered that already'
                        )
                    seen.add(key)
                    yield key, fact


def _processor(item: tuple[Key, Any]) -> int:
    cpu: int = item[0][0]
    return cpu


# Answers


def _stat(stat: FileStat) -> dict[str, Any]:
    return {
        'kind': stat.kind.value,
        'mode': f'0{stat.mode:o}',
        'owner': stat.owner,
        'group': stat.group,
        **({'acl': list(stat.acl)} if stat.acl else {}),
    }


def _options(options: Options) -> dict[str, Any]:
    return {
        section: {
            name: values[0] if len(values) == 1 else list(values)
            for name, values in sorted(options[section].items())
        }
        for section in sorted(options)
    }


def _leaf_name(leaf: int, subleaf: int) -> str:
    return f'0x{leaf:08x}/0x{subleaf:x}'


def _regs(regs: CpuidRegs) -> str:
    return (
        f'eax=0x{regs.eax:08x} ebx=0x{regs.ebx:08x} '
        f'ecx=0x{regs.ecx:08x} edx=0x{regs.edx:08x}'
    )


def _hex64(value: int) -> str:
    return f'0x{value:016x}'


def _entries(entries: tuple[CpuidEntry, ...]) -> list[str]:
    return [
        f'{_leaf_name(entry.leaf, entry.subleaf)} {_regs(entry.regs)}'
        for entry in entries
    ]


def _feature_msrs(msrs: Mapping[int, int]) -> dict[str, str]:
    return {hex(index): _hex64(msrs[index]) for index in sorted(msrs)}


def _smoke(smoke: SmokeRun) -> dict[str, Any]:
    return {
        'steps': [list(step) for step in smoke.steps],
        'samples': [dataclasses.asdict(sample) for sample in smoke.samples],
        'elapsed_ns': smoke.elapsed_ns,
        **({'attempts': smoke.attempts} if smoke.attempts != 1 else {}),
    }


def _read_names(part: form.JsonNode) -> tuple[str, ...]:
    return tuple(sorted(_read_texts(part)))


def _read_texts(part: form.JsonNode) -> tuple[str, ...]:
    return tuple(item.text() for item in part.items())


def _read_stat(part: form.JsonNode) -> FileStat:
    members = part.members(('kind', 'mode', 'owner', 'group'), ('acl',))
    mode = members['mode'].text()
    if not re.fullmatch(r'0[0-7]{1,4}', mode):
        raise members['mode'].fail('must be octal, such as "0660"')
    return FileStat(
        members['kind'].choice(FileKind),
        int(mode, 8),
        members['owner'].text(),
        members['group'].text(),
        _read_texts(members['acl']) if 'acl' in members else (),
    )


def _read_options(part: form.JsonNode) -> Options:
    return {
        section: {
            name: (values.text(),)
            if isinstance(values.value, str)
            else tuple(item.text() for item in values.items())
            for name, values in names.entries().items()
        }
        for section, names in part.entries().items()
    }


def _read_leaf_name(part: form.JsonNode, name: str) -> Key:
    match = _LEAF.fullmatch(name)
    if not match:
        raise part.fail('a leaf is named such as 0x00000007/0x0')
    return int(match[1], 16), int(match[2], 16)


def _regs_of(part: form.JsonNode, text: str) -> CpuidRegs:
    match = _REGS.fullmatch(text)
    if not match:
        raise part.fail(
            'registers are written such as eax=0x00000000 ebx=0x00000000 '
            'ecx=0x00000000 edx=0x00000000'
        )
    return CpuidRegs(*(int(digits, 16) for digits in match.groups()))


def _read_regs(part: form.JsonNode) -> CpuidRegs:
    return _regs_of(part, part.text())


def _read_msr_name(part: form.JsonNode, name: str) -> Key:
    return (_read_index(part, name),)


def _read_index(part: form.JsonNode, name: str) -> int:
    if not _HEX.fullmatch(name) or int(name, 16) > _U32:
        raise part.fail('an MSR is named by its index, such as 0x3a')
    return int(name, 16)


def _read_hex(part: form.JsonNode) -> int:
    text = part.text()
    if not _HEX.fullmatch(text):
        raise part.fail('must be hexadecimal, such as "0x0000000000000005"')
    return int(text, 16)


def _read_number(part: form.JsonNode, name: str) -> int:
    if not _DECIMAL.fullmatch(name):
        raise part.fail('an extension is named by its number, such as 235')
    return int(name)


def _read_int32(part: form.JsonNode) -> int:
    return part.integer(-(2**31), 2**31 - 1)


def _read_entries(part: form.JsonNode) -> tuple[CpuidEntry, ...]:
    return tuple(_read_entry(item) for item in part.items())


def _read_entry(item: form.JsonNode) -> CpuidEntry:
    name, _, regs = item.text().partition(' ')
    leaf, subleaf = _read_leaf_name(item, name)
    return CpuidEntry(leaf, subleaf, _regs_of(item, regs))


def _read_feature_msrs(part: form.JsonNode) -> dict[int, int]:
    return {
        _read_index(value, name): _read_hex(value)
        for name, value in part.entries().items()
    }


def _read_smoke(part: form.JsonNode) -> SmokeRun:
    members = part.members(('steps', 'samples', 'elapsed_ns'), ('attempts',))
    return SmokeRun(
        tuple(_read_step(step) for step in members['steps'].items()),
        tuple(_read_sample(sample) for sample in members['samples'].items()),
        members['elapsed_ns'].integer(),
        # Recordings of releases before attempts were counted made one.
        members['attempts'].integer(1) if 'attempts' in members else 1,
    )


def _read_step(part: form.JsonNode) -> tuple[str, str]:
    items = part.items()
    if len(items) != 2:
        raise part.fail('must be a pair: the step and its outcome')
    return items[0].text(), items[1].text()


def _read_sample(part: form.JsonNode) -> Sample:
    members = part.members(('iterations', 'guest_ns', 'host_ns'))
    return Sample(
        members['iterations'].integer(),
        members['guest_ns'].integer(),
        members['host_ns'].integer(),
    )


def write_refusal(refusal: Refusal) -> dict[str, str]:
    """A denial in place of an answer."""
    document = {
        'error': refusal.error,
        'what': refusal.what,
        'text': refusal.text,
    }
    return {name: value for name, value in document.items() if value}


def read_refusal(part: form.JsonNode) -> Refusal | None:
    """The denial that stands in place of an answer; None for an answer.

    :raises DocumentError: naming the place that is wrong
    """
    # An ini file may well have a section of that name, but no string there.
    if not isinstance(part.value, dict) or not isinstance(
        part.value.get('error'), str
    ):
        return None
    members = part.members(('error',), ('what', 'text'))
    error = members['error'].text()
    if not _ERROR.fullmatch(error) or error == NOT_RECORDED:
        raise members['error'].fail("must be an errno's name, such as EACCES")
    return Refusal(
        error,
        *(
            members[name].text() if name in members else ''
            for name in ('what', 'text')
        ),
    )


@dataclasses.dataclass(frozen=True)
class Row:
    """One kind of fact in a snapshot.

    :ivar member: names of the members on the way to its answers
    :ivar write_one: one answer as JSON
    :ivar read_one: the reverse; a file's needs :class:`content.Decoder` too
    """

    kind: Kind
    member: tuple[str, ...]
    arrangement: Arrangement
    write_one: Write
    read_one: Read | None

    def write(self, facts: Mapping[Key, Any]) -> Any:
        """All answers of this kind as JSON."""

        def one(fact: Any) -> Any:
            if isinstance(fact, Refusal):
                return write_refusal(fact)
            return self.write_one(fact)

        return self.arrangement.write(facts, one)

    def read(
        self, part: form.JsonNode, decoder: content.Decoder
    ) -> Iterable[tuple[Key, Any]]:
        """All answers of this kind.

        :raises DocumentError: naming the place that is wrong
        """

        def one(answer: form.JsonNode, key: Key) -> Any:
            refusal = read_refusal(answer)
            if refusal is not None:
                return refusal
            if self.read_one is None:
                return decoder.decode(answer, key[0])
            return self.read_one(answer)

        return self.arrangement.read(part, one)


ROWS = (
    Row(Kind.FILE, ('files',), Named(), content.encode, None),
    Row(Kind.DIRECTORY, ('directories',), Named(), list, _read_names),
    Row(Kind.STAT, ('stats',), Named(), _stat, _read_stat),
    Row(Kind.OPTIONS, ('options',), Named(), _options, _read_options),
    Row(Kind.VERSIONS, ('versions',), Named(), list, _read_texts),
    Row(Kind.GROUPS, ('groups',), Named(), list, _read_texts),
    Row(
        Kind.CPUID,
        ('cpuid',),
        ByProcessors('leaves', _leaf_name, _read_leaf_name),
        _regs,
        _read_regs,
    ),
    Row(
        Kind.MSR,
        ('msrs',),
        ByProcessors('values', hex, _read_msr_name),
        _hex64,
        _read_hex,
    ),
    Row(
        Kind.KVM_API_VERSION,
        ('kvm', 'api_version'),
        Single(),
        int,
        _read_int32,
    ),
    Row(
        Kind.KVM_EXTENSION,
        ('kvm', 'extensions'),
        Named(number=True),
        int,
        _read_int32,
    ),
    Row(
        Kind.KVM_SUPPORTED_CPUID,
        ('kvm', 'supported_cpuid'),
        Single(),
        _entries,
        _read_entries,
    ),
    Row(
        Kind.KVM_FEATURE_MSRS,
        ('kvm', 'feature_msrs'),
        Single(),
        _feature_msrs,
        _read_feature_msrs,
    ),
    Row(Kind.SMOKE, ('smoke',), Single(), _smoke, _read_smoke),
    Row(Kind.NESTED_SMOKE, ('nested_smoke',), Named(), _smoke, _read_smoke),
)
"""Every kind once, in the order of the document."""
