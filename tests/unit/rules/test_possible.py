# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.rules import possible


class TogetherTest(testtools.TestCase):
    def test_what_one_host_can_have(self):
        for keys in (
            (),
            ('kvm', 'nested', 'slat', 'vtx', 'ept'),
            ('amdv', 'npt', 'sev'),
            ('kvm', 'iommu'),
            ('vti',),
        ):
            self.assertTrue(possible.together(keys), keys)

    def test_what_no_host_has(self):
        for keys in (
            ('vtx', 'amdv'),
            ('kvm', 'ept', 'sev'),
            ('vti', 'vtx'),
            ('kvm', 'tcg'),
        ):
            self.assertFalse(possible.together(keys), keys)
