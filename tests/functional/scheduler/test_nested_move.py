# SPDX-License-Identifier: Apache-2.0
"""Servers that use nested virtualization, moved by the real Nova."""

from hvfilter.model.nested_registers import Registers
from tests.fakes.compute import ComputeHost
from tests.functional import base, findings

NPT, GIF, NMI = 1, 1 << 16, 1 << 25
NESTED = {'hvfilter:nested': 'required'}


class NestedMoveTestCase(base.CloudTestCase):
    """Nova likes ``old`` best of the hosts that are left, for its memory."""

    def setUp(self) -> None:
        super().setUp()
        self.flags(
            weight_classes=[
                'nova.scheduler.weights.all_weighers',
                'hvfilter.scheduler.all_weighers',
            ],
            group='filter_scheduler',
        )
        self.flags(preferred_weight_multiplier=10.0, group='hvfilter')
        self.restart_scheduler()
        hosts = {
            'source': (262_144, Registers.svm(NPT | GIF)),
            'old': (131_072, Registers.svm(NPT)),
            'mute': (65_536, None),
            'new': (32_768, Registers.svm(NPT | GIF | NMI)),
        }
        self.start_hosts(
            *(
                ComputeHost.amd(name, memory_mb=m)
                for name, (m, _) in hosts.items()
            )
        )
        for name, (_, registers) in hosts.items():
            self.publish(
                name, findings.report(findings.AMD, nested_set=registers)
            )

    def land(self, **specs: str) -> dict[str, object]:
        """A server on the host that Nova likes best."""
        server = self.boot(self.flavor(**specs))
        self.assertEqual('source', self.host_of(server))
        return server


class PreferTest(NestedMoveTestCase):
    def test_live_migration_goes_where_the_set_is_held(self) -> None:
        server = self.land(**NESTED)
        self.assertTrue(self.succeeded(self.live_migrate(server)))
        self.assertEqual('new', self.host_of(server))

    def test_cold_migration_and_evacuation_do_so_too(self) -> None:
        server, other = self.land(**NESTED), self.land(**NESTED)
        self.assertTrue(self.succeeded(self.cold_migrate(server)))
        self.wait(server, 'VERIFY_RESIZE')
        self.assertEqual('new', self.host_of(server))
        self.stop_compute('source')
        self.assertTrue(self.succeeded(self.evacuate(other)))
        self.assertEqual('new', self.host_of(other))

    def test_server_goes_back_only_where_its_new_set_is_held(self) -> None:
        """Nothing but the source counts: not where it came from."""
        server = self.land(**NESTED)
        self.assertTrue(self.succeeded(self.live_migrate(server)))
        self.assertEqual('new', self.host_of(server))
        self.assertTrue(self.succeeded(self.live_migrate(server)))
        self.assertEqual('mute', self.host_of(server))

    def test_any_host_will_do_when_the_server_does_not_ask(self) -> None:
        server = self.land()
        self.assertTrue(self.succeeded(self.live_migrate(server)))
        self.assertEqual('old', self.host_of(server))

    def test_host_that_lacks_is_taken_when_there_is_no_other(self) -> None:
        server = self.land(**NESTED)
        self.assertTrue(self.succeeded(self.live_migrate(server, 'old')))
        self.assertEqual('old', self.host_of(server))

    def test_ignored_when_configured_so(self) -> None:
        self.flags(nested_set_on_move='ignore', group='hvfilter')
        server = self.land(**NESTED)
        self.assertTrue(self.succeeded(self.live_migrate(server)))
        self.assertEqual('old', self.host_of(server))


class RequireTest(NestedMoveTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.flags(nested_set_on_move='require', group='hvfilter')

    def test_host_that_lacks_is_rejected_with_the_reason(self) -> None:
        log = self.log_of()
        server = self.land(**NESTED)
        self.assertFalse(self.succeeded(self.live_migrate(server, 'old')))
        self.assertEqual('source', self.host_of(server))
        self.assertIn(
            'lacks nested features of the source host: SVM: vGIF (host old)',
            log.output,
        )
        self.assertTrue(self.succeeded(self.live_migrate(server, 'mute')))
        self.assertEqual('mute', self.host_of(server))

    def test_server_boots_anywhere(self) -> None:
        self.stop_compute('source')
        server = self.boot(self.flavor(**NESTED))
        self.assertEqual('old', self.host_of(server))

    def test_server_returns_anywhere_when_unshelved(self) -> None:
        """Nova does not say where it was."""
        server = self.land(**NESTED)
        self.shelve(server)
        self.stop_compute('source')
        self.assertTrue(self.succeeded(self.unshelve(server)))
        self.assertEqual('old', self.host_of(server))
