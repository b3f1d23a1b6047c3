# SPDX-License-Identifier: Apache-2.0
"""What KVM does with the VMX MSRs of a guest that arrives, written anew.

After Linux arch/x86/kvm/vmx/nested.c, ``vmx_set_vmx_msr`` and what it calls;
apart from the product, register by register, so that both can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping

ORDER = (0x48E, 0x48D, 0x48F, 0x490, 0x48B, 0x48C, 0x480, 0x485, 0x491)
"""As QEMU's kvm_msr_entry_add_vmx has it; then the fixed bits."""


def mask(high: int, low: int) -> int:
    return ((1 << high - low + 1) - 1) << low


def subset(superset: int, of: int, where: int) -> bool:
    return (superset & where) | (of & where) == superset & where


class Vcpu:
    """A virtual processor of a host that offers these MSRs."""

    def __init__(self, offered: Mapping[int, int]) -> None:
        self.offered = offered
        self.pin = offered.get(0x48D, 0)

    def arrives(self, guest: Mapping[int, int]) -> bool:
        """Whether every MSR of a guest can be written."""
        numbers = [n for n in ORDER if n in guest]
        numbers += [n for n in (0x486, 0x488) if n in guest]
        # Each is written, also after one that was refused.
        written = [self.write(n, guest[n]) for n in numbers]
        return all(written)

    def write(self, number: int, data: int) -> bool:
        supported = self.offered.get(number, 0)
        if number == 0x480:
            return self.basic(supported, data)
        if number in (0x48B, 0x48D, 0x48E, 0x48F, 0x490):
            if not subset(data, supported, mask(31, 0)):
                return False
            if not subset(supported, data, mask(63, 32)):
                return False
            if number == 0x48D:
                self.pin = data
            return True
        if number == 0x485:
            return self.misc(supported, data)
        if number in (0x486, 0x488):
            return subset(data, supported, mask(63, 0))
        if number == 0x491:
            return not data & ~supported
        assert number == 0x48C
        return subset(supported, data, mask(63, 0))

    @staticmethod
    def basic(supported: int, data: int) -> bool:
        features = 1 << 49 | 1 << 54 | 1 << 55
        reserved = mask(63, 56) | mask(47, 45) | 1 << 31
        if not subset(supported, data, features | reserved):
            return False
        if data & 1 << 48:
            return False
        if data & mask(30, 0) != supported & mask(30, 0):
            return False
        return supported >> 32 & 0x1FFF <= data >> 32 & 0x1FFF

    def misc(self, supported: int, data: int) -> bool:
        features = mask(8, 5) | 1 << 14 | 1 << 15 | mask(30, 28)
        reserved = 1 << 31 | mask(13, 9)
        if not subset(supported, data, features | reserved):
            return False
        if self.pin >> 32 & 1 << 6 and data & 0x1F != supported & 0x1F:
            return False
        if data >> 16 & 0x1FF > supported >> 16 & 0x1FF:
            return False
        if data >> 25 & 7 > supported >> 25 & 7:
            return False
        return data >> 32 == supported >> 32
