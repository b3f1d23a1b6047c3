# SPDX-License-Identifier: Apache-2.0

from unittest import mock

import fixtures
import testtools

from hvfilter.host.base import Denied
from hvfilter.host.facts import Machine
from hvfilter.host.recorded import RecordedHost
from hvfilter.host.snapshot import Making, Provenance
from hvfilter.model.catalogue import CATALOGUE
from hvfilter.model.finding import State
from hvfilter.probes.base import Probe
from hvfilter.probes.host_report import probe_host
from hvfilter.rules import override
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

    def test_probes_that_fail_are_named(self):
        class Fails(Probe):
            def observe(self, host):
                raise ZeroDivisionError

        self.useFixture(fixtures.FakeLogger())
        host = RecordedHost(BLANK)
        self.assertEqual((), probe_host(host).failed_probes)
        report = probe_host(host, probes=(Fails(),))
        self.assertEqual(('Fails',), report.failed_probes)
        found = override.apply(report, override.parse(['kvm=absent'], 'x'))
        self.assertEqual(('Fails',), found.failed_probes)

    def test_probe_that_cannot_be_loaded_is_named(self):
        self.useFixture(fixtures.FakeLogger())
        bad = mock.Mock(value='x:Y', **{'load.side_effect': ImportError('x')})
        bad.name = 'bad'
        self.useFixture(
            fixtures.MonkeyPatch(
                'stevedore.ExtensionManager.list_entry_points',
                lambda manager: [bad],
            )
        )
        report = probe_host(RecordedHost(BLANK))
        self.assertEqual(('bad',), report.failed_probes)
