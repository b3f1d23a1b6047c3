# SPDX-License-Identifier: Apache-2.0
"""What each source may say: the table of doc/source/sources.rst holds.

An observation that says present or absent must be permitted by a line of the
table; what a line gives nothing to say of may say nothing there.
"""

import dataclasses
import fnmatch
import pathlib

import testtools

from hvfilter.host.recorded import RecordedHost
from hvfilter.model.catalogue import BY_KEY, Arch, Stage
from hvfilter.model.finding import Observation, State, Strength
from hvfilter.probes.context import ProbeContext
from tests.hosts.make import probes
from tests.unit.test_hosts import recorded_hosts

PAGE = pathlib.Path(__file__).parents[2] / 'doc/source/sources.rst'
ANY = 'any'
SAYINGS = {
    'present, absent': {State.PRESENT, State.ABSENT},
    'present': {State.PRESENT},
    'absent': {State.ABSENT},
    'nothing': set(),
}


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of the table."""

    source: str
    archs: frozenset[str]
    stages: frozenset[str]
    keys: frozenset[str]
    says: str

    def covers(self, arch, said):
        return (
            fnmatch.fnmatchcase(said.source, self.source)
            and {arch.value, ANY} & self.archs
            and {said.stage.value, ANY} & self.stages
            and {said.capability, ANY} & self.keys
        )


def table():
    """The lines of the table, from its cells."""
    cells = []
    inside = False
    for text in PAGE.read_text().splitlines():
        if text.startswith('.. _what-proves-what:'):
            inside = True
        elif inside and text.startswith('   * - '):
            cells.append([text[7:]])
        elif inside and text.startswith('     - '):
            cells[-1].append(text[7:])
        elif inside and cells and not text:
            break
    return [
        Line(
            source.strip('`'),
            *(frozenset(cell.split(', ')) for cell in (archs, stages, keys)),
            says,
        )
        for source, archs, stages, keys, says, _because in cells[1:]
    ]


def definite():
    """Every observation that says present or absent."""
    for name, recorded in recorded_hosts():
        look = ProbeContext(RecordedHost(recorded))
        for probe in probes():
            if look.arch in probe.archs:
                for said in probe.observe(look):
                    if said.state is not State.UNKNOWN:
                        yield name, look.arch, said


def contradiction(lines, arch, said):
    """Why the table does not permit an observation, '' if it does."""
    covering = [line for line in lines if line.covers(arch, said)]
    if any(line.says == 'nothing' for line in covering):
        return 'the table has it say nothing'
    if any(said.state in SAYINGS[line.says] for line in covering):
        return ''
    return 'no line permits it'


class TestTable(testtools.TestCase):
    maxDiff = None

    def test_every_cell_is_of_the_words_that_there_are(self):
        self.assertGreater(len(table()), 30)
        for line in table():
            self.assertIn(line.says, SAYINGS, line)
            self.assertLessEqual(
                line.archs, {ANY, *(arch.value for arch in Arch)}, line
            )
            self.assertLessEqual(
                line.stages, {ANY, *(stage.value for stage in Stage)}, line
            )
            self.assertLessEqual(line.keys, {ANY, *BY_KEY}, line)

    def test_every_observation_is_permitted(self):
        lines = table()
        wrong = {}
        used = set()
        for name, arch, said in definite():
            why = contradiction(lines, arch, said)
            where = f'{said.source} | {arch.value} | {said.stage.value}'
            if why:
                wrong[f'{where} | {said.state.value}: {why}'] = (
                    f'{name}: {said.capability}'
                )
            used |= {line for line in lines if line.covers(arch, said)}
        self.assertEqual({}, wrong)
        silent = {line for line in lines if line.says == 'nothing'}
        self.assertEqual(set(), set(lines) - used - silent, 'not used')

    def test_error_when_a_probe_says_more(self):
        """The check itself: what proves nothing is caught."""
        for source, arch, stage, key, state in (
            ('/dev/kvm', Arch.X86, Stage.KVM, 'kvm', State.PRESENT),
            ('/proc/misc', Arch.RISCV64, Stage.CPU, 'hvm', State.PRESENT),
            ('/proc/cmdline', Arch.X86, Stage.KVM, 'kvm', State.PRESENT),
            ('/proc/cmdline', Arch.X86, Stage.CPU, 'vtx', State.ABSENT),
            ('/sys/module', Arch.X86, Stage.CPU, 'vtx', State.PRESENT),
            (
                'KVM_GET_API_VERSION',
                Arch.X86,
                Stage.CPU,
                'hvm',
                State.PRESENT,
            ),
            (
                '/sys/hypervisor/type',
                Arch.X86,
                Stage.CPU,
                'bare_metal',
                State.PRESENT,
            ),
            (
                '/sys/firmware/acpi/tables',
                Arch.ARM64,
                Stage.FIRMWARE,
                'iommu',
                State.ABSENT,
            ),
        ):
            said = Observation(
                key, stage, state, Strength.FLAGS, source, 'x', 'x', 'x'
            )
            self.assertNotEqual('', contradiction(table(), arch, said), source)
