# SPDX-License-Identifier: Apache-2.0
"""What of it Nova's scheduler uses is tested there too."""

import testtools

from hvfilter.model.policy import Mode, Policy, WhenUnknown
from hvfilter.rules import aggregate_policy


class AggregatePolicyTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.complaints = []

    def values(self, metadata, **last_valid):
        return aggregate_policy.values(
            'gold', metadata, last_valid, self.complaints.append
        )

    def test_only_its_own_keys_count(self):
        found = self.values({'pinned': 'true', 'hvfilter:required': 'nested'})
        self.assertEqual({'required': ('nested',)}, found)
        self.assertEqual([], self.complaints)

    def test_values_in_any_case_count(self):
        found = self.values(
            {'hvfilter:required': 'KVM, Nested', 'hvfilter:mode': 'Permissive'}
        )
        self.assertEqual(
            {'required': ('kvm', 'nested'), 'mode': Mode.PERMISSIVE}, found
        )
        self.assertEqual([], self.complaints)

    def test_keys_that_only_resemble_ours_are_named(self):
        keys = ('HVFILTER:mode', ' hvfilter:mode', 'hvfilter:mode ')
        keys += ('hvfilter: mode', 'hvfilter:Mode', 'hvfilter.mode')
        keys += ('hv_filter:mode', 'hv-filter:mode', 'hvfilter')
        for number, key in enumerate(keys, 1):
            self.assertEqual({}, self.values({key: 'permissive'}))
            self.assertEqual(number, len(self.complaints), key)
            self.assertIn(f'{key}=permissive', self.complaints[-1])

    def test_keys_of_others_are_theirs(self):
        for key in (
            'hvfilters:mode',
            'company:hvfilter',
            'trait:CUSTOM_HVFILTER_NESTED',
        ):
            self.assertEqual({}, self.values({key: 'required'}))
        self.assertEqual([], self.complaints)

    def test_the_stricter_value_applies(self):
        found = [
            self.values(
                {
                    'hvfilter:required': 'kvm',
                    'hvfilter:reserved': 'sev',
                    'hvfilter:mode': 'permissive',
                    'hvfilter:unreported': 'accept',
                }
            ),
            self.values(
                {
                    'hvfilter:required': 'kvm, nested',
                    'hvfilter:reserved': 'tdx',
                    'hvfilter:mode': 'enforcing',
                    'hvfilter:unreported': 'REJECT',
                    'hvfilter:scarce_weight_multiplier': '2',
                }
            ),
        ]
        policy = aggregate_policy.combine(Policy(), found)
        self.assertEqual(('kvm', 'nested'), policy.required)
        self.assertEqual({'sev', 'tdx'}, policy.reserved)
        self.assertIs(Mode.ENFORCING, policy.mode)
        self.assertIs(WhenUnknown.REJECT, policy.unreported)
        self.assertEqual(
            'aggregate metadata hvfilter:required', policy.required_by
        )
        self.assertEqual(
            '[hvfilter] placement_unreachable', policy.unreachable_by
        )

    def test_the_configured_policy_when_nothing_is_said(self):
        base = Policy(('nested',))
        self.assertIs(base, aggregate_policy.combine(base, [{}, {}]))

    def test_invalid_values_are_named_and_the_last_valid_counts(self):
        self.assertEqual({}, self.values({'hvfilter:mode': 'lax'}))
        self.assertIn('nova.conf applies', self.complaints[-1])
        self.assertEqual(
            {'mode': Mode.PERMISSIVE},
            self.values({'hvfilter:mode': 'lax'}, mode=Mode.PERMISSIVE),
        )
        self.assertIn('its last valid value applies', self.complaints[-1])
        self.assertEqual({}, self.values({'hvfilter:modus': 'x'}))
        self.assertIn('there is no such key', self.complaints[-1])
