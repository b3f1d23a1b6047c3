# SPDX-License-Identifier: Apache-2.0

import ctypes
import os
import resource
import signal
import threading
import time
from unittest import mock

import testtools

from hvfilter.host import base, deadline, kvm, smoke_x86

FOREVER = b'\xeb\xfe'  # jmp to itself


def pending():
    return deadline.SIGNAL in signal.sigpending()


class DeadlineTest(testtools.TestCase):
    def test_signal_pending_when_the_time_is_over(self):
        with deadline.Deadline(1_000_000):
            time.sleep(0.05)
            self.assertTrue(pending())
        self.assertFalse(pending())

    def test_nothing_left_when_it_ends_in_time(self):
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        handler = signal.getsignal(deadline.SIGNAL)
        with deadline.Deadline(60_000_000_000):
            self.assertFalse(pending())
        self.assertEqual(before, signal.pthread_sigmask(signal.SIG_BLOCK, []))
        self.assertEqual(handler, signal.getsignal(deadline.SIGNAL))

    def test_no_handler_called_when_the_program_has_one(self):
        called = []
        before = signal.signal(
            deadline.SIGNAL, lambda number, frame: called.append(number)
        )
        self.addCleanup(signal.signal, deadline.SIGNAL, before)
        with deadline.Deadline(1_000_000):
            time.sleep(0.02)
        time.sleep(0.02)
        self.assertEqual([], called)

    def test_denied_when_the_user_may_have_no_more_timers(self):
        before = resource.getrlimit(resource.RLIMIT_SIGPENDING)
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        limit = deadline.Deadline(1_000_000)
        resource.setrlimit(resource.RLIMIT_SIGPENDING, (0, before[1]))
        try:
            denial = self.assertRaises(base.Denied, limit.__enter__)
        finally:
            resource.setrlimit(resource.RLIMIT_SIGPENDING, before)
        self.assertEqual(
            ('start a timer', 'EAGAIN'), (denial.what, denial.error)
        )
        self.assertEqual(mask, signal.pthread_sigmask(signal.SIG_BLOCK, []))

    def test_timers_found_when_they_are_in_a_library_of_their_own(self):
        """As before glibc 2.34."""
        whole = ctypes.CDLL(None, use_errno=True)
        libraries = {None: object(), 'librt.so.1': whole}
        with mock.patch(
            'ctypes.CDLL', side_effect=lambda name, use_errno: libraries[name]
        ):
            limit = deadline.Deadline(1_000_000)
        with limit:
            time.sleep(0.02)
            self.assertTrue(pending())


class EndlessGuestTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        if os.uname().machine != 'x86_64':
            self.skipTest('the endless guest is for x86')
        try:
            self.device = kvm.Device()
        except base.Denied as denial:
            self.skipTest(f'no KVM here: {denial}')
        self.addCleanup(self.device.close)

    def _run_forever(self):
        with self.device.create_vm() as vm:
            guest = smoke_x86.Guest(self.device, vm)
            (_, set_up), *_ = guest.steps()
            vcpu = set_up().vcpu
            guest._write(smoke_x86._REAL_CODE, FOREVER)
            vcpu.let_through(deadline.SIGNAL)
            with deadline.Deadline(20_000_000):
                try:
                    vcpu.run()
                except base.Denied as denial:
                    return denial.error
        return 'ran to its end'

    def test_ended_when_the_guest_never_exits(self):
        self.assertEqual('EINTR', self._run_forever())

    def test_not_run_by_an_ioctl_that_is_called_again(self):
        """As fcntl.ioctl is after EINTR, from Python 3.14 on."""
        requests = []

        def ioctl(fd, request, *rest):
            requests.append(request)
            return called(fd, request, *rest)

        called = kvm.fcntl.ioctl
        with mock.patch.object(kvm.fcntl, 'ioctl', ioctl):
            self._run_forever()
        self.assertIn(kvm.CREATE_VCPU, requests)
        self.assertNotIn(kvm.RUN, requests)

    def test_ended_when_not_in_the_main_thread(self):
        answers = []
        thread = threading.Thread(
            target=lambda: answers.append(self._run_forever())
        )
        thread.start()
        thread.join()
        self.assertEqual(['EINTR'], answers)
