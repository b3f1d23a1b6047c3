# SPDX-License-Identifier: Apache-2.0
"""A recorded host: its values and its form ``hvfilter/snapshot/1``.

One JSON file that a person can review and post in a bug report. The JSON
Schema is ``schemas/snapshot-1.json`` beside this module; ``doc/source/
snapshot.rst`` explains it.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from hvfilter.host import content, cpulist
from hvfilter.host.door import (
    NOT_RECORDED,
    CpuidEntry,
    CpuidRegs,
    Denied,
    FileKind,
    FileStat,
    Machine,
    Sample,
    SmokeRun,
    error_text,
)
from hvfilter.model import form

SCHEMA = 'hvfilter/snapshot/1'
SCHEMA_FILE = 'schemas/snapshot-1.json'

FactT = TypeVar('FactT')
KeyT = TypeVar('KeyT')

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


class Making(enum.Enum):
    """How a snapshot came to be."""

    RECORDED = 'recorded'
    MADE = 'made'


@dataclasses.dataclass(frozen=True)
class Provenance:
    """Where a snapshot comes from.

    :ivar how: recorded on a machine, or made up by hand
    :ivar by: the program or the person
    :ivar where: the machine, in words that give no name away
    :ivar note: what is remarkable about it
    """

    how: Making
    by: str = ''
    where: str = ''
    note: str = ''

    def __str__(self) -> str:
        about = self.note or self.where or self.by
        return f'{self.how.value}: {about}' if about else self.how.value


@dataclasses.dataclass(frozen=True)
class Refusal:
    """A denial, kept.

    :ivar error: the errno's name
    :ivar what: what was tried, '' for the obvious
    :ivar text: the errno's text, '' for the usual
    """

    error: str
    what: str = ''
    text: str = ''

    @classmethod
    def of(cls, denied: Denied, obvious: str) -> Refusal:
        """The refusal in a denial; ``obvious`` is what it would say was
        tried if nothing were kept."""
        return cls(
            denied.error,
            '' if denied.what == obvious else denied.what,
            '' if denied.text == error_text(denied.error) else denied.text,
        )

    def denied(self, obvious: str) -> Denied:
        """The denial, to be raised."""
        return Denied(self.what or obvious, self.error, self.text)


Leaf = tuple[int, int]
"""CPUID leaf and subleaf."""

OptionValues = Mapping[str, Mapping[str, tuple[str, ...]]]
"""Section to option to its values; () where it was asked and is not set."""


@dataclasses.dataclass(frozen=True)
class KvmAnswers:
    """What /dev/kvm answered; None where it was not asked."""

    api_version: int | Refusal | None = None
    extensions: Mapping[int, int | Refusal] = dataclasses.field(
        default_factory=dict
    )
    supported_cpuid: tuple[CpuidEntry, ...] | Refusal | None = None
    feature_msrs: Mapping[int, int] | Refusal | None = None


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """Everything that was asked of one host, with the answers.

    :ivar files: path to content
    :ivar directories: path to names, sorted
    :ivar links: path to the link's target
    :ivar options: path of an ini file to the options asked of it
    :ivar versions: Python package to its installed versions
    :ivar groups: local account to its groups
    :ivar cpuid: processor to leaf to registers
    :ivar msrs: processor to index to value
    """

    origin: Provenance
    machine: Machine
    files: Mapping[str, bytes | Refusal] = dataclasses.field(
        default_factory=dict
    )
    directories: Mapping[str, tuple[str, ...] | Refusal] = dataclasses.field(
        default_factory=dict
    )
    links: Mapping[str, str | Refusal] = dataclasses.field(
        default_factory=dict
    )
    stats: Mapping[str, FileStat | Refusal] = dataclasses.field(
        default_factory=dict
    )
    options: Mapping[str, OptionValues | Refusal] = dataclasses.field(
        default_factory=dict
    )
    versions: Mapping[str, tuple[str, ...] | Refusal] = dataclasses.field(
        default_factory=dict
    )
    groups: Mapping[str, tuple[str, ...] | Refusal] = dataclasses.field(
        default_factory=dict
    )
    cpuid: Mapping[int, Mapping[Leaf, CpuidRegs | Refusal]] = (
        dataclasses.field(default_factory=dict)
    )
    msrs: Mapping[int, Mapping[int, int | Refusal]] = dataclasses.field(
        default_factory=dict
    )
    kvm: KvmAnswers = KvmAnswers()
    smoke: SmokeRun | Refusal | None = None

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """Every denial in it."""
        answers: list[object] = [
            *self.files.values(),
            *self.directories.values(),
            *self.links.values(),
            *self.stats.values(),
            *self.options.values(),
            *self.versions.values(),
            *self.groups.values(),
            *(fact for t in self.cpuid.values() for fact in t.values()),
            *(fact for t in self.msrs.values() for fact in t.values()),
            self.kvm.api_version,
            *self.kvm.extensions.values(),
            self.kvm.supported_cpuid,
            self.kvm.feature_msrs,
            self.smoke,
        ]
        return tuple(a for a in answers if isinstance(a, Refusal))


def dumps(snapshot: Snapshot) -> str:
    """The snapshot as text: sorted, so that two compare line by line."""
    return form.dumps(to_document(snapshot))


def loads(text: str | bytes) -> Snapshot:
    """The snapshot of a text.

    :raises FormError: naming the place that is wrong
    """
    return from_document(form.parse(text))


def to_document(snapshot: Snapshot) -> dict[str, Any]:
    """The JSON document of a snapshot. What is empty is left out."""
    document: dict[str, Any] = {
        'schema': SCHEMA,
        'origin': _provenance(snapshot.origin),
        'machine': {
            'arch': snapshot.machine.arch,
            'kernel': snapshot.machine.kernel,
        },
        'files': _table(snapshot.files, content.encode),
        'directories': _table(snapshot.directories, list),
        'links': _table(snapshot.links, str),
        'stats': _table(snapshot.stats, _stat),
        'options': _table(snapshot.options, _options),
        'versions': _table(snapshot.versions, list),
        'groups': _table(snapshot.groups, list),
        'cpuid': _by_cpus(snapshot.cpuid, 'leaves', _leaf_name, _regs),
        'msrs': _by_cpus(snapshot.msrs, 'values', hex, _hex64),
        'kvm': _kvm(snapshot.kvm),
    }
    if snapshot.smoke is not None:
        document['smoke'] = _or_refusal(snapshot.smoke, _smoke)
    return {name: value for name, value in document.items() if value}


def from_document(whole: form.Part) -> Snapshot:
    """The snapshot of a JSON document.

    :raises FormError: naming the place that is wrong
    """
    whole.schema(SCHEMA)
    found = whole.members(
        ('schema', 'origin', 'machine'),
        (
            'files',
            'directories',
            'links',
            'stats',
            'options',
            'versions',
            'groups',
            'cpuid',
            'msrs',
            'kvm',
            'smoke',
        ),
    )

    def table(
        name: str, read: Callable[[form.Part], FactT]
    ) -> dict[str, FactT | Refusal]:
        if name not in found:
            return {}
        return {
            path: _read_or_refusal(part, read)
            for path, part in found[name].entries().items()
        }

    decoder = content.Decoder()

    def files() -> dict[str, bytes | Refusal]:
        if 'files' not in found:
            return {}
        return {
            path: _read_or_refusal(
                part, functools.partial(decoder.decode, path=path)
            )
            for path, part in found['files'].entries().items()
        }

    machine = found['machine'].members(('arch', 'kernel'))
    return Snapshot(
        origin=_read_provenance(found['origin']),
        machine=Machine(machine['arch'].text(), machine['kernel'].text()),
        files=files(),
        directories=table('directories', _read_names),
        links=table('links', form.Part.text),
        stats=table('stats', _read_stat),
        options=table('options', _read_options),
        versions=table('versions', _read_texts),
        groups=table('groups', _read_texts),
        cpuid=_read_by_cpus(
            found.get('cpuid'), 'leaves', _read_leaf_name, _read_regs
        ),
        msrs=_read_by_cpus(
            found.get('msrs'), 'values', _read_index, _read_hex
        ),
        kvm=_read_kvm(found['kvm']) if 'kvm' in found else KvmAnswers(),
        smoke=_read_or_refusal(found['smoke'], _read_smoke)
        if 'smoke' in found
        else None,
    )


# Writing


def _or_refusal(fact: FactT | Refusal, render: Callable[[FactT], Any]) -> Any:
    if not isinstance(fact, Refusal):
        return render(fact)
    document = {'error': fact.error, 'what': fact.what, 'text': fact.text}
    return {name: value for name, value in document.items() if value}


def _table(
    facts: Mapping[str, FactT | Refusal], render: Callable[[FactT], Any]
) -> dict[str, Any]:
    return {name: _or_refusal(facts[name], render) for name in sorted(facts)}


def _provenance(origin: Provenance) -> dict[str, str]:
    document = {
        'how': origin.how.value,
        'by': origin.by,
        'where': origin.where,
        'note': origin.note,
    }
    return {name: value for name, value in document.items() if value}


def _stat(stat: FileStat) -> dict[str, Any]:
    return {
        'kind': stat.kind.value,
        'mode': f'0{stat.mode:o}',
        'owner': stat.owner,
        'group': stat.group,
        **({'acl': list(stat.acl)} if stat.acl else {}),
    }


def _options(options: OptionValues) -> dict[str, Any]:
    return {
        section: {
            name: values[0] if len(values) == 1 else list(values)
            for name, values in sorted(options[section].items())
        }
        for section in sorted(options)
    }


def _by_cpus(
    facts: Mapping[int, Mapping[KeyT, FactT | Refusal]],
    member: str,
    render_key: Callable[[KeyT], str],
    render: Callable[[FactT], Any],
) -> list[Any]:
    """Each answer once, with the processors that gave it."""
    answers: dict[tuple[KeyT, FactT | Refusal], list[int]] = {}
    for cpu, table in sorted(facts.items()):
        for key, fact in table.items():
            answers.setdefault((key, fact), []).append(cpu)
    groups: dict[tuple[int, ...], list[tuple[KeyT, FactT | Refusal]]] = {}
    for answer, cpus in answers.items():
        groups.setdefault(tuple(cpus), []).append(answer)
    # The answers that most processors share come first.
    ordered = sorted(groups, key=lambda cpus: (-len(cpus), cpus))
    return [
        {
            'cpus': cpulist.render(cpus),
            member: {
                render_key(key): _or_refusal(fact, render)
                for key, fact in sorted(
                    groups[cpus],
                    # The keys are numbers or pairs of them.
                    key=lambda answer: answer[0],  # type: ignore[arg-type,return-value]
                )
            },
        }
        for cpus in ordered
    ]


def _leaf_name(leaf: Leaf) -> str:
    return f'0x{leaf[0]:08x}/0x{leaf[1]:x}'


def _regs(regs: CpuidRegs) -> str:
    return (
        f'eax=0x{regs.eax:08x} ebx=0x{regs.ebx:08x} '
        f'ecx=0x{regs.ecx:08x} edx=0x{regs.edx:08x}'
    )


def _hex64(value: int) -> str:
    return f'0x{value:016x}'


def _kvm(kvm: KvmAnswers) -> dict[str, Any]:
    document: dict[str, Any] = {}
    if kvm.api_version is not None:
        document['api_version'] = _or_refusal(kvm.api_version, int)
    if kvm.extensions:
        document['extensions'] = {
            str(number): _or_refusal(kvm.extensions[number], int)
            for number in sorted(kvm.extensions)
        }
    if kvm.supported_cpuid is not None:
        document['supported_cpuid'] = _or_refusal(
            kvm.supported_cpuid,
            lambda entries: [
                f'{_leaf_name((entry.leaf, entry.subleaf))} '
                f'{_regs(entry.regs)}'
                for entry in entries
            ],
        )
    if kvm.feature_msrs is not None:
        document['feature_msrs'] = _or_refusal(
            kvm.feature_msrs,
            lambda msrs: {
                hex(index): _hex64(msrs[index]) for index in sorted(msrs)
            },
        )
    return document


def _smoke(smoke: SmokeRun) -> dict[str, Any]:
    return {
        'steps': [list(step) for step in smoke.steps],
        'samples': [dataclasses.asdict(sample) for sample in smoke.samples],
        'elapsed_ns': smoke.elapsed_ns,
        **({'attempts': smoke.attempts} if smoke.attempts != 1 else {}),
    }


# Reading


def _read_or_refusal(
    part: form.Part, read: Callable[[form.Part], FactT]
) -> FactT | Refusal:
    # An ini file may well have a section of that name, but no string there.
    if not isinstance(part.value, dict) or not isinstance(
        part.value.get('error'), str
    ):
        return read(part)
    found = part.members(('error',), ('what', 'text'))
    error = found['error'].text()
    if not _ERROR.fullmatch(error) or error == NOT_RECORDED:
        raise found['error'].fail("must be an errno's name, such as EACCES")
    return Refusal(
        error, *(_optional(found, name) for name in ('what', 'text'))
    )


def _optional(found: Mapping[str, form.Part], name: str) -> str:
    return found[name].text() if name in found else ''


def _read_provenance(part: form.Part) -> Provenance:
    found = part.members(('how',), ('by', 'where', 'note'))
    return Provenance(
        found['how'].choice(Making),
        *(_optional(found, name) for name in ('by', 'where', 'note')),
    )


def _read_names(part: form.Part) -> tuple[str, ...]:
    return tuple(sorted(_read_texts(part)))


def _read_texts(part: form.Part) -> tuple[str, ...]:
    return tuple(item.text() for item in part.items())


def _read_stat(part: form.Part) -> FileStat:
    found = part.members(('kind', 'mode', 'owner', 'group'), ('acl',))
    mode = found['mode'].text()
    if not re.fullmatch(r'0[0-7]{1,4}', mode):
        raise found['mode'].fail('must be octal, such as "0660"')
    return FileStat(
        found['kind'].choice(FileKind),
        int(mode, 8),
        found['owner'].text(),
        found['group'].text(),
        _read_texts(found['acl']) if 'acl' in found else (),
    )


def _read_options(part: form.Part) -> OptionValues:
    return {
        section: {
            name: (values.text(),)
            if isinstance(values.value, str)
            else tuple(item.text() for item in values.items())
            for name, values in names.entries().items()
        }
        for section, names in part.entries().items()
    }


def _read_by_cpus(
    part: form.Part | None,
    member: str,
    read_key: Callable[[form.Part, str], KeyT],
    read: Callable[[form.Part], FactT],
) -> dict[int, dict[KeyT, FactT | Refusal]]:
    facts: dict[int, dict[KeyT, FactT | Refusal]] = {}
    cells = 0
    for group in part.items() if part is not None else ():
        found = group.members(('cpus', member))
        try:
            cpus = cpulist.parse(found['cpus'].text())
        except ValueError:
            raise found['cpus'].fail(
                'must be a list of processors, such as "0-3,8"'
            ) from None
        for name, answer in found[member].entries().items():
            key = read_key(answer, name)
            fact = _read_or_refusal(answer, read)
            cells += len(cpus)
            if cells > _CELLS_LIMIT:
                raise group.fail(
                    f'more than {_CELLS_LIMIT} answers altogether'
                )
            for cpu in cpus:
                table = facts.setdefault(cpu, {})
                if key in table:
                    raise answer.fail(
                        f'processor {cpu} has answered that already'
                    )
                table[key] = fact
    return facts


def _read_leaf_name(part: form.Part, name: str) -> Leaf:
    found = _LEAF.fullmatch(name)
    if not found:
        raise part.fail('a leaf is named such as 0x00000007/0x0')
    return int(found[1], 16), int(found[2], 16)


def _regs_of(part: form.Part, text: str) -> CpuidRegs:
    found = _REGS.fullmatch(text)
    if not found:
        raise part.fail(
            'registers are written such as eax=0x00000000 ebx=0x00000000 '
            'ecx=0x00000000 edx=0x00000000'
        )
    return CpuidRegs(*(int(digits, 16) for digits in found.groups()))


def _read_regs(part: form.Part) -> CpuidRegs:
    return _regs_of(part, part.text())


def _read_index(part: form.Part, name: str) -> int:
    if not _HEX.fullmatch(name) or int(name, 16) > _U32:
        raise part.fail('an MSR is named by its index, such as 0x3a')
    return int(name, 16)


def _read_hex(part: form.Part) -> int:
    text = part.text()
    if not _HEX.fullmatch(text):
        raise part.fail('must be hexadecimal, such as "0x0000000000000005"')
    return int(text, 16)


def _read_number(part: form.Part, name: str) -> int:
    if not _DECIMAL.fullmatch(name):
        raise part.fail('an extension is named by its number, such as 235')
    return int(name)


def _read_kvm(part: form.Part) -> KvmAnswers:
    found = part.members(
        (), ('api_version', 'extensions', 'supported_cpuid', 'feature_msrs')
    )

    def answer(
        name: str, read: Callable[[form.Part], FactT]
    ) -> FactT | Refusal | None:
        if name not in found:
            return None
        return _read_or_refusal(found[name], read)

    return KvmAnswers(
        api_version=answer('api_version', _read_int32),
        extensions={
            _read_number(item, name): _read_or_refusal(item, _read_int32)
            for name, item in found['extensions'].entries().items()
        }
        if 'extensions' in found
        else {},
        supported_cpuid=answer('supported_cpuid', _read_entries),
        feature_msrs=answer('feature_msrs', _read_feature_msrs),
    )


def _read_int32(part: form.Part) -> int:
    return part.integer(-(2**31), 2**31 - 1)


def _read_entries(part: form.Part) -> tuple[CpuidEntry, ...]:
    return tuple(_read_entry(item) for item in part.items())


def _read_entry(item: form.Part) -> CpuidEntry:
    name, _, regs = item.text().partition(' ')
    leaf, subleaf = _read_leaf_name(item, name)
    return CpuidEntry(leaf, subleaf, _regs_of(item, regs))


def _read_feature_msrs(part: form.Part) -> dict[int, int]:
    return {
        _read_index(value, name): _read_hex(value)
        for name, value in part.entries().items()
    }


def _read_smoke(part: form.Part) -> SmokeRun:
    found = part.members(('steps', 'samples', 'elapsed_ns'), ('attempts',))
    return SmokeRun(
        tuple(_read_step(step) for step in found['steps'].items()),
        tuple(_read_sample(sample) for sample in found['samples'].items()),
        found['elapsed_ns'].integer(),
        # Recordings of releases before attempts were counted made one.
        found['attempts'].integer(1) if 'attempts' in found else 1,
    )


def _read_step(part: form.Part) -> tuple[str, str]:
    items = part.items()
    if len(items) != 2:
        raise part.fail('must be a pair: the step and its outcome')
    return items[0].text(), items[1].text()


def _read_sample(part: form.Part) -> Sample:
    found = part.members(('iterations', 'guest_ns', 'host_ns'))
    return Sample(
        found['iterations'].integer(),
        found['guest_ns'].integer(),
        found['host_ns'].integer(),
    )
