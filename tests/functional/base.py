# SPDX-License-Identifier: Apache-2.0
"""A cloud to test on: real API, conductor, scheduler, computes, Placement.

What Nova does out of the process's reach is played by Nova's own fixtures
(Neutron, Cinder, Glance, the message bus); the hypervisors by
:mod:`tests.fakes.compute`.
"""

from __future__ import annotations

import logging
import pathlib
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata

import fixtures
import nova.conf
from nova.tests.functional import integrated_helpers
from oslo_config import cfg
from oslo_utils import uuidutils
from sqlalchemy import exc as sqlalchemy_exc

from hvfilter.conf import agent
from hvfilter.model.catalogue import REPORTED_TRAIT
from hvfilter.model.finding import HostReport
from hvfilter.model.policy import Policy
from hvfilter.model.verdict import HostCapabilities, Verdict
from hvfilter.model.week import Week
from hvfilter.publish.base import Identity, Outcome, PublishContext
from hvfilter.publish.placement import PlacementPublisher
from hvfilter.rules import infer
from hvfilter.rules.judge import judge
from hvfilter.rules.requests import GuestRequest, requirements
from hvfilter.rules.traits import capabilities, desired, unknown
from tests import functional
from tests.fakes.compute import ComputeDrivers, ComputeHost
from tests.fakes.native_threads import NativeThreads
from tests.fakes.placement import PlacementGate

CONF = nova.conf.CONF

PATIENCE_S = 120
"""Longer than any step takes on a loaded machine; no test waits for it."""

POLL_S = 0.15

FILTER = 'HardwareVirtFilter'

NOVAS_FILTERS = 'nova.scheduler.filters.all_filters'
OUR_FILTERS = 'hvfilter.scheduler.all_filters'


def api_paste_config() -> str:
    """Nova's wheel installs it outside of the package."""
    for path in metadata.files('nova') or ():
        if path.name == 'api-paste.ini':
            return str(path.locate().resolve())
    raise LookupError(
        'the installed nova has no api-paste.ini; install nova from its wheel'
    )


class CloudTestCase(integrated_helpers.ProviderUsageBaseTestCase):
    """Starts everything but the computes, with our filter enabled."""

    # Never loaded: ComputeDrivers stands where Nova loads drivers.
    compute_driver = 'fake.FakeDriver'

    #: Names of filters beside those that Nova enables by default.
    extra_filters: tuple[str, ...] = (FILTER,)

    def setUp(self) -> None:
        self.machines: dict[str, ComputeHost] = {}
        self.flags(api_paste_config=api_paste_config(), group='wsgi')
        self.flags(cores=-1, ram=-1, instances=-1, group='quota')
        # How busy a host seems depends on when its nova-compute last said so.
        self.flags(io_ops_weight_multiplier=0.0, group='filter_scheduler')
        self.set_filters(self.extra_filters)
        if functional.FIXTURES_ARE_GREEN:
            self.useFixture(NativeThreads(self.id()))
        self.gate = self.useFixture(PlacementGate()).gate
        self.useFixture(ComputeDrivers(self.machines))
        machines, gate = self.machines, self.gate
        super().setUp()
        self.machines, self.gate = machines, gate
        # Nova's test case makes errors of these; which of Nova's queries a
        # newer SQLAlchemy frowns at is not our matter.
        for category in (
            sqlalchemy_exc.SADeprecationWarning,
            sqlalchemy_exc.SAWarning,
        ):
            warnings.filterwarnings('ignore', category=category)

    def set_filters(self, extra: Iterable[str]) -> None:
        """Nova's default filters and these; read when a scheduler starts."""
        CONF.clear_override('enabled_filters', 'filter_scheduler')
        default = CONF.filter_scheduler.enabled_filters
        ours = [OUR_FILTERS] if extra else []
        self.flags(
            available_filters=[NOVAS_FILTERS, *ours],
            enabled_filters=[*default, *extra],
            group='filter_scheduler',
        )

    # services

    def start_hosts(self, *machines: ComputeHost) -> None:
        """One nova-compute for each; the table may be changed later on."""
        for machine in machines:
            self.machines[machine.name] = machine
            self._start_compute(machine.name)

    def restart_scheduler(self) -> None:
        """With the configuration as it is now."""
        self.scheduler_service.stop()
        self.scheduler_service = self.start_service('scheduler')

    def restart_compute(self, host: str) -> None:
        """The service, not the hypervisor: guests go on running."""
        self.computes[host] = self.restart_compute_service(self.computes[host])

    def refresh_computes(self) -> None:
        """What periodic updates do once Nova's cache of providers expired:
        each nova-compute reads its provider from Placement and mends it."""
        for compute in self.computes.values():
            compute.manager.reportclient.clear_provider_cache()
        self._run_periodics()

    def stop_compute(self, host: str) -> None:
        """As if the host had burnt down."""
        self.computes[host].stop()
        service = self.admin_api.get_services(binary='nova-compute', host=host)
        self.admin_api.put_service(service[0]['id'], {'forced_down': True})

    # Placement

    def provider(self, host: str) -> str:
        """The uuid of a compute node's root provider."""
        return self._get_provider_uuid_by_name(host)

    def traits(self, host: str) -> frozenset[str]:
        """All that the root provider carries."""
        return frozenset(self._get_provider_traits(self.provider(host)))

    def add_traits(self, host: str, *traits: str) -> None:
        """Somebody adds traits to a provider, the others untouched."""
        for trait in traits:
            if trait.startswith('CUSTOM_'):
                self._create_trait(trait)
        self._put_traits(host, self.traits(host) | frozenset(traits))

    def remove_traits(self, host: str, *traits: str) -> None:
        """Somebody removes traits from a provider."""
        self._put_traits(host, self.traits(host) - frozenset(traits))

    def _put_traits(self, host: str, traits: frozenset[str]) -> None:
        uuid = self.provider(host)
        response = self.placement.put(
            f'/resource_providers/{uuid}/traits',
            {
                'resource_provider_generation': self.generation(host),
                'traits': sorted(traits),
            },
            version='1.6',
        )
        self.assertEqual(200, response.status, response)

    def generation(self, host: str) -> int:
        """Raised by everything that changes the provider."""
        uuid = self.provider(host)
        return self._get_resource_provider_by_uuid(uuid)['generation']

    # what hvfilter does

    def agent_conf(self, host: str) -> cfg.ConfigOpts:
        """The configuration of the agent on a host, read from a file."""
        path = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        file = path / 'hvfilter.conf'
        file.write_text(
            '[hvfilter]\n'
            f'provider_name = {host}\n'
            'publish_deadline_s = 0\n'
            '[placement]\n'
            'auth_type = admin_token\n'
            f'endpoint = {self.placement.fixture.endpoint}\n'
            f'token = {self.placement.fixture.token}\n'
        )
        return agent.load([str(file)])

    def publish(
        self, host: str, report: HostReport, week: Week | None = None
    ) -> Outcome:
        """As the agent on that host would.

        :param week: in which it does; None: as a release without weeks.
        """
        publisher = PlacementPublisher(self.agent_conf(host))
        return publisher.publish(
            PublishContext(
                report, desired(report, week, 2), Identity(), 0.0, 0.0
            )
        )

    def verdicts(
        self,
        specs: Mapping[str, str] | None = None,
        image: Mapping[str, str] | None = None,
    ) -> dict[str, Verdict]:
        """What the rules say of every host, from what Placement holds now.

        :param specs: the flavor's extra specs
        :param image: the image's properties
        """
        found = requirements(guest_request(specs, image), Policy())
        return {
            host: judge(found, self.advertised(host), Policy())
            for host in self.machines
        }

    def advertised(self, host: str) -> HostCapabilities:
        """What a host's provider says in Placement, and Nova beside it."""
        machine, traits = self.machines[host], self.traits(host)
        cpu = infer.processor(machine.cpu_info)
        facts = infer.HostFacts(
            infer.may_use_kvm(machine.hypervisor_type),
            cpu.machine,
            cpu.vendor,
            cpu.virtual,
            infer.native(machine.supported),
            infer.emulates(machine.supported),
        )
        return infer.advertised(
            capabilities(traits),
            REPORTED_TRAIT in traits,
            facts,
            Policy(),
            unknown=unknown(traits),
        )

    def accepting(
        self,
        specs: Mapping[str, str] | None = None,
        image: Mapping[str, str] | None = None,
    ) -> set[str]:
        """The hosts on which the rules let such a guest land."""
        found = self.verdicts(specs, image)
        return {host for host, verdict in found.items() if verdict.accepted}

    # flavors and images

    def flavor(self, memory_mb: int = 512, **specs: str) -> str:
        """The id of a new flavor; extra specs as keywords or ``**{...}``."""
        return self._create_flavor(
            memory_mb=memory_mb,
            vcpu=1,
            disk=1,
            ephemeral=0,
            extra_spec=dict(specs) or None,
        )

    def image(self, **properties: str) -> str:
        """The id of a new image with these properties."""
        image = {
            'id': uuidutils.generate_uuid(),
            'name': 'image',
            'status': 'active',
            'container_format': 'bare',
            'disk_format': 'raw',
            'size': 1 << 20,
            'min_ram': 0,
            'min_disk': 0,
            'visibility': 'public',
            'protected': False,
            'is_public': True,
            'deleted': False,
            'deleted_at': None,
            'tags': [],
            'properties': dict(properties),
        }
        return self.glance.create(None, image)['id']

    # servers

    def boot(
        self,
        flavor: str | None = None,
        image: str | None = None,
        *,
        status: str = 'ACTIVE',
        **more: object,
    ) -> dict[str, object]:
        """Boots a guest that is to end in a status, ACTIVE or ERROR.

        :param more: goes into the request as it stands (``host``,
            ``availability_zone``)
        """
        server = self.boot_any(flavor, image, **more)
        self.assertEqual(status, server['status'], server.get('fault'))
        return server

    def boot_any(
        self,
        flavor: str | None = None,
        image: str | None = None,
        **more: object,
    ) -> dict[str, object]:
        """Boots a guest and waits until it is ACTIVE or ERROR."""
        request = {
            'name': 'guest',
            'flavorRef': flavor or self.flavor(),
            'imageRef': image or self.image(),
            'networks': 'none',
            **more,
        }
        server = self.admin_api.post_server({'server': request})
        return self.wait(server, 'ACTIVE', 'ERROR')

    def wait(
        self, server: Mapping[str, object], *statuses: str
    ) -> dict[str, object]:
        """Until the server has one of the statuses and nothing runs on."""

        def arrived() -> dict[str, object] | None:
            now = self.admin_api.get_server(server['id'])
            busy = now['OS-EXT-STS:task_state'] is not None
            told = now['status'] != 'ERROR' or 'fault' in now
            there = now['status'] in statuses and not busy and told
            return now if there else None

        return self.until(arrived, f'the server to become {statuses}')

    def until(self, check: Callable[[], object], what: str) -> object:
        """Until it returns something true, which is returned."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            found = check()
            if found:
                return found
            time.sleep(POLL_S)
        return self.fail(f'waited {PATIENCE_S} s for {what}')

    def host_of(self, server: Mapping[str, object]) -> str | None:
        """Where the server is now; None when nowhere."""
        now = self.admin_api.get_server(server['id'])
        return now['OS-EXT-SRV-ATTR:host']

    def act(
        self, server: Mapping[str, object], **action: object
    ) -> dict[str, object]:
        """Asks for one server action and waits until it ended.

        :returns: the action as Nova recorded it, its events included
        """
        before = len(self.admin_api.get_instance_actions(server['id']))
        self.admin_api.post_server_action(server['id'], action)
        return self.until(
            lambda: self._ended(server, before), f'the end of {action}'
        )

    def _ended(
        self, server: Mapping[str, object], before: int
    ) -> dict[str, object] | None:
        # Newest first.
        actions = self.admin_api.get_instance_actions(server['id'])
        if len(actions) <= before:
            return None
        detail = self.admin_api.get_instance_action_details(
            server['id'], actions[0]['request_id']
        )
        events = detail['events']
        if not events or any(e['finish_time'] is None for e in events):
            return None
        now = self.admin_api.get_server(server['id'])
        busy = now['OS-EXT-STS:task_state'] is not None
        return None if busy else detail

    @staticmethod
    def succeeded(action: Mapping[str, object]) -> bool:
        """Whether every event of an action ended well."""
        return all(e['result'] == 'Success' for e in action['events'])

    def rebuild(self, server: Mapping[str, object], image: str):
        """With another image."""
        return self.act(server, rebuild={'imageRef': image})

    def resize(self, server: Mapping[str, object], flavor: str):
        """Ends in VERIFY_RESIZE when a host was found."""
        return self.act(server, resize={'flavorRef': flavor})

    def confirm(self, server: Mapping[str, object]):
        """Ends a resize or a cold migration."""
        return self.act(server, confirmResize=None)

    def cold_migrate(
        self, server: Mapping[str, object], host: str | None = None
    ):
        """Ends in VERIFY_RESIZE when a host was found."""
        return self.act(server, migrate={'host': host} if host else None)

    def live_migrate(
        self, server: Mapping[str, object], host: str | None = None
    ):
        """The scheduler chooses, or checks the host that was named."""
        target = {'host': host, 'block_migration': 'auto'}
        return self.act(server, **{'os-migrateLive': target})

    def evacuate(self, server: Mapping[str, object]):
        """From a host that :meth:`stop_compute` has taken down."""
        return self.act(server, evacuate={})

    def shelve(self, server: Mapping[str, object]):
        """Off its host at once."""
        self.flags(shelved_offload_time=0)
        action = self.act(server, shelve=None)
        self.wait(server, 'SHELVED_OFFLOADED')
        return action

    def unshelve(self, server: Mapping[str, object]):
        """Back, to a host that the scheduler chooses."""
        return self.act(server, unshelve=None)

    # logs

    def log_of(
        self, name: str = 'hvfilter', level: int = logging.INFO
    ) -> fixtures.FakeLogger:
        """Keeps what a logger says from now on; read its ``output``."""
        return self.useFixture(
            fixtures.FakeLogger(
                name=name,
                level=level,
                format='%(levelname)s %(name)s %(message)s',
                nuke_handlers=False,
            )
        )


def guest_request(
    specs: Mapping[str, str] | None = None,
    image: Mapping[str, str] | None = None,
) -> GuestRequest:
    """What the rules are given of a flavor and of an image's properties.

    Of an image's traits Nova keeps those that are required.
    """
    properties = image or {}
    prefix = 'trait:'
    return GuestRequest.of(
        specs,
        {
            name.removeprefix(prefix): value
            for name, value in properties.items()
            if name.startswith(prefix) and value == 'required'
        },
        properties.get('img_hv_type'),
        properties.get('hw_architecture'),
        properties.get('hw_emulation_architecture'),
    )
