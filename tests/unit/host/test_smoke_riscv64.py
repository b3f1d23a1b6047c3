# SPDX-License-Identifier: Apache-2.0
"""The guest on a processor that decodes it anew from the RISC-V manual."""

from hvfilter.host import kvm, smoke_riscv64
from tests.fakes.processors import Riscv64
from tests.unit.host import smoke_guest


class GuestTest(smoke_guest.SmokeGuestTests):
    module = smoke_riscv64
    processor_of = Riscv64
    step = 'vs_mode'

    def test_not_well_when_it_ended_elsewhere(self):
        countdown = self.set_up()
        countdown.set_iterations(1)
        self.processor.x[11] = 43
        countdown.vcpu.run()
        self.assertEqual(kvm.EXIT_MMIO, countdown.vcpu.state.exit_reason)
        self.assertFalse(self.guest.ended_well(countdown.vcpu))

    def test_memory_where_no_device_is_when_set_up(self):
        self.set_up()
        (region,) = self.kvm.memory
        self.assertEqual(0x80000000, region.guest_phys_addr)
        self.assertLess(0x10000000, region.guest_phys_addr)
        self.assertEqual(0x80001000, self.processor.pc)
