# SPDX-License-Identifier: Apache-2.0
"""A tiny guest, run and timed, on any architecture.

An open /dev/kvm proves nothing: the first KVM_RUN may fail, or KVM may run
the guest and emulate each of its instructions, a thousand times slower than
the processor. So a guest that does nothing but count down is timed against
the same two instructions run by this process.

One KVM_RUN has a fixed cost: 10 us on hardware, milliseconds in a guest, so
what counts is the slope over the number of iterations, and the loop gets
longer until its time stands clear of that cost. Each length is run several
times, until the best two agree, and the best counts, since a busy machine
can only add time. That a guest is slow is only believed when its time grows
evenly over several lengths, each twice the one before: what a busy machine
adds does not grow with the length.
"""

from __future__ import annotations

import abc
import dataclasses
import enum
import time
from collections.abc import Callable, Iterable, Sequence

from hvfilter.host import base, deadline, facts, kvm, machine_code

LIMIT_NS = 3_000_000_000
"""Wall time after which an attempt is broken off."""

BUDGET_NS = 2_000_000_000
"""Wall time that the loops of one attempt may be expected to take."""

ATTEMPTS = 3
"""Guests started, one after the other, until one settles the question: all
attempts together take at most ``ATTEMPTS * LIMIT_NS``."""

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

REPEATS = 3
"""Times that each length is run, at least."""

REPEATS_AT_MOST = 9
"""Times that it is run until the best two agree."""

AGREE_WITHIN = 1.25
"""Ratio of the second best time to the best."""

EVEN_LENGTHS = 4
"""Lengths over which an emulated guest's time must grow evenly."""

EVEN_WITHIN = 1.5
"""Ratio of the largest to the smallest time of an iteration over these."""

NATIVE_AT_MOST = 8.0
"""Guest time to host time of an iteration; near 1, up to 3 under nesting."""

EMULATED_AT_LEAST = 50.0
"""The same when each instruction is emulated: hundreds and more."""

_BASE = 1  # iterations of the run that shows the fixed cost
_FIRST = 128  # about a fifth of a millisecond when emulated
_LONGEST = 2**31 - 1
_GROWTH = 4
_GROWTH_WHEN_SLOW = 2
_GROWTH_IN_THE_DARK = 16
_HOST_ERROR_NS = 60
_HOST_REPEATS = 25
_HOST_REPEATS_NS = 200_000


class Pace(enum.Enum):
    """How a guest's instructions are executed."""

    NATIVE = 'native'
    EMULATED = 'emulated'
    UNSETTLED = 'unsettled'


@dataclasses.dataclass(frozen=True)
class Slope:
    """Nanoseconds an iteration takes, the fixed cost taken off.

    :ivar iterations: length of the loop
    :ivar guest_ns: in the guest
    :ivar host_ns: on the host
    :ivar clear: the loop took at least as long again as the fixed cost
    """

    iterations: int
    guest_ns: float
    host_ns: float
    clear: bool

    @property
    def ratio(self) -> float:
        """How many times slower the guest is."""
        return self.guest_ns / self.host_ns

    @property
    def ratio_at_least(self) -> float:
        """The same, the host's clock given the benefit of the doubt."""
        error = _HOST_ERROR_NS / self.iterations
        return self.guest_ns / (self.host_ns + error)


def slopes(samples: Iterable[facts.Sample]) -> tuple[Slope, ...]:
    """From the fixed cost to each length, in the order of length."""
    best = _best(samples)
    if len(best) < 2:
        return ()
    base, *longer = best
    # No run can be cheaper than the fixed cost, so the cheapest of all
    # bounds it.
    fixed = min(sample.guest_ns for sample in best)
    return tuple(_slope(base, sample, fixed) for sample in longer)


def pace(samples: Sequence[facts.Sample]) -> tuple[Pace, Slope | None]:
    """What the samples prove so far, and the slope that shows it."""
    clear = [slope for slope in slopes(samples) if slope.clear]
    if not clear:
        return Pace.UNSETTLED, None
    last = clear[-1]
    if last.ratio <= NATIVE_AT_MOST:
        return Pace.NATIVE, last
    if _evenly_slow(clear[-EVEN_LENGTHS:], samples):
        return Pace.EMULATED, last
    return Pace.UNSETTLED, last


def _evenly_slow(
    longest: Sequence[Slope], samples: Sequence[facts.Sample]
) -> bool:
    """Slow at each of these lengths alike, and each time surely measured."""
    if len(longest) < EVEN_LENGTHS:
        return False
    times = [slope.guest_ns for slope in longest]
    return (
        all(slope.ratio_at_least >= EMULATED_AT_LEAST for slope in longest)
        and all(_agreed(samples, slope.iterations) for slope in longest)
        and max(times) <= EVEN_WITHIN * min(times)
    )


def _agreed(samples: Iterable[facts.Sample], iterations: int) -> bool:
    """The best two guest times of a length are about the same."""
    times = sorted(s.guest_ns for s in samples if s.iterations == iterations)
    return len(times) > 1 and times[1] <= AGREE_WITHIN * times[0]


def next_length(
    samples: Sequence[facts.Sample], elapsed_ns: int
) -> int | None:
    """How long the next loop shall be; None to stop.

    :param samples: all so far
    :param elapsed_ns: wall time since the first
    """
    if not samples:
        return _BASE
    last = samples[-1].iterations
    repeats = sum(sample.iterations == last for sample in samples)
    if repeats < REPEATS:
        return last
    late = elapsed_ns > BUDGET_NS
    if repeats < REPEATS_AT_MOST and not late and not _agreed(samples, last):
        return last
    if last == _BASE:
        return _FIRST
    if pace(samples)[0] is not Pace.UNSETTLED:
        return None
    longest = _best(samples)[-1]
    slope = slopes(samples)[-1]
    growth = _growth(samples, slope)
    cost_ns = (longest.guest_ns + longest.host_ns) * growth * REPEATS
    if elapsed_ns + cost_ns > BUDGET_NS or last * growth > _LONGEST:
        return None
    return last * growth


def _growth(samples: Sequence[facts.Sample], slope: Slope) -> int:
    if slope.clear:
        slow = slope.ratio_at_least >= EMULATED_AT_LEAST
        return _GROWTH_WHEN_SLOW if slow else _GROWTH
    # Enough to come clear of the fixed cost, as far as one can tell.
    fixed = min(sample.guest_ns for sample in samples)
    rise = slope.guest_ns * slope.iterations
    if rise <= 0:
        return _GROWTH_IN_THE_DARK
    return min(max(int(2 * fixed / rise), _GROWTH), _GROWTH_IN_THE_DARK)


def _best(samples: Iterable[facts.Sample]) -> list[facts.Sample]:
    """The quickest guest and the quickest host run of each length."""
    best: dict[int, facts.Sample] = {}
    for sample in samples:
        so_far = best.get(sample.iterations, sample)
        best[sample.iterations] = facts.Sample(
            sample.iterations,
            min(sample.guest_ns, so_far.guest_ns),
            min(sample.host_ns, so_far.host_ns),
        )
    return [best[iterations] for iterations in sorted(best)]


def _slope(short: facts.Sample, long: facts.Sample, fixed: int) -> Slope:
    more = long.iterations - short.iterations
    guest = long.guest_ns - short.guest_ns
    host = long.host_ns - short.host_ns
    return Slope(
        iterations=long.iterations,
        guest_ns=guest / more,
        # What is below the error of the clock is not to be divided by.
        host_ns=max(host, _HOST_ERROR_NS) / more,
        clear=guest >= max(fixed, 1),
    )


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


def run(device: kvm.Device, guest_class: type[Guest]) -> facts.SmokeRun:
    """Run a guest through its steps, and time the last.

    A busy host may interrupt an attempt or blur its times, so what does not
    settle is tried again with a new guest, up to ATTEMPTS times.

    :raises Denied: no timer, or no page to execute the loop on the host
    """
    start = time.perf_counter_ns()
    attempts = 0
    settled = False
    while not settled and attempts < ATTEMPTS:
        attempts += 1
        outcomes: list[tuple[str, str]] = []
        samples: list[facts.Sample] = []
        with (
            machine_code.Routine(guest_class.code) as host_loop,
            deadline.Deadline(LIMIT_NS),
        ):
            _steps(device, guest_class, host_loop, outcomes, samples)
        settled = _settled(outcomes, samples)
    elapsed = time.perf_counter_ns() - start
    return facts.SmokeRun(tuple(outcomes), tuple(samples), elapsed, attempts)


def _settled(
    outcomes: Sequence[tuple[str, str]], samples: Sequence[facts.Sample]
) -> bool:
    """Another attempt would only repeat the answer."""
    last = outcomes[-1][1]
    if last in REACHED:
        return pace(samples)[0] is not Pace.UNSETTLED
    return last not in TRANSIENT


def _steps(
    device: kvm.Device,
    guest_class: type[Guest],
    host_loop: Callable[[int], None],
    outcomes: list[tuple[str, str]],
    samples: list[facts.Sample],
) -> None:
    step = 'create_vm'
    try:
        with device.create_vm() as vm:
            outcomes.append((step, 'ok'))
            guest = guest_class(device, vm)
            for step, set_up in guest.steps():
                countdown = set_up()
                countdown.vcpu.let_through(deadline.SIGNAL)
                _, outcome = _timed(guest, countdown, _BASE)
                outcomes.append((step, outcome))
                if outcome not in REACHED:
                    return
            step = 'timing'
            outcome = _measure(guest, countdown, host_loop, samples)
            if outcome:
                outcomes.append((step, outcome))
    except base.Denied as denial:
        outcomes.append((step, denial.error))


def _measure(
    guest: Guest,
    countdown: Countdown,
    host_loop: Callable[[int], None],
    samples: list[facts.Sample],
) -> str:
    """Take samples until they suffice; returns what went wrong, if so."""
    start = time.perf_counter_ns()
    while True:
        elapsed = time.perf_counter_ns() - start
        iterations = next_length(samples, elapsed)
        if iterations is None:
            return ''
        guest_ns, outcome = _timed(guest, countdown, iterations)
        if outcome not in REACHED:
            return outcome
        host_ns = _host_ns(host_loop, iterations)
        samples.append(facts.Sample(iterations, guest_ns, host_ns))


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
