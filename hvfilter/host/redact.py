# SPDX-License-Identifier: Apache-2.0
"""What does not belong in a recording that anyone may see.

Serial numbers, unique identifiers, MAC addresses and names of machines go;
everything that a probe could judge by stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from hvfilter.host.cmdline import CommandLine

GONE = '(redacted)'

SECRET_LEAVES = frozenset({0x3})
"""CPUID leaves that hold a processor's serial number."""

SECRET_MSRS = frozenset({0x4E, 0x4F, 0xC00102F0, 0xC00102F1})
"""MSRs that hold a protected processor inventory number (PPIN)."""

_MAC = re.compile(
    r'(?<![0-9A-Fa-f:])(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:])'
)
_UUID = re.compile(r'\b[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}\b')
_SERIAL_LINE = re.compile(r'(?im)^(serial(?:[ \t]+number)?|uuid)([ \t]*:).*$')
_S390_IDENTIFICATION = re.compile(r'(\bidentification = )[0-9A-Fa-f]+')
_SYSINFO_LINE = re.compile(
    r'(?m)^((?:Sequence Code|[^:\n]*(?:Name|UUID|Identifier)):[ \t]*)\S.*$'
)
_BUILDER = re.compile(r'\([^\s()]+@[^\s()]+\)')
_SECRET_FILE = re.compile(
    r'/(?:[a-z_]*serial(?:-number)?|[a-z_]*uuid|[a-z_]*asset_tag|system-id|'
    r'machine-id|hostname|nodename|address)$'
)


class Redaction:
    """Makes answers fit to be shown.

    :param names: names of the machine to be hidden wherever free text could
        hold them; module parameters and processor flags never do
    """

    def __init__(self, names: Sequence[str] = ()) -> None:
        # A machine called after its domain is found before its short name.
        wanted = sorted({n for n in names if len(n) > 2}, key=len)[::-1]
        self._names = (
            re.compile(
                r'(?i)(?<!\w)(?:'
                + '|'.join(map(re.escape, wanted))
                + r')(?!\w)'
            )
            if wanted
            else None
        )

    def content(self, path: str, data: bytes) -> bytes:
        """A file's content. Bytes that are no text are left alone."""
        if _SECRET_FILE.search(path):
            return GONE.encode() + b'\n'
        try:
            text = data.decode('utf-8')
        except UnicodeDecodeError:
            return data
        for pattern, change in _CHANGES:
            if pattern.search(path):
                text = change(text)
        text = _UUID.sub(GONE, _MAC.sub(GONE, text))
        if not path.startswith(('/proc/cpuinfo', '/sys/module/')):
            text = self.text(text)
        return text.encode('utf-8')

    def text(self, text: str) -> str:
        """Free text, such as the name of a kernel or a link's target."""
        return self._names.sub(GONE, text) if self._names else text


def _cmdline(text: str) -> str:
    """Only parameters that concern virtualization keep their value; init's
    own arguments are left out altogether."""
    words = []
    for parameter in CommandLine(text).parameters:
        if parameter.kept:
            words.append(parameter.text)
            continue
        name, equals, _value = parameter.text.removeprefix('"').partition('=')
        # A name with blanks or quotes in it is no name, but a stray quote.
        if equals and not re.search(r'[\s"]', name):
            words.append(f'{name}={GONE}')
    return ' '.join(words) + '\n'


_KERNEL_MESSAGE = re.compile(
    r'(?i)\b(?:kvm|svm|vmx|vt-x|amd-v|amd-vi|dmar|iommu|smmu|sev|ccp|tdx|'
    r'hyp mode|hypervisor|el2|vhe|sie|npt|ept|nested|virtuali[sz]ation|'
    r'lockdown|x2apic|gicv[234]|vgic)\b'
)


def _messages(text: str) -> str:
    """Only the kernel's words on virtualization: the others name disks,
    network cards and people."""
    kept = (
        line
        for line in text.splitlines(keepends=True)
        if _KERNEL_MESSAGE.search(line.partition(';')[2])
    )
    return ''.join(kept)


def _cpuinfo(text: str) -> str:
    text = _SERIAL_LINE.sub(rf'\1\2 {GONE}', text)
    return _S390_IDENTIFICATION.sub(r'\g<1>000000', text)


_CHANGES: tuple[tuple[re.Pattern[str], Callable[[str], str]], ...] = (
    (re.compile(r'^/proc/cmdline$'), _cmdline),
    (re.compile(r'^/proc/cpuinfo$'), _cpuinfo),
    (
        re.compile(r'^/proc/sysinfo$'),
        lambda text: _SYSINFO_LINE.sub(rf'\g<1>{GONE}', text),
    ),
    (re.compile(r'^/dev/kmsg$'), _messages),
    (re.compile(r'^/proc/version$'), lambda text: _BUILDER.sub(GONE, text)),
)
