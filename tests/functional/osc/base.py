# SPDX-License-Identifier: Apache-2.0
"""The real ``openstack`` command on a real Nova and a real Placement.

Only Keystone is played: clouds.yaml has a token and the endpoints, and the
token is the name of the user, whose roles follow from it.
"""

from __future__ import annotations

import dataclasses
import datetime
import io
import json
import logging
import pathlib
from typing import Any

import fixtures
import nova.context
import requests
from openstackclient import shell
from osc_lib import clientmanager

from hvfilter.model.nested_registers import Registers
from hvfilter.model.week import Week
from hvfilter.placement import census
from tests.fakes import glance
from tests.fakes.compute import ComputeHost
from tests.functional import base, findings

THIS_WEEK = census.this_week()
NESTED = frozenset({'nested'})
ROLES = {
    'admin': ['reader', 'member', 'admin'],
    'member': ['reader', 'member'],
    'reader': ['reader'],
}
PROJECT = '6f70656e737461636b20342065766572'


@dataclasses.dataclass(frozen=True)
class Ran:
    """How a command ended.

    :ivar placement: requests that Placement got, as method and path
    :ivar nova: likewise
    """

    code: int
    out: str
    err: str
    placement: tuple[str, ...]
    nova: tuple[str, ...]

    @property
    def json(self) -> Any:
        """The output of ``-f json``."""
        return json.loads(self.out)


class OpenStackTestCase(base.CloudTestCase):
    """A cloud and a shell; the filter is not what is tested."""

    extra_filters = ()

    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.useFixture(
            fixtures.MonkeyPatch(
                'nova.api.auth.NovaKeystoneContext._create_context', _context
            )
        )
        self.sent: list[str] = []
        self.reads_placement = False
        send = requests.Session.send

        def counted(session: Any, request: Any, **more: Any) -> Any:
            self.sent.append(f'{request.method} {request.url}')
            if request.url.startswith(glance.ENDPOINT):
                return glance.respond(self.glance.detail(None), request)
            if self.reads_placement and self._to('placement', self.sent[-1:]):
                # As a policy that lets every user read.
                request.headers['X-Auth-Token'] = 'admin'
            return send(session, request, **more)

        self.useFixture(fixtures.MonkeyPatch('requests.Session.send', counted))
        self.endpoints = {
            'compute': self.nova_endpoint(),
            'placement': self.placement.fixture.endpoint,
            'image': glance.ENDPOINT,
        }

    def nova_endpoint(self) -> str:
        """Where the API answers that the base class started."""
        return str(self.admin_api.base_url)

    def openstack(self, *arguments: str, user: str = 'admin') -> Ran:
        """Run a command in this process, as the user of these roles."""
        file = self.folder / 'clouds.yaml'
        cloud = {
            'auth_type': 'admin_token',
            'auth': {
                'endpoint': self.endpoints['placement'],
                'token': user,
            },
            'compute_endpoint_override': self.endpoints['compute'],
            'placement_endpoint_override': self.endpoints['placement'],
            'image_endpoint_override': self.endpoints['image'],
        }
        file.write_text(json.dumps({'clouds': {'test': cloud}}))
        out, err = io.StringIO(), io.StringIO()
        before = len(self.sent)
        # They live as long as the process, which runs one command.
        for each in vars(clientmanager.ClientManager).values():
            if isinstance(each, clientmanager.ClientCache):
                each._handle = None
        root = logging.getLogger()
        handlers, level = root.handlers[:], root.level
        with (
            fixtures.EnvironmentVariable('OS_CLIENT_CONFIG_FILE', str(file)),
            fixtures.EnvironmentVariable('OS_CLOUD', 'test'),
            fixtures.MonkeyPatch('sys.stdout', out),
            fixtures.MonkeyPatch('sys.stderr', err),
        ):
            try:
                code = shell.main([*arguments])
            except SystemExit as left:
                code = left.code
            finally:
                root.handlers[:], root.level = handlers, level
        sent = self.sent[before:]
        return Ran(
            int(code or 0),
            out.getvalue(),
            err.getvalue(),
            self._to('placement', sent),
            self._to('compute', sent),
        )

    def _to(self, service: str, sent: list[str]) -> tuple[str, ...]:
        endpoint = self.endpoints[service]
        return tuple(
            each.replace(endpoint, '') for each in sent if endpoint in each
        )

    def capability(self, *arguments: str, user: str = 'admin') -> Ran:
        """``openstack hypervisor capability ...``, which must succeed."""
        ran = self.openstack('hypervisor', 'capability', *arguments, user=user)
        self.assertEqual(0, ran.code, ran.err)
        return ran

    def fails(self, *arguments: str, user: str = 'admin') -> str:
        """The one line that such a command fails with."""
        ran = self.openstack('hypervisor', 'capability', *arguments, user=user)
        self.assertNotEqual(0, ran.code)
        self.assertEqual('', ran.out)
        return ran.err

    def policy_file(self, *lines: str) -> str:
        """A nova.conf with these lines in [hvfilter]."""
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        file = folder / 'nova.conf'
        file.write_text('\n'.join(['[hvfilter]', *lines, '']))
        return str(file)

    def specs_unchecked(self, flavor: str, **specs: str) -> None:
        """Extra specs that Nova accepts only before it validated them."""
        now = self.admin_api.microversion
        self.admin_api.microversion = '2.61'
        self.admin_api.post_extra_spec(flavor, {'extra_specs': specs})
        self.admin_api.microversion = now

    def has(
        self,
        host: str,
        present: frozenset[str],
        unknown: frozenset[str] = frozenset(),
        weeks_ago: int = 0,
        nested_set: Registers | None = None,
    ) -> None:
        """What hvfilter reported of a host, and when."""
        report = findings.report(present, unknown, nested_set)
        self.publish(host, report, week(weeks_ago))


class CapabilityStatesTestCase(OpenStackTestCase):
    """Six hosts: ``intel`` and ``amd`` have nested, ``flat`` lacks it and
    ``doubt`` could not find out; the report of ``old`` is stale, and
    ``silent`` never reported."""

    def setUp(self) -> None:
        super().setUp()
        self.start_hosts(
            ComputeHost('intel', vcpus=8),
            ComputeHost.amd('amd'),
            ComputeHost('flat'),
            ComputeHost('doubt'),
            ComputeHost('old'),
            ComputeHost('silent'),
        )
        self.has('intel', findings.INTEL)
        self.has('amd', findings.AMD)
        self.has('flat', findings.INTEL - NESTED)
        self.has('doubt', findings.INTEL - NESTED, unknown=NESTED)
        self.has('old', findings.INTEL, weeks_ago=3)


def week(ago: int) -> Week:
    """The one that was so many weeks ago."""
    return Week(THIS_WEEK.monday - ago * datetime.timedelta(7))


def _context(env: dict[str, Any], **more: Any) -> Any:
    """As Nova's fixture has it, for a token too."""
    user = env.get('HTTP_X_AUTH_USER') or env.get('HTTP_X_AUTH_TOKEN')
    roles = env.get('HTTP_X_ROLES', ','.join(ROLES.get(user, ()))).split(',')
    return nova.context.RequestContext(
        user,
        env.get('HTTP_X_AUTH_PROJECT_ID', PROJECT),
        is_admin=user == 'admin',
        roles=roles,
        **more,
    )
