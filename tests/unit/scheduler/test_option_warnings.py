# SPDX-License-Identifier: Apache-2.0

import fixtures

from hvfilter import scheduler
from tests.unit.scheduler import base


class StartupTest(base.SchedulerTestCase):
    def setUp(self):
        super().setUp()
        self.useFixture(
            fixtures.MonkeyPatch(
                'hvfilter.scheduler.option_warnings._warned', set()
            )
        )

    def warnings(self, enabled, weighers, prefilter):
        self.conf.set_override('enabled_filters', enabled, 'filter_scheduler')
        self.conf.set_override('weight_classes', weighers, 'filter_scheduler')
        self.flags(prefilter=prefilter)
        scheduler.all_filters()
        scheduler.all_filters()
        return self.log.output

    def test_prefilter_without_the_filter_is_warned_once(self):
        said = self.warnings(['ComputeFilter'], [], True)
        self.assertEqual(1, said.count('prefilter = true has no effect'))
        self.assertNotIn('preferred', said)

    def test_preferred_without_the_weigher_is_warned_once(self):
        said = self.warnings(
            ['HardwareVirtFilter'],
            ['nova.scheduler.weights.all_weighers'],
            True,
        )
        self.assertEqual(1, said.count('=preferred in flavors'))
        self.assertNotIn('prefilter', said)

    def test_nothing_is_warned_when_all_has_its_effect(self):
        for weigher in (
            'hvfilter.scheduler.all_weighers',
            'hvfilter.scheduler.weighers.hardware_virt.HardwareVirtWeigher',
        ):
            said = self.warnings(['HardwareVirtFilter'], [weigher], True)
            self.assertNotIn('no effect', said)
        self.assertNotIn('no effect', self.warnings([], [], False))
