# SPDX-License-Identifier: Apache-2.0
"""What of a recorded host can be the cause of a change, as text.

Only what stays the same while nobody changes the host: no counter, no time,
nothing that was measured.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hvfilter.host.answers import Refusal
from hvfilter.host.cmdline import CommandLine
from hvfilter.host.facts import CpuidRegs
from hvfilter.host.question import Kind
from hvfilter.host.record_extras import FIRMWARE_VERSION, MODULES
from hvfilter.host.redact import GONE
from hvfilter.host.snapshot import Snapshot
from hvfilter.probes.x86_features import SVM_FLAGS, SVM_LEAF

BOOT = 'kernel command line'
CPUID = 'virtualization in CPUID'
"""The subjects whose values are lists of words."""

DEVICE = '/dev/kvm'

NOT_SET = 'not set'
MISSING = 'missing'

_FEATURES = 0x1
_EXTENDED_FEATURES = 0x80000001
_VMX_BIT = 5
_SVM_BIT = 2
_FEATURE_CONTROL = 0x3A
_VM_CR = 0xC0010114
_LOCK = 1 << 0
_VMX_INSIDE_SMX = 1 << 1
_VMX_OUTSIDE_SMX = 1 << 2
_SVM_LOCK = 1 << 3
_SVM_DISABLED = 1 << 4

_PARAMETER = re.compile(r'/sys/module/(\w+)/parameters/(\w+)')
_MICROCODE = re.compile(r'(?m)^microcode[ \t]*: *(\S+)')
_CPU_MODEL = re.compile(
    r'(?m)^(?:model name|cpu model|cpu|uarch)[ \t]*: *(.+)'
)


def facts(recorded: Snapshot) -> dict[str, str]:
    """Subject to value, the likeliest cause first.

    A subject that was not asked for is left out. One that could not be read
    is ``unreadable (EACCES)`` or the like, never as if it were not there.

    :param recorded: redacted, so that nothing here has to be
    """
    files = {path: data for (path,), data in recorded.facts(Kind.FILE).items()}
    values = dict(_cpuinfo(files, 'CPU model', _CPU_MODEL))
    values['machine'] = recorded.machine.arch
    values.update(_cpuid(recorded.facts(Kind.CPUID)))
    values['kernel'] = recorded.machine.kernel
    values.update(_cpuinfo(files, 'microcode', _MICROCODE))
    values.update(_file(files, 'firmware', FIRMWARE_VERSION))
    values.update(_locks(recorded.facts(Kind.MSR)))
    values.update(_boot(files))
    values.update(_modules(recorded.facts(Kind.DIRECTORY)))
    values.update(_parameters(files))
    values.update(_options(recorded.facts(Kind.OPTIONS)))
    values.update(_devices(recorded.facts(Kind.STAT)))
    values.update(_packages(recorded.facts(Kind.VERSIONS)))
    return values


def _refused(refusal: Refusal) -> str:
    if refusal.error == 'ENOENT':
        return MISSING
    return f'unreadable ({refusal.error})'


def _file(
    files: Mapping[str, Any], subject: str, path: str
) -> Iterator[tuple[str, str]]:
    answer = files.get(path)
    if isinstance(answer, bytes):
        yield subject, answer.decode('utf-8', 'replace').strip()
    elif answer is not None:
        yield subject, _refused(answer)


def _cpuinfo(
    files: Mapping[str, Any], subject: str, pattern: re.Pattern[str]
) -> Iterator[tuple[str, str]]:
    for _, text in _file(files, subject, '/proc/cpuinfo'):
        values = dict.fromkeys(each.strip() for each in pattern.findall(text))
        if values:
            yield subject, ', '.join(values)


def _cpuid(leaves: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    """What the processor, or the hypervisor under this machine, offers.

    Neither a firmware's lock nor the kernel's command line changes it, as
    they change the flags of cpuinfo. SDM vol. 2 CPUID, 01H:ECX; APM vol. 3
    app. E.4.2 (80000001H:ECX) and E.4.9 (8000000AH:EDX).
    """

    def register(leaf: int, name: str) -> int:
        answer = leaves.get((0, leaf, 0))
        return getattr(answer, name, 0)

    if not isinstance(leaves.get((0, _FEATURES, 0)), CpuidRegs):
        return
    words = ['vtx'] if register(_FEATURES, 'ecx') >> _VMX_BIT & 1 else []
    if register(_EXTENDED_FEATURES, 'ecx') >> _SVM_BIT & 1:
        flags = register(SVM_LEAF, 'edx')
        words.append('amdv')
        words += [
            key for key, flag in SVM_FLAGS.items() if flags >> flag.bit & 1
        ]
    yield CPUID, ' '.join(words)


def _locks(registers: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    """The registers by which the firmware switches virtualization off.

    SDM vol. 3 sec. 24.7; APM vol. 2 sec. 15.30.1.
    """
    for index, subject, describe in (
        (_FEATURE_CONTROL, 'firmware lock (MSR 0x3a)', _feature_control),
        (_VM_CR, 'firmware lock (MSR 0xc0010114)', _vm_cr),
    ):
        values = {
            value
            for (_, at), value in sorted(registers.items(), key=repr)
            if at == index and isinstance(value, int)
        }
        if values:
            yield subject, ', '.join(_each(describe, sorted(values)))


def _each(describe: Callable[[int], str], values: list[int]) -> Iterator[str]:
    yield from (f'{value:#x} ({describe(value)})' for value in values)


def _feature_control(value: int) -> str:
    vmx = value & (_VMX_INSIDE_SMX | _VMX_OUTSIDE_SMX)
    return (
        f'VT-x {"permitted" if vmx else "off"}, '
        f'{"locked" if value & _LOCK else "not locked"}'
    )


def _vm_cr(value: int) -> str:
    return (
        f'AMD-V {"off" if value & _SVM_DISABLED else "permitted"}, '
        f'{"locked" if value & _SVM_LOCK else "not locked"}'
    )


def _boot(files: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for subject, text in _file(files, BOOT, '/proc/cmdline'):
        words = [each.text for each in CommandLine(text).parameters]
        yield subject, ' '.join(word for word in words if GONE not in word)


def _modules(directories: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    listed = directories.get(('/sys/module',))
    if listed is None:
        return
    for module in MODULES:
        if isinstance(listed, Refusal):
            yield f'module {module}', _refused(listed)
        else:
            there = module in listed
            yield f'module {module}', 'loaded' if there else 'not loaded'


def _parameters(files: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Those that are there: without them the module is not loaded, or the
    kernel is another one, and that is the cause."""
    for path in sorted(files):
        match = _PARAMETER.fullmatch(path)
        if match:
            for subject, value in _file(files, ' '.join(match.groups()), path):
                if value != MISSING:
                    yield subject, value


def _options(asked: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    for (path,), sections in sorted(asked.items()):
        if isinstance(sections, Refusal):
            yield path, _refused(sections)
            continue
        yield path, 'there'
        for section, options in sections.items():
            for name, values in options.items():
                subject = f'{path} [{section}] {name}'
                yield subject, ', '.join(values) if values else NOT_SET


def _devices(stats: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    answer = stats.get((DEVICE,))
    if isinstance(answer, Refusal):
        yield DEVICE, _refused(answer)
    elif answer is not None:
        access = f'{answer.mode:04o} {answer.owner}:{answer.group}'
        yield DEVICE, ' '.join((access, *answer.acl))


def _packages(versions: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    for (package,), installed in versions.items():
        if isinstance(installed, Refusal):
            yield f'package {package}', _refused(installed)
        else:
            yield f'package {package}', ', '.join(installed) or 'not installed'
