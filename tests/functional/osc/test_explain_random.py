# SPDX-License-Identifier: Apache-2.0
"""explain against nova-scheduler, on requests and fleets made by chance.

``HVFILTER_RANDOM_REQUESTS`` in the environment is how many; ``HVFILTER_SEED``
repeats a run. nova-scheduler and Placement are real, and so are nova-compute's
records of the hosts. Of each request the hosts are compared that the scheduler
selects and names as alternates, which are all that it accepts.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterable
from typing import Any

from nova import context as nova_context
from nova import exception, objects
from openstack import config
from oslo_messaging.rpc import dispatcher
from placement import db_api as placement_db
from placement.db.sqlalchemy import models as placement_models

from hvfilter.model import catalogue
from hvfilter.osc import capability_explain, explanation, fleet, policies
from hvfilter.osc.cloud import Cloud
from hvfilter.osc.placement_stage import PlacementStage
from hvfilter.rules.guest import Guest
from hvfilter.scheduler import worker_state
from tests.fakes.compute import ComputeHost
from tests.functional import base as cloud
from tests.functional import findings
from tests.functional.osc import base
from tests.functional.scheduler import crowd

REQUESTS = int(os.environ.get('HVFILTER_RANDOM_REQUESTS', '80'))
A_FLEET = 40
"""So many requests; then hosts, aggregates and policy are others."""

WITH_THE_COMMAND = 20
"""Of so many requests one is also asked with the real command."""

GUESTS = (
    ('x86_64', 'kvm', 'hvm'),
    ('i686', 'kvm', 'hvm'),
    ('x86_64', 'qemu', 'hvm'),
    ('i686', 'qemu', 'hvm'),
    ('aarch64', 'qemu', 'hvm'),
)
ARM_GUESTS = (
    ('aarch64', 'kvm', 'hvm'),
    ('aarch64', 'qemu', 'hvm'),
    ('x86_64', 'qemu', 'hvm'),
    ('i686', 'qemu', 'hvm'),
)
KEYS = ('kvm', 'nested', 'nested_slat', 'sev', 'ept', 'npt', 'tcg', 'hvm')
GOLD = 'CUSTOM_GOLD'
PRESENT = (
    findings.INTEL,
    findings.INTEL - {'nested', 'nested_slat'},
    findings.AMD,
    findings.AMD | {'sev'},
    findings.EMULATED,
    frozenset(),
)


class RandomTest(base.OpenStackTestCase, crowd.CrowdTestCase):
    extra_filters = (cloud.FILTER,)

    def setUp(self) -> None:
        self.seed = os.environ.get('HVFILTER_SEED', str(time.time_ns()))
        self.chance = random.Random(self.seed)
        # All hosts that pass, not only the first.
        self.flags(max_attempts=50, group='scheduler')
        super().setUp()
        self.start_hosts(
            ComputeHost('i1', supported=GUESTS),
            ComputeHost('i2', memory_mb=65_536, supported=GUESTS),
            ComputeHost('i3', vcpus=2, supported=GUESTS),
            ComputeHost('i4', supported=GUESTS),
            ComputeHost(
                'a1', vendor='AMD', features=('svm',), supported=GUESTS
            ),
            ComputeHost(
                'a2', vendor='AMD', features=('svm',), supported=GUESTS
            ),
            ComputeHost(
                'arm', arch='aarch64', vendor='ARM', supported=ARM_GUESTS
            ),
            ComputeHost(
                'lxc',
                hypervisor_type='LXC',
                supported=(('x86_64', 'lxc', 'exe'), ('i686', 'lxc', 'exe')),
            ),
        )
        self.aggregates = [
            self.admin_api.post_aggregate(
                {'aggregate': {'name': name, 'availability_zone': zone}}
            )
            for name, zone in (('east', 'east'), ('fast', None))
        ]
        for host in ('i1', 'a1', 'arm'):
            self.admin_api.add_host_to_aggregate(
                self.aggregates[0]['id'], host
            )
        for host in ('i1', 'i2', 'a2'):
            self.admin_api.add_host_to_aggregate(
                self.aggregates[1]['id'], host
            )
        for name in sorted(catalogue.OWN_TRAITS | {GOLD}):
            self._create_trait(name)
        # What a "what" of this test uses of openstack's own configuration.
        self.capability('list')
        region = config.OpenStackConfig(
            config_files=[str(self.folder / 'clouds.yaml')]
        ).get_one('test')
        self.region = region

    # the fleet

    def rearrange(self) -> policies.Policies:
        """Other hosts, aggregates and another policy; what they are for
        the command."""
        choose = self.chance.choice
        for host in self.machines:
            names = self.traits(host)
            foreign = {
                each
                for each in names
                if not each.startswith(catalogue.TRAIT_PREFIX)
            } - {GOLD}
            gold = {GOLD} if self.chance.random() < 0.5 else set()
            self._put_traits(host, frozenset(foreign | gold))
            if self.chance.random() < 0.8:
                present = choose(PRESENT)
                unknown = frozenset(
                    self.chance.sample(KEYS, 1)
                    if self.chance.random() < 0.3
                    else ()
                )
                self.has(
                    host,
                    present - unknown,
                    unknown=unknown,
                    weeks_ago=choose((0, 0, 0, 1, 5)),
                )
        for aggregate in self.aggregates:
            metadata = {
                'hvfilter:required': choose((None, 'kvm', 'nested', '')),
                'hvfilter:mode': choose((None, None, 'permissive', 'odd')),
                'hvfilter:reserved': choose((None, None, 'sev', 'nested')),
                'hvfilter:unreported': choose((None, 'accept', 'reject')),
            }
            self.admin_api.post_aggregate_action(
                aggregate['id'], {'set_metadata': {'metadata': metadata}}
            )
        options = {
            'required': choose(('kvm', 'kvm', '', 'kvm,nested', 'hvm')),
            'reserved': choose(('', '', 'sev', 'nested_slat')),
            'unreported': choose(('infer', 'accept', 'reject')),
            'mode': choose(('enforcing', 'enforcing', 'permissive')),
        }
        for name, value in options.items():
            listed = [each for each in value.split(',') if each]
            self.flags(
                **{
                    name: listed if name in ('required', 'reserved') else value
                },
                group='hvfilter',
            )
        self.restart_scheduler()
        worker_state.renew()
        self.file = self.policy_file(
            *(f'{name} = {value}' for name, value in options.items())
        )
        return policies.load([self.file], None, lambda text: None)

    # requests

    def guest(self) -> Guest:
        """Some flavor and image."""
        chance = self.chance
        specs: dict[str, str] = {}
        for key in chance.sample(KEYS, chance.choice((0, 0, 1, 1, 2))):
            form = chance.choice(('hvfilter:{}', 'trait:{}'))
            name = key if form[0] == 'h' else catalogue.BY_KEY[key].trait
            words = ['required', 'required', 'forbidden']
            if form[0] == 'h':
                words.append('preferred')
            specs[form.format(name)] = chance.choice(words)
        if chance.random() < 0.1:
            specs[f'trait:{GOLD}'] = chance.choice(('required', 'forbidden'))
        if chance.random() < 0.03:
            specs['hvfilter:nestd'] = 'required'
        properties: dict[str, str] = {}
        for name, values, often in (
            ('img_hv_type', ('kvm', 'qemu', 'lxc', 'vmware'), 0.3),
            ('hw_architecture', ('x86_64', 'i686', 'aarch64'), 0.2),
            ('hw_emulation_architecture', ('aarch64', 'x86_64'), 0.1),
            ('trait:CUSTOM_HVFILTER_NESTED', ('required',), 0.1),
            (f'trait:{GOLD}', ('required',), 0.05),
        ):
            if chance.random() < often:
                properties[name] = chance.choice(values)
        return Guest(
            chance.choice((1, 1, 1, 4, 9, 20)),
            chance.choice((512, 512, 4_096, 20_000, 200_000)),
            1,
            specs,
            properties,
            chance.choice(('', '', '', 'east')),
        )

    def landed(self, guest: Guest) -> frozenset[str]:
        """Where nova-scheduler would put it; none: it refuses."""
        spec = self.request_spec(dict(guest.specs))
        spec.flavor.vcpus = guest.vcpus
        spec.flavor.memory_mb = guest.memory_mb
        spec.image = objects.ImageMeta.from_dict(
            {'properties': dict(guest.properties)}
        )
        spec.availability_zone = guest.zone or None
        try:
            ((first, *others),) = (
                self.scheduler_service.manager.select_destinations(
                    nova_context.get_admin_context(),
                    spec_obj=spec,
                    instance_uuids=[spec.instance_uuid],
                    return_objects=True,
                    return_alternates=True,
                )
            )
        except dispatcher.ExpectedException as wrapped:
            self.assertIsInstance(wrapped.exc_info[1], exception.NoValidHost)
            return frozenset()
        engine = placement_db.get_placement_engine()
        with engine.begin() as connection:
            # It need not land there.
            for model in (
                placement_models.Allocation,
                placement_models.Consumer,
            ):
                connection.execute(model.__table__.delete())
        return frozenset(each.service_host for each in (first, *others))

    def commanded(self, guest: Guest) -> frozenset[str]:
        """What the command says of the same."""
        flavor = self._create_flavor(
            memory_mb=guest.memory_mb,
            vcpu=guest.vcpus,
            disk=1,
            ephemeral=0,
            extra_spec=None,
        )
        for name, value in guest.specs.items():
            # nova-api would reject a misspelt one.
            self._set_spec(flavor, name, value)
        arguments = ['explain', '--flavor', flavor, '--policy', self.file]
        if guest.properties:
            arguments += ['--image', self.image(**guest.properties)]
        if guest.zone:
            arguments += ['--availability-zone', guest.zone]
        ran = self.capability(*arguments, '--long', '-f', 'json')
        return frozenset(
            each['Host'] for each in ran.json if each['Verdict'] != 'rejected'
        )

    def _set_spec(self, flavor: str, name: str, value: str) -> None:
        found = objects.Flavor.get_by_flavor_id(
            nova_context.get_admin_context(), flavor
        )
        found.extra_specs = {**found.extra_specs, name: value}
        found.save()

    def test_verdict_is_where_nova_scheduler_puts_the_guest(self) -> None:
        landings = refusals = hosts_compared = 0
        differences: list[Any] = []
        for number in range(REQUESTS):
            if number % A_FLEET == 0:
                policy = self.rearrange()
                remote = Cloud.of(self.region)
                hosts = fleet.read(remote, policy.max_age_weeks).hosts
                stage = PlacementStage(remote.transport)
            guest = self.guest()
            results = explanation.Explainer(guest, policy, stage).results(
                hosts
            )
            expected = fitting(results)
            landed = self.landed(guest)
            landings += bool(landed)
            refusals += not landed
            hosts_compared += len(hosts)
            if landed != expected:
                differences.append((guest, sorted(landed ^ expected)))
                for result in results:
                    if result.host.name in landed ^ expected:
                        differences.append(
                            (capability_explain._long(result), landed)
                        )
            if number % WITH_THE_COMMAND == 0:
                self.assertEqual(expected, self.commanded(guest), guest)
        print(
            json.dumps(
                {
                    'requests': REQUESTS,
                    'landings': landings,
                    'refusals': refusals,
                    'verdicts': hosts_compared,
                    'differences': len(differences),
                    'seed': self.seed,
                }
            )
        )
        self.assertEqual([], differences[:6], self.seed)
        self.assertTrue(landings)
        self.assertTrue(refusals)


def fitting(results: Iterable[explanation.Result]) -> frozenset[str]:
    """The names of the hosts on which it may land."""
    return frozenset(each.host.name for each in results if each.fits)
