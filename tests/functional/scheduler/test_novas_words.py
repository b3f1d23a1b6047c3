# SPDX-License-Identifier: Apache-2.0
"""What Nova itself has words for: encryption, forced hosts, isolation."""

from __future__ import annotations

from typing import Any

import fixtures
import testtools
from nova import objects

from tests.fakes.compute import KvmDriver
from tests.functional import findings, landing

NESTED = {'hvfilter:nested': 'required'}
ISOLATION = {'trait:CUSTOM_HVFILTER_NESTED': 'required'}
ENCRYPTABLE = {'hw_firmware_type': 'uefi', 'hw_machine_type': 'q35'}
WITHOUT_WORDS = KvmDriver.update_provider_tree


def with_sev(
    driver: Any, tree: Any, nodename: str, allocations: Any = None
) -> None:
    """As Nova's libvirt driver does on a host with SEV."""
    WITHOUT_WORDS(driver, tree, nodename, allocations)
    if nodename != 'amd':
        return
    if not tree.exists('amd_sev'):
        tree.new_child('amd_sev', nodename)
    slots = {
        'total': 10,
        'reserved': 0,
        'min_unit': 1,
        'max_unit': 10,
        'step_size': 1,
        'allocation_ratio': 1.0,
    }
    tree.update_inventory('amd_sev', {'MEM_ENCRYPTION_CONTEXT': slots})
    tree.update_traits(
        'amd_sev', ['HW_CPU_X86_AMD_SEV', 'HW_CPU_X86_AMD_SEV_ES']
    )


# A slot is of the compute node itself before; the driver here imitates a
# later one, which parts them by model.
BY_MODEL = 'hw_mem_encryption_model' in objects.ImageMetaProps.fields


@testtools.skipUnless(BY_MODEL, 'needs Nova 32, which knows models')
class EncryptionTest(landing.LandingTestCase):
    """hw:mem_encryption and its like ask for sev, as hvfilter:sev does."""

    def setUp(self) -> None:
        self.useFixture(
            fixtures.MonkeyPatch(
                'tests.fakes.compute.KvmDriver.update_provider_tree', with_sev
            )
        )
        super().setUp()
        self.publish('amd', findings.report(findings.AMD | {'sev'}))
        self.flags(reserved=['sev'], group='hvfilter')

    def test_reserved_host_takes_who_asks_in_a_flavor(self) -> None:
        flavor = self.flavor(**{'hw:mem_encryption': 'true'})
        server = self.boot(flavor, self.image(**ENCRYPTABLE))
        self.assertEqual('amd', self.host_of(server))

    def test_reserved_host_takes_who_asks_in_an_image(self) -> None:
        image = self.image(hw_mem_encryption='true', **ENCRYPTABLE)
        server = self.boot(self.flavor(), image)
        self.assertEqual('amd', self.host_of(server))

    def test_reserved_host_takes_who_asks_in_a_group(self) -> None:
        flavor = self.flavor(
            **{
                'resources_ENC:MEM_ENCRYPTION_CONTEXT': '1',
                'trait_ENC:HW_CPU_X86_AMD_SEV': 'required',
            }
        )
        server = self.boot(flavor, self.image(**ENCRYPTABLE))
        self.assertEqual('amd', self.host_of(server))

    def test_reserved_host_takes_who_asks_for_more(self) -> None:
        self.publish('amd', findings.report(findings.AMD | {'sev', 'sev_es'}))
        flavor = self.flavor(**{'trait:CUSTOM_HVFILTER_SEV_ES': 'required'})
        self.assertEqual('amd', self.host_of(self.boot(flavor)))

    def test_reserved_host_takes_no_other(self) -> None:
        for host in ('flat', 'intel'):
            self.stop_compute(host)
        self.boot(status='ERROR')

    def test_host_that_cannot_is_not_taken(self) -> None:
        self.publish('amd', findings.report(findings.AMD - {'sev'}))
        log = self.log_of()
        flavor = self.flavor(**{'hw:mem_encryption': 'true'})
        self.boot(flavor, self.image(**ENCRYPTABLE), status='ERROR')
        self.assertIn('hw:mem_encryption=true (flavor)', log.output)


class ForcedHostTest(landing.LandingTestCase):
    def test_forced_host_is_not_prefiltered(self) -> None:
        flavor = self.flavor(**NESTED)
        self.flags(prefilter=True, group='hvfilter')
        self.restart_scheduler()
        server = self.boot_any(flavor, availability_zone='nova:flat')
        self.assertEqual('flat', self.host_of(server))
        # Only it: others are, as before.
        self.assertIn(self.host_of(self.boot(flavor)), landing.NESTED_HOSTS)


class IsolatedAggregateTest(landing.LandingTestCase):
    """An aggregate kept for guests that ask for nested."""

    def setUp(self) -> None:
        super().setUp()
        self.flags(enable_isolated_aggregate_filtering=True, group='scheduler')
        self.restart_scheduler()
        made = self.admin_api.post_aggregate({'aggregate': {'name': 'lab'}})
        for host in landing.NESTED_HOSTS:
            self.admin_api.add_host_to_aggregate(made['id'], host)
        self.admin_api.post_aggregate_action(
            made['id'], {'set_metadata': {'metadata': ISOLATION}}
        )

    def test_guest_that_asks_in_either_words_gets_in(self) -> None:
        for specs in (ISOLATION, NESTED):
            server = self.boot(self.flavor(**specs))
            self.assertEqual('intel', self.host_of(server), specs)

    def test_guest_that_needs_it_by_policy_gets_in(self) -> None:
        self.flags(required=['nested'], group='hvfilter')
        self.assertEqual('intel', self.host_of(self.boot()))

    def test_guest_that_does_not_ask_stays_out(self) -> None:
        self.assertEqual('flat', self.host_of(self.boot()))
        other = self.flavor(**{'hvfilter:slat': 'required'})
        self.assertEqual('flat', self.host_of(self.boot(other)))
