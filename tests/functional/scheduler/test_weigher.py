# SPDX-License-Identifier: Apache-2.0
"""Nova's own weighers and ours."""

from tests.functional import landing


class WeigherTest(landing.LandingTestCase):
    """Nova likes flat best of those with KVM, for its memory."""

    def setUp(self) -> None:
        super().setUp()
        self.flags(
            weight_classes=[
                'nova.scheduler.weights.all_weighers',
                'hvfilter.scheduler.all_weighers',
            ],
            group='filter_scheduler',
        )
        self.restart_scheduler()

    def test_guest_lands_where_it_prefers(self) -> None:
        self.flags(preferred_weight_multiplier=10.0, group='hvfilter')
        flavor = self.flavor(**{'hvfilter:amdv': 'preferred'})
        self.assertEqual('amd', self.host_of(self.boot(flavor)))

    def test_guest_lands_elsewhere_when_nobody_has_what_it_prefers(
        self,
    ) -> None:
        flavor = self.flavor(**{'hvfilter:tdx': 'preferred'})
        self.assertEqual('flat', self.host_of(self.boot(flavor)))

    def test_scarce_hosts_are_spared(self) -> None:
        self.flags(
            scarce=['ept', 'nested'],
            scarce_weight_multiplier=10.0,
            required=['nested'],
            group='hvfilter',
        )
        self.assertEqual('amd', self.host_of(self.boot()))
        flavor = self.flavor(**{'hvfilter:ept': 'required'})
        self.assertEqual('intel', self.host_of(self.boot(flavor)))
