# SPDX-License-Identifier: Apache-2.0
"""A guest that did not run at the processor's speed never gives kvm.

Whatever became of it, at whatever step, on whatever recorded host, and
whatever weaker evidence says. A module that is loaded is a witness only where
no guest was to be run.
"""

import itertools
from unittest import mock

import testtools

from hvfilter.host import facts, kvm, smoke
from hvfilter.host.answers import Refusal
from hvfilter.host.live import SMOKE_GUESTS
from hvfilter.host.question import SMOKE, Kind
from hvfilter.host.recorded import RecordedHost
from hvfilter.model.finding import State
from hvfilter.probes import run, smoke_verdict
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.smoke_verdict import Outcome
from tests.fakes.timing import TimedMachine
from tests.recordings import changed, tables
from tests.unit.test_denials import Withholding, states
from tests.unit.test_hosts import recorded_hosts

FAST = TimedMachine(10_000, 0.6, 0.55).samples()

SPEEDS = {
    'not timed': (),
    'one run': FAST[:1],
    'lost in the cost of KVM_RUN': (
        facts.Sample(1, 10**7, 400),
        facts.Sample(512, 10**7, 700),
    ),
    '20 times as slow': TimedMachine(10_000, 11, 0.55).samples(),
    'slow at two lengths': TimedMachine(9_000, 500, 0.5).samples()[:6],
    'slow at too few lengths': TimedMachine(9_000, 1900, 0.5).samples()[:12],
    'emulated': TimedMachine(20_000, 1400, 0.55).samples(),
}
"""Samples that do not show the processor's own speed."""

OTHER_ERRORS = ('EBUSY', 'EFAULT', 'EINVAL', 'EIO', 'ENODEV', 'ENOSYS')
UNEXPECTED = ('IO_UNEXPECTED', 'MMIO_UNEXPECTED', 'EXIT_99')
ENDINGS = sorted(
    {
        *smoke.TRANSIENT,
        *smoke.REFUSED,
        *OTHER_ERRORS,
        *UNEXPECTED,
        *kvm.EXIT_NAMES.values(),
    }
    - smoke.REACHED
)
"""All that a step may end with, other than well."""

ONE_OF_EACH = ('TIMEOUT', 'ENOMEM', 'EPERM', 'EBUSY', 'SHUTDOWN')
"""Endings that are told apart somewhere."""

NOT_TO_BE_RUN = {'ECANCELED', 'EOPNOTSUPP'}
DENIALS = sorted(
    {
        'EACCES',
        'ENOENT',
        'ENXIO',
        *smoke.TRANSIENT,
        *smoke.REFUSED,
        *OTHER_ERRORS,
    }
    - NOT_TO_BE_RUN
    - {'INTR', 'TIMEOUT'}
)
"""Why there is no run at all, though there was to be one."""


def steps_of(arch):
    """The steps of the architecture's guest, each with how it goes well."""
    guest = SMOKE_GUESTS.get(arch, SMOKE_GUESTS['x86_64'])
    well = 'IO' if guest is SMOKE_GUESTS['x86_64'] else 'MMIO'
    names = [name for name, _ in guest(mock.Mock(), mock.Mock()).steps()]
    return (('create_vm', 'ok'), *((name, well) for name in names))


def broken(arch, endings):
    """Runs that broke off at each step and while timed, in each way."""
    steps = steps_of(arch)
    places = (*(name for name, _ in steps), 'timing')
    for (at, name), ending in itertools.product(enumerate(places), endings):
        timed = FAST if name == 'timing' else ()
        yield facts.SmokeRun((*steps[:at], (name, ending)), timed, 9, 3)


def not_native(arch, endings):
    """Every run that does not show that the processor executes guests."""
    yield facts.SmokeRun((), (), 0)
    yield from broken(arch, endings)
    for samples in SPEEDS.values():
        yield facts.SmokeRun(steps_of(arch), samples, 9)


def kvm_states(recorded, runs):
    """The state of kvm with each of these in place of what was recorded.

    What does not ask for the run is probed once.
    """
    said, askers = [], []
    for at, probe in enumerate(run.registered()):
        host = Withholding(recorded, (Kind.SMOKE,), 'EAGAIN')
        with mock.patch.object(host, 'ask', wraps=host.ask) as asked:
            said.append(run.observe(ProbeContext(host, None, None), [probe]))
        if mock.call(SMOKE) in asked.mock_calls:
            askers.append((at, probe))
    for one in runs:
        host = RecordedHost(changed(recorded, smoke=one))
        for at, probe in askers:
            said[at] = run.observe(ProbeContext(host, None, None), [probe])
        yield one, states(recorded, said)['kvm']


class TestSmokeOutcomes(testtools.TestCase):
    def test_never_native_when_it_ended_badly_or_was_slow(self):
        for arch in SMOKE_GUESTS:
            for one in not_native(arch, ENDINGS):
                outcome = smoke_verdict.judge(one).outcome
                self.assertIsNot(Outcome.NATIVE, outcome, (arch, one.steps))

    def test_native_when_all_went_well(self):
        """The runs above differ from one that counts only in what is said
        of them."""
        for arch in SMOKE_GUESTS:
            one = facts.SmokeRun(steps_of(arch), FAST, 9)
            self.assertIs(Outcome.NATIVE, smoke_verdict.judge(one).outcome)

    def test_emulated_when_it_is_slow_alike_at_every_length_only(self):
        for name, samples in SPEEDS.items():
            one = facts.SmokeRun(steps_of('x86_64'), samples, 9)
            emulated = smoke_verdict.judge(one).outcome is Outcome.EMULATED
            self.assertEqual(name == 'emulated', emulated, name)

    def test_kvm_when_a_guest_did_not_run_natively(self):
        """On every recorded host, and where it could not be run at all."""
        denials = [Refusal(error) for error in DENIALS]
        for name, recorded in recorded_hosts():
            runs = [*not_native(recorded.machine.arch, ONE_OF_EACH), *denials]
            if isinstance(tables(recorded).kvm.api_version, int):
                # Files alone, of a host that nobody asked, hold no run.
                runs.append(None)
            for one, state in kvm_states(recorded, runs):
                self.assertIsNot(State.PRESENT, state, (name, one))

    def test_kvm_when_the_guest_runs_natively(self):
        """So the property above is of hosts that could say PRESENT."""
        present = set()
        for _, recorded in recorded_hosts():
            arch = recorded.machine.arch
            one = facts.SmokeRun(steps_of(arch), FAST, 9)
            for _, state in kvm_states(recorded, [one]):
                if state is State.PRESENT:
                    present.add(arch)
        self.assertTrue(set(SMOKE_GUESTS) <= present, present)
