# SPDX-License-Identifier: Apache-2.0
"""``openstack hypervisor capability audit``."""

from __future__ import annotations

import collections
import shlex
import time
from importlib import metadata
from typing import Any

import fixtures

from hvfilter.model.catalogue import BY_KEY, TRAIT_PREFIX
from tests.fakes.compute import ComputeHost
from tests.functional import findings
from tests.functional.base import POLL_S
from tests.functional.osc import base

NESTED = frozenset({'nested', 'nested_slat'})
NESTED_TRAIT = f'trait:{BY_KEY["nested"].trait}'
EACH = 5


class AuditTestCase(base.OpenStackTestCase):
    def audit(self, *arguments: str, user: str = 'admin') -> base.Ran:
        return self.openstack(
            'hypervisor', 'capability', 'audit', *arguments, user=user
        )

    def found(self, *arguments: str, code: int = 1) -> list[dict[str, str]]:
        ran = self.audit('-f', 'json', *arguments)
        self.assertEqual(code, ran.code, ran.err or ran.out)
        return list(ran.json)

    def of(self, kind: str, *arguments: str) -> dict[str, dict[str, str]]:
        """What was found of one kind, by the name of the object."""
        return {
            each['Object']: each
            for each in self.found(*arguments)
            if each['Kind'] == kind
        }

    def force(self, host: str, name: str, **more: Any) -> str:
        """A server on a host, whatever any filter says."""
        server = self.boot(
            more.pop('flavor', self.plain),
            name=name,
            availability_zone=f'nova:{host}',
            **more,
        )
        return str(server['id'])

    def aggregate(self, name: str, *hosts: str, **metadata: str) -> None:
        made = self.admin_api.post_aggregate({'aggregate': {'name': name}})
        for host in hosts:
            self.admin_api.add_host_to_aggregate(made['id'], host)
        self.admin_api.post_aggregate_action(
            made['id'], {'set_metadata': {'metadata': metadata}}
        )

    def setUp(self) -> None:
        super().setUp()
        self.plain = self.flavor()


class FiftyTest(AuditTestCase):
    """Ten kinds of misplaced servers, five of each."""

    def setUp(self) -> None:
        super().setUp()
        self.start_hosts(
            ComputeHost('intel1'),
            ComputeHost('intel2'),
            ComputeHost.amd('amd1'),
            ComputeHost('flat'),
            ComputeHost('emulating'),
            ComputeHost.amd('secret'),
            ComputeHost('picky'),
            ComputeHost('virtual'),
            ComputeHost('swapped'),
        )
        for host in ('intel1', 'intel2', 'flat', 'emulating', 'swapped'):
            self.has(host, findings.INTEL)
        for host in ('amd1', 'secret'):
            self.has(host, findings.AMD)
        for host in ('picky', 'virtual'):
            self.has(host, findings.INTEL)
        self.seed()
        # The hosts change after the servers came.
        self.has('flat', findings.INTEL - NESTED)
        self.has('emulating', findings.EMULATED)
        self.has('secret', findings.AMD | {'sev'})
        self.has('picky', findings.INTEL - NESTED)
        self.has('virtual', findings.INTEL - {'bare_metal'})
        self.machines['swapped'].vendor = 'AMD'
        self.refresh_computes()
        self.aggregate('secrets', 'secret', **{'hvfilter:reserved': 'sev'})
        self.aggregate('pickies', 'picky', **{'hvfilter:required': 'nested'})

    def seed(self) -> None:
        kvm = self.image(img_hv_type='kvm')
        flavors = {
            spec: self.flavor(**{spec: demand})
            for spec, demand in (
                ('hvfilter:nested', 'required'),
                ('hvfilter:amdv', 'forbidden'),
                (NESTED_TRAIT, 'required'),
                ('hvfilter:vtx', 'required'),
                ('hvfilter:bare_metal', 'required'),
                ('hvfilter:nested_slat', 'required'),
                ('hvfilter:apicv', 'preferred'),
            )
        }
        image = self.image(**{NESTED_TRAIT: 'required'})
        kinds: tuple[tuple[str, str, dict[str, str]], ...] = (
            ('spec', 'flat', {'flavor': flavors['hvfilter:nested']}),
            ('forbids', 'amd1', {'flavor': flavors['hvfilter:amdv']}),
            ('trait', 'flat', {'flavor': flavors[NESTED_TRAIT]}),
            ('image', 'flat', {'image': image}),
            ('kvm-image', 'emulating', {'image': kvm}),
            ('policy', 'emulating', {}),
            ('reserved', 'secret', {}),
            ('aggregate', 'picky', {}),
            ('bare', 'virtual', {'flavor': flavors['hvfilter:bare_metal']}),
            ('changed', 'swapped', {'flavor': flavors['hvfilter:vtx']}),
        )
        self.kinds = {name: host for name, host, _ in kinds}
        for name, host, asked in kinds:
            self.force(host, name, **asked, min_count=EACH, max_count=EACH)
        # Those that are right where they are.
        for number, (host, asked) in enumerate(
            (
                ('intel1', {'flavor': flavors['hvfilter:nested']}),
                ('intel1', {'flavor': flavors['hvfilter:amdv']}),
                ('intel2', {'flavor': flavors['hvfilter:nested_slat']}),
                ('amd1', {'flavor': flavors['hvfilter:apicv']}),
                ('amd1', {'image': image}),
                ('flat', {}),
                ('virtual', {'image': kvm}),
                ('emulating', {'image': self.image(img_hv_type='qemu')}),
            )
        ):
            self.force(host, f'right-{number}', **asked)

    def test_fifty_are_found_and_none_after_the_plan(self) -> None:
        found = self.found()
        self.assertEqual({'server'}, {each['Kind'] for each in found}, found)
        self.assertEqual({'misplaced'}, {each['Problem'] for each in found})
        self.assertEqual(50, len(found), found)
        self.assertEqual(
            dict.fromkeys(self.kinds, EACH),
            dict(
                collections.Counter(
                    each['Object'].rpartition('-')[0] for each in found
                )
            ),
        )
        for each in found:
            kind = each['Object'].rpartition('-')[0]
            self.assertEqual(self.kinds[kind], each['Host'], each)
        ran = self.audit('--plan')
        self.assertEqual(1, ran.code)
        comment, *lines = ran.out.splitlines()
        self.assertIn('nothing was executed', comment)
        self.assertEqual(50, len(lines))
        self.assertEqual([], [each for each in ran.nova if 'POST' in each])
        self.execute(lines)
        self.assertEqual([], self.found(code=0))

    def execute(self, lines: list[str]) -> None:
        """As a shell would; most of them by the same request to Nova, since
        the command takes seconds to start."""
        self.useFixture(
            fixtures.MonkeyPatch('osc_lib.utils.time', _Time(POLL_S))
        )
        by_command = {'--live-migration' in line: line for line in lines}
        # Earlier ones ask for servers where only Placement is played here.
        client = metadata.version('python-openstackclient')
        modern = int(client.partition('.')[0]) >= 7
        for line in lines:
            if modern and line in by_command.values():
                self.run_line(line)
            else:
                self.send(line)

    def run_line(self, line: str) -> None:
        for command in line.partition('  # ')[0].split(' && '):
            program, *arguments = shlex.split(command)
            self.assertEqual('openstack', program)
            ran = self.openstack(*arguments)
            self.assertEqual(0, ran.code, f'{line}: {ran.err}')

    def send(self, line: str) -> None:
        words = shlex.split(line, comments=True)
        host = words[words.index('--host') + 1]
        server = {'id': words[words.index('--wait') + 1]}
        if '--live-migration' in words:
            self.live_migrate(server, host)
        else:
            self.cold_migrate(server, host)
            self.wait(server, 'VERIFY_RESIZE')
            self.confirm(server)


class OthersTest(AuditTestCase):
    """Everything but misplaced servers."""

    def setUp(self) -> None:
        super().setUp()
        self.start_hosts(
            ComputeHost('intel'),
            ComputeHost('flat'),
            ComputeHost('old'),
            ComputeHost('silent'),
        )
        self.has('intel', findings.INTEL)
        self.has('flat', findings.INTEL - NESTED)

    def test_hosts_without_a_valid_report(self) -> None:
        flavor = self.flavor(**{'hvfilter:nested': 'required'})
        self.force('old', 'waiting', flavor=flavor)
        self.has('old', findings.INTEL, weeks_ago=3)
        found = self.of('provider')
        self.assertEqual(
            {'old': 'stale', 'silent': 'unreported'},
            {name: each['Problem'] for name, each in found.items()},
        )
        self.assertIn('hvfilter publish', found['old']['Remedy'])
        # Nothing is known against the host: to move it would be in vain.
        server = self.of('server')['waiting']
        self.assertEqual('unverified', server['Problem'])
        self.assertEqual(1, len(self.audit('--plan').out.splitlines()))
        found = self.of('provider', '--max-age-weeks', '9')
        self.assertEqual(['silent'], list(found))

    def test_providers_of_no_compute_node(self) -> None:
        for name in ('gone', 'intel.example.org'):
            made = self.placement.post(
                '/resource_providers', {'name': name}, version='1.20'
            )
            self.add_traits(name, BY_KEY['kvm'].trait)
            self.assertEqual(200, made.status)
        found = self.of('provider')
        self.assertEqual('orphaned', found['gone']['Problem'])
        two = found['intel.example.org']
        self.assertEqual('two names', two['Problem'])
        self.assertEqual('intel', two['Host'])

    def test_traits_that_nobody_owns(self) -> None:
        old = f'{TRAIT_PREFIX}REPORTED_{base.week(30)}'
        for name in (f'{TRAIT_PREFIX}FROBNICATION', old):
            self.placement.put(f'/traits/{name}', {}, version='1.6')
        self.add_traits('intel', f'{TRAIT_PREFIX}CARRIED')
        found = self.of('trait')
        self.assertEqual(
            {f'{TRAIT_PREFIX}FROBNICATION', f'{TRAIT_PREFIX}CARRIED', old},
            set(found),
        )
        self.assertIn('hvfilter prepare', found[old]['Remedy'])

    def test_flavors_that_nobody_could_serve(self) -> None:
        unknown = f'trait:{TRAIT_PREFIX}FROBNICATION'
        flavors = {
            self.flavor(**specs): problem
            for problem, specs in (
                (
                    'contradiction',
                    {'hvfilter:nested': 'required', NESTED_TRAIT: 'forbidden'},
                ),
                ('no host', {'hvfilter:sev': 'required'}),
                ('unknown name', {}),
            )
        }
        self.specs_unchecked([*flavors][-1], **{unknown: 'required'})
        rows = [each for each in self.found() if each['Kind'] == 'flavor']
        self.assertEqual(
            flavors, {each['ID']: each['Problem'] for each in rows}
        )

    def test_images_and_aggregates_that_name_what_is_not_known(self) -> None:
        unknown = f'trait:{TRAIT_PREFIX}FROBNICATION'
        images = {
            self.image(**{unknown: 'required'}): 'unknown name',
            self.image(**{NESTED_TRAIT: 'forbidden'}): 'no effect',
            self.image(**{'hvfilter:nested': 'required'}): 'no effect',
        }
        self.image(**{NESTED_TRAIT: 'required'})
        self.aggregate('typo', 'flat', **{'hvfilter:requires': 'nested'})
        self.aggregate('value', 'flat', **{'hvfilter:mode': 'lenient'})
        self.aggregate('isolating', 'flat', **{unknown: 'required'})
        self.aggregate('void', 'flat', **{NESTED_TRAIT: 'forbidden'})
        self.aggregate('right', 'intel', **{'hvfilter:required': 'nested'})
        rows = self.found()
        self.assertEqual(
            images,
            {
                each['ID']: each['Problem']
                for each in rows
                if each['Kind'] == 'image'
            },
        )
        self.assertEqual(
            {
                'typo': 'no effect',
                'value': 'no effect',
                'isolating': 'unknown name',
                'void': 'no effect',
            },
            {
                each['Object']: each['Problem']
                for each in rows
                if each['Kind'] == 'aggregate'
            },
        )

    def test_what_if_with_the_policy_of_tomorrow(self) -> None:
        self.force('flat', 'web')
        self.force('intel', 'nested')
        self.assertEqual({}, self.of('server'))
        nested = self.policy_file('required = kvm,nested')
        found = self.of('server', '--policy', nested)
        self.assertEqual(
            {'web': 'misplaced'},
            {name: each['Problem'] for name, each in found.items()},
        )
        secret = self.policy_file('required = sev')
        rows = self.found('--policy', secret)
        problems = collections.Counter(
            (each['Kind'], each['Problem']) for each in rows
        )
        self.assertEqual(2, problems['server', 'no host'])
        flavors = len(self.admin_api.get_flavors())
        self.assertEqual(flavors, problems['flavor', 'no host'])
        line = self.audit('--policy', self.policy_file('mode = lenient'))
        self.assertEqual(1, len(line.err.splitlines()), line.err)
        self.assertIn('mode', line.err)


class PlanTest(AuditTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.start_hosts(
            ComputeHost('full', memory_mb=4096),
            ComputeHost('small', memory_mb=2048),
            ComputeHost('flat'),
        )
        for host in ('full', 'small', 'flat'):
            self.has(host, findings.INTEL)
        self.nested = self.flavor(1024, **{'hvfilter:nested': 'required'})

    def plan(self) -> list[dict[str, str]]:
        ran = self.audit('--plan', '-f', 'json')
        return sorted(ran.json, key=lambda each: each['Name'])

    def spoil(self) -> None:
        self.has('flat', findings.INTEL - NESTED)

    def test_no_host_gets_more_than_it_has_room_for(self) -> None:
        for number in range(8):
            self.force('flat', f'guest-{number}', flavor=self.nested)
        self.spoil()
        targets = collections.Counter(each['To'] for each in self.plan())
        # 512 MiB of each host are Nova's own.
        self.assertEqual({'full': 3, 'small': 1, '': 4}, dict(targets))
        text = self.audit('--plan').out
        self.assertEqual(4, text.count('no host that takes it has room'))

    def test_disabled_hosts_and_other_zones_get_none(self) -> None:
        zone = {'aggregate': {'name': 'z', 'availability_zone': 'z'}}
        made = self.admin_api.post_aggregate(zone)
        self.admin_api.add_host_to_aggregate(made['id'], 'small')
        service = self.admin_api.get_services(
            binary='nova-compute', host='full'
        )
        self.admin_api.put_service(service[0]['id'], {'status': 'disabled'})
        self.force('flat', 'guest', flavor=self.nested)
        self.spoil()
        (move,) = self.plan()
        self.assertEqual('', move['To'])

    def test_servers_that_are_off_move_cold_and_others_not(self) -> None:
        stopped = self.force('flat', 'a-stopped', flavor=self.nested)
        self.act({'id': stopped}, **{'os-stop': None})
        paused = self.force('flat', 'b-paused', flavor=self.nested)
        self.act({'id': paused}, pause=None)
        rescued = self.force('flat', 'c-suspended', flavor=self.nested)
        self.act({'id': rescued}, suspend=None)
        self.spoil()
        moves = self.plan()
        self.assertEqual(['cold', 'live', ''], [each['How'] for each in moves])
        self.assertIn('SUSPENDED cannot move', moves[2]['Note'])
        self.assertIn('migration confirm', moves[0]['Command'])


class RightsTest(AuditTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.start_hosts(ComputeHost('intel'))
        self.has('intel', findings.INTEL)
        self.force('intel', 'web')

    def test_clean_is_said_by_the_exit_code(self) -> None:
        self.assertEqual([], self.found(code=0))

    def test_what_could_not_be_read_is_named_and_not_clean(self) -> None:
        ran = self.audit('-f', 'json', user='member')
        self.assertEqual(1, ran.code)
        for lost in ('hosts, resource providers', 'trait names'):
            self.assertIn(f'Not shown: {lost}', ran.err)
        self.reads_placement = True
        ran = self.audit('-f', 'json', user='reader')
        self.assertEqual(1, ran.code)
        self.assertIn('Not shown: servers', ran.err)
        self.assertEqual([], ran.json)

    def test_images_are_named_where_glance_does_not_answer(self) -> None:
        self.endpoints['image'] = 'http://127.0.0.1:1/'
        ran = self.audit('-f', 'json')
        self.assertEqual(1, ran.code)
        self.assertIn('Not shown: images. No answer from Glance', ran.err)
        self.assertIn('without the traits of their image', ran.err)

    def test_one_line_when_nova_does_not_answer(self) -> None:
        self.endpoints['compute'] = 'http://127.0.0.1:1/'
        line = self.fails('audit')
        self.assertEqual(1, len(line.splitlines()), line)
        self.assertIn('No answer from Nova', line)


class _Time:
    """Of the waiting command only: Nova's services sleep as they do."""

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s

    def sleep(self, seconds: float) -> None:
        """Not for so long."""
        time.sleep(min(seconds, self._longest_s))
