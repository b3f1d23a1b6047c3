# SPDX-License-Identifier: Apache-2.0

import dataclasses

import testtools

from hvfilter.host import facts, record_extras
from hvfilter.host.answers import Refusal
from hvfilter.host.recorded import RecordedHost
from hvfilter.host.recording import RecordingHost
from hvfilter.host.snapshot import Making, Provenance
from tests.recordings import a_snapshot, changed, tables
from tests.unit.host.test_snapshot import FULL

ORIGIN = Provenance(Making.RECORDED)


def regs(eax):
    return facts.CpuidRegs(eax, 0, 0, 0)


SOURCE = a_snapshot(
    ORIGIN,
    facts.Machine('x86_64', '6.1'),
    files={
        '/proc/misc': b'232 kvm\n',
        '/sys/module/kvm/parameters/halt_poll_ns': b'0\n',
    },
    directories={'/sys/module/kvm/parameters': ('halt_poll_ns',)},
    cpuid={
        0: {
            (0, 0): regs(7),
            **{(leaf, 0): regs(leaf) for leaf in range(1, 8)},
            (7, 1): regs(99),
            (0x80000000, 0): Refusal('ENXIO'),
        }
    },
    msrs={0: {0x3A: 5, 0x480: Refusal('EIO')}},
    kvm=tables(FULL).kvm,
)


class TestSurvey(testtools.TestCase):
    def ask(self, snapshot):
        host = RecordingHost(RecordedHost(snapshot), None)
        record_extras.ask(host)
        return host.snapshot(ORIGIN)

    def test_everything_is_recorded_when_it_can_be_had(self):
        found = self.ask(SOURCE)
        for part in ('files', 'directories', 'cpuid', 'msrs'):
            self.assertEqual(
                getattr(tables(SOURCE), part), getattr(tables(found), part)
            )
        self.assertEqual(12, tables(found).kvm.api_version)
        self.assertEqual(
            tables(FULL).kvm.feature_msrs, tables(found).kvm.feature_msrs
        )

    def test_no_register_is_asked_when_it_is_not_x86(self):
        other = dataclasses.replace(
            SOURCE, machine=facts.Machine('aarch64', '6.1')
        )
        found = self.ask(other)
        self.assertEqual(({}, {}), (tables(found).cpuid, tables(found).msrs))

    def test_no_guest_is_run_when_asked(self):
        self.assertIsNone(
            tables(self.ask(changed(SOURCE, smoke=tables(FULL).smoke))).smoke
        )

    def test_leaves_are_bounded_when_the_highest_is_absurd(self):
        absurd = changed(
            SOURCE,
            cpuid={0: {(leaf, 0): regs(2**32 - 1) for leaf in range(200)}},
        )
        self.assertTrue(len(tables(self.ask(absurd)).cpuid[0]) < 100)
