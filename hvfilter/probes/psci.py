# SPDX-License-Identifier: Apache-2.0
"""arm64: whom the kernel calls to start processors, firmware or a hypervisor.

PSCI calls go out by SMC where the kernel runs at EL2 or firmware sits right
above it, and by HVC under a hypervisor (Arm DEN0022 sec. 5.2). A device tree
says which, and for machines without one the FADT (ACPI 5.1 sec. 5.2.9.4, ARM
boot architecture flags; kernel arch/arm64/kernel/acpi.c, acpi_psci_use_hvc).
"""

from __future__ import annotations

from hvfilter.probes.context import ProbeContext

METHOD = '/proc/device-tree/psci/method'
FADT = '/sys/firmware/acpi/tables/FACP'
ASKED = 'smc or hvc'

_FLAGS = 129
"""Offset of the flags, of two bytes: bit 0 PSCI is there, bit 1 by HVC."""

_PSCI_BY_HVC = 3


def hvc_by_acpi(host: ProbeContext) -> str:
    """The FADT's flags where they say HVC, else ''.

    :raises Denied: where the table cannot be read; only root may
    """
    flags = host.derived('psci.hvc_by_acpi', lambda: _flags(host))
    if flags & _PSCI_BY_HVC == _PSCI_BY_HVC:
        return f'hvc, flags {flags:#x}'
    return ''


def _flags(host: ProbeContext) -> int:
    """0 where the table is too short to have any: older than ACPI 5.1."""
    table = host.read(FADT)
    return int.from_bytes(table[_FLAGS : _FLAGS + 2], 'little')
