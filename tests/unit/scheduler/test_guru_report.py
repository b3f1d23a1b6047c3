# SPDX-License-Identifier: Apache-2.0

import os
import re
import signal

import fixtures
from nova import version
from oslo_reports import guru_meditation_report as gmr

from hvfilter.scheduler import guru_report, worker_state
from tests.unit.scheduler import base
from tests.unit.scheduler.base import host, spec

NESTED = {'hvfilter:nested': 'required'}


class GuruReportTest(base.SchedulerTestCase):
    def setUp(self):
        super().setUp()
        # Nova looks up its version in a file beside its configuration.
        self.conf([], default_config_files=[])

    def section(self):
        """Our section, as it is in Nova's report."""
        whole = gmr.TextGuruMeditation(version).run()
        _, ours = re.split(r'=+ +hvfilter +=+', whole)
        return ours

    def judge(self):
        self.report('full', 'kvm', 'nested')
        self.report('flat', 'kvm')
        self.passing([host('full'), host('flat')], spec(NESTED))

    def test_report_tells_what_is_known_and_was_done(self):
        self.judge()
        self.clock.pass_s(12.5)
        text = self.section()
        for line in (
            'mode = enforcing',
            'required = kvm',
            'reserved = nothing',
            'age in seconds = 12.5',
            'last refresh = succeeded',
            'CUSTOM_HVFILTER_NESTED = 1',
            'CUSTOM_HVFILTER_KVM = 2',
            'hosts_rejected = 1',
            'rejected.lacks.nested = 1',
            'placement_requests = 4',
        ):
            self.assertIn(line, text)

    def test_report_tells_that_nothing_is_known(self):
        self.assertIn('age in seconds = nothing is known', self.section())

    def test_report_tells_that_placement_does_not_answer(self):
        self.judge()
        self.fleet.fall()
        self.clock.pass_s(31)
        self.judge()
        self.assertIn('last refresh = failed', self.section())

    def test_section_is_there_once_however_many_filters_there_are(self):
        guru_report.register()
        guru_report.register()
        sections = [
            generator
            for _, generator in gmr.TextGuruMeditation.persistent_sections
        ]
        self.assertEqual(1, sections.count(guru_report.section))

    def test_rest_of_the_report_survives_a_fault_of_ours(self):
        def fail():
            raise RuntimeError('worn out')

        self.useFixture(
            fixtures.MonkeyPatch(
                'hvfilter.scheduler.worker_state.WorkerState.counts',
                lambda _: fail(),
            )
        )
        text = self.section()
        self.assertIn("not available = RuntimeError('worn out')", text)

    def test_report_does_not_wait_for_its_own_thread(self):
        """Which is in the middle of something when the signal comes."""
        told = []
        before = signal.signal(
            signal.SIGUSR2, lambda *_: told.append(self.section())
        )
        self.addCleanup(signal.signal, signal.SIGUSR2, before)
        with (
            worker_state.current().statistics._lock,
            worker_state._lock,
        ):
            os.kill(os.getpid(), signal.SIGUSR2)
        self.assertIn('mode = enforcing', told[0])
