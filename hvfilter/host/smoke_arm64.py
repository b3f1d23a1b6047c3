# SPDX-License-Identifier: Apache-2.0
"""The arm64 guest: EL1, MMU off, a loop that ends in a store to no memory.

The count is given in a register: with its MMU off the guest reads past the
caches, so it might miss what the host wrote to memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hvfilter.host import kvm, smoke, smoke_mmio

_SIZE = 0x10000
_CODE = 0x1000
_DEVICE = 0x10000000  # no memory there, so a store exits
_MARK = 42


# void loop(unsigned long x0)
_HOST = smoke_mmio.code(
    0xF1000400,  # L: subs x0, x0, #1
    0x54FFFFE1,  # b.ne L
    0xD65F03C0,  # ret
)

_GUEST = smoke_mmio.code(
    0xF1000442,  # L: subs x2, x2, #1
    0x54FFFFE1,  # b.ne L
    0xB9000001,  # str w1, [x0]
    0x17FFFFFD,  # b L
)

# arch/arm64/include/uapi/asm/kvm.h: KVM_REG_ARM64 | KVM_REG_SIZE_U64 |
# KVM_REG_ARM_CORE, then the offset in struct kvm_regs in 32-bit words
_CORE = 0x6030000000100000
_X0, _X1, _X2 = _CORE, _CORE + 2, _CORE + 4
_PC = _CORE + 0x40


class Guest(smoke.Guest):
    """One step: the loop at EL1."""

    code = _HOST

    def steps(self) -> Sequence[tuple[str, Callable[[], smoke.Countdown]]]:
        """Only EL1; there is nothing before it."""
        return (('el1', self._el1),)

    def ended_well(self, vcpu: kvm.Vcpu) -> bool:
        """It stored its mark where no memory is."""
        return smoke_mmio.stored(vcpu, _DEVICE, _MARK)

    def _el1(self) -> smoke.Countdown:
        memory = self.vm.add_memory(0, _SIZE)
        memory[_CODE : _CODE + len(_GUEST)] = _GUEST
        vcpu = self.vm.add_vcpu()
        target = kvm.VcpuInit()
        self.vm.ioctl(
            kvm.ARM_PREFERRED_TARGET, 'KVM_ARM_PREFERRED_TARGET', target
        )
        vcpu.ioctl(kvm.ARM_VCPU_INIT, 'KVM_ARM_VCPU_INIT', target)
        vcpu.set_register(_PC, _CODE)
        vcpu.set_register(_X0, _DEVICE)
        vcpu.set_register(_X1, _MARK)

        def set_iterations(iterations: int) -> None:
            vcpu.set_register(_X2, iterations)

        return smoke.Countdown(vcpu, set_iterations)
