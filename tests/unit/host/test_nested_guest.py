# SPDX-License-Identifier: Apache-2.0
"""What the nested guests find in memory, and what their endings mean.

That they run is for the lab, on real KVM.
"""

import struct
from unittest import mock

import testtools

from hvfilter.host import kvm, nested_guest, nested_svm, nested_vmx
from tests.fakes.kvm import FakeKvm
from tests.fakes.processors import X86

MSRS = {
    0x480: 0x11E57ED0,
    **dict.fromkeys((0x481, 0x482, 0x483, 0x484, 0x48B), 0xFFFFFFFF << 32),
}


class NestedGuestTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.kvm = self.useFixture(FakeKvm(X86()))
        self.kvm.msrs = dict(MSRS)
        self.device = kvm.Device(self.kvm.path)
        self.addCleanup(self.device.close)
        self.vm = self.device.create_vm()
        self.addCleanup(self.vm.close)

    def guest(self, guest_class):
        guest = guest_class(self.device, self.vm)
        ((name, set_up),) = guest.steps()
        self.assertEqual('nested', name)
        set_up().set_iterations(77)
        self.assertEqual(77, guest.load(0x3000))
        return guest

    def test_nested_paging_only_when_asked_for(self):
        for guest_class in (nested_svm.SvmGuest, nested_svm.NptGuest):
            guest = self.guest(guest_class)
            at = nested_guest.CONTROL_BLOCK
            self.assertEqual(guest.paging, bool(guest.load(at + 0x90)))
            self.assertEqual(3, guest.load(at + 0x10))
            self.assertEqual(0x2800, guest.load(at + 0x400 + 0x178))

    def test_fields_of_the_vmcs(self):
        for guest_class in (nested_vmx.VmxGuest, nested_vmx.EptGuest):
            guest = self.guest(guest_class)
            pairs = dict(
                struct.iter_unpack('<QQ', guest._memory[0xC000:0xCFF0])
            )
            self.assertEqual(guest.paging, 0x201A in pairs)
            self.assertEqual(guest.paging, bool(pairs[0x4002] >> 31))
            self.assertEqual(0x2800, pairs[0x681E])
            self.assertIn(2**64 - 1, pairs)

    def test_denied_when_a_capability_msr_is_not_listed(self):
        del self.kvm.msrs[0x482]
        error = self.assertRaises(
            kvm.base.Denied, self.guest, nested_vmx.VmxGuest
        )
        self.assertEqual('ENODATA', error.error)

    def test_denied_when_what_it_shows_is_forbidden(self):
        """Without EPT the guest would run, and show nothing of EPT."""
        self.kvm.msrs[0x48B] = (0xFFFFFFFF ^ 1 << 1) << 32
        self.guest(nested_vmx.VmxGuest)
        error = self.assertRaises(
            kvm.base.Denied, self.guest, nested_vmx.EptGuest
        )
        self.assertEqual('EOPNOTSUPP', error.error)
        self.kvm.msrs[0x48B] = 0xFFFFFFFF << 32
        self.kvm.msrs[0x482] = 0x7FFFFFFF << 32
        self.assertRaises(kvm.base.Denied, self.guest, nested_vmx.EptGuest)

    def test_step_and_cause_when_it_failed(self):
        guest = self.guest(nested_vmx.VmxGuest)
        vcpu = mock.Mock()
        exit_ = vcpu.state.exits.io
        exit_.direction, exit_.port = kvm.EXIT_IO_OUT, 0x10
        for step, reason, mark, result, outcome in (
            (1, 8, 0, 0, 'IA32_FEATURE_CONTROL/SHUTDOWN'),
            (7, 2, 43, 7, 'VMLAUNCH/ERROR_7'),
            (7, 2, 42, 0x80000021, 'VMLAUNCH/EXIT_0x80000021'),
            (9, 8, 0, 0, 'STEP_9/SHUTDOWN'),
        ):
            guest._memory[nested_guest.STEP] = step
            guest.store(nested_guest.RESULT, 'Q', result)
            vcpu.state.exit_reason = reason
            vcpu.data.return_value = bytes((mark,))
            self.assertFalse(guest.ended_well(vcpu))
            name = 'IO_UNEXPECTED' if reason == 2 else 'SHUTDOWN'
            self.assertEqual(outcome, guest.refined(vcpu, name))
        for name in ('IO', 'INTR', 'TIMEOUT'):
            self.assertEqual(name, guest.refined(vcpu, name))

    def test_well_only_when_left_by_its_own_instruction(self):
        for guest_class, at, code in (
            (nested_svm.SvmGuest, 0xA070, 0x81),
            (nested_vmx.VmxGuest, 0x3008, 18),
        ):
            guest = self.guest(guest_class)
            vcpu = mock.Mock()
            vcpu.state.exit_reason = kvm.EXIT_IO
            vcpu.state.exits.io.direction = kvm.EXIT_IO_OUT
            vcpu.state.exits.io.port = 0x10
            vcpu.data.return_value = b'\x2a'
            for value, well in ((code, True), (0, False), (code + 1, False)):
                guest.store(at, 'I', value)
                self.assertEqual(well, guest.ended_well(vcpu))
