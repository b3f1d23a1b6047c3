# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.host import base, cpuid_dump, facts
from hvfilter.host.answers import Refusal
from hvfilter.host.layered import LayeredHost
from hvfilter.host.recorded import RecordedHost
from hvfilter.host.snapshot import Making, Provenance
from tests.recordings import a_snapshot
from tests.unit.host.test_recording import ask_all
from tests.unit.host.test_snapshot import FULL

OTHER = a_snapshot(
    Provenance(Making.MADE),
    facts.Machine('other', '1'),
    files={'/a': b'a\n', '/b': Refusal('EACCES')},
)
LAST = a_snapshot(
    Provenance(Making.MADE),
    facts.Machine('last', '1'),
    files={'/a': b'never\n', '/b': b'never\n', '/c': b'c\n'},
)


class TestLayeredHost(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.host = LayeredHost(
            [RecordedHost(OTHER, 'one'), RecordedHost(LAST, 'two')]
        )

    def test_the_first_answers_when_it_can(self):
        self.assertEqual(b'a\n', self.host.read('/a'))
        self.assertEqual('other', self.host.machine().arch)

    def test_machine_is_told_by_the_first_that_knows(self):
        def host(arch, kernel):
            machine = facts.Machine(arch, kernel)
            return RecordedHost(a_snapshot(OTHER.origin, machine))

        for hosts, machine in (
            ([host('unknown', '6.1'), host('x86_64', '6.2')], 'x86_64 6.1'),
            ([host('x86_64', 'unknown'), host('i686', '6.2')], 'x86_64 6.2'),
            ([host('unknown', 'unknown')], 'unknown unknown'),
        ):
            told = LayeredHost(hosts).machine()
            self.assertEqual(machine, f'{told.arch} {told.kernel}')

    def test_a_denial_is_an_answer_when_recorded(self):
        denied = self.assertRaises(base.Denied, self.host.read, '/b')
        self.assertEqual('EACCES', denied.error)

    def test_the_next_answers_when_the_first_does_not_know(self):
        self.assertEqual(b'c\n', self.host.read('/c'))
        denied = self.assertRaises(base.Denied, self.host.read, '/d')
        self.assertEqual(base.NOT_RECORDED, denied.error)

    def test_what_none_holds_the_first_does_not_hold(self):
        text = 'CPUID 00000000: 00000000-00000000-00000000-00000000'
        dump = cpuid_dump.DumpHost(text, 'dump')
        recorded = RecordedHost(OTHER, 'one')
        for hosts, holder in (
            ([recorded, dump], base.Holder.RECORDING),
            ([dump, recorded], base.Holder.DUMP),
        ):
            denied = self.assertRaises(
                base.Denied, LayeredHost(hosts).read, '/nowhere'
            )
            self.assertIs(holder, denied.holder)

    def test_every_question_is_passed_on_when_asked(self):
        from hvfilter.host.recording import RecordingHost

        empty = RecordedHost(a_snapshot(OTHER.origin, FULL.machine))
        host = RecordingHost(LayeredHost([empty, RecordedHost(FULL)]), None)
        ask_all(host, FULL)
        self.assertEqual(FULL, host.snapshot(FULL.origin))

    def test_origin_names_all_when_asked(self):
        self.assertEqual('one and two', self.host.origin)
