# SPDX-License-Identifier: Apache-2.0

import json

import testtools

from hvfilter.osc.compute import Hypervisor
from hvfilter.rules import infer

CPU_INFO = json.dumps({'arch': 'x86_64', 'vendor': 'Intel', 'features': []})


class HypervisorTest(testtools.TestCase):
    """What follows from the API is what the scheduler reads, or less."""

    def facts(self, kind, cpu_info=CPU_INFO):
        return Hypervisor('u', 'n', 'h', kind, True, True, cpu_info).facts

    def test_qemu_may_offer_kvm_for_its_own_kind_of_guests(self):
        expected = infer.HostFacts(
            True, 'x86_64', 'Intel', False, frozenset({'x86_64', 'i686'})
        )
        self.assertEqual(expected, self.facts('QEMU'))

    def test_nothing_follows_from_nothing(self):
        self.assertEqual(infer.HostFacts(), self.facts('QEMU', ''))

    def test_another_hypervisor_offers_neither_kvm_nor_emulation(self):
        guests = [['x86_64', 'lxc', 'exe']]
        expected = infer.HostFacts(
            False,
            'x86_64',
            'Intel',
            False,
            infer.native(guests),
            infer.emulates(guests),
        )
        self.assertEqual(expected, self.facts('LXC'))
