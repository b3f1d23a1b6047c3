# SPDX-License-Identifier: Apache-2.0
"""nova-api refuses extra specs that mean nothing."""

from nova.tests.functional.api import client as api_client

from tests.functional import base


class ExtraSpecsTest(base.CloudTestCase):
    def refusal(self, **specs: str) -> str:
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

    def test_wrong_capability_is_refused(self) -> None:
        text = self.refusal(**{'hvfilter:nestd': 'required'})
        self.assertIn('Did you mean hvfilter:nested?', text)

    def test_wrong_value_is_refused(self) -> None:
        text = self.refusal(**{'hvfilter:nested': 'yes'})
        self.assertIn('required, forbidden, preferred', text)
