# SPDX-License-Identifier: Apache-2.0
"""The guest on a processor that decodes it anew from the SDM."""

import testtools

from hvfilter.host import kvm, smoke_x86
from tests.fakes.kvm import FakeKvm
from tests.fakes.processors import X86


class GuestTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.kvm = self.useFixture(FakeKvm(X86()))
        self.kvm.cpuid = [(0, 0, 1, 2, 3, 4), (7, 0, 5, 6, 7, 8)]
        self.device = kvm.Device(self.kvm.path)
        self.addCleanup(self.device.close)
        self.vm = self.device.create_vm()
        self.addCleanup(self.vm.close)
        self.guest = smoke_x86.Guest(self.device, self.vm)
        self.steps = dict(self.guest.steps())

    def test_real_mode_first_when_it_is_shown(self):
        self.assertEqual(['real_mode', 'long_mode'], list(self.steps))

    def test_mark_written_when_in_real_mode(self):
        countdown = self.steps['real_mode']()
        countdown.set_iterations(1000)
        countdown.vcpu.run()
        self.assertTrue(self.guest.ended_well(countdown.vcpu))
        self.assertEqual(0, self.kvm.processor.passes)

    def test_halted_when_real_mode_goes_on(self):
        vcpu = self.steps['real_mode']().vcpu
        vcpu.run()
        vcpu.run()
        self.assertEqual('HLT', kvm.EXIT_NAMES[vcpu.state.exit_reason])
        self.assertFalse(self.guest.ended_well(vcpu))

    def test_counted_down_when_in_long_mode(self):
        """Through the guest's own page tables and segments."""
        countdown = self.steps['long_mode']()
        for iterations in (1, 7, 1000, 1):
            before = self.kvm.processor.passes
            countdown.set_iterations(iterations)
            countdown.vcpu.run()
            self.assertTrue(self.guest.ended_well(countdown.vcpu))
            self.assertEqual(iterations, self.kvm.processor.passes - before)

    def test_task_and_data_segments_when_in_long_mode(self):
        """VM entry checks them (SDM volume 3, 26.3.1.2)."""
        self.steps['long_mode']()
        sregs = self.kvm.processor.sregs
        self.assertEqual((11, 1), (sregs.tr.type, sregs.tr.present))
        for name in ('ds', 'es', 'fs', 'gs', 'ss'):
            segment = getattr(sregs, name)
            self.assertEqual(
                (3, 1, 1, 16),
                (segment.type, segment.s, segment.present, segment.selector),
            )
        self.assertEqual(3 * 8 - 1, sregs.gdt.limit)

    def test_cpuid_of_the_host_when_set_up(self):
        """Without it a guest has no long mode."""
        for set_up in self.steps.values():
            self.kvm.given_cpuid = []
            set_up()
            self.assertEqual(self.kvm.cpuid, self.kvm.given_cpuid)

    def test_outside_memory_when_vt_x_is_given_its_pages(self):
        (region,) = self.kvm.memory
        self.assertGreaterEqual(self.kvm.tss, region.memory_size)
        self.assertLess(self.kvm.tss + 3 * 4096, 2**31)

    def test_not_well_when_another_port_or_value_is_written(self):
        countdown = self.steps['real_mode']()
        vcpu = countdown.vcpu
        vcpu.run()
        exit_ = vcpu.state.exits.io
        self.assertTrue(self.guest.ended_well(vcpu))
        exit_.port += 1
        self.assertFalse(self.guest.ended_well(vcpu))
        exit_.port -= 1
        exit_.direction = 0
        self.assertFalse(self.guest.ended_well(vcpu))
        exit_.direction = kvm.EXIT_IO_OUT
        vcpu._memory[exit_.data_offset] = 43
        self.assertFalse(self.guest.ended_well(vcpu))

    def test_same_bytes_in_the_guest_as_on_the_host(self):
        offset = smoke_x86.LOOP_OFFSET
        end = offset + len(smoke_x86.LOOP)
        self.assertEqual(smoke_x86._HOST[offset:end], smoke_x86.LOOP)
        self.assertEqual(smoke_x86._LONG[offset:end], smoke_x86.LOOP)
