# SPDX-License-Identifier: Apache-2.0
"""What does not belong in a recording that anyone may see.

Serial numbers, unique identifiers, addresses, secrets and the names of the
recorded machine are left out; everything that a probe judges by stays. Where
the two could meet, as in the kernel's command line, only what is of a known
form is kept.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from hvfilter.host.answers import Refusal
from hvfilter.host.cmdline import CommandLine, Parameter
from hvfilter.host.facts import CpuidRegs
from hvfilter.host.question import Kind, Options, Question
from hvfilter.host.snapshot import Snapshot

GONE = '(redacted)'

SECRET_LEAVES = frozenset({0x3})
"""CPUID leaves that hold a processor's serial number."""

SECRET_MSRS = frozenset({0x4E, 0x4F, 0xC00102F0, 0xC00102F1})
"""MSRs that hold a protected processor inventory number (PPIN)."""

_OF_PATHS = (Kind.FILE, Kind.DIRECTORY, Kind.STAT, Kind.OPTIONS)
"""Kinds whose key is a path."""

_COMMON_WORDS = frozenset(
    re.findall(
        r'\S+',
        """
    amd arm arm64 auto bochs bridge cloud compute cpu cpuinfo dell dev etc
    guest host host-model host-passthrough hygon hyperv hypervisor intel
    iommu ioapic kernel kvm kvm_amd kvm_intel lenovo libvirt linux machine
    microsoft misc mmio module nested never none nova nova-compute null off
    openstack proc qemu root sev smmu snp svm sys system tdx timeout timing
    tun vhost vhost-net virt vm vmware vmx vtx xen
    """,
    )
)
"""Names that identify no machine, and that facts are made of:
a host that is called ``kvm`` keeps its device."""

_SHORTEST = 3

_HEX2 = '[0-9A-Fa-f]{2}'
_MAC = re.compile(
    rf'(?<![0-9A-Fa-f:.-])(?:{_HEX2}(?::{_HEX2}){{5}}'
    rf'|{_HEX2}(?:-{_HEX2}){{5}}|{_HEX2}(?::{_HEX2}){{19}}'
    r'|[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4})(?![0-9A-Fa-f:.-])'
)
_UUID = re.compile(
    r'(?<![0-9A-Fa-f])[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}'
    r'(?![0-9A-Fa-f])'
)
_IPV4 = re.compile(r'(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\w)')
_IPV6 = re.compile(
    r'(?i)(?<![\w:.])(?:(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}'
    r'|(?:fe[89ab]|f[cd]|2|3)[0-9a-f]{1,3}:(?:[0-9a-f]{0,4}:){1,6}'
    r'[0-9a-f]{0,4})(?![\w:])'
)
_MAIL = re.compile(r'[\w.+-]+@[\w-]+(?:\.[\w-]+)+')
_ADDRESSES = (_UUID, _MAC, _IPV4, _IPV6, _MAIL)

_SERIAL_LINE = re.compile(r'(?im)^(serial(?:[ \t]+number)?|uuid)([ \t]*:).*$')
_S390_IDENTIFICATION = re.compile(r'(\bidentification = )[0-9A-Fa-f]+')
_SYSINFO_LINE = re.compile(
    r'(?m)^((?:Sequence Code|[^:\n]*(?:Name|UUID|Identifier)):[ \t]*)\S.*$'
)
_BUILDER = re.compile(r'\([^\s()]+@[^\s()]+\)')
_SECRET_FILE = re.compile(
    r'/(?:[a-z_]*serial(?:-number)?|[a-z_]*uuid|[a-z_]*asset_tag|system-id|'
    r'machine-id|compute_id|hostname|HOSTNAME|domainname|mailname|hosts|'
    r'nodename|address)$'
)
_FLAGS_LINE = re.compile(
    r'(?i)^(?:vmx )?(?:flags|features|isa|bugs|options|cpu|uarch|fpu|mmu|'
    r'power management|processor|hart|address sizes|platform|machine)'
    r'(?: implemented)?[ \t]*:'
)
"""Lines of a cpuinfo that hold facts of the hardware alone."""

_SUFFIXES = 'conf|json|ya?ml|service|socket|target|d'


class Redaction:
    """Makes answers fit to be shown.

    :param names: names of the machine to be hidden wherever they stand;
        those that are common words are not
    """

    def __init__(self, names: Sequence[str] = ()) -> None:
        # A machine called after its domain is found before its short name.
        hidden = sorted({n for n in names if _identifies(n)}, key=len)[::-1]
        self._names = self._domains = None
        if hidden:
            any_name = '|'.join(map(re.escape, hidden))
            pattern = rf'(?ai)(?<![^\W_])(?:{any_name})(?![^\W_])'
            self._names = re.compile(pattern)
            self._domains = re.compile(
                rf'{pattern}(?:\.(?!(?:{_SUFFIXES})\b)[a-z][\w-]*)*'
            )

    def snapshot(self, recorded: Snapshot) -> Snapshot:
        """The whole recording, fit to be shown."""
        paths = _Paths(self, recorded.facts(Kind.DIRECTORY))
        return Snapshot(
            dataclasses.replace(
                recorded.origin,
                where=self.text(recorded.origin.where),
                note=self.text(recorded.origin.note),
            ),
            dataclasses.replace(
                recorded.machine, kernel=self.name(recorded.machine.kernel)
            ),
            {
                self._question(question, paths): self._answer(
                    question, answer, paths
                )
                for question, answer in recorded.answers.items()
                if question.kind is not Kind.MSR
                or question.key[1] not in SECRET_MSRS
            },
        )

    def _question(
        self, question: Question[Any], paths: _Paths
    ) -> Question[Any]:
        if question.kind not in _OF_PATHS:
            return Question(question.kind, self._plain(question.key))
        return Question(question.kind, (paths.path(question.key[0]),))

    def _answer(
        self, question: Question[Any], answer: Any, paths: _Paths
    ) -> Any:
        if isinstance(answer, Refusal):
            return self._refusal(answer)
        kind, key = question.kind, question.key
        if kind is Kind.FILE:
            return self.content(key[0], answer)
        if kind is Kind.DIRECTORY:
            return paths.listing(key[0], answer)
        if kind is Kind.OPTIONS:
            return self._options(answer)
        if kind is Kind.CPUID and key[1] in SECRET_LEAVES:
            return CpuidRegs(0, 0, 0, 0)
        return self._plain(answer)

    def _plain(self, answer: Any) -> Any:
        """An answer of any other kind, without the machine's names."""
        if isinstance(answer, str):
            return self.name(answer)
        if isinstance(answer, tuple):
            return tuple(map(self._plain, answer))
        if dataclasses.is_dataclass(answer) and not isinstance(answer, type):
            fields = dataclasses.fields(answer)
            return dataclasses.replace(
                answer,
                **{
                    f.name: self._plain(getattr(answer, f.name))
                    for f in fields
                },
            )
        return answer

    def content(self, path: str, data: bytes) -> bytes:
        """A file's content.

        Of bytes that are not text, names and addresses are overwritten, so
        that everything else stays where it is.
        """
        if _SECRET_FILE.search(path):
            return GONE.encode() + b'\n'
        try:
            text = data.decode('utf-8')
        except UnicodeDecodeError:
            return self._overwritten(data)
        for pattern, change in _CHANGES:
            if pattern.search(path):
                text = change(text)
        if path == '/proc/cpuinfo':
            text = self._cpuinfo(text)
        else:
            text = self.text(text)
        return text.encode('utf-8')

    def text(self, text: str) -> str:
        """Free text, such as a message or a link's target."""
        if self._domains:
            text = self._domains.sub(GONE, text)
        for pattern in _ADDRESSES:
            text = pattern.sub(GONE, text)
        return text

    def name(self, text: str) -> str:
        """A word that may be made of a name, such as a kernel's release."""
        return self._names.sub(GONE, text) if self._names else text

    def _refusal(self, refusal: Refusal) -> Refusal:
        return dataclasses.replace(
            refusal,
            what=self.text(refusal.what),
            text=self.text(refusal.text),
        )

    def _options(self, options: Options) -> Options:
        return {
            section: {
                name: tuple(self.text(_option(name, v)) for v in values)
                for name, values in names.items()
            }
            for section, names in options.items()
        }

    def _cpuinfo(self, text: str) -> str:
        if not self._names or not self._names.search(text):
            return text
        return ''.join(
            line if _FLAGS_LINE.match(line) else self.text(line)
            for line in text.splitlines(keepends=True)
        )

    def _overwritten(self, data: bytes) -> bytes:
        text = data.decode('latin-1')
        for pattern in (self._names, *_ADDRESSES):
            if pattern is not None:
                text = pattern.sub(lambda found: '?' * len(found[0]), text)
        return text.encode('latin-1')


class _Paths:
    """Paths without names: what a directory lists is found in it.

    Names in a directory of configuration files give the order in which they
    are read, so where hiding one would change the order all are numbered.
    """

    def __init__(
        self,
        redaction: Redaction,
        directories: Mapping[tuple[str], Iterable[str] | Refusal],
    ) -> None:
        self._hide = redaction.name
        self._renamed: dict[tuple[str, str], str] = {}
        for (at,), names in directories.items():
            if not isinstance(names, Refusal):
                self._list(at, sorted(names))

    def _list(self, at: str, names: Sequence[str]) -> None:
        shown = [self._hide(name) for name in names]
        if shown == list(names):
            return
        if shown != sorted(set(shown)):
            shown = [
                f'{number:05}-{GONE}{_suffix(name)}'
                for number, name in enumerate(names)
            ]
        for name, hidden in zip(names, shown, strict=True):
            self._renamed[at, name] = hidden

    def listing(self, at: str, names: Iterable[str]) -> tuple[str, ...]:
        """The names in a directory, sorted."""
        return tuple(sorted(self._renamed.get((at, n), n) for n in names))

    def path(self, path: str) -> str:
        """The path, each part as its directory lists it now."""
        parts = path.split('/')
        return '/'.join(
            self._renamed.get(
                ('/'.join(parts[:depth]), part), self._hide(part)
            )
            for depth, part in enumerate(parts)
        )


def _suffix(name: str) -> str:
    match = re.search(rf'\.(?:{_SUFFIXES})$', name)
    return match[0] if match else ''


def _identifies(name: str) -> bool:
    """Whether a name identifies the machine."""
    return (
        len(name) >= _SHORTEST
        and name.lower() not in _COMMON_WORDS
        and not name.isdigit()
    )


# The kernel's command line

_SWITCH = re.compile(r'(?i)[yn01tf]|on|off|yes|no|true|false')
_FORM = re.compile(
    r'!?[a-z][a-z_-]{0,31}\d{0,3}[+-]?'  # a word, a module, a feature
    r'|[-+]?(?:0x)?[0-9a-f]{1,16}[KMGTkmgt]?'  # a number, a size
    r'|\d+(?:[-/*x]\d+)+[KMGTkmgt]?'  # a range
    r'|[0-9a-f]{2}\.[0-7]'  # the end of a PCI address
)
_PARTS = re.compile(r'([,;:@=\s])')
_NAME = re.compile(r'[a-z][a-z0-9_.-]{0,40}|BOOT_IMAGE')


def _cmdline(text: str) -> str:
    """Only parameters that concern virtualization keep their value, as far
    as it is of a form that such values have; init's own arguments are left
    out altogether."""
    return ' '.join(filter(None, map(_word, CommandLine(text).parameters)))


def _word(parameter: Parameter) -> str:
    name, equals, _value = parameter.text.removeprefix('"').partition('=')
    if not equals:
        return parameter.text if parameter.kept else ''
    if parameter.kept:
        value = parameter.value or ''
        known = _known_parts(value)
        return parameter.text if known == value else f'{name}={known}'
    # What is no name is a stray quote, or a secret that ends in "=".
    return f'{name}={GONE}' if _NAME.fullmatch(name) else ''


def _known_parts(value: str) -> str:
    return ''.join(
        part
        if at % 2
        or not part
        or _SWITCH.fullmatch(part)
        or _FORM.fullmatch(part)
        else GONE
        for at, part in enumerate(_PARTS.split(value))
    )


# Other files

_KERNEL_MESSAGE = re.compile(
    r'(?i)\b(?:kvm|svm|vmx|vt-x|amd-v|amd-vi|dmar|iommu|smmu|sev|ccp|tdx|'
    r'hyp mode|hypervisor|el2|vhe|sie|npt|ept|nested|virtuali[sz]ation|'
    r'lockdown|x2apic|gicv[234]|vgic)\b'
)
_COMMAND_LINE = re.compile(r'(?i)(command line:[ \t]*)(.*)')
_PREFIX = re.compile(r'(\d+),')
_FACILITY = 3
"""Bits of a message's priority that are its level; above them stands the
facility, 0 for the kernel (kernel Documentation/ABI/testing/dev-kmsg)."""


def _messages(text: str) -> str:
    """Only the kernel's messages on virtualization: the others name disks,
    network cards and people."""
    kept = []
    for line in text.splitlines(keepends=True):
        prefix = _PREFIX.match(line)
        if prefix and int(prefix[1][:9]) >> _FACILITY:
            continue
        message = line.partition(';')[2]
        if not _KERNEL_MESSAGE.search(message):
            continue
        if 'command line param' in message.lower():
            continue
        kept.append(_COMMAND_LINE.sub(lambda f: f[1] + _cmdline(f[2]), line))
    return ''.join(kept)


def _cpuinfo(text: str) -> str:
    text = _SERIAL_LINE.sub(rf'\1\2 {GONE}', text)
    return _S390_IDENTIFICATION.sub(r'\g<1>000000', text)


_PARAMETER = re.compile(
    r'(?:-?\d{1,20}|0x[0-9a-fA-F]{1,16}|\(null\)'
    r'|EPT disabled|[A-Za-z][a-z_-]{0,15}(?: [a-z]{1,15}){0,2})?'
)


def _module_parameter(text: str) -> str:
    """A list of numbers, switches and words; no path, no address."""
    value = text.strip()
    if all(_PARAMETER.fullmatch(part) for part in value.split(',')):
        return text
    return f'{GONE}\n'


_OS_LINE = re.compile(
    r'(?m)^(?!(?:ID|ID_LIKE|NAME|VERSION|VERSION_ID|VERSION_CODENAME|'
    r'PRETTY_NAME|VARIANT_ID)=).*\n?'
)

_CHANGES: tuple[tuple[re.Pattern[str], Callable[[str], str]], ...] = (
    (re.compile(r'^/proc/cmdline$'), lambda text: _cmdline(text) + '\n'),
    (re.compile(r'^/proc/cpuinfo$'), _cpuinfo),
    (
        re.compile(r'^/proc/sysinfo$'),
        lambda text: _SYSINFO_LINE.sub(rf'\g<1>{GONE}', text),
    ),
    (re.compile(r'^/dev/kmsg$'), _messages),
    (re.compile(r'^/proc/version$'), lambda text: _BUILDER.sub(GONE, text)),
    (re.compile(r'^/sys/module/[^/]+/parameters/'), _module_parameter),
    (
        re.compile(r'^(?:/etc|/usr/lib)/os-release$'),
        lambda text: _OS_LINE.sub('', text),
    ),
)

# Options

_OPTION_WORD = re.compile(rf'[-+!]?(?:[\w.:=$-]|{re.escape(GONE)}){{0,64}}')


def _option(name: str, value: str) -> str:
    """An option's value, as far as it is of the form that such values have;
    a continued line may be anything."""
    if name == 'ExecStart':
        return _command(value)
    lines = value.split('\n')
    return '\n'.join(
        line
        if all(
            _OPTION_WORD.fullmatch(word.strip()) for word in line.split(',')
        )
        or _OPTION_PATH.fullmatch(line)
        else GONE
        for line in lines
    )


_OPTION_PATH = re.compile(rf'/(?:[\w./$-]|{re.escape(GONE)})+')


def _command(value: str) -> str:
    """A unit's command line: the program, and which files it reads."""
    try:
        words = shlex.split(value.replace('\\\n', ' '))
    except ValueError:
        return GONE
    kept: list[str] = words[:1]
    take_next = False
    for word in words[1:]:
        option = word.partition('=')[0]
        is_file = option in ('--config-file', '--config-dir')
        if is_file or take_next:
            kept.append(word)
        elif kept[-1] != GONE:
            kept.append(GONE)
        take_next = is_file and '=' not in word
    return ' '.join(map(shlex.quote, kept))
