# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.osc import servers
from hvfilter.placement import errors
from tests.fakes.transport import ScriptedTransport, answer

SERVER = {
    'id': 'u1',
    'name': 'web',
    'status': 'ACTIVE',
    'OS-EXT-SRV-ATTR:host': 'kvm1',
    'OS-EXT-SRV-ATTR:hypervisor_hostname': 'kvm1.example',
    'OS-EXT-AZ:availability_zone': 'east',
    'flavor': {
        'original_name': 'small',
        'vcpus': 2,
        'ram': 512,
        'disk': 1,
        'ephemeral': 0,
        'swap': 64,
        'extra_specs': {'hvfilter:nested': 'required'},
    },
}


def read(*answers):
    way = ScriptedTransport(*answers)
    return list(servers.servers(way)), way.sent


def page(*items):
    return answer(value={'servers': list(items)})


class TestServers(testtools.TestCase):
    def test_all_that_a_new_nova_shows(self):
        new = {
            **SERVER,
            'pinned_availability_zone': None,
            'image': {'id': 'i1', 'properties': {'img_hv_type': 'kvm'}},
        }
        (server,), sent = read(page(new), page())
        self.assertEqual('kvm1', server.host)
        self.assertEqual('', server.pinned)
        self.assertEqual('i1', server.image)
        self.assertEqual({'img_hv_type': 'kvm'}, server.properties)
        self.assertEqual(64, server.flavor.swap_mb)
        self.assertTrue(server.flavor.specs_shown)
        self.assertEqual('2.98', sent[0].microversion)
        self.assertIn('all_tenants=1', sent[0].path)

    def test_older_novas_are_asked_with_their_microversion(self):
        old = {**SERVER, 'image': ''}
        (server,), sent = read(answer(406), answer(406), page(old), page())
        self.assertIsNone(server.pinned)
        self.assertIsNone(server.properties)
        self.assertEqual('', server.image)
        self.assertEqual('2.47', sent[-1].microversion)

    def test_error_when_nova_is_older_still(self):
        self.assertRaises(errors.TooOld, read, *[answer(406)] * 3)

    def test_no_flavor_when_the_cell_does_not_answer(self):
        (server,), _ = read(page({'id': 'u2', 'status': 'UNKNOWN'}), page())
        self.assertIsNone(server.flavor)
