# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.rules import image
from hvfilter.rules.requests import GuestRequest


class TestGuestRequest(testtools.TestCase):
    def test_nothing_when_nothing_matters(self):
        self.assertEqual(
            GuestRequest(), image.guest_request({}, {'os_distro': 'debian'})
        )
        self.assertFalse(image.matters('os_distro'))

    def test_properties_as_nova_reads_them(self):
        properties = {
            'trait:CUSTOM_HVFILTER_NESTED': 'required',
            'trait:CUSTOM_HVFILTER_KVM': 'forbidden',
            'hypervisor_type': 'KVM',
            'architecture': 'AMD64',
            'hw_emulation_architecture': 'aarch64',
            'hw_mem_encryption': 'True',
            'hw_mem_encryption_model': 'amd-sev-es',
        }
        self.assertEqual(
            GuestRequest.of(
                {'hvfilter:sev': 'required'},
                {'CUSTOM_HVFILTER_NESTED': 'required'},
                'kvm',
                'x86_64',
                'aarch64',
                True,
                'amd-sev-es',
            ),
            image.guest_request({'hvfilter:sev': 'required'}, properties),
        )
        for name in (*properties, 'hvfilter:nested'):
            self.assertTrue(image.matters(name), name)

    def test_names_of_today_win_over_those_of_the_past(self):
        guest_request = image.guest_request(
            {}, {'architecture': 's390x', 'hw_architecture': 'i586'}
        )
        self.assertEqual('i686', guest_request.hw_architecture)
