# SPDX-License-Identifier: Apache-2.0
"""riscv64: the H extension in the isa strings.

The kernel prints in ``isa`` the extensions that every hart has and that it
may use, from 6.5 on also those of one hart in ``hart isa``
(arch/riscv/kernel/cpu.c); KVM starts by the same list (arch/riscv/kvm/main.c).
Where cpuinfo has neither, the device tree has the strings ``riscv,isa`` and
``riscv,isa-extensions`` of each hart (Documentation/devicetree/bindings/riscv/
extensions.yaml). Single letters stand before the first underscore, each
perhaps with a version (RISC-V ISA manual, ch. "ISA Extension Naming
Conventions"); longer names start with s, x or z, except that QEMU before 7.1
writes ``su`` among the letters. Vendors' kernels offer /dev/kvm without H: it
proves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from hvfilter.host.base import Denied
from hvfilter.model.catalogue import Arch
from hvfilter.model.finding import Observation
from hvfilter.probes import single_kvm
from hvfilter.probes.base import Probe
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.remedies import Remedy

_ISA = re.compile(r'rv(?:32|64|128)([a-z0-9]*)')
_LONGER = re.compile('[xz]|s(?!u)')
_VERSION = re.compile(r'[0-9]+(?:p[0-9]+)?')
_LINES = ('isa', 'hart isa', 'isa-ext')
_TREE = '/proc/device-tree/cpus'
_PROPERTIES = ('riscv,isa-extensions', 'riscv,isa')
_EXTENSION = 'the H extension'
_NO_H = Remedy(
    'riscv64_without_h',
    'place KVM guests on hosts whose processor has the H extension; KVM for '
    'riscv64 gives it to no virtual machine',
    'the processor, or the virtual one, has no H extension',
    vendor='riscv64',
    source='kernel arch/riscv/kvm/main.c riscv_kvm_init',
)


class Riscv64(Probe):
    """H, and KVM on it."""

    archs = frozenset({Arch.RISCV64})

    def observe(self, host: ProbeContext) -> Iterator[Observation]:
        yield from single_kvm.from_device(host, _EXTENSION, None)
        yield from _isa(host)
        yield single_kvm.never_nested('riscv64', host.kernel)


def has_h(isa: str) -> bool | None:
    """Whether an isa string, or a list of extensions, names H.

    :param isa: ``rv64imafdch_zicsr``, with or without versions, or names
        of extensions parted by blanks, commas, underscores or NULs
    :returns: None when it is neither
    """
    base, *longer = re.split(r'[\s,_\0]+', isa.strip(' \0').lower())
    names = {_VERSION.sub('', name) for name in longer}
    match = _ISA.fullmatch(base)
    if not match:
        # A list has the base integer set among its names (i or e).
        names.add(_VERSION.sub('', base))
        return 'h' in names if names & {'i', 'e'} else None
    # No underscore need stand between the letters and the first longer name.
    letters = _LONGER.split(_VERSION.sub('', match[1]), maxsplit=1)[0]
    return 'h' in letters or 'h' in names


def _isa(host: ProbeContext) -> Iterator[Observation]:
    try:
        info = host.cpuinfo
    except Denied as denied:
        yield from single_kvm.unreadable('isa', denied, _EXTENSION)
        yield from _tree(host)
        return
    for line in _LINES:
        values = info.values(line)
        if values:
            yield from single_kvm.from_word(
                line, 'h', _every(values), values[0], _EXTENSION, _NO_H()
            )
            return
    yield from single_kvm.from_word(
        'isa', 'h', None, 'no such line', _EXTENSION, ''
    )
    yield from _tree(host)


def _every(values: Sequence[str]) -> bool | None:
    """Whether every hart has H; None where that of one is not known."""
    answers = [has_h(value) for value in values]
    if False in answers:
        return False
    return None if not answers or None in answers else True


def _tree(host: ProbeContext) -> Iterator[Observation]:
    """What the device tree says of each hart."""
    try:
        harts = [n for n in host.names(_TREE) if n.startswith('cpu@')]
    except Denied:
        # A machine described by ACPI has none: cpuinfo is all there is.
        return
    for name in _PROPERTIES:
        try:
            values = [host.text(f'{_TREE}/{hart}/{name}') for hart in harts]
        except Denied:
            # The other property, or what cpuinfo says, decides.
            continue
        if values:
            yield from single_kvm.from_word(
                name,
                'h',
                _every(values),
                values[0].replace('\0', ' '),
                _EXTENSION,
                _NO_H(),
                path=f'{_TREE}/cpu@*/{name}',
            )
            return
