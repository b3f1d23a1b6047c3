# SPDX-License-Identifier: Apache-2.0
"""Changed guests never outlive their timer, on the KVM of this machine.

Where it offers no nesting, the outer guests run, and their guests do not; the
lab does the same where they do (``python -m tests.lab --mutate``).
"""

import importlib.util
import os
import pathlib
from unittest import mock

import testtools

from hvfilter.host import kvm, live, nested_svm, nested_vmx, smoke_x86
from tests import lab
from tests.unit.host.test_nested_guest import MSRS

SECOND = 1_000_000_000
GUESTS = 60

_PATH = pathlib.Path(lab.__file__).parent / 'guest' / 'nested_mutation.py'
_SPEC = importlib.util.spec_from_file_location('nested_mutation', _PATH)
nested_mutation = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(nested_mutation)


class Endless(smoke_x86.Guest):
    """Jumps to itself."""

    def steps(self):
        super().steps()
        return (('long_mode', self._endless),)

    def _endless(self):
        countdown = self._long()
        code = b'\x90' * smoke_x86.LOOP_OFFSET + b'\xeb\xfe'
        self._write(smoke_x86.LONG_CODE, code)
        return countdown


class NestedMutationTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        if os.uname().machine != 'x86_64' or not os.access(
            kvm.DEVICE, os.R_OK | os.W_OK
        ):
            self.skipTest(f'{kvm.DEVICE} of an x86 machine is needed')

    def run_all(self, *guest_classes, times):
        with mock.patch.object(
            kvm.Device, 'feature_msrs', return_value=dict(MSRS)
        ):
            return nested_mutation.run_all(guest_classes, times, seed=1)

    def test_timer_holds_whatever_was_changed(self):
        found = self.run_all(
            nested_svm.SvmGuest,
            nested_svm.NptGuest,
            nested_vmx.VmxGuest,
            nested_vmx.EptGuest,
            times=GUESTS,
        )
        self.assertEqual(GUESTS, sum(found['endings'].values()))
        self.assertGreater(len(found['endings']), 1)
        self.assertLess(found['longest_ns'], found['limit_ns'] + 10 * SECOND)
        # The next guest runs as if there had been none.
        self.assertIn('IO', live.LiveHost().smoke().steps[-1][1])

    def test_timer_ends_a_guest_that_never_leaves(self):
        with mock.patch.object(
            nested_mutation, 'mutated', lambda guest_class, dice: guest_class
        ):
            found = self.run_all(Endless, times=1)
        self.assertEqual({'TIMEOUT': 1}, found['endings'])
        self.assertGreaterEqual(found['longest_ns'], found['limit_ns'])
        self.assertLess(found['longest_ns'], found['limit_ns'] + 10 * SECOND)
