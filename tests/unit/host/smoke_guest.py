# SPDX-License-Identifier: Apache-2.0
"""What holds for the smoke guests of all architectures without real mode."""

import testtools

from hvfilter.host import kvm
from tests.fakes.kvm import FakeKvm


class SmokeGuestTests(testtools.TestCase):
    """To derive from, with what is of one architecture.

    :cvar module: the guest's, of hvfilter.host
    :cvar processor_of: its processor, of tests.fakes.processors
    :cvar step: the name of the guest's only step
    """

    module = None
    processor_of = None
    step = ''

    def setUp(self):
        super().setUp()
        self.processor = self.processor_of()
        self.kvm = self.useFixture(FakeKvm(self.processor))
        self.device = kvm.Device(self.kvm.path)
        self.addCleanup(self.device.close)
        self.vm = self.device.create_vm()
        self.addCleanup(self.vm.close)
        self.guest = self.module.Guest(self.device, self.vm)

    def set_up(self):
        ((name, set_up),) = self.guest.steps()
        self.assertEqual(self.step, name)
        return set_up()

    def test_counted_down_when_run_again_and_again(self):
        countdown = self.set_up()
        for iterations in (1, 7, 1000, 1):
            before = self.processor.passes
            countdown.set_iterations(iterations)
            countdown.vcpu.run()
            self.assertTrue(self.guest.ended_well(countdown.vcpu))
            self.assertEqual(iterations, self.processor.passes - before)

    def test_loop_of_the_host_when_called_as_a_function(self):
        for iterations in (1, 2, 500):
            processor = self.processor_of()
            processor.call(self.module.Guest.code, iterations)
            self.assertEqual(iterations, processor.passes)
