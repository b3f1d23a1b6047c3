# SPDX-License-Identifier: Apache-2.0
"""nova-api refuses extra specs that mean nothing."""

from unittest import mock

from nova.api.validation.extra_specs import base as nova_base
from nova.api.validation.extra_specs import traits as nova_traits
from nova.api.validation.extra_specs import validators
from nova.tests.functional.api import client as api_client

from hvfilter.model import catalogue
from hvfilter.scheduler import extra_specs
from tests.functional import base

NO_EFFECT = (
    ' hvfilter:nested',
    'hvfilter:nested ',
    'hvfilter: nested',
    'hvfilter :nested',
    'HVFILTER:nested',
    'Hvfilter:nested',
    'hvfilter:NESTED',
    'hvfilter:nestd',
    'hvfilter:',
    'hvfilter',
    'hvfilter.nested',
    'hvfilter_nested',
    'hvfilter-nested',
    'hvfilter nested',
    'hv_filter:nested',
    'hv-filter:nested',
    'hvfilter:nested:required',
    'trait:CUSTOM_HVFILTER_NESTD',
    'trait:CUSTOM_HVFILTER',
    'trait:CUSTOM_HVFILTER_',
    'trait1:CUSTOM_HVFILTER_NESTED',
    'trait_A:CUSTOM_HVFILTER_NESTED',
    ' trait:CUSTOM_HVFILTER_NESTED',
    'TRAIT:CUSTOM_HVFILTER_NESTED',
    'trait.CUSTOM_HVFILTER_NESTED',
    'trait:CUSTOM_HVFILTER_nested',
    'trait:custom_hvfilter_nested',
    'trait: CUSTOM_HVFILTER_NESTED',
    'CUSTOM_HVFILTER_NESTED',
)
OTHERS = (
    'trait:CUSTOM_GOLD',
    'trait1:CUSTOM_GOLD',
    'trait:HW_CPU_X86_VMX',
    'hvfilters:x',
    'company:hvfilter',
    'aggregate_instance_extra_specs:hvfilter',
)


class ExtraSpecsTest(base.CloudTestCase):
    def refusal(self, value: str = 'required', **specs: str) -> str:
        error = self.assertRaises(
            api_client.OpenStackApiException,
            self.admin_api.post_extra_spec,
            self.flavor(),
            {'extra_specs': specs},
        )
        self.assertEqual(400, error.response.status_code)
        return str(error)

    def test_words_that_mean_something_are_taken(self) -> None:
        for value in ('required', 'forbidden', 'preferred'):
            self.flavor(**{'hvfilter:nested': value})
        for name in (*catalogue.BY_TRAIT, catalogue.REPORTED_TRAIT):
            self.flavor(**{f'trait:{name}': 'required'})

    def test_those_of_others_are_theirs(self) -> None:
        for name in OTHERS:
            self.flavor(**{name: 'required'})
        self.refusal(**{'trait:CUSTOM_GOLD': 'preferred'})

    def test_wrong_capability_is_refused(self) -> None:
        text = self.refusal(**{'hvfilter:nestd': 'required'})
        self.assertIn('Did you mean hvfilter:nested?', text)

    def test_wrong_value_is_refused(self) -> None:
        text = self.refusal(**{'hvfilter:nested': 'yes'})
        self.assertIn('required, forbidden, preferred', text)
        self.refusal(**{'trait:CUSTOM_HVFILTER_NESTED': 'preferred'})

    def test_what_would_have_no_effect_is_refused(self) -> None:
        for name in NO_EFFECT:
            text = self.refusal(**{name: 'required'})
            self.assertIn(name, text)

    def test_hint_when_a_trait_is_in_a_group(self) -> None:
        text = self.refusal(**{'trait1:CUSTOM_HVFILTER_NESTED': 'required'})
        self.assertIn('Write trait:CUSTOM_HVFILTER_NESTED', text)

    def test_the_same_whoever_is_loaded_first(self) -> None:
        for orders in (
            (extra_specs, nova_traits),
            (nova_traits, extra_specs),
        ):
            known: dict[str, nova_base.ExtraSpecValidator] = {}
            for module in orders:
                for each in module.register():
                    known[each.name] = each
            # Those of Nova that neither of the two is about.
            known = {
                **known,
                **{
                    name: each
                    for name, each in validators.VALIDATORS.items()
                    if name not in known
                },
            }
            with mock.patch.object(validators, 'VALIDATORS', known):
                self.test_what_would_have_no_effect_is_refused()
                self.test_those_of_others_are_theirs()
