# SPDX-License-Identifier: Apache-2.0

import dataclasses

import testtools

from hvfilter.conf.policy_file import SchedulerPolicy
from hvfilter.model.catalogue import BY_KEY, REPORTED_TRAIT
from hvfilter.model.nested_registers import Registers
from hvfilter.model.policy import Policy
from hvfilter.osc.audit import plan, providers, requests
from hvfilter.osc.audit.free_resources import FreeResources
from hvfilter.osc.audit.hosts import Hosts
from hvfilter.osc.audit.requests import Names
from hvfilter.osc.audit.servers import ServerAudit
from hvfilter.osc.compute import Flavor, Hypervisor
from hvfilter.osc.fleet import Fleet, Host
from hvfilter.osc.policies import Policies
from hvfilter.osc.servers import Server
from hvfilter.placement.capacity import Free
from hvfilter.placement.census import Census
from hvfilter.placement.client import Provider
from hvfilter.rules import capability_state

NESTED = {'hvfilter:nested': 'required'}
KVM = SchedulerPolicy()


def traits(*keys):
    return frozenset([REPORTED_TRAIT, *(BY_KEY[key].trait for key in keys)])


def host(name, *keys, vendor='Intel', up=True, **more):
    names = traits(*keys)
    info = f'{{"arch": "x86_64", "vendor": "{vendor}"}}'
    return Host(
        f'uuid-{name}',
        name,
        capability_state.advertised(names),
        names,
        Hypervisor(f'uuid-{name}', name, name, 'QEMU', up, True, info),
        'nova',
        **more,
    )


def hosts(*listed, policy=KVM):
    return Hosts(listed, Policies(policy, lambda text: None))


def server(where='flat', specs=NESTED, **more):
    flavor = Flavor('', 'f', 1, 1024, 10, specs=specs)
    found = Server(
        more.pop('uuid', 'u'),
        'web',
        'ACTIVE',
        where,
        where,
        'nova',
        '',
        flavor,
        'image',
    )
    return dataclasses.replace(found, **more)


def free(memory_mb=4096, traits=frozenset(), **more):
    amounts = {'VCPU': (8,), 'MEMORY_MB': (memory_mb,), 'DISK_GB': (100,)}
    return Free({**amounts, **more}, frozenset(traits))


class TestServers(testtools.TestCase):
    def audit(self, *servers, images=None):
        found = ServerAudit(
            hosts(
                host('flat', 'kvm', 'vtx'),
                host('intel', 'kvm', 'vtx', 'nested'),
            ),
            {'image': {}} if images is None else images,
        )
        return found, list(found.rows(servers))

    def test_row_when_the_host_lacks_what_is_required(self):
        audit, (row,) = self.audit(server(), server('intel'))
        self.assertEqual(('server', 'misplaced'), row[:2])
        self.assertIn('flat lacks nested', row.finding)
        self.assertEqual(1, len(audit.misplaced))
        self.assertEqual([], audit.notes)

    def test_unverified_when_nothing_is_known_against_the_host(self):
        silent = dataclasses.replace(host('flat'), names=frozenset())
        audit = ServerAudit(
            hosts(silent, host('intel', 'kvm', 'vtx', 'nested')),
            {'image': {}},
        )
        (row,) = audit.rows([server()])
        self.assertEqual('unverified', row.problem)
        self.assertEqual([], audit.misplaced)

    def test_nothing_is_said_of_what_could_not_be_judged(self):
        hidden = Flavor('', 'f', 1, 1, 1, specs_shown=False)
        audit, rows = self.audit(
            server(flavor=None),
            server(flavor=hidden),
            server('elsewhere'),
        )
        self.assertEqual([], rows)
        self.assertEqual(3, audit.skipped)
        self.assertEqual(3, len(audit.notes))
        for words in ('their cell', 'extra specs', 'no hypervisor'):
            self.assertIn(words, ' '.join(audit.notes))

    def test_no_host_when_none_could_take_it(self):
        sev = {'hvfilter:sev': 'required'}
        _, rows = self.audit(
            server(specs=sev),
            server('', sev, status='SHELVED_OFFLOADED'),
            server('', NESTED, status='SHELVED_OFFLOADED'),
            server('', sev, status='BUILD'),
        )
        self.assertEqual(['no host'] * 2, [row.problem for row in rows])
        self.assertEqual(['flat', ''], [row.host for row in rows])

    def test_traits_are_those_of_the_image_of_today(self):
        images = {'image': {'trait:CUSTOM_HVFILTER_NESTED': 'required'}}
        kept = {'img_hv_type': 'qemu', 'os_distro': 'debian'}
        for properties in (None, kept):
            _, rows = self.audit(
                server(specs={}, properties=properties), images=images
            )
            self.assertEqual(1, len(rows), properties)

    def test_note_when_an_image_could_not_be_read(self):
        for images, more, words in (
            ({}, {}, 'Glance no longer has'),
            (None, {'image': ''}, 'boot from a volume'),
        ):
            audit, rows = self.audit(server('intel', **more), images=images)
            self.assertEqual([], rows)
            self.assertIn(words, audit.notes[0])
            self.assertEqual(0, audit.skipped)

    def test_host_is_found_by_the_name_of_its_service(self):
        _, rows = self.audit(server(node=''))
        self.assertEqual(1, len(rows))


class TestFlavors(testtools.TestCase):
    def problems(self, specs, *there, policy=KVM):
        flavor = Flavor('1', 'small', 1, 1, 1, specs=specs)
        names = Names(frozenset(), frozenset())
        rows = requests.flavors([flavor], hosts(*there, policy=policy), names)
        return [row.problem for row in rows]

    def test_no_host_when_the_policy_leaves_only_emulation(self):
        """The flavor is for KVM guests, for which there is no host."""
        policy = SchedulerPolicy(policy=Policy(required=('sev',)))
        there = (host('intel', 'kvm', 'vtx'), host('tcg', 'tcg'))
        problems = self.problems({}, *there, policy=policy)
        self.assertEqual(['no host'], problems)

    def test_no_host_when_none_accepts_it_with_any_image(self):
        kvm, emulates = host('intel', 'kvm', 'vtx'), host('tcg', 'tcg')
        for key, there, problems in (
            ('nested', (kvm, emulates), ['no host']),
            ('vtx', (kvm, emulates), []),
            # Only with img_hv_type=qemu: the policy requires KVM.
            ('tcg', (kvm, emulates), []),
            ('tcg', (kvm,), ['no host']),
        ):
            found = self.problems({f'hvfilter:{key}': 'required'}, *there)
            self.assertEqual(problems, found, (key, there))


class TestPlan(testtools.TestCase):
    def moves(self, *servers, listed, room=None):
        found = hosts(host('flat', 'kvm', 'vtx'), *listed)
        audit = ServerAudit(found, {'image': {}})
        list(audit.rows(servers))
        room = FreeResources(room or {each.uuid: free() for each in listed})
        return list(plan.Planner(found, room).moves(audit.misplaced))

    def test_live_to_a_host_with_the_same_make_of_processor(self):
        intel = host('intel', 'kvm', 'vtx', 'nested')
        amd = host('amd', 'kvm', 'amdv', 'nested', vendor='AMD')
        (move,) = self.moves(server(), listed=(amd, intel))
        self.assertEqual('intel', move.target.name)
        self.assertIn('--live-migration --host intel', move.command)
        (move,) = self.moves(server(), listed=(amd,))
        self.assertEqual('amd', move.target.name)
        self.assertIn('another make', move.line)

    def test_cold_when_memory_is_encrypted(self):
        listed = (
            host('bare', 'kvm', 'amdv', vendor='AMD'),
            host('amd', 'kvm', 'amdv', 'sev', vendor='AMD'),
        )
        sev = {'hw:mem_encryption': 'true'}
        (move,) = self.moves(server('bare', sev), listed=listed)
        self.assertFalse(move.live)
        self.assertIn('encrypted', move.note)

    def test_a_nested_guest_moves_live_to_what_offers_all_it_has(self):
        def offering(name, *keys, **features):
            registers = Registers.vmx({0x480: 1, **features['msrs']})
            found = host(name, 'kvm', 'vtx', *keys)
            names = found.names | {registers.trait}
            return dataclasses.replace(found, names=names)

        more = {0x48C: 0xFFF}
        source = offering('source', msrs={0x48C: 0xFF})
        holds = offering('holds', 'nested', msrs=more)
        lacks = offering('lacks', 'nested', msrs={0x48C: 0xF})
        unknown = host('unknown', 'kvm', 'vtx', 'nested')
        for listed, expected, live in (
            ((lacks, unknown, holds), 'holds', True),
            ((lacks, unknown), 'unknown', True),
            ((lacks,), 'lacks', False),
        ):
            (move,) = self.moves(server('source'), listed=(source, *listed))
            self.assertEqual(expected, move.target.name)
            self.assertEqual(live, move.live)
            self.assertEqual(not live, 'nested guests' in move.line)

    def test_emptiest_host_first_and_none_too_full(self):
        listed = [host(f'h{n}', 'kvm', 'vtx', 'nested') for n in range(3)]
        room = {
            each.uuid: free(memory)
            for each, memory in zip(listed, (1024, 2048, 512), strict=True)
        }
        servers = [server(uuid=f'u{n}') for n in range(5)]
        moves = self.moves(*servers, listed=listed, room=room)
        self.assertEqual(
            ['h1', 'h1', 'h0', '', ''],
            [move.target.name if move.target else '' for move in moves],
        )

    def test_hosts_that_are_down_or_in_another_zone_get_none(self):
        for listed, more in (
            (host('down', 'kvm', 'vtx', 'nested', up=False), {}),
            (host('up', 'kvm', 'vtx', 'nested'), {'pinned': 'east'}),
            (
                host('up', 'kvm', 'vtx', 'nested'),
                {'pinned': None, 'zone': 'east'},
            ),
        ):
            (move,) = self.moves(server(**more), listed=(listed,))
            self.assertIsNone(move.target)
            self.assertTrue(move.line.startswith('# u (web) on flat: no host'))

    def test_traits_that_are_not_of_hvfilter_count(self):
        intel = host('intel', 'kvm', 'vtx', 'nested')
        avx2 = ('HW_CPU_X86_AVX2',)
        for demand, traits, expected in (
            ('required', (), None),
            ('required', avx2, intel),
            ('forbidden', avx2, None),
            ('forbidden', (), intel),
        ):
            specs = {**NESTED, 'trait:HW_CPU_X86_AVX2': demand}
            (move,) = self.moves(
                server(specs=specs),
                listed=(intel,),
                room={intel.uuid: free(traits=traits)},
            )
            self.assertEqual(expected, move.target)

    def test_disk_counts_only_where_the_host_has_it(self):
        intel = host('intel', 'kvm', 'vtx', 'nested')
        shared = Free({'VCPU': (8,), 'MEMORY_MB': (4096,)}, frozenset())
        for more, tree, fits in (
            ({}, free(DISK_GB=(5,)), False),
            ({'image': ''}, free(DISK_GB=(5,)), True),
            ({}, shared, True),
            ({}, free(VCPU=(0, 1)), True),
        ):
            (move,) = self.moves(
                server(**more), listed=(intel,), room={intel.uuid: tree}
            )
            self.assertEqual(fits, move.target is not None, (more, tree))


class TestProviders(testtools.TestCase):
    def fleet(self, *listed, **named):
        census = Census(
            {
                **{
                    each.uuid: Provider(each.uuid, each.name)
                    for each in listed
                },
                **{uuid: Provider(uuid, name) for uuid, name in named.items()},
            },
            {each.uuid: each.names for each in listed},
            frozenset(),
        )
        return Fleet(tuple(listed), census)

    def test_two_names_when_nova_and_placement_disagree(self):
        one = host('kvm1')
        renamed = self.fleet(dataclasses.replace(one, name='kvm2'))
        renamed.census.providers[one.uuid] = Provider(one.uuid, 'kvm1')
        (row,) = providers.identities(renamed, frozenset())
        self.assertEqual(('two names', 'kvm1'), row[1:3])
        self.assertEqual('kvm2', row.host)

    def test_other_domains_are_other_hosts(self):
        fleet = self.fleet(host('kvm1.east'), lost='kvm1.west')
        (row,) = providers.identities(fleet, frozenset({'lost'}))
        self.assertEqual('orphaned', row.problem)

    def test_providers_that_others_made_are_left_alone(self):
        fleet = self.fleet(host('kvm1'), storage='nfs')
        self.assertEqual([], list(providers.identities(fleet, frozenset())))

    def test_missing_when_a_compute_node_has_no_provider(self):
        (row,) = providers.reports([host('kvm1', orphan=True)])
        self.assertEqual('missing', row.problem)
