# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.rules.guest import Guest, Need

SPECS = {
    'hvfilter:nested': 'required',
    'trait:CUSTOM_GOLD': 'forbidden',
    'hw:cpu_policy': 'dedicated',
}
PROPERTIES = {
    'img_hv_type': 'kvm',
    'trait:CUSTOM_FAST': 'required',
    'trait:CUSTOM_SLOW': 'forbidden',
    'os_distro': 'debian',
}
GUEST = Guest(2, 4096, 10, SPECS, PROPERTIES, 'east')


class GuestTest(testtools.TestCase):
    def test_what_nova_asks_placement_for(self):
        self.assertEqual(
            {
                Need('PCPU:2', resource='PCPU', amount=2),
                Need('MEMORY_MB:4096', resource='MEMORY_MB', amount=4096),
                Need('DISK_GB:10', resource='DISK_GB', amount=10),
                Need(
                    'trait:CUSTOM_GOLD=forbidden',
                    trait='CUSTOM_GOLD',
                    forbidden=True,
                ),
                Need('trait:CUSTOM_FAST=required', trait='CUSTOM_FAST'),
            },
            set(GUEST.needs),
        )

    def test_what_hvfilter_takes_from_it(self):
        guest_request = GUEST.guest_request
        self.assertEqual(
            (('hvfilter:nested', 'required'),), guest_request.extra_specs
        )
        self.assertEqual('kvm', guest_request.img_hv_type)

    def test_each_wish_can_be_taken_away(self):
        found = dict(GUEST.with_one_requirement_fewer())
        self.assertEqual(
            {
                'PCPU:2',
                'MEMORY_MB:4096',
                'DISK_GB:10',
                'hvfilter:nested=required',
                'trait:CUSTOM_GOLD=forbidden',
                'img_hv_type=kvm',
                'trait:CUSTOM_FAST=required',
                'trait:CUSTOM_SLOW=forbidden',
                'availability zone east',
            },
            set(found),
        )
        for words, guest in found.items():
            left = {need.words for need in guest.needs}
            gone = {need.words for need in GUEST.needs} - left
            self.assertEqual(gone, gone & {words})
        self.assertEqual('', found['availability zone east'].zone)
        self.assertEqual(
            (), found['hvfilter:nested=required'].guest_request.extra_specs
        )
        self.assertIsNone(found['img_hv_type=kvm'].guest_request.img_hv_type)

    def test_no_zone_is_no_wish(self):
        guest = Guest(1, 1, 0, {}, {})
        self.assertEqual(
            {'VCPU:1', 'MEMORY_MB:1'},
            set(dict(guest.with_one_requirement_fewer())),
        )
