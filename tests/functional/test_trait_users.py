# SPDX-License-Identifier: Apache-2.0
"""Who still names our traits, as the real nova-api lists it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from nova.tests.functional.api import client as nova_api

from hvfilter.placement import client, trait_users
from tests.fakes.transport import answer
from tests.functional import landing

TRAIT = 'trait:CUSTOM_HVFILTER_NESTED'


class Api:
    """The way to nova-api as a user; Glance has no images."""

    def __init__(self, api: nova_api.TestOpenStackClient) -> None:
        self._api = api

    def request(
        self, method: str, path: str, *, microversion: str, body: Any = None
    ) -> client.Response:
        if path.startswith('/v2/images'):
            return answer(value={'images': []})
        with self._at(microversion):
            response = self._api.api_request(path.lstrip('/'), method=method)
        return client.Response(response.status_code, {}, response.content)

    @contextlib.contextmanager
    def _at(self, microversion: str) -> Iterator[None]:
        before = self._api.microversion
        self._api.microversion = microversion
        try:
            yield
        finally:
            self._api.microversion = before


class DemandsTest(landing.LandingTestCase):
    def look(self, *roles: str) -> trait_users.TraitUsers:
        api = nova_api.TestOpenStackClient(
            # Nova's fixture takes who is named so for one with that role.
            'admin' if 'admin' in roles else 'hvfilter',
            self.api_fixture.admin_api.base_url,
            project_id=self.api_fixture.admin_api.project_id,
            roles=list(roles),
        )
        return trait_users.find_users(lambda service: Api(api))

    def test_demands_when_flavor_was_cleaned(self) -> None:
        """As "withdraw" advised: the server keeps its copy of the flavor."""
        flavor = self.flavor(**{TRAIT: 'required'})
        server = self.boot(flavor)
        self.boot(self.flavor())
        self.admin_api.api_delete(f'/flavors/{flavor}/os-extra_specs/{TRAIT}')
        made = self.admin_api.post_aggregate({'aggregate': {'name': 'lab'}})
        metadata = {'metadata': {TRAIT: 'required'}}
        self.admin_api.post_aggregate_action(
            made['id'], {'set_metadata': metadata}
        )
        private = {
            'flavor': {
                'name': 'private',
                'ram': 1,
                'vcpus': 1,
                'disk': 1,
                'id': 'private',
                'os-flavor-access:is_public': False,
            }
        }
        self.admin_api.post_flavor(private)
        self.admin_api.post_extra_spec(
            'private', {'extra_specs': {TRAIT: 'required'}}
        )
        found = self.look('admin')
        self.assertEqual((), found.unchecked)
        self.assertEqual(
            {
                'flavor private',
                f'server {server["name"]} ({server["id"]})',
                'aggregate lab',
            },
            {each.who for each in found.users},
        )

    def test_demands_when_role_is_service(self) -> None:
        """It suffices to publish, and does not see what is private."""
        for role in ('service', 'member', 'reader'):
            told = json.dumps(
                [str(each) for each in self.look(role).unchecked]
            )
            for word in ('servers', 'aggregates', 'Private', 'admin'):
                self.assertIn(word, told, role)
