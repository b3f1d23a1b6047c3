# SPDX-License-Identifier: Apache-2.0
"""A cloud in which Nova likes the worst hosts best."""

from __future__ import annotations

from collections.abc import Mapping

from tests.fakes.compute import ComputeHost
from tests.functional import base, findings

EVERY_HOST = frozenset({'tcg', 'flat', 'intel', 'amd'})
KVM_HOSTS = EVERY_HOST - {'tcg'}
NESTED_HOSTS = frozenset({'intel', 'amd'})


class LandingTestCase(base.CloudTestCase):
    """From the host with most memory to that with least:

    * ``tcg`` emulates,
    * ``flat`` has KVM and no nesting,
    * ``intel`` and ``amd`` have all of their kind.

    With nothing but Nova's own filters every guest lands on ``tcg``.
    """

    def setUp(self) -> None:
        super().setUp()
        self.start_hosts(
            ComputeHost('tcg', memory_mb=262_144),
            ComputeHost('flat', memory_mb=131_072),
            ComputeHost('intel', memory_mb=65_536),
            ComputeHost.amd('amd', memory_mb=32_768),
        )
        nesting = {'nested', 'nested_slat'}
        for host, present in (
            ('tcg', findings.EMULATED),
            ('flat', findings.INTEL - nesting),
            ('intel', findings.INTEL),
            ('amd', findings.AMD),
        ):
            self.publish(host, findings.report(present))

    def land_unfiltered(self) -> dict[str, object]:
        """A guest that landed on ``tcg`` before hvfilter came."""
        self.set_filters(())
        self.restart_scheduler()
        server = self.boot()
        self.assertEqual('tcg', self.host_of(server))
        self.set_filters((base.FILTER,))
        self.restart_scheduler()
        return server

    def land(
        self,
        specs: Mapping[str, str] | None = None,
        image: Mapping[str, str] | None = None,
        *,
        among: frozenset[str],
    ) -> dict[str, object]:
        """Boots a guest; it lands where the verdict says it may.

        :param among: the hosts that the verdict must accept; of these Nova
            takes the one with most memory
        """
        request = f'{specs} {image}'
        self.assertEqual(among, self.accepting(specs, image), request)
        server = self.boot(
            self.flavor(**(specs or {})), self.image(**(image or {}))
        )
        best = max(among, key=lambda host: self.machines[host].memory_mb)
        self.assertEqual(best, self.host_of(server), request)
        return server

    def refuse(
        self,
        specs: Mapping[str, str] | None = None,
        image: Mapping[str, str] | None = None,
    ) -> dict[str, object]:
        """Boots a guest that no verdict accepts: it lands nowhere."""
        self.assertEqual(set(), self.accepting(specs, image))
        server = self.boot(
            self.flavor(**(specs or {})),
            self.image(**(image or {})),
            status='ERROR',
        )
        self.assertIsNone(self.host_of(server))
        self.assertIn('No valid host', server['fault']['message'])
        return server


def unreported() -> ComputeHost:
    """A host that hvfilter never looked at, with more memory than any."""
    return ComputeHost('mute', memory_mb=524_288)
