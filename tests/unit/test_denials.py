# SPDX-License-Identifier: Apache-2.0
"""One answer less never makes a yes of a no, nor a no of a yes.

Each answer of each recorded host is refused once, and taken out of the
recording once. Only the probes that asked for it are run again: what the
others say cannot change.
"""

import collections

import testtools

from hvfilter.host.base import NOT_RECORDED, Denied
from hvfilter.host.ini import MALFORMED
from hvfilter.host.question import Kind
from hvfilter.host.recorded import RecordedHost
from hvfilter.model.finding import State
from hvfilter.probes import run
from hvfilter.probes.context import ProbeContext
from hvfilter.rules import combine
from tests.unit.test_hosts import recorded_hosts

ERRORS = ('EACCES', NOT_RECORDED)
MORE_ERRORS = {
    Kind.OPTIONS: ('EIO', MALFORMED),
    Kind.NESTED_SMOKE: ('EBUSY', 'EINVAL', 'EIO', 'ENODEV', 'ENOMEM', 'EPERM'),
}
"""Further errors that questions of a kind are refused with."""

OPPOSITE = {State.PRESENT: State.ABSENT, State.ABSENT: State.PRESENT}

ASKED_SINCE = {
    (Kind.KVM_EXTENSION, 0): 'kvm',
    (Kind.KVM_EXTENSION, 80): 'slat',
    (Kind.DIRECTORY, '/sys/bus/vmbus/devices'): 'bare_metal',
    (Kind.DIRECTORY, '/sys/bus/xen/devices'): 'bare_metal',
    (Kind.FILE, '/proc/bus/pci/devices'): 'bare_metal',
    (Kind.NESTED_SMOKE, 'nested'): 'nested',
}
"""Questions of later releases, and the capability that an earlier release's
recording, which does not hold the answer, may show as present. Still wrong
where such a recording is of a host of that rare kind; refused answers are not
excused."""


class Withholding(RecordedHost):
    """Notes what is asked, and withholds one answer.

    The leaves of CPUID are withheld together, and a register from every
    processor: who may not read one may not read any.
    """

    def __init__(self, recorded, withheld=None, error=''):
        super().__init__(recorded)
        self.withheld, self.error = withheld, error
        self.answered = set()

    def ask(self, question):
        key = together(question)
        if key == self.withheld:
            raise Denied(str(question), self.error)
        try:
            found = super().ask(question)
        except Denied as denied:
            if denied.error != NOT_RECORDED:
                self.answered.add(key)
            raise
        self.answered.add(key)
        return found


def together(question):
    """What is withheld with a question: the same for all of these."""
    if question.kind is Kind.CPUID:
        return (question.kind,)
    if question.kind is Kind.MSR:
        return question.kind, question.key[1]
    return question.kind, *question.key[:1]


def states(recorded, said):
    """Capability to state, from what each probe said."""
    report = combine.report(
        recorded.machine.arch,
        recorded.machine.kernel,
        '',
        (one for observations in said for one in observations),
    )
    return {found.capability: found.state for found in report.findings}


def flips(name, recorded, probes):
    """What becomes the other definite state, with the answer withheld."""
    said, askers = [], collections.defaultdict(list)
    for at, probe in enumerate(probes):
        host = Withholding(recorded)
        said.append(run.observe(ProbeContext(host, None, None), [probe]))
        for key in host.answered:
            askers[key].append(at)
    before = states(recorded, said)
    for key, asking in askers.items():
        for error in (*ERRORS, *MORE_ERRORS.get(key[0], ())):
            less = list(said)
            for at in asking:
                host = Withholding(recorded, key, error)
                less[at] = run.observe(
                    ProbeContext(host, None, None), [probes[at]]
                )
            if less == said:
                continue
            for capability, state in states(recorded, less).items():
                excused = (
                    error == NOT_RECORDED
                    and ASKED_SINCE.get(key) == capability
                )
                if state is OPPOSITE.get(before[capability]) and not excused:
                    yield name, key, error, capability, state.value


class TestDenials(testtools.TestCase):
    maxDiff = None

    def test_one_answer_less_when_it_decided(self):
        """No state of any recorded host turns into the opposite one."""
        probes = run.registered()
        found = [
            flip
            for name, recorded in recorded_hosts()
            for flip in flips(name, recorded, probes)
        ]
        self.assertEqual([], found)
