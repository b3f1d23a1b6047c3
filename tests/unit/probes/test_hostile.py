# SPDX-License-Identifier: Apache-2.0
"""Hosts that answer nonsense: every probe speaks, none fails."""

import dataclasses
import pathlib
import tracemalloc

import testtools
from hypothesis import given
from hypothesis import strategies as st

from hvfilter.host import base, facts
from hvfilter.host.recorded import RecordedHost
from hvfilter.host.snapshot import Making, Provenance, loads
from hvfilter.model import document
from hvfilter.model.catalogue import BY_KEY, CATALOGUE
from hvfilter.model.finding import State
from hvfilter.probes import run
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.cpuinfo import CpuInfo
from hvfilter.probes.host_report import probe_host
from hvfilter.rules import combine
from tests import strategies
from tests.recordings import KvmAnswers, a_snapshot, tables

HOSTS = pathlib.Path(__file__).parents[2] / 'hosts'
PROBES = run.registered()
MACHINES = [
    'x86_64',
    'aarch64',
    's390x',
    'ppc64le',
    'riscv64',
    'loongarch64',
    'ia64',
    '\0',
]


def questions():
    """Everything that was ever asked of a host of tests/hosts."""
    found = {}
    for path in HOSTS.glob('*.json'):
        recorded = tables(loads(path.read_bytes()))
        for field in dataclasses.fields(recorded):
            facts = getattr(recorded, field.name)
            if isinstance(facts, dict):
                found.setdefault(field.name, {}).update(facts)
    return found


ASKED = questions()
LEAVES = sorted({leaf for table in ASKED['cpuid'].values() for leaf in table})
REGISTERS = sorted(
    {index for table in ASKED['msrs'].values() for index in table}
)
OPTIONS = [o for o in ASKED['options'].values() if isinstance(o, dict)]
NONSENSE = st.one_of(
    st.binary(max_size=30),
    st.sampled_from([b'Y', b'-1', b'1\n', b'9' * 5000, b':', b'kvm kvm kvm']),
    strategies.CONTENTS,
    st.lists(
        st.sampled_from(
            [
                b'vendor_id : AuthenticAMD',
                b'flags : vmx ept svm npt sev',
                b'vmx flags : pml',
                b'isa : rv',
                b'features : ',
                b'platform : \xff',
                b'family : ' + b'9' * 5000,
                b'processor : ' + b'9' * 5000,
                b'processor : \xd9\xa3',
            ]
        )
    ).map(b'\n'.join),
)


def answers(keys, values):
    """Each question answered, refused or not recorded."""
    return st.fixed_dictionaries(
        {}, optional=dict.fromkeys(keys, values | strategies.REFUSALS)
    )


@st.composite
def hosts(draw):
    names = st.lists(
        st.sampled_from(
            ['kvm', 'kvm_intel', 'kvm_amd', 'dmar0', '0', '\udc80']
        )
        | st.text(max_size=4),
        max_size=5,
    ).map(tuple)
    some = st.sampled_from(sorted(ASKED['files']))
    paths = draw(st.sets(some, max_size=12))
    paths |= {'/proc/cpuinfo', '/proc/misc', '/proc/cmdline', '/proc/sysinfo'}
    value = st.text('kvmcustonqe$,-+ ', max_size=9)
    options = {
        section: {
            name: draw(st.lists(value, max_size=2).map(tuple))
            for name in wanted
        }
        for section, wanted in draw(st.sampled_from(OPTIONS)).items()
    }
    cpus = st.sampled_from([0, 1, 70])
    return a_snapshot(
        origin=Provenance(Making.MADE),
        machine=facts.Machine(
            draw(st.sampled_from(MACHINES)),
            draw(st.sampled_from(['6.12', '0', '9' * 5000 + '.9', ''])),
        ),
        files=draw(answers(sorted(paths), NONSENSE)),
        directories=draw(answers(sorted(ASKED['directories']), names)),
        stats=draw(answers(['/dev/kvm'], strategies.STATS)),
        versions=draw(answers(['nova'], strategies.TEXTS)),
        groups=draw(answers(['libvirt-qemu', 'qemu'], strategies.TEXTS)),
        options=draw(answers(sorted(ASKED['options']), st.just(options))),
        cpuid=draw(
            st.dictionaries(
                cpus, answers(LEAVES, strategies.REGISTERS), max_size=2
            )
        ),
        msrs=draw(st.dictionaries(cpus, answers(REGISTERS, strategies.U64))),
        kvm=KvmAnswers(
            draw(st.none() | strategies.INT32 | strategies.REFUSALS),
            draw(answers([60, 160, 235, 240], strategies.INT32)),
            draw(
                st.none()
                | strategies.REFUSALS
                | st.lists(strategies.ENTRIES, max_size=4).map(tuple)
            ),
            draw(
                st.none()
                | strategies.REFUSALS
                | st.dictionaries(
                    st.sampled_from([0x480, 0x482, 0x48B]), strategies.U64
                )
            ),
        ),
        smoke=draw(st.none() | strategies.REFUSALS | strategies.SMOKE_RUNS),
    )


class TestNonsense(testtools.TestCase):
    def check(self, host):
        look = ProbeContext(host)
        observations = []
        for probe in PROBES:
            if look.arch in probe.archs:
                # Not run.observe, which survives a probe that fails.
                observations += probe.observe(look)
        for observation in observations:
            row = BY_KEY[observation.capability]
            self.assertIn(observation.stage, row.stages, observation)
            self.assertNotEqual('', observation.reason)
            self.assertLess(len(observation.value), 4000)
        report = combine.report('x86_64', '', '', observations)
        self.assertEqual(len(CATALOGUE), len(report.findings))
        again = document.loads(document.dumps(probe_host(host, None, PROBES)))
        self.assertEqual(len(CATALOGUE), len(again.findings))

    @given(hosts())
    def test_report_when_answers_are_nonsense(self, snapshot):
        self.check(RecordedHost(snapshot))

    @given(strategies.SNAPSHOTS)
    def test_report_when_a_snapshot_is_of_any_form(self, snapshot):
        self.check(RecordedHost(snapshot))

    def test_report_when_everything_is_denied(self):
        for error in ('EACCES', 'ENOENT', 'EIO', 'ELOOP'):
            for machine in MACHINES:
                self.check(Denying(machine, error))

    def test_nothing_is_absent_when_everything_is_refused(self):
        """Could not look is never the same as is not there."""
        for error in ('EACCES', 'EPERM', 'EIO', 'ELOOP'):
            report = probe_host(Denying('x86_64', error), None, PROBES)
            for finding in report.findings:
                # Other architectures' are absent by "uname -m".
                if finding.capability not in ('vti', 'secure_execution'):
                    self.assertIs(State.UNKNOWN, finding.state, finding)
                    self.assertNotEqual('', finding.reason)


class Denying(base.Host):
    """Refuses everything but its name."""

    origin = 'denying'

    def __init__(self, machine, error):
        self._machine = machine
        self._error = error

    def machine(self):
        return facts.Machine(self._machine, '6.12')

    def ask(self, question):
        raise base.Denied(str(question), self._error)


class TestSize(testtools.TestCase):
    """A cpuinfo of the largest size that a host reads."""

    def peak(self, content):
        tracemalloc.start()
        try:
            CpuInfo(content).words_everywhere('flags')
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        return peak

    def test_memory_when_lines_repeat(self):
        block = b'processor\t: 1\nflags\t\t: ' + b'abcde ' * 200 + b'\n\n'
        content = (block * (base.READ_LIMIT // len(block) + 1))[
            : base.READ_LIMIT
        ]
        self.assertLess(self.peak(content), 8 * base.READ_LIMIT)

    def test_memory_when_every_line_differs(self):
        content = b'\n'.join(b'%x:' % n for n in range(2_000_000))
        peak = self.peak(content[: base.READ_LIMIT])
        self.assertLess(peak, 256 * 1024 * 1024)
