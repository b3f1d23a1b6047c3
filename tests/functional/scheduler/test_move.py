# SPDX-License-Identifier: Apache-2.0
"""Guests that move land where the verdict says, or stay."""

from tests.functional import landing
from tests.functional.landing import KVM_HOSTS

NESTED = {'hvfilter:nested': 'required'}


class LiveMigrationTest(landing.LandingTestCase):
    """The guest goes on running."""

    def test_guest_goes_to_capable_hosts_only(self) -> None:
        server = self.land(NESTED, among=landing.NESTED_HOSTS)
        self.assertFalse(self.succeeded(self.live_migrate(server, 'flat')))
        self.assertEqual('intel', self.host_of(server))
        self.assertTrue(self.succeeded(self.live_migrate(server)))
        self.assertEqual('amd', self.host_of(server))
        self.assertTrue(self.succeeded(self.live_migrate(server, 'intel')))
        self.assertEqual('intel', self.host_of(server))
        self.wait(server, 'ACTIVE')

    def test_guest_stays_when_no_other_host_is_capable(self) -> None:
        specs = {'hvfilter:npt': 'required'}
        server = self.land(specs, among=frozenset({'amd'}))
        self.assertFalse(self.succeeded(self.live_migrate(server)))
        self.assertEqual('amd', self.host_of(server))
        self.wait(server, 'ACTIVE')


class ColdMigrationTest(landing.LandingTestCase):
    """The guest is off meanwhile."""

    def test_guest_goes_to_capable_hosts_only(self) -> None:
        server = self.land(NESTED, among=landing.NESTED_HOSTS)
        self.assertFalse(self.succeeded(self.cold_migrate(server, 'tcg')))
        self.wait(server, 'ACTIVE')
        self.assertEqual('intel', self.host_of(server))
        self.assertTrue(self.succeeded(self.cold_migrate(server)))
        self.wait(server, 'VERIFY_RESIZE')
        self.assertEqual('amd', self.host_of(server))
        self.assertTrue(self.succeeded(self.confirm(server)))

    def test_guest_stays_when_no_other_host_is_capable(self) -> None:
        specs = {'hvfilter:nested': 'forbidden'}
        server = self.land(specs, among=frozenset({'flat'}))
        self.assertFalse(self.succeeded(self.cold_migrate(server)))
        self.assertEqual('flat', self.host_of(server))
        self.wait(server, 'ACTIVE')


class ResizeTest(landing.LandingTestCase):
    """To a flavor that asks for something else."""

    def test_guest_goes_where_new_flavor_wants(self) -> None:
        server = self.land(among=KVM_HOSTS)
        flavor = self.flavor(memory_mb=1024, **NESTED)
        self.assertEqual(landing.NESTED_HOSTS, self.accepting(NESTED))
        self.assertTrue(self.succeeded(self.resize(server, flavor)))
        self.wait(server, 'VERIFY_RESIZE')
        self.assertEqual('intel', self.host_of(server))
        self.assertTrue(self.succeeded(self.confirm(server)))
        self.wait(server, 'ACTIVE')

    def test_guest_stays_when_nobody_has_what_new_flavor_wants(self) -> None:
        server = self.land(among=KVM_HOSTS)
        specs = {'hvfilter:tdx': 'required'}
        self.assertEqual(set(), self.accepting(specs))
        flavor = self.flavor(memory_mb=1024, **specs)
        self.assertFalse(self.succeeded(self.resize(server, flavor)))
        self.assertEqual('flat', self.host_of(server))
        self.wait(server, 'ACTIVE')

    def test_guest_leaves_incapable_host_when_resized(self) -> None:
        server = self.land_unfiltered()
        flavor = self.flavor(memory_mb=1024)
        self.assertTrue(self.succeeded(self.resize(server, flavor)))
        self.wait(server, 'VERIFY_RESIZE')
        self.assertEqual('flat', self.host_of(server))


class ReturnTest(landing.LandingTestCase):
    """Evacuation and unshelving."""

    def test_guest_is_evacuated_to_capable_host(self) -> None:
        server = self.land(NESTED, among=landing.NESTED_HOSTS)
        self.stop_compute('intel')
        self.assertTrue(self.succeeded(self.evacuate(server)))
        self.assertEqual('amd', self.host_of(server))

    def test_guest_returns_to_capable_host_when_unshelved(self) -> None:
        server = self.land(NESTED, among=landing.NESTED_HOSTS)
        self.shelve(server)
        self.assertTrue(self.succeeded(self.unshelve(server)))
        self.assertEqual('intel', self.host_of(server))
