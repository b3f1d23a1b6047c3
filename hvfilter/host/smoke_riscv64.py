# SPDX-License-Identifier: Apache-2.0
"""The riscv64 guest: VS mode, no paging, a loop that ends in a store."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hvfilter.host import kvm, smoke, smoke_mmio

_SIZE = 0x10000
_RAM = 0x80000000
_CODE = 0x1000
_DEVICE = 0x10000000  # no memory there, so a store exits
_MARK = 42


# void loop(unsigned long a0)
_HOST = smoke_mmio.code(
    0xFFF50513,  # L: addi a0, a0, -1
    0xFE051EE3,  # bnez a0, L
    0x00008067,  # ret
)

_GUEST = smoke_mmio.code(
    0xFFF28293,  # L: addi t0, t0, -1
    0xFE029EE3,  # bnez t0, L
    0x00B52023,  # sw a1, 0(a0)
    0xFF5FF06F,  # j L
)

# arch/riscv/include/uapi/asm/kvm.h: KVM_REG_RISCV | KVM_REG_SIZE_U64 |
# KVM_REG_RISCV_CORE, then the number in struct kvm_riscv_core
_CORE = 0x8030000002000000
_PC, _T0, _A0, _A1 = _CORE, _CORE + 5, _CORE + 10, _CORE + 11


class Guest(smoke.Guest):
    """One step: the loop in VS mode."""

    code = _HOST

    def steps(self) -> Sequence[tuple[str, Callable[[], smoke.Countdown]]]:
        """Only VS mode; there is nothing before it."""
        return (('vs_mode', self._vs_mode),)

    def ended_well(self, vcpu: kvm.Vcpu) -> bool:
        """It stored its mark where no memory is."""
        return smoke_mmio.stored(vcpu, _DEVICE, _MARK)

    def _vs_mode(self) -> smoke.Countdown:
        memory = self.vm.add_memory(_RAM, _SIZE)
        memory[_CODE : _CODE + len(_GUEST)] = _GUEST
        vcpu = self.vm.add_vcpu()
        vcpu.set_register(_PC, _RAM + _CODE)
        vcpu.set_register(_A0, _DEVICE)
        vcpu.set_register(_A1, _MARK)

        def set_iterations(iterations: int) -> None:
            vcpu.set_register(_T0, iterations)

        return smoke.Countdown(vcpu, set_iterations)
