# SPDX-License-Identifier: Apache-2.0

from unittest import mock

import testtools

from hvfilter.host.base import Denied
from hvfilter.host.facts import Machine
from hvfilter.host.recorded import RecordedHost
from hvfilter.host.snapshot import Making, Provenance
from hvfilter.model.catalogue import CATALOGUE
from hvfilter.model.finding import State
from hvfilter.probes.host_report import probe_host
from tests.recordings import a_snapshot

BLANK = a_snapshot(
    Provenance(Making.MADE, note='blank'), Machine('x86_64', '6.1')
)


class TestExamine(testtools.TestCase):
    def test_everything_is_told_when_nothing_is_known(self):
        report = probe_host(RecordedHost(BLANK))
        self.assertEqual(len(CATALOGUE), len(report.findings))
        self.assertEqual('made: blank', report.origin)
        self.assertIs(State.UNKNOWN, report['kvm'].state)
        self.assertNotIn(State.PRESENT, {f.state for f in report.findings})

    def test_unknown_when_not_even_the_machine_can_be_told(self):
        host = RecordedHost(BLANK)
        with mock.patch.object(
            host, 'machine', side_effect=Denied('uname', 'EIO')
        ):
            report = probe_host(host, probes=())
        self.assertEqual('unknown', report.machine)
        self.assertEqual('unknown', report.kernel)
        self.assertEqual({State.UNKNOWN}, {f.state for f in report.findings})
