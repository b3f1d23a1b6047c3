# SPDX-License-Identifier: Apache-2.0
"""The guest on a processor that decodes it anew from the Arm ARM."""

import errno

import testtools

from hvfilter.host import base, kvm, smoke_arm64, smoke_mmio
from tests.fakes.processors import Arm64, stored
from tests.unit.host import smoke_guest


class GuestTest(smoke_guest.SmokeGuestTests):
    module = smoke_arm64
    processor_of = Arm64
    step = 'el1'

    def test_all_64_bits_when_the_count_is_long(self):
        self.set_up().set_iterations(2**31 - 1)
        self.assertEqual(2**31 - 1, self.processor.x[2])

    def test_preferred_target_when_the_processor_is_set_up(self):
        self.set_up()
        self.assertEqual([5], self.kvm.target)
        wanted = [kvm.ARM_PREFERRED_TARGET, kvm.ARM_VCPU_INIT]
        self.assertEqual(
            [*wanted, kvm.SET_ONE_REG],
            self.kvm.asked[self.kvm.asked.index(wanted[0]) :][:3],
        )

    def test_denied_when_the_target_is_refused(self):
        self.kvm.refused = {kvm.ARM_VCPU_INIT: errno.EINVAL}
        denial = self.assertRaises(base.Denied, self.set_up)
        self.assertEqual('ioctl KVM_ARM_VCPU_INIT', denial.what)

    def test_register_named_when_it_is_refused(self):
        self.kvm.refused = {kvm.SET_ONE_REG: errno.ENOENT}
        denial = self.assertRaises(base.Denied, self.set_up)
        self.assertEqual(
            'ioctl KVM_SET_ONE_REG 0x6030000000100040', denial.what
        )

    def test_same_loop_in_the_guest_as_on_the_host(self):
        """But for the register: two instructions, subs and b.ne."""
        host, guest = smoke_arm64._HOST, smoke_arm64._GUEST
        self.assertEqual(host[4:8], guest[4:8])
        # Rn and Rd: X0 there, X2 here.
        difference = int.from_bytes(host[:4], 'little') ^ int.from_bytes(
            guest[:4], 'little'
        )
        self.assertEqual(2 << 5 | 2, difference)


class StoredTest(testtools.TestCase):
    """The very store that was to come, and no other exit."""

    def _told(self, state):
        vcpu = type('Vcpu', (), {'state': state})
        return smoke_mmio.stored(vcpu, 0x10000000, 42)

    def test_true_when_it_is_the_mark_at_its_place(self):
        self.assertIs(True, self._told(stored(0x10000000, 42)))

    def test_false_when_anything_differs(self):
        self.assertFalse(self._told(stored(0x10000004, 42)))
        self.assertFalse(self._told(stored(0x10000000, 43)))
        self.assertFalse(self._told(stored(0x10000000, 42 << 8)))

    def test_false_when_the_guest_reads_or_exits_otherwise(self):
        state = stored(0x10000000, 42)
        state.exits.mmio.is_write = 0
        self.assertFalse(self._told(state))
        state = stored(0x10000000, 42)
        state.exits.mmio.len = 1
        self.assertFalse(self._told(state))
        state = stored(0x10000000, 42)
        state.exit_reason = kvm.EXIT_IO
        self.assertFalse(self._told(state))
