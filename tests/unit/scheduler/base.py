# SPDX-License-Identifier: Apache-2.0
"""Nova's own objects, and a filter whose Placement is a table."""

from __future__ import annotations

import json
import logging
import uuid as uuidlib

import fixtures
import nova.conf
import testtools
from nova import objects
from nova.scheduler import filters, host_manager
from oslo_config import fixture as config_fixture

from hvfilter.placement.expired import Expired
from hvfilter.scheduler import policies, worker_state
from hvfilter.scheduler.filters import hardware_virt
from tests.fakes.fleet import Clock, Fleet

objects.register_all()

KVM_GUESTS = [['x86_64', 'kvm', 'hvm'], ['x86_64', 'qemu', 'hvm']]
TCG_GUESTS = [['x86_64', 'qemu', 'hvm'], ['aarch64', 'qemu', 'hvm']]
CPU_INFO = json.dumps(
    {'arch': 'x86_64', 'vendor': 'Intel', 'features': ['vmx', 'ept']}
)


def uuid_of(name: str) -> str:
    """Always the same for a name."""
    return str(uuidlib.uuid5(uuidlib.NAMESPACE_DNS, name))


def host(
    name: str,
    *,
    uuid: str | None = '',
    hypervisor: str | None = 'QEMU',
    guests: object = KVM_GUESTS,
    cpu_info: object = CPU_INFO,
    aggregates: list[objects.Aggregate] | None = None,
) -> host_manager.HostState:
    """A host state as nova-scheduler makes it; uuid '' stands for uuid_of."""
    state = host_manager.HostState(name, name, uuid_of('cell'))
    state.uuid = uuid_of(name) if uuid == '' else uuid
    state.hypervisor_type = hypervisor
    state.supported_instances = guests
    state.cpu_info = cpu_info
    state.aggregates = aggregates or []
    return state


def aggregate(name: str = 'some', **metadata: str) -> objects.Aggregate:
    """With metadata ``hvfilter:<keyword>``."""
    return objects.Aggregate(
        id=1,
        uuid=uuid_of(name),
        name=name,
        hosts=[],
        metadata={f'hvfilter:{key}': v for key, v in metadata.items()},
    )


def spec(
    extra_specs: dict[str, str] | None = None,
    image: dict[str, object] | None = None,
    *,
    rebuild: bool = False,
) -> objects.RequestSpec:
    """A request spec; image properties as Glance has them, None: no image."""
    meta = None
    if image is not None:
        meta = objects.ImageMeta.from_dict({'properties': dict(image)})
    hints = {'_nova_check_type': ['rebuild']} if rebuild else {}
    return objects.RequestSpec(
        instance_uuid=uuid_of('server'),
        flavor=objects.Flavor(extra_specs=dict(extra_specs or {})),
        image=meta,
        scheduler_hints=hints,
    )


class SchedulerTestCase(testtools.TestCase):
    """Options of hvfilter as keywords of :meth:`flags`.

    :ivar fleet: who has what, changed at will
    :ivar expired: whose reports are too old
    :ivar log: what our loggers said
    """

    def setUp(self) -> None:
        super().setUp()
        policies.register()
        self.conf = self.useFixture(config_fixture.Config(nova.conf.CONF)).conf
        self.clock = Clock()
        self.fleet = Fleet(
            reported=set(), kvm=set(), nested=set(), slat=set(), tdx=set()
        )
        self.useFixture(
            fixtures.MonkeyPatch(
                'hvfilter.scheduler.nova_client.providers_with_trait',
                self.fleet,
            )
        )
        self.useFixture(
            fixtures.MonkeyPatch(
                'hvfilter.scheduler.nova_client.carried_traits',
                lambda: self.fleet.carried(),
            )
        )
        self.expired = Expired()
        self.useFixture(
            fixtures.MonkeyPatch(
                'hvfilter.scheduler.nova_client.expired_reports',
                lambda max_age_weeks: self.expired,
            )
        )
        self.useFixture(fixtures.MonkeyPatch('time.monotonic', self.clock))
        self.log = self.useFixture(
            fixtures.FakeLogger(
                name='hvfilter',
                level=logging.INFO,
                format='%(levelname)s %(message)s',
                nuke_handlers=False,
            )
        )
        self.filter = hardware_virt.HardwareVirtFilter()

    def flags(self, **options: object) -> None:
        for name, value in options.items():
            self.conf.set_override(name, value, group='hvfilter')

    def report(self, name: str, *keys: str) -> None:
        """A host publishes that it has these and nothing else."""
        for holders in self.fleet.traits.values():
            holders.discard(uuid_of(name))
        for key in ('reported', *keys):
            self.fleet[key].add(uuid_of(name))

    def passing(
        self, hosts: list[host_manager.HostState], request: objects.RequestSpec
    ) -> list[str]:
        """Names of the hosts that pass, through Nova's own handler."""
        handler = filters.HostFilterHandler()
        found = handler.get_filtered_objects([self.filter], hosts, request)
        return [state.host for state in found]

    @property
    def counts(self) -> dict[str, int]:
        return worker_state.current().counts()
