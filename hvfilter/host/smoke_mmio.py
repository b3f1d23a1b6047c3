# SPDX-License-Identifier: Apache-2.0
"""What the guests that exit by a store to no memory have in common."""

from __future__ import annotations

import struct

from hvfilter.host import kvm


def code(*instructions: int) -> bytes:
    """Instructions of 32 bits, as they stand in memory."""
    return struct.pack(f'<{len(instructions)}I', *instructions)


def stored(vcpu: kvm.Vcpu, address: int, value: int) -> bool:
    """The guest stored this 32-bit value at this device address."""
    exit_ = vcpu.state.exits.mmio
    return (
        vcpu.state.exit_reason == kvm.EXIT_MMIO
        and exit_.phys_addr == address
        and bool(exit_.is_write)
        and bytes(exit_.data[: exit_.len]) == struct.pack('<I', value)
    )
