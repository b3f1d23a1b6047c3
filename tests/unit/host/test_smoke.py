# SPDX-License-Identifier: Apache-2.0

import errno
import os
import pathlib
import signal
from unittest import mock

import testtools

from hvfilter.host import (
    base,
    deadline,
    kvm,
    live,
    nested_guest,
    pace,
    smoke,
    smoke_x86,
)
from tests.fakes import processors
from tests.fakes.kvm import FakeKvm

GUESTS = {
    'x86_64': (processors.X86, ('real_mode', 'long_mode'), 'IO'),
    'aarch64': (processors.Arm64, ('el1',), 'MMIO'),
    'riscv64': (processors.Riscv64, ('vs_mode',), 'MMIO'),
}
"""Processor, steps and exit by ``uname -m``."""


class RunTest(testtools.TestCase):
    """Each guest on its own processor."""

    def setUp(self):
        super().setUp()
        patch = mock.patch(
            'hvfilter.host.machine_code.Routine', processors.Routine
        )
        patch.start()
        self.addCleanup(patch.stop)

    def _run(self, arch='aarch64', attempts=1, **setting):
        """A run on a fake processor, whose speed proves nothing."""
        processor = GUESTS[arch][0]()
        self.kvm = self.useFixture(FakeKvm(processor))
        for name, value in setting.items():
            setattr(self.kvm, name, value)
        names = mock.Mock(machine=arch, release='6.12')
        before = len(list(pathlib.Path('/proc/self/fd').iterdir()))
        with (
            mock.patch('os.uname', return_value=names),
            mock.patch.object(smoke, 'ATTEMPTS', attempts),
        ):
            run = live.LiveHost(devices=self.kvm.devices).smoke()
        after = len(list(pathlib.Path('/proc/self/fd').iterdir()))
        self.assertEqual(before, after)
        return run

    def test_every_step_when_all_goes_well(self):
        for arch, (_, steps, reason) in GUESTS.items():
            run = self._run(arch)
            self.assertEqual(
                (('create_vm', 'ok'), *((step, reason) for step in steps)),
                run.steps,
            )
            lengths = [sample.iterations for sample in run.samples]
            self.assertEqual([1] * 3, lengths[:3])
            self.assertIn(128, lengths)
            # One pass more for each step but real mode, which has none.
            self.assertEqual(sum(lengths) + 1, self.kvm.processor.passes)
            self.assertGreater(
                run.elapsed_ns, sum(s.guest_ns for s in run.samples)
            )

    def test_only_the_timer_can_end_it_when_it_runs(self):
        self._run()
        blocked = self.kvm.mask.sigset ^ 2**64 - 1
        self.assertEqual(1 << deadline.SIGNAL - 1, blocked)

    def test_errno_told_when_no_machine_can_be_made(self):
        run = self._run(refused={kvm.CREATE_VM: errno.EBUSY})
        self.assertEqual((('create_vm', 'EBUSY'),), run.steps)
        self.assertEqual((), run.samples)

    def test_errno_told_when_a_step_cannot_be_set_up(self):
        run = self._run(refused={kvm.SET_USER_MEMORY_REGION: errno.EINVAL})
        self.assertEqual((('create_vm', 'ok'), ('el1', 'EINVAL')), run.steps)

    def test_errno_told_when_what_all_steps_need_is_refused(self):
        run = self._run('x86_64', refused={kvm.SET_TSS_ADDR: errno.EINVAL})
        self.assertEqual(('create_vm', 'EINVAL'), run.steps[-1])

    def test_no_second_step_when_the_first_ends_otherwise(self):
        run = self._run('x86_64', ends={0: kvm.EXIT_IO})
        self.assertEqual(
            (('create_vm', 'ok'), ('real_mode', 'IO_UNEXPECTED')), run.steps
        )

    def test_exit_told_when_the_guest_ends_otherwise(self):
        for reason, name in ((9, 'FAIL_ENTRY'), (17, 'INTERNAL_ERROR')):
            run = self._run(ends={0: reason})
            self.assertEqual(('el1', name), run.steps[-1])
            self.assertEqual((), run.samples)

    def test_number_told_when_the_exit_is_a_new_one(self):
        run = self._run(ends={0: 99})
        self.assertEqual(('el1', 'EXIT_99'), run.steps[-1])

    def test_unexpected_when_it_is_not_the_guests_own_store(self):
        run = self._run(ends={0: kvm.EXIT_MMIO})
        self.assertEqual(('el1', 'MMIO_UNEXPECTED'), run.steps[-1])

    def test_errno_told_when_it_does_not_run(self):
        error = OSError(errno.ENOEXEC, os.strerror(errno.ENOEXEC))
        run = self._run(ends={0: error})
        self.assertEqual(('el1', 'ENOEXEC'), run.steps[-1])

    def test_timeout_when_the_timer_ends_every_attempt(self):
        error = OSError(errno.EINTR, os.strerror(errno.EINTR))
        run = self._run(attempts=3, ends=dict.fromkeys(range(9), error))
        self.assertEqual(('el1', 'TIMEOUT'), run.steps[-1])
        self.assertEqual(3, run.attempts)

    def test_time_of_all_attempts_when_each_hangs(self):
        """KVM_RUN returns for the timer's signal only; the whole is bounded,
        not only each attempt."""
        hung = base.Denied('KVM_RUN', 'EINTR')

        def hang(_):
            if signal.sigtimedwait([deadline.SIGNAL], 30) is None:
                self.fail('no timer')
            raise hung

        limits = {'LIMIT_NS': 60_000_000, 'ATTEMPTS': 20}
        for whole_ns, most in ((1, 1), (30_000_000, 1), (150_000_000, 3)):
            kvm_ = self.useFixture(FakeKvm(processors.X86()))
            with (
                mock.patch.multiple(smoke, **limits),
                mock.patch.object(kvm.Vcpu, 'run', hang),
                kvm.Device(kvm_.path) as device,
            ):
                run = smoke.run(device, smoke_x86.Guest, whole_ns)
            self.assertEqual(('real_mode', 'TIMEOUT'), run.steps[-1])
            self.assertLessEqual(run.attempts, most)
            self.assertGreaterEqual(run.elapsed_ns, whole_ns)
            self.assertLess(run.elapsed_ns, whole_ns + 2_000_000_000)

    def test_nested_guests_have_less_time_than_three_attempts(self):
        self.assertLess(nested_guest.WHOLE_NS, smoke.WHOLE_NS)
        processor = processors.X86()
        fake = self.useFixture(FakeKvm(processor))
        fake.cpuid = [(0x80000001, 0, 0, 0, 4, 0)]
        with mock.patch.object(smoke, 'run') as run:
            live.LiveHost(devices=fake.devices).nested_smoke('nested')
        self.assertEqual(nested_guest.WHOLE_NS, run.call_args.args[2])

    def test_samples_so_far_when_the_timing_is_broken_off(self):
        error = OSError(errno.EINTR, os.strerror(errno.EINTR))
        run = self._run(ends={3: error})
        self.assertEqual(
            (('create_vm', 'ok'), ('el1', 'MMIO'), ('timing', 'TIMEOUT')),
            run.steps,
        )
        self.assertEqual([1, 1], [sample.iterations for sample in run.samples])

    def test_another_attempt_when_one_was_broken_off(self):
        error = OSError(errno.EINTR, os.strerror(errno.EINTR))
        settled = (pace.Pace.NATIVE, None)
        for broken_off in (0, 3):
            with mock.patch.object(pace, 'classify', return_value=settled):
                run = self._run(attempts=3, ends={broken_off: error})
            self.assertEqual(2, run.attempts)
            self.assertEqual(('el1', 'MMIO'), run.steps[-1])

    def test_one_attempt_when_it_failed_for_good(self):
        for error in (errno.EBUSY, errno.EPERM):
            run = self._run(attempts=3, refused={kvm.CREATE_VM: error})
            self.assertEqual(1, run.attempts)

    def test_several_attempts_when_the_speed_stays_doubtful(self):
        doubtful = (pace.Pace.UNSETTLED, None)
        with (
            mock.patch.object(pace, 'classify', return_value=doubtful),
            mock.patch.object(pace, 'next_length', side_effect=[1, None] * 9),
        ):
            run = self._run(attempts=3)
        self.assertEqual(3, run.attempts)
        self.assertEqual(1, len(run.samples))

    def test_denied_when_there_is_no_guest_for_the_architecture(self):
        for arch in ('s390x', 'ppc64le', 'loongarch64'):
            names = mock.Mock(machine=arch, release='6.12')
            with mock.patch('os.uname', return_value=names):
                denial = self.assertRaises(base.Denied, live.LiveHost().smoke)
            self.assertEqual('EOPNOTSUPP', denial.error)
            self.assertIn(arch, denial.text)
