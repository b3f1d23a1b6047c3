# SPDX-License-Identifier: Apache-2.0
"""A rebuild stays on its host, or is refused."""

from hvfilter.model.policy import Policy
from hvfilter.rules.judge import judge
from hvfilter.rules.requests import image_requirements
from tests.functional import base, landing


class RebuildTest(landing.LandingTestCase):
    """With another image: Nova asks the scheduler then."""

    def accepts(self, host: str, **properties: str) -> bool:
        """What the rules say of a rebuild on a host."""
        found = image_requirements(base.asked(image=properties))
        return judge(found, self.advertised(host), Policy()).accepted

    def test_guest_stays_when_new_image_asks_nothing(self) -> None:
        server = self.boot()
        host = self.host_of(server)
        self.assertTrue(self.accepts(host))
        self.assertTrue(self.succeeded(self.rebuild(server, self.image())))
        self.assertEqual(host, self.host_of(server))

    def test_rebuild_goes_on_when_host_has_what_image_asks(self) -> None:
        server = self.boot(self.flavor(**{'hvfilter:nested': 'required'}))
        self.assertEqual('intel', self.host_of(server))
        asks = {'trait:CUSTOM_HVFILTER_EPT': 'required'}
        self.assertTrue(self.accepts('intel', **asks))
        image = self.image(**asks)
        self.assertTrue(self.succeeded(self.rebuild(server, image)))
        now = self.wait(server, 'ACTIVE')
        self.assertEqual(image, now['image']['id'])
        self.assertEqual('intel', self.host_of(server))

    def test_rebuild_is_refused_when_host_lacks_what_image_asks(self) -> None:
        server = self.boot()
        self.assertEqual('flat', self.host_of(server))
        asks = {'trait:CUSTOM_HVFILTER_NESTED': 'required'}
        self.assertFalse(self.accepts('flat', **asks))
        action = self.rebuild(server, self.image(**asks))
        self.assertFalse(self.succeeded(action))
        self.assertEqual('flat', self.host_of(server))

    def test_rebuild_is_refused_when_image_wants_kvm_on_tcg_host(self) -> None:
        server = self.boot(image=self.image(img_hv_type='qemu'))
        self.assertEqual('tcg', self.host_of(server))
        self.assertFalse(self.accepts('tcg', img_hv_type='kvm'))
        action = self.rebuild(server, self.image(img_hv_type='kvm'))
        self.assertFalse(self.succeeded(action))

    def test_guest_on_incapable_host_stays_when_rebuilt(self) -> None:
        """It landed there before hvfilter came: a rebuild moves nothing."""
        server = self.land_unfiltered()
        self.assertTrue(self.accepts('tcg'))
        self.assertTrue(self.succeeded(self.rebuild(server, self.image())))
        self.assertEqual('tcg', self.host_of(server))
