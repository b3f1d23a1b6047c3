# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.rules import flavor_resources


class TestRequest(testtools.TestCase):
    def test_sizes_and_traits(self):
        found = flavor_resources.request(
            2,
            512,
            0,
            {
                'trait:CUSTOM_A': 'required',
                'trait:CUSTOM_B': 'forbidden',
                'trait:CUSTOM_C': 'nonsense',
                'resources:CUSTOM_FPGA': '3',
                'resources:CUSTOM_BAD': 'many',
            },
        )
        self.assertEqual(
            {'VCPU': 2, 'MEMORY_MB': 512, 'CUSTOM_FPGA': 3}, found.resources
        )
        self.assertEqual({'CUSTOM_A'}, found.required)
        self.assertEqual({'CUSTOM_B'}, found.forbidden)
        self.assertEqual(
            ('image properties', 'server groups', 'NUMA'), found.uncounted
        )

    def test_extra_specs_override_sizes_as_in_nova(self):
        found = flavor_resources.request(
            2, 512, 10, {'resources:VCPU': '0', 'resources:DISK_GB': '5'}
        )
        self.assertEqual({'MEMORY_MB': 512, 'DISK_GB': 5}, found.resources)

    def test_dedicated_processors_are_a_class_of_their_own(self):
        found = flavor_resources.request(
            2, 512, 0, {'hw:cpu_policy': 'dedicated'}
        )
        self.assertEqual({'PCPU': 2, 'MEMORY_MB': 512}, found.resources)

    def test_what_is_not_counted_is_named(self):
        found = flavor_resources.request(
            1,
            1,
            1,
            {
                'hw:numa_nodes': '2',
                'pci_passthrough:alias': 'a:1',
                'hw:mem_encryption': 'true',
                'resources1:VGPU': '1',
                'aggregate_instance_extra_specs:ssd': 'true',
            },
        )
        self.assertEqual(
            (
                'NUMA',
                'PCI devices',
                'encrypted memory',
                'host aggregate metadata',
                'numbered resource groups',
            ),
            found.uncounted[2:],
        )

    def test_disk_is_rounded_up_as_in_nova(self):
        self.assertEqual(13, flavor_resources.disk(10, 2, 1))
        self.assertEqual(12, flavor_resources.disk(10, 2, 0))
