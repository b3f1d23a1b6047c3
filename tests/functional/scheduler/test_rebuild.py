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
        found = image_requirements(
            base.guest_request(image=properties), Policy()
        )
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

    def test_guest_cannot_turn_from_exempt_into_unjudged(self) -> None:
        """With the new image it would be a KVM guest, which nobody judged."""
        server = self.boot(image=self.image(img_hv_type='qemu'))
        self.assertEqual('tcg', self.host_of(server))
        self.assertFalse(self.accepts('tcg'))
        action = self.rebuild(server, self.image())
        self.assertFalse(self.succeeded(action))
        self.assertEqual('tcg', self.host_of(server))

    def test_nested_guest_cannot_turn_into_an_emulated_one(self) -> None:
        """What its flavor asks was judged for a KVM guest."""
        emulated = {'hw_emulation_architecture': 'aarch64'}
        server = self.boot(self.flavor(**{'hvfilter:nested': 'required'}))
        self.assertEqual('intel', self.host_of(server))
        action = self.rebuild(server, self.image(**emulated))
        self.assertFalse(self.succeeded(action))
        plain = self.boot(host='intel')
        action = self.rebuild(plain, self.image(**emulated))
        self.assertTrue(self.succeeded(action))

    def test_guest_stays_content_when_new_image_may_be_emulated(self) -> None:
        server = self.boot(image=self.image(img_hv_type='qemu'))
        self.assertTrue(self.accepts('tcg', img_hv_type='qemu'))
        image = self.image(img_hv_type='qemu')
        self.assertTrue(self.succeeded(self.rebuild(server, image)))
        self.assertEqual('tcg', self.host_of(server))

    def test_guest_on_incapable_host_stays_with_its_image(self) -> None:
        """It landed there before hvfilter came. Nova asks no filter as long
        as the image is the same."""
        server = self.land_unfiltered()
        image = server['image']['id']
        self.assertTrue(self.succeeded(self.rebuild(server, image)))
        self.assertEqual('tcg', self.host_of(server))
        action = self.rebuild(server, self.image())
        self.assertFalse(self.succeeded(action))
