# SPDX-License-Identifier: Apache-2.0
"""Where guests land when they are booted."""

from tests.fakes.compute import ComputeHost
from tests.functional import findings, landing
from tests.functional.landing import EVERY_HOST, KVM_HOSTS, NESTED_HOSTS


class WithoutFilterTest(landing.LandingTestCase):
    """The wrong landing, so that the others show something."""

    extra_filters = ()

    def test_guest_lands_where_kvm_is_not_when_nobody_filters(self) -> None:
        self.assertEqual('tcg', self.host_of(self.boot()))


class BootTest(landing.LandingTestCase):
    """With our filter."""

    def test_guest_lands_where_flavor_asks(self) -> None:
        for specs, among in (
            ({}, KVM_HOSTS),
            ({'hvfilter:nested': 'required'}, NESTED_HOSTS),
            ({'hvfilter:nested': 'forbidden'}, {'flat'}),
            ({'hvfilter:vtx': 'forbidden'}, {'amd'}),
            ({'hvfilter:nested': 'preferred'}, KVM_HOSTS),
            ({'hvfilter:kvm': 'forbidden'}, {'tcg'}),
            ({'trait:CUSTOM_HVFILTER_NPT': 'required'}, {'amd'}),
            ({'trait:CUSTOM_HVFILTER_NPT': 'forbidden'}, {'flat', 'intel'}),
        ):
            self.land(specs, among=frozenset(among))

    def test_guest_lands_where_image_asks(self) -> None:
        for image, among in (
            ({'img_hv_type': 'kvm'}, KVM_HOSTS),
            ({'img_hv_type': 'qemu'}, EVERY_HOST),
            ({'trait:CUSTOM_HVFILTER_NESTED': 'required'}, NESTED_HOSTS),
        ):
            self.land(image=image, among=frozenset(among))

    def test_guest_that_may_be_emulated_is_not_put_on_broken_kvm(self) -> None:
        """Nova makes it a KVM guest there, whatever its image says."""
        self.start_hosts(ComputeHost('emulating', memory_mb=524_288))
        broken = findings.INTEL - {'kvm', 'nested', 'nested_slat'}
        self.publish('emulating', findings.report(broken))
        for image in (
            {},
            {'img_hv_type': 'kvm'},
            {'img_hv_type': 'qemu'},
            {'hw_emulation_architecture': 'x86_64'},
        ):
            emulable = image.get('img_hv_type') == 'qemu' or (
                'hw_emulation_architecture' in image
            )
            self.land(image=image, among=EVERY_HOST if emulable else KVM_HOSTS)
        self.land(
            image={'hw_emulation_architecture': 'aarch64'},
            among=EVERY_HOST | {'emulating'},
        )

    def test_emulated_guest_that_asks_for_nested_lands_nowhere(self) -> None:
        """On the hosts that nest Nova emulates it, and nothing nests."""
        nested = {'hvfilter:nested': 'required'}
        log = self.log_of()
        self.refuse(nested, {'hw_emulation_architecture': 'aarch64'})
        self.assertIn('2 do not run aarch64 under KVM (hosts ', log.output)
        self.land(
            nested,
            {'hw_emulation_architecture': 'x86_64'},
            among=NESTED_HOSTS,
        )

    def test_guest_that_forbids_does_not_land_where_it_is_unknown(
        self,
    ) -> None:
        self.start_hosts(ComputeHost('fresh', memory_mb=524_288))
        nesting = frozenset({'nested', 'nested_slat'})
        self.publish(
            'fresh', findings.report(findings.INTEL - nesting, nesting)
        )
        self.assertIn('CUSTOM_HVFILTER_NESTED_UNKNOWN', self.traits('fresh'))
        self.land({'hvfilter:nested': 'forbidden'}, among=frozenset({'flat'}))
        log = self.log_of()
        self.land({'hvfilter:nested': 'required'}, among=NESTED_HOSTS)
        self.assertIn('reported nested as unknown', log.output)
        # And once it is known.
        self.publish('fresh', findings.report(findings.INTEL - nesting))
        self.assertNotIn(
            'CUSTOM_HVFILTER_NESTED_UNKNOWN', self.traits('fresh')
        )

    def test_guest_lands_where_both_ask(self) -> None:
        trait = {'trait:CUSTOM_HVFILTER_AMDV': 'required'}
        self.land(
            {'hvfilter:nested': 'required'}, trait, among=frozenset({'amd'})
        )
        self.refuse({'hvfilter:amdv': 'forbidden'}, trait)

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

    def test_plain_guest_may_land_there_and_nested_guest_not(self) -> None:
        self.land(among=KVM_HOSTS | {'mute'})
        self.land({'hvfilter:nested': 'required'}, among=NESTED_HOSTS)

    def test_no_kvm_guest_may_when_libvirt_offers_none(self) -> None:
        self.machines['mute'].supported = (('x86_64', 'qemu', 'hvm'),)
        self._run_periodics()
        self.land(among=KVM_HOSTS)
