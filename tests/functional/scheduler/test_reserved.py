# SPDX-License-Identifier: Apache-2.0
"""Moves and rebuilds of guests while hosts are reserved."""

from tests.functional import landing

NESTED = {'hvfilter:nested': 'required'}


class ReservedTest(landing.LandingTestCase):
    """Hosts with nesting are kept for guests that ask for it."""

    def setUp(self) -> None:
        super().setUp()
        self.flags(reserved=['nested'], group='hvfilter')

    def test_plain_guest_is_not_evacuated_to_a_reserved_host(self) -> None:
        server = self.boot()
        self.assertEqual('flat', self.host_of(server))
        self.stop_compute('flat')
        self.evacuate(server)
        self.assertEqual('flat', self.host_of(server))

    def test_plain_guest_does_not_migrate_to_a_reserved_host(self) -> None:
        server = self.boot()
        self.assertFalse(self.succeeded(self.live_migrate(server)))
        self.assertFalse(self.succeeded(self.cold_migrate(server)))
        self.assertEqual('flat', self.host_of(server))

    def test_guest_goes_to_reserved_host_when_resized_to_ask_for_it(
        self,
    ) -> None:
        server = self.boot()
        flavor = self.flavor(memory_mb=1024, **NESTED)
        self.assertTrue(self.succeeded(self.resize(server, flavor)))
        self.wait(server, 'VERIFY_RESIZE')
        self.assertIn(self.host_of(server), landing.NESTED_HOSTS)

    def test_guest_on_reserved_host_stays_when_rebuilt(self) -> None:
        self.flags(reserved=[], required=['nested'], group='hvfilter')
        server = self.boot()
        self.flags(reserved=['nested'], required=['kvm'], group='hvfilter')
        self.assertTrue(self.succeeded(self.rebuild(server, self.image())))
