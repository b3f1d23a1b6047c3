# SPDX-License-Identifier: Apache-2.0
"""A tiny guest, run and timed, on any architecture.

An open /dev/kvm proves nothing: the first KVM_RUN may fail, or KVM may run
the guest and emulate each of its instructions, a thousand times slower than
the processor. So a guest that does nothing but count down is timed against
the same two instructions run by this process.

How the times are read is in ``pace``.
"""

from __future__ import annotations

import abc
import dataclasses
import time
from collections.abc import Callable, Sequence

from hvfilter.host import base, deadline, facts, kvm, machine_code, pace

LIMIT_NS = 3_000_000_000
"""Wall time after which an attempt is broken off."""

ATTEMPTS = 3
"""Guests started, one after the other, until one settles the question."""

WHOLE_NS = ATTEMPTS * LIMIT_NS
"""Wall time after which no attempt is left, unless less is given."""

TRANSIENT = frozenset(
    {
        'EAGAIN',
        'ECANCELED',
        'EINTR',
        'EMFILE',
        'ENFILE',
        'ENOMEM',
        'ENOSPC',
        'INTR',
        'TIMEOUT',
    }
)
"""Outcomes that speak of the host's load at this moment, not of its KVM."""

REFUSED = frozenset({'EACCES', 'EPERM'})
"""Outcomes that speak of this process: a security module or seccomp."""

NOT_ENABLED = frozenset({'EBUSY', 'EIO'})
"""How creating a virtual machine ends where virtualization could not be
switched on, on some processor: EBUSY before Linux 6.12 (kernel
``virt/kvm/kvm_main.c``, hardware_enable_all), EIO from there on
(kvm_enable_virtualization_cpu). No guest starts then.

No other error proves that, at whatever step: EFAULT, EINVAL, ENOEXEC and
E2BIG speak of what was asked for (EINVAL also of guest-physical addresses of
40 bits, which some arm64 processors lack), ENODEV of a module that is just
being unloaded (kvm_create_vm), a later EIO of this virtual machine alone
(kvm_vcpu_ioctl, vm_dead), ENOSYS, ENOTTY and EOPNOTSUPP of something in front
of KVM.
"""

REACHED = frozenset({'ok', 'IO', 'MMIO'})
"""Outcomes of a step that went well."""

_HOST_REPEATS = 25
_HOST_REPEATS_NS = 200_000


class Guest(abc.ABC):
    """The guest of one architecture, in a virtual machine of its own."""

    code: bytes
    """The loop as a host routine; its argument is the iterations."""

    def __init__(self, device: kvm.Device, vm: kvm.Vm) -> None:
        """Nothing is set up yet; the virtual machine is still empty."""
        self.device = device
        self.vm = vm

    @abc.abstractmethod
    def steps(self) -> Sequence[tuple[str, Callable[[], Countdown]]]:
        """What is to be shown, in order: name and how to set it up.

        The samples are taken from the last.
        """

    @abc.abstractmethod
    def ended_well(self, vcpu: kvm.Vcpu) -> bool:
        """The exit is the very one that the guest makes on purpose."""

    def refined(self, vcpu: kvm.Vcpu, outcome: str) -> str:
        """The outcome of a KVM_RUN, with what the guest knows of it."""
        return outcome


@dataclasses.dataclass(frozen=True)
class Countdown:
    """A virtual CPU that counts down, exits, and can do so again.

    :ivar set_iterations: called before each run
    """

    vcpu: kvm.Vcpu
    set_iterations: Callable[[int], None]


@dataclasses.dataclass(frozen=True)
class _Timing:
    """How the loop of one attempt is timed.

    :ivar samples: taken so far
    :ivar budget_ns: wall time that they may be expected to take, less than
        the timer's
    """

    host_loop: Callable[[int], None]
    samples: list[facts.Sample]
    budget_ns: int


def run(
    device: kvm.Device, guest_class: type[Guest], whole_ns: int = WHOLE_NS
) -> facts.SmokeRun:
    """Run a guest through its steps, and time the last.

    A busy host may interrupt an attempt or blur its times, so what does not
    settle is tried again with a new guest, up to ATTEMPTS times.

    :param whole_ns: wall time after which the last attempt is broken off
    :raises Denied: no timer, or no page to execute the loop on the host
    """
    start = time.perf_counter_ns()
    attempts = 0
    settled = False
    left_ns = whole_ns
    while not settled and attempts < ATTEMPTS and left_ns > 0:
        attempts += 1
        outcomes: list[tuple[str, str]] = []
        samples: list[facts.Sample] = []
        limit_ns = min(LIMIT_NS, left_ns)
        with (
            machine_code.Routine(guest_class.code) as host_loop,
            deadline.Deadline(limit_ns),
        ):
            timing = _Timing(host_loop, samples, limit_ns * 2 // 3)
            _steps(device, guest_class, timing, outcomes)
        settled = _settled(outcomes, samples)
        left_ns = whole_ns - (time.perf_counter_ns() - start)
    elapsed = time.perf_counter_ns() - start
    return facts.SmokeRun(tuple(outcomes), tuple(samples), elapsed, attempts)


def _settled(
    outcomes: Sequence[tuple[str, str]], samples: Sequence[facts.Sample]
) -> bool:
    """Another attempt would only repeat the answer."""
    last = outcomes[-1][1]
    if last in REACHED:
        return pace.classify(samples)[0] is not pace.Pace.UNSETTLED
    return last not in TRANSIENT


def _steps(
    device: kvm.Device,
    guest_class: type[Guest],
    timing: _Timing,
    outcomes: list[tuple[str, str]],
) -> None:
    step = 'create_vm'
    try:
        with device.create_vm() as vm:
            outcomes.append((step, 'ok'))
            guest = guest_class(device, vm)
            for step, set_up in guest.steps():
                countdown = set_up()
                countdown.vcpu.let_through(deadline.SIGNAL)
                _, outcome = _timed(guest, countdown, pace.BASE)
                outcomes.append((step, outcome))
                if outcome not in REACHED:
                    return
            step = 'timing'
            outcome = _measure(guest, countdown, timing)
            if outcome:
                outcomes.append((step, outcome))
    except base.Denied as denial:
        outcomes.append((step, denial.error))


def _measure(guest: Guest, countdown: Countdown, timing: _Timing) -> str:
    """Take samples until they suffice; returns what went wrong, if so."""
    start = time.perf_counter_ns()
    while True:
        elapsed = time.perf_counter_ns() - start
        iterations = pace.next_length(
            timing.samples, elapsed, timing.budget_ns
        )
        if iterations is None:
            return ''
        guest_ns, outcome = _timed(guest, countdown, iterations)
        if outcome not in REACHED:
            return outcome
        host_ns = _host_ns(timing.host_loop, iterations)
        timing.samples.append(facts.Sample(iterations, guest_ns, host_ns))


def _timed(
    guest: Guest, countdown: Countdown, iterations: int
) -> tuple[int, str]:
    """One KVM_RUN: how long it took and how it ended."""
    countdown.set_iterations(iterations)
    vcpu = countdown.vcpu
    start = time.perf_counter_ns()
    try:
        vcpu.run()
    except base.Denied as denial:
        # Only the timer's signal is let through.
        late = denial.error == 'EINTR'
        return 0, 'TIMEOUT' if late else denial.error
    taken = time.perf_counter_ns() - start
    reason = vcpu.state.exit_reason
    name = kvm.EXIT_NAMES.get(reason, f'EXIT_{reason}')
    if name in ('IO', 'MMIO') and not guest.ended_well(vcpu):
        name += '_UNEXPECTED'
    return taken, guest.refined(vcpu, name)


def _host_ns(host_loop: Callable[[int], None], iterations: int) -> int:
    """The best of several, as long as they are short."""
    times: list[int] = []
    while len(times) < _HOST_REPEATS and sum(times) < _HOST_REPEATS_NS:
        start = time.perf_counter_ns()
        host_loop(iterations)
        times.append(time.perf_counter_ns() - start)
    return min(times)
