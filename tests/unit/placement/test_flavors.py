# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.placement import errors, flavors
from tests.fakes.transport import ScriptedTransport, answer


def page(**specs):
    return answer(
        value={
            'flavors': [
                {'id': name, 'name': name, 'extra_specs': each}
                for name, each in specs.items()
            ]
        }
    )


class FlavorsTest(testtools.TestCase):
    def asking(self, *script):
        self.transport = ScriptedTransport(*script)
        return flavors.using_traits(self.transport)

    def test_asking_when_some_do(self):
        found = self.asking(
            page(
                plain={'hw:cpu_policy': 'dedicated'},
                nested={
                    'trait:CUSTOM_HVFILTER_NESTED': 'required',
                    'trait:HW_CPU_X86_VMX': 'required',
                },
            ),
            page(ours={'hvfilter:kvm': 'required'}),
            page(),
        )
        self.assertEqual(
            (
                flavors.FlavorUse(
                    'nested', ('trait:CUSTOM_HVFILTER_NESTED=required',)
                ),
                flavors.FlavorUse('ours', ('hvfilter:kvm=required',)),
            ),
            found,
        )
        paths = [sent.path for sent in self.transport.sent]
        self.assertIn('is_public=None', paths[0])
        self.assertIn('marker=nested', paths[1])
        self.assertIn('marker=ours', paths[2])

    def test_asking_when_pages_repeat(self):
        same = page(x={'hvfilter:kvm': 'required'})
        self.assertTrue(self.asking(same, same))

    def test_asking_when_refused(self):
        error = self.assertRaises(errors.Forbidden, self.asking, answer(403))
        self.assertIn('403', str(error))
        self.assertRaises(errors.Rejected, self.asking, answer(500))

    def test_asking_when_extra_specs_are_hidden(self):
        """Nova leaves them out for a user that may not see them."""
        hidden = answer(value={'flavors': [{'id': 'x', 'name': 'x'}]})
        error = self.assertRaises(errors.Forbidden, self.asking, hidden)
        self.assertIn('admin', str(error))

    def test_asking_when_answer_is_odd(self):
        for value in (
            [],
            {},
            {'flavors': 1},
            {'flavors': [1]},
            {'flavors': [{'id': 'x', 'extra_specs': []}]},
        ):
            self.assertRaises(
                errors.BadAnswer, self.asking, answer(value=value)
            )

    def test_is_ours_when_key_is(self):
        for key, expected in (
            ('trait:CUSTOM_HVFILTER_KVM', True),
            ('trait1:CUSTOM_HVFILTER_KVM', True),
            ('trait_COMPUTE:CUSTOM_HVFILTER_KVM', True),
            ('trait:CUSTOM_HVFILTER_REPORTED_2026W48', True),
            ('trait:CUSTOM_HVFILTER_KVMX', False),
            ('trait:CUSTOM_GOLD', False),
            ('hvfilter:nested', True),
            ('hw:cpu', False),
        ):
            self.assertEqual(expected, flavors.is_own_key(key), key)
