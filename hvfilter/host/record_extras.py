# SPDX-License-Identifier: Apache-2.0
"""Questions beyond those of today's probes, for a recording to last.

A later release may know to ask more; a recording that holds these answers
serves it as well, and people who read it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from hvfilter.host.base import Denied, Host

FIRMWARE_VERSION = '/sys/class/dmi/id/bios_version'

FILES = (
    '/proc/cmdline',
    '/proc/cpuinfo',
    '/proc/misc',
    '/proc/version',
    '/sys/devices/system/cpu/online',
    '/sys/hypervisor/type',
    '/sys/class/dmi/id/sys_vendor',
    '/sys/class/dmi/id/product_name',
    FIRMWARE_VERSION,
    '/proc/sysinfo',
    '/proc/device-tree/hypervisor/compatible',
)

DIRECTORIES = (
    '/sys/module',
    '/sys/class/iommu',
    '/sys/kernel/iommu_groups',
    '/sys/firmware/acpi/tables',
)

MODULES = ('kvm', 'kvm_intel', 'kvm_amd', 'kvm_hv', 'kvm_pr', 'ccp')
"""Modules whose parameters matter to guests."""

CPUID_RANGES = (0x0, 0x40000000, 0x80000000)
"""Bases whose EAX is the last leaf of the range (SDM vol. 2 CPUID; the
middle one is for hypervisors, Linux arch/x86/include/asm/cpuid)."""

SUBLEAVES = {0x4: 5, 0x7: 3, 0xB: 3, 0xD: 4, 0x8000001D: 5}
"""Leaves that have more than one subleaf, and how many are asked."""

_LEAF_LIMIT = 0x40

MSRS = (0x3A, *range(0x480, 0x494), 0xC0000080, 0xC0010114)
"""IA32_FEATURE_CONTROL, the VMX capabilities, EFER, VM_CR."""


def ask(host: Host) -> None:
    """Ask them all; the answers are only for the recording."""
    for path in FILES:
        _try(functools.partial(host.read, path))
    for path in DIRECTORIES:
        _try(functools.partial(host.listdir, path))
    for module in MODULES:
        _parameters(host, f'/sys/module/{module}/parameters')
    _try(host.kvm_api_version)
    _try(host.kvm_supported_cpuid)
    _try(host.kvm_feature_msrs)
    if host.machine().arch in ('x86_64', 'i686', 'i586', 'i386'):
        for base in CPUID_RANGES:
            _leaves(host, base)
        for index in MSRS:
            _try(functools.partial(host.msr, 0, index))


def _parameters(host: Host, directory: str) -> None:
    try:
        names = host.listdir(directory)
    except Denied:
        return
    for name in names:
        _try(functools.partial(host.read, f'{directory}/{name}'))


def _leaves(host: Host, base: int) -> None:
    try:
        last = host.cpuid(0, base).eax
    except Denied:
        return
    for leaf in range(base, min(last, base + _LEAF_LIMIT) + 1):
        for subleaf in range(SUBLEAVES.get(leaf, 1)):
            _try(functools.partial(host.cpuid, 0, leaf, subleaf))


def _try(ask_one: Callable[[], object]) -> None:
    try:
        ask_one()
    except Denied:
        pass
