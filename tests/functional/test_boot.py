# SPDX-License-Identifier: Apache-2.0
"""Where guests land when they are booted."""

from tests.functional import landing
from tests.functional.landing import EVERY_HOST, KVM_HOSTS, NESTED_HOSTS


class WithoutFilterTest(landing.LandingTestCase):
    """The wrong landing, so that the others show something."""

    extra_filters = ()

    def test_guest_lands_where_kvm_is_not_when_nobody_filters(self) -> None:
        self.assertEqual('tcg', self.host_of(self.boot()))


class BootTest(landing.LandingTestCase):
    """With our filter."""

    def test_plain_guest_lands_where_kvm_is(self) -> None:
        server = self.land(among=KVM_HOSTS)
        self.assertEqual('flat', self.host_of(server))

    def test_nested_guest_lands_where_nesting_is(self) -> None:
        server = self.land({'hvfilter:nested': 'required'}, among=NESTED_HOSTS)
        self.assertEqual('intel', self.host_of(server))

    def test_guest_lands_elsewhere_when_it_forbids_a_capability(self) -> None:
        self.land({'hvfilter:nested': 'forbidden'}, among=frozenset({'flat'}))

    def test_guest_lands_by_vendor_when_it_forbids_the_other(self) -> None:
        self.land({'hvfilter:vtx': 'forbidden'}, among=frozenset({'amd'}))

    def test_guest_lands_anywhere_when_image_wants_qemu(self) -> None:
        server = self.land(image={'img_hv_type': 'qemu'}, among=EVERY_HOST)
        self.assertEqual('tcg', self.host_of(server))

    def test_guest_lands_where_kvm_is_when_image_wants_it(self) -> None:
        self.land(image={'img_hv_type': 'kvm'}, among=KVM_HOSTS)

    def test_guest_lands_by_trait_when_flavor_requires_one(self) -> None:
        specs = {'trait:CUSTOM_HVFILTER_NPT': 'required'}
        self.land(specs, among=frozenset({'amd'}))

    def test_guest_lands_by_trait_when_image_requires_one(self) -> None:
        image = {'trait:CUSTOM_HVFILTER_NESTED': 'required'}
        self.land(image=image, among=NESTED_HOSTS)

    def test_guest_lands_by_both_when_flavor_and_image_ask(self) -> None:
        self.land(
            {'hvfilter:nested': 'required'},
            {'trait:CUSTOM_HVFILTER_AMDV': 'required'},
            among=frozenset({'amd'}),
        )

    def test_guest_lands_nowhere_when_demands_contradict(self) -> None:
        self.refuse(
            {'hvfilter:nested': 'forbidden'},
            {'trait:CUSTOM_HVFILTER_NESTED': 'required'},
        )

    def test_guest_lands_nowhere_when_host_named_cannot_run_it(self) -> None:
        server = self.boot(host='tcg', status='ERROR')
        self.assertIsNone(self.host_of(server))

    def test_second_guest_lands_elsewhere_when_first_filled_host(self) -> None:
        flavor = self.flavor(
            memory_mb=60_000, **{'hvfilter:nested': 'required'}
        )
        self.assertEqual('intel', self.host_of(self.boot(flavor)))
        flavor = self.flavor(
            memory_mb=20_000, **{'hvfilter:nested': 'required'}
        )
        self.assertEqual('amd', self.host_of(self.boot(flavor)))


class UnreportedTest(landing.LandingTestCase):
    """A host on which hvfilter never ran, and which Nova likes best."""

    def setUp(self) -> None:
        super().setUp()
        self.start_hosts(landing.unreported())

    def test_plain_guest_may_land_there(self) -> None:
        server = self.land(among=KVM_HOSTS | {'mute'})
        self.assertEqual('mute', self.host_of(server))

    def test_nested_guest_may_not(self) -> None:
        self.land({'hvfilter:nested': 'required'}, among=NESTED_HOSTS)

    def test_no_kvm_guest_may_when_libvirt_offers_none(self) -> None:
        self.machines['mute'].supported = (('x86_64', 'qemu', 'hvm'),)
        self._run_periodics()
        self.land(among=KVM_HOSTS)
