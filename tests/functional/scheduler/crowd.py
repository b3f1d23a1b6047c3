# SPDX-License-Identifier: Apache-2.0
"""Thousands of compute nodes, as rows in the real databases.

No nova-compute runs for them: they are there for nova-scheduler and for
Placement, which are the real ones and read these rows as any other.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection

import os_resource_classes as orc
from nova import context as nova_context
from nova import objects
from nova.db.api import api as nova_api_db
from nova.db.api import models as nova_api_models
from nova.db.main import api as nova_db
from nova.db.main import models as nova_models
from nova.objects import service as nova_service
from oslo_messaging.rpc import dispatcher
from oslo_utils import timeutils, uuidutils
from placement import db_api as placement_db
from placement.db.sqlalchemy import models as placement_models

from hvfilter.model import catalogue
from tests.functional import base

_CLASSES = {'VCPU': 16, 'MEMORY_MB': 65_536, 'DISK_GB': 1_000}
_NODES_OWN = ('COMPUTE_NODE', 'OWNER_NOVA', 'HW_CPU_X86_VMX')
_FIRST_ID = 100_000
_ROWS_AT_ONCE = 500

GUESTS = [['x86_64', 'kvm', 'hvm'], ['x86_64', 'qemu', 'hvm']]
CPU_INFO = json.dumps(
    {
        'arch': 'x86_64',
        'model': 'Skylake-Server-IBRS',
        'vendor': 'Intel',
        'topology': {'cells': 1, 'sockets': 1, 'cores': 16, 'threads': 1},
        'features': [f'feature-{number}' for number in range(119)] + ['vmx'],
    }
)


@dataclasses.dataclass(frozen=True)
class Node:
    """A compute node, in the order in which Placement finds them."""

    name: str
    uuid: str
    capabilities: frozenset[str] | None


def node(name: str, capabilities: Collection[str] | None) -> Node:
    """One that reported these capabilities; None: it never reported."""
    has = None if capabilities is None else frozenset(capabilities)
    return Node(name, uuidutils.generate_uuid(), has)


class CrowdTestCase(base.CloudTestCase):
    """Has no nova-compute at all; asks the scheduler itself."""

    def setUp(self) -> None:
        # Nobody says again that these are up. Read when services start.
        self.flags(service_down_time=3_600)
        super().setUp()

    def crowd(self, nodes: list[Node], known: bool = True) -> None:
        """They are there, with room for guests.

        :param known: whether Placement knows our traits
        """
        for trait in sorted(catalogue.OWN_TRAITS) if known else ():
            self._create_trait(trait)
        self._into_placement(nodes)
        self._into_nova(nodes)

    def _into_placement(self, nodes: list[Node]) -> None:
        engine = placement_db.get_placement_engine()
        tables = placement_models
        with engine.begin() as connection:
            trait_table = tables.Trait.__table__
            traits = {
                row.name: row.id
                for row in connection.execute(trait_table.select())
            }
            providers, inventories, held = [], [], []
            for number, each in enumerate(nodes, _FIRST_ID):
                providers.append(
                    {
                        'id': number,
                        'uuid': each.uuid,
                        'name': each.name,
                        'generation': 1,
                        'root_provider_id': number,
                    }
                )
                inventories.extend(
                    {
                        'resource_provider_id': number,
                        'resource_class_id': orc.STANDARDS.index(name),
                        'total': total,
                        'reserved': 0,
                        'min_unit': 1,
                        'max_unit': total,
                        'step_size': 1,
                        'allocation_ratio': 1.0,
                    }
                    for name, total in _CLASSES.items()
                )
                names = [name for name in _NODES_OWN if name in traits]
                if each.capabilities is not None:
                    names.append(catalogue.REPORTED_TRAIT)
                    names.extend(
                        catalogue.BY_KEY[key].trait
                        for key in each.capabilities
                    )
                held.extend(
                    {
                        'resource_provider_id': number,
                        'trait_id': traits[name],
                    }
                    for name in names
                )
            for model, rows in (
                (tables.ResourceProvider, providers),
                (tables.Inventory, inventories),
                (tables.ResourceProviderTrait, held),
            ):
                _insert(connection, model, rows)

    def _into_nova(self, nodes: list[Node]) -> None:
        now = timeutils.utcnow()
        context = nova_context.get_admin_context()
        cell = self.cell_mappings['cell1']
        with nova_context.target_cell(context, cell) as in_cell:
            engine = nova_db.get_engine(context=in_cell)
        services, computes = [], []
        for number, each in enumerate(nodes, _FIRST_ID):
            services.append(
                {
                    'id': number,
                    'uuid': uuidutils.generate_uuid(),
                    'host': each.name,
                    'binary': 'nova-compute',
                    'topic': 'compute',
                    'report_count': 1,
                    'disabled': False,
                    'forced_down': False,
                    'version': nova_service.SERVICE_VERSION,
                    'last_seen_up': now,
                    'created_at': now,
                    'deleted': 0,
                }
            )
            computes.append(
                {
                    'id': number,
                    'uuid': each.uuid,
                    'service_id': number,
                    'host': each.name,
                    'hypervisor_hostname': each.name,
                    'hypervisor_type': 'QEMU',
                    'hypervisor_version': 10_000_000,
                    'cpu_info': CPU_INFO,
                    'supported_instances': json.dumps(GUESTS),
                    'vcpus': _CLASSES['VCPU'],
                    'vcpus_used': 0,
                    'memory_mb': _CLASSES['MEMORY_MB'],
                    'memory_mb_used': 0,
                    'free_ram_mb': _CLASSES['MEMORY_MB'],
                    'local_gb': _CLASSES['DISK_GB'],
                    'local_gb_used': 0,
                    'free_disk_gb': _CLASSES['DISK_GB'],
                    'disk_available_least': _CLASSES['DISK_GB'],
                    'current_workload': 0,
                    'running_vms': 0,
                    'metrics': '[]',
                    'stats': '{}',
                    'host_ip': '127.0.0.1',
                    'mapped': 1,
                    'created_at': now,
                    'updated_at': now,
                    'deleted': 0,
                }
            )
        mappings = [
            {'cell_id': cell.id, 'host': each.name, 'created_at': now}
            for each in nodes
        ]
        with nova_api_db.get_engine().begin() as connection:
            _insert(connection, nova_api_models.HostMapping, mappings)
        with engine.begin() as connection:
            _insert(connection, nova_models.Service, services)
            _insert(connection, nova_models.ComputeNode, computes)

    def tell_instances(self, nodes: list[Node]) -> None:
        """Each says that no guests are on it, as nova-compute keeps saying.

        A scheduler that has not heard of a host's guests asks the database,
        host by host, with each request.
        """
        context = nova_context.get_admin_context()
        none = objects.InstanceList(objects=[])
        manager = self.scheduler_service.manager
        for each in nodes:
            # Of a host that is new to it, it wants to hear twice.
            for _ in range(2):
                manager.update_instance_info(context, each.name, none)

    def request_spec(
        self, specs: dict[str, str] | None = None
    ) -> objects.RequestSpec:
        """For one small guest, as nova-conductor makes it."""
        return objects.RequestSpec(
            instance_uuid=uuidutils.generate_uuid(),
            project_id='project',
            user_id='user',
            flavor=objects.Flavor(
                id=1,
                flavorid='1',
                name='small',
                vcpus=1,
                memory_mb=512,
                root_gb=1,
                ephemeral_gb=0,
                swap=0,
                rxtx_factor=1.0,
                vcpu_weight=0,
                disabled=False,
                is_public=True,
                projects=[],
                description=None,
                extra_specs=dict(specs or {}),
            ),
            image=objects.ImageMeta(properties=objects.ImageMetaProps()),
            num_instances=1,
            is_bfv=False,
            availability_zone=None,
            ignore_hosts=None,
            force_hosts=None,
            force_nodes=None,
            requested_destination=None,
            retry=None,
            limits=objects.SchedulerLimits(),
            instance_group=None,
            scheduler_hints={},
            pci_requests=objects.InstancePCIRequests(requests=[]),
            numa_topology=None,
            security_groups=objects.SecurityGroupList(),
            requested_resources=[],
            request_level_params=objects.RequestLevelParams(),
            requested_networks=objects.NetworkRequestList(),
        )

    def schedule(self, specs: dict[str, str] | None = None) -> str:
        """The host that the scheduler selects; raises NoValidHost."""
        return self.select(self.request_spec(specs))

    def select(self, spec: objects.RequestSpec) -> str:
        """The same, for a request spec; the host's room is claimed."""
        try:
            found = self.scheduler_service.manager.select_destinations(
                nova_context.get_admin_context(),
                spec_obj=spec,
                instance_uuids=[spec.instance_uuid],
                return_objects=True,
                return_alternates=True,
            )
        except dispatcher.ExpectedException as wrapped:
            raise wrapped.exc_info[1] from None
        host: str = found[0][0].service_host
        return host

    def in_placements_order(self) -> list[str]:
        """Uuids of all nodes with room, as Placement lists them."""
        resources = 'DISK_GB:1,MEMORY_MB:512,VCPU:1'
        found = self.placement.get(
            f'/allocation_candidates?resources={resources}', version='1.36'
        )
        return [
            uuid
            for candidate in found.body['allocation_requests']
            for uuid in candidate['allocations']
        ]

    def give(self, uuids: Collection[str], key: str) -> None:
        """These nodes have a capability from now on."""
        for uuid in uuids:
            self._set_provider_traits(
                uuid,
                [
                    *self._get_provider_traits(uuid),
                    catalogue.BY_KEY[key].trait,
                ],
            )


def _insert(connection: object, model: object, rows: list[dict]) -> None:
    # SQLite takes so many values at once and not more.
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        connection.execute(
            model.__table__.insert(), rows[start : start + _ROWS_AT_ONCE]
        )
