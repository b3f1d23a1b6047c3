# SPDX-License-Identifier: Apache-2.0
"""The guest on a processor that decodes it anew from the RISC-V manual."""

import testtools

from hvfilter.host import kvm, smoke_riscv64
from tests.fakes.kvm import FakeKvm
from tests.fakes.processors import Riscv64


class GuestTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.processor = Riscv64()
        self.kvm = self.useFixture(FakeKvm(self.processor))
        self.device = kvm.Device(self.kvm.path)
        self.addCleanup(self.device.close)
        self.vm = self.device.create_vm()
        self.addCleanup(self.vm.close)
        self.guest = smoke_riscv64.Guest(self.device, self.vm)

    def _vs_mode(self):
        ((name, set_up),) = self.guest.steps()
        self.assertEqual('vs_mode', name)
        return set_up()

    def test_counted_down_when_run_again_and_again(self):
        countdown = self._vs_mode()
        for iterations in (1, 7, 1000, 1):
            before = self.processor.passes
            countdown.set_iterations(iterations)
            countdown.vcpu.run()
            self.assertTrue(self.guest.ended_well(countdown.vcpu))
            self.assertEqual(iterations, self.processor.passes - before)

    def test_not_well_when_it_ended_elsewhere(self):
        countdown = self._vs_mode()
        countdown.set_iterations(1)
        self.processor.x[11] = 43
        countdown.vcpu.run()
        self.assertEqual(kvm.EXIT_MMIO, countdown.vcpu.state.exit_reason)
        self.assertFalse(self.guest.ended_well(countdown.vcpu))

    def test_memory_where_no_device_is_when_set_up(self):
        self._vs_mode()
        (region,) = self.kvm.memory
        self.assertEqual(0x80000000, region.guest_phys_addr)
        self.assertLess(0x10000000, region.guest_phys_addr)
        self.assertEqual(0x80001000, self.processor.pc)

    def test_loop_of_the_host_when_called_as_a_function(self):
        for iterations in (1, 2, 500):
            processor = Riscv64()
            processor.call(smoke_riscv64.Guest.code, iterations)
            self.assertEqual(iterations, processor.passes)
