# SPDX-License-Identifier: Apache-2.0
"""The kernel's command line, parsed as the kernel parses it.

Kernel ``lib/cmdline.c`` (next_arg), ``kernel/params.c`` (parse_args,
parameq): words are parted by white space outside double quotes, one pair of
quotes around a word or a value is dropped, ``-`` and ``_`` are the same in a
name, and a bare ``--`` ends the kernel's part. ``module.parameter=value``
sets a parameter of a module; for one that is not built in, kmod reads the
same line after ``/etc/modprobe.d`` (libkmod-config.c), so this line wins.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

PATH = '/proc/cmdline'

_SPACE = ' \t\n\v\f\r'

KEPT_MODULES = frozenset(
    {
        'amd_iommu',
        'arm64',
        'arm_smmu',
        'arm_smmu_v3',
        'ccp',
        'intel_iommu',
        'iommu',
        'iommufd',
        'irqbypass',
        'kvm',
        'kvm_amd',
        'kvm_arm',
        'kvm_hv',
        'kvm_intel',
        'kvm_pr',
        'kvm_pvm',
        'pvm',
        'tdx_host',
        'vfio',
        'vfio_iommu_type1',
        'vfio_pci',
        'virtio_iommu',
    }
)
"""Modules and prefixes whose every parameter concerns virtualization."""

KEPT_PREFIXES = ('id_aa64', 'ivrs_')
"""Beginnings of names that concern virtualization: overrides of arm64's
identification registers, and of what AMD's IOMMU table says."""

KEPT = frozenset(
    {
        'acpi',
        'amd_iommu',
        'amd_iommu_intr',
        'apic',
        'clearcpuid',
        'cpu',
        'default_hugepagesz',
        'dis_ucode_ldr',
        'disable_radix',
        'disableapic',
        'dmar_no_map_ioapic',
        'hibernate',
        'hugepagesz',
        'initcall_blacklist',
        'intel_iommu',
        'intremap',
        'iommu',
        'kvm_arm',
        'kvm_cma_resv_ratio',
        'l1tf',
        'lockdown',
        'maxcpus',
        'mds',
        'mem_encrypt',
        'mitigations',
        'modprobe.blacklist',
        'module_blacklist',
        'nested_pvm',
        'noapic',
        'nohibernate',
        'nointremap',
        'nolapic',
        'nopti',
        'nopv',
        'nosmp',
        'nosmt',
        'nox2apic',
        'nr_cpus',
        'pci',
        'possible_cpus',
        'prot_virt',
        'pti',
        'rd.driver.blacklist',
        's390_iommu',
        'setcpuid',
        'sev',
        'smt_enabled',
        'spectre_v2',
        'svm',
        'swiotlb',
        'tdx',
        'tdx_host',
        'tsx',
        'x2apic_phys',
        'xen_nopv',
        'xive',
    }
)
"""Other parameters that concern virtualization, ``-`` written as ``_``."""


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One word of the command line.

    :ivar name: with ``_`` for ``-``, as the kernel compares it
    :ivar value: without its quotes; None where the word has no ``=``
    :ivar text: the word as it was written
    """

    name: str
    value: str | None
    text: str

    @property
    def kept(self) -> bool:
        """Whether a redacted recording keeps the word."""
        return is_kept(self.name)

    @property
    def options(self) -> tuple[str, ...]:
        """The value's parts, where it is a list separated by commas."""
        return tuple(filter(None, (self.value or '').split(',')))


def is_kept(name: str) -> bool:
    """Whether a parameter concerns virtualization.

    A probe may ask for such parameters only, so that a recording never
    leaves out what a finding depends on.

    :param name: with ``-`` or ``_``
    """
    name = name.replace('-', '_')
    module = name.partition('.')[0] if '.' in name else ''
    return (
        name in KEPT
        or module in KEPT_MODULES
        or name.startswith(KEPT_PREFIXES)
    )


class CommandLine:
    """The parameters of one boot, in order.

    :ivar parameters: all of them, up to a bare ``--``
    """

    def __init__(self, text: str) -> None:
        self.parameters = tuple(_parameters(text))

    def all(self, *names: str) -> tuple[Parameter, ...]:
        """Every word of one or more names, in order; () for none.

        Most parameters take effect word after word, so the last one
        wins. Some only ever switch something off.

        :param names: with ``-`` or ``_``; of a module: ``module.parameter``
        :raises ValueError: for a name that recordings do not keep
        """
        for name in names:
            if not is_kept(name):
                raise ValueError(f'{name} is in no table of {__name__}')
        wanted = {name.replace('-', '_') for name in names}
        return tuple(p for p in self.parameters if p.name in wanted)


def _parameters(text: str) -> Iterator[Parameter]:
    for word in _words(text):
        if word == '--':
            return
        yield _parameter(word)


def _words(text: str) -> Iterator[str]:
    """The words: white space within double quotes parts none."""
    start = 0
    quoted = False
    for at, char in enumerate(text):
        if char == '"':
            quoted = not quoted
        elif char in _SPACE and not quoted:
            if start < at:
                yield text[start:at]
            start = at + 1
    if start < len(text):
        yield text[start:]


def _parameter(word: str) -> Parameter:
    whole = word.startswith('"')
    bare = word.removeprefix('"')
    name, equals, value = bare.partition('=')
    if not equals:
        if whole:
            name = name.removesuffix('"')
        return Parameter(name.replace('-', '_'), None, word)
    if value.startswith('"') or whole:
        value = value.removeprefix('"').removesuffix('"')
    return Parameter(name.replace('-', '_'), value, word)
