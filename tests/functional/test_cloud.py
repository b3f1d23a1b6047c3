# SPDX-License-Identifier: Apache-2.0
"""The cloud that the other tests stand on behaves as a cloud does."""

from tests.fakes.compute import ComputeHost
from tests.fakes.placement import anything
from tests.functional import base


class CloudTest(base.CloudTestCase):
    """Without any filter of ours."""

    extra_filters = ()

    def setUp(self) -> None:
        super().setUp()
        self.start_hosts(
            ComputeHost('big', memory_mb=65_536),
            ComputeHost.amd('small'),
        )

    def test_weighers_choose_host_with_most_memory(self) -> None:
        self.assertEqual('big', self.host_of(self.boot()))

    def test_required_trait_decides_when_set_on_one_host(self) -> None:
        self.add_traits('small', 'CUSTOM_GOLD')
        flavor = self.flavor(**{'trait:CUSTOM_GOLD': 'required'})
        self.assertEqual('small', self.host_of(self.boot(flavor)))

    def test_boot_ends_in_error_when_no_host_fits(self) -> None:
        server = self.boot(self.flavor(memory_mb=10**6), status='ERROR')
        self.assertIn('No valid host', server['fault']['message'])

    def test_nova_compute_keeps_its_own_traits_true_and_others(self) -> None:
        self.assertIn('HW_CPU_X86_VMX', self.traits('big'))
        before = self.traits('small')
        self.assertIn('HW_CPU_X86_SVM', before)
        self.assertNotIn('HW_CPU_X86_VMX', before)
        self.add_traits('small', 'HW_CPU_X86_VMX', 'CUSTOM_GOLD')
        self.refresh_computes()
        self.assertEqual(before | {'CUSTOM_GOLD'}, self.traits('small'))

    def test_guest_moves_when_asked(self) -> None:
        server = self.boot()
        self.assertTrue(self.succeeded(self.live_migrate(server)))
        self.assertEqual('small', self.host_of(server))
        self.assertTrue(self.succeeded(self.cold_migrate(server)))
        self.wait(server, 'VERIFY_RESIZE')
        self.assertEqual('big', self.host_of(server))
        self.assertTrue(self.succeeded(self.confirm(server)))
        self.wait(server, 'ACTIVE')

    def test_guest_resizes_and_rebuilds_when_asked(self) -> None:
        server = self.boot()
        self.assertTrue(self.succeeded(self.rebuild(server, self.image())))
        flavor = self.flavor(memory_mb=1024)
        self.assertTrue(self.succeeded(self.resize(server, flavor)))
        self.wait(server, 'VERIFY_RESIZE')
        self.assertEqual('small', self.host_of(server))

    def test_guest_returns_when_unshelved(self) -> None:
        server = self.boot()
        self.shelve(server)
        self.assertIsNone(self.host_of(server))
        self.assertTrue(self.succeeded(self.unshelve(server)))
        self.assertEqual('big', self.host_of(server))

    def test_guest_is_evacuated_when_its_host_is_down(self) -> None:
        server = self.boot()
        self.stop_compute('big')
        self.assertTrue(self.succeeded(self.evacuate(server)))
        self.assertEqual('small', self.host_of(server))

    def test_services_go_on_when_restarted(self) -> None:
        self.boot()
        self.restart_compute('big')
        self.restart_scheduler()
        self.assertEqual('big', self.host_of(self.boot()))

    def test_boot_fails_when_placement_refuses_and_then_succeeds(self) -> None:
        with self.gate.refusing(anything):
            self.boot(status='ERROR')
        self.assertTrue(self.gate.refused)
        self.boot()
