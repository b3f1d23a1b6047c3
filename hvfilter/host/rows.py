# SPDX-License-Identifier: Apache-2.0
"""How each kind of fact is written in a snapshot: one row a kind.

A row names the member of the document, how its answers are arranged there,
and how one answer is written, read and described in the JSON Schema.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hvfilter.host import content
from hvfilter.host.answers import Refusal
from hvfilter.host.arrangement import (
    HEX32,
    Arrangement,
    ByProcessors,
    Key,
    Named,
    Schema,
    Single,
    reference,
)
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

Write = Callable[[Any], Any]
Read = Callable[[form.JsonNode], Any]

_ERROR = re.compile(r'[A-Z][A-Z0-9]{1,20}')
_HEX = re.compile(r'0x[0-9a-f]{1,16}')
_LEAF = re.compile(r'0x([0-9a-f]{1,8})/0x([0-9a-f]{1,8})')
_REGS = re.compile(
    r'eax=0x([0-9a-f]{1,8}) ebx=0x([0-9a-f]{1,8}) '
    r'ecx=0x([0-9a-f]{1,8}) edx=0x([0-9a-f]{1,8})'
)
_U32 = 2**32 - 1


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


def _or_denial(answer: Schema) -> Schema:
    return {'anyOf': [answer, reference('refusal')]}


@dataclasses.dataclass(frozen=True)
class Codec:
    """One answer as JSON.

    :ivar write: an answer as JSON
    :ivar read: the reverse; a file's needs :class:`content.Decoder` too
    :ivar schema: what the JSON Schema says of an answer or a denial
    """

    write: Write
    read: Read | None
    schema: Schema


@dataclasses.dataclass(frozen=True)
class Row:
    """One kind of fact in a snapshot.

    :ivar member: names of the members on the way to its answers
    :ivar description: of that member, in the JSON Schema
    """

    kind: Kind
    member: tuple[str, ...]
    description: str
    arrangement: Arrangement
    codec: Codec

    @property
    def schema(self) -> Schema:
        """What the JSON Schema says of its answers."""
        return {
            'description': self.description,
            **self.arrangement.schema(self.codec.schema),
        }

    def write(self, facts: Mapping[Key, Any]) -> Any:
        """All answers of this kind as JSON."""

        def one(fact: Any) -> Any:
            if isinstance(fact, Refusal):
                return write_refusal(fact)
            return self.codec.write(fact)

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
            if self.codec.read is None:
                return decoder.decode(answer, key[0])
            return self.codec.read(answer)

        return self.arrangement.read(part, one)


_TEXTS = Codec(list, _read_texts, _or_denial(reference('strings')))
_NUMBER = Codec(int, _read_int32, reference('number'))
_SMOKE = Codec(_smoke, _read_smoke, _or_denial(reference('smoke')))
_LEAF_PATTERN = f'{HEX32}/{HEX32}'
_REGS_PATTERN = f'eax={HEX32} ebx={HEX32} ecx={HEX32} edx={HEX32}'

ROWS = (
    Row(
        Kind.FILE,
        ('files',),
        "Absolute path to the file's content.",
        Named(),
        Codec(content.encode, None, _or_denial(reference('content'))),
    ),
    Row(
        Kind.DIRECTORY,
        ('directories',),
        'Absolute path to the names in it.',
        Named(),
        Codec(list, _read_names, _or_denial(reference('strings'))),
    ),
    Row(
        Kind.STAT,
        ('stats',),
        'Absolute path to what it is, links followed.',
        Named(),
        Codec(_stat, _read_stat, _or_denial(reference('stat'))),
    ),
    Row(
        Kind.OPTIONS,
        ('options',),
        'Path of an ini file to section to option to its value or values; an '
        'empty array means that the file does not set it. Options that are '
        'not here were not looked at.',
        Named(),
        Codec(_options, _read_options, _or_denial(reference('options'))),
    ),
    Row(
        Kind.VERSIONS,
        ('versions',),
        'Python package to the versions that are installed.',
        Named(),
        _TEXTS,
    ),
    Row(
        Kind.GROUPS,
        ('groups',),
        'Name of a local account to the names of its groups.',
        Named(),
        _TEXTS,
    ),
    Row(
        Kind.CPUID,
        ('cpuid',),
        "CPUID leaves. A processor's leaves are those of all groups that "
        'name it; a leaf comes once for each processor.',
        ByProcessors(
            'leaves',
            'Leaf/subleaf to registers.',
            {'pattern': f'^{_LEAF_PATTERN}$'},
            _leaf_name,
            _read_leaf_name,
        ),
        Codec(_regs, _read_regs, _or_denial(reference('registers'))),
    ),
    Row(
        Kind.MSR,
        ('msrs',),
        'Model-specific registers, grouped as the CPUID leaves are.',
        ByProcessors(
            'values',
            'Index to value.',
            reference('msrIndex'),
            hex,
            _read_msr_name,
        ),
        Codec(_hex64, _read_hex, _or_denial(reference('value'))),
    ),
    Row(
        Kind.KVM_API_VERSION,
        ('kvm', 'api_version'),
        'KVM_GET_API_VERSION.',
        Single(),
        _NUMBER,
    ),
    Row(
        Kind.KVM_EXTENSION,
        ('kvm', 'extensions'),
        'KVM_CHECK_EXTENSION, by number.',
        Named(number=True),
        _NUMBER,
    ),
    Row(
        Kind.KVM_SUPPORTED_CPUID,
        ('kvm', 'supported_cpuid'),
        'KVM_GET_SUPPORTED_CPUID, in its order.',
        Single(),
        Codec(
            _entries,
            _read_entries,
            _or_denial(
                {
                    'type': 'array',
                    'items': {
                        'type': 'string',
                        'pattern': f'^{_LEAF_PATTERN} {_REGS_PATTERN}$',
                    },
                }
            ),
        ),
    ),
    Row(
        Kind.KVM_FEATURE_MSRS,
        ('kvm', 'feature_msrs'),
        'KVM_GET_MSR_FEATURE_INDEX_LIST and KVM_GET_MSRS.',
        Single(),
        Codec(
            _feature_msrs,
            _read_feature_msrs,
            _or_denial(
                {
                    'type': 'object',
                    'propertyNames': reference('msrIndex'),
                    'additionalProperties': reference('value'),
                }
            ),
        ),
    ),
    Row(
        Kind.SMOKE,
        ('smoke',),
        'What happened when a tiny guest was run.',
        Single(),
        _SMOKE,
    ),
    Row(
        Kind.NESTED_SMOKE,
        ('nested_smoke',),
        'The same for a guest that runs a guest of its own, by the '
        'capability that this needs: nested or nested_slat.',
        Named(),
        _SMOKE,
    ),
)
"""Every kind once, in the order of the document."""
