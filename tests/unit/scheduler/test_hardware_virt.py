# SPDX-License-Identifier: Apache-2.0

import logging
import threading

import fixtures

from hvfilter.placement import errors
from hvfilter.placement.expired import Expired
from tests.unit.scheduler import base
from tests.unit.scheduler.base import aggregate, host, spec

NESTED = {'hvfilter:nested': 'required'}


class ReportedTest(base.SchedulerTestCase):
    def setUp(self):
        super().setUp()
        self.report('tcg')
        self.report('flat', 'kvm')
        self.report('full', 'kvm', 'nested', 'slat')
        self.hosts = [host('tcg'), host('flat'), host('full')]

    def test_plain_guest_needs_kvm(self):
        self.assertEqual(['flat', 'full'], self.passing(self.hosts, spec()))

    def test_nested_guest_needs_nested(self):
        self.assertEqual(['full'], self.passing(self.hosts, spec(NESTED)))

    def test_guest_that_forbids_stays_away(self):
        request = spec({'hvfilter:nested': 'forbidden'})
        self.assertEqual(['flat'], self.passing(self.hosts, request))

    def test_traits_mean_the_same(self):
        for request in (
            spec({'trait:CUSTOM_HVFILTER_NESTED': 'required'}),
            spec({}, {'trait:CUSTOM_HVFILTER_NESTED': 'required'}),
        ):
            self.assertEqual(['full'], self.passing(self.hosts, request))

    def test_guest_of_another_kind_is_left_alone(self):
        for image in (
            {'img_hv_type': 'vmware'},
            {'hw_emulation_architecture': 'aarch64'},
        ):
            request = spec({}, image)
            self.assertEqual(3, len(self.passing(self.hosts, request)), image)

    def test_guest_that_may_be_emulated_lands_where_nova_emulates(self):
        self.report('emulates', 'tcg')
        hosts = [*self.hosts, host('emulates')]
        for image in (
            {'img_hv_type': 'qemu'},
            {'hw_emulation_architecture': 'x86_64'},
        ):
            self.assertEqual(
                ['flat', 'full', 'emulates'],
                self.passing(hosts, spec({}, image)),
                image,
            )
        self.assertEqual(['flat', 'full'], self.passing(hosts, spec()))

    def test_host_that_reported_unknown_is_not_taken_for_lacking(self):
        self.report('doubts', 'kvm', 'nested_unknown')
        hosts = [host('doubts')]
        for demand in ('required', 'forbidden'):
            request = spec({'hvfilter:nested': demand})
            self.assertEqual([], self.passing(hosts, request))
        self.assertNotIn('lacks nested', self.log.output)
        self.assertEqual(
            2, self.log.output.count('reported nested as unknown')
        )
        self.flags(unreported='accept')
        self.assertEqual(['doubts'], self.passing(hosts, request))
        self.flags(unreported='infer', required=['nested'])
        self.assertEqual(['doubts'], self.passing(hosts, spec()))
        self.flags(unreported='reject')
        self.assertEqual([], self.passing(hosts, spec()))

    def test_guest_of_another_architecture_does_not_land(self):
        request = spec({}, {'hw_architecture': 'aarch64'})
        self.assertEqual([], self.passing(self.hosts, request))
        request = spec({}, {'hw_architecture': 'x86_64'})
        self.assertEqual(['flat', 'full'], self.passing(self.hosts, request))

    def test_one_line_tells_why_hosts_fell_out(self):
        self.passing(self.hosts, spec(NESTED))
        lines = self.log.output.splitlines()
        self.assertEqual(1, len(lines))
        self.assertEqual(
            f'INFO Server {base.uuid_of("server")}: 2 of 3 hosts rejected: '
            '1 lacks nested (host flat), 1 lacks nested and kvm (host tcg); '
            'requested: hvfilter:nested=required (flavor), [hvfilter] '
            'required = kvm (policy); hosts reported nested: 1, kvm: 2, all '
            'of this: 1; 0 of 1 not among the candidates',
            lines[0],
        )

    def test_nothing_is_said_when_all_pass(self):
        self.passing(self.hosts[1:], spec())
        self.assertEqual('', self.log.output)

    def test_debug_tells_of_each_host(self):
        log = self.useFixture(
            fixtures.FakeLogger('hvfilter', level=logging.DEBUG)
        )
        self.passing(self.hosts, spec(NESTED))
        self.assertIn('host tcg, node tcg: lacks nested', log.output)
        self.assertIn('(hvfilter:nested=required)', log.output)

    def test_a_typing_error_lands_nowhere_and_is_told(self):
        request = spec({'hvfilter:nestd': 'required'})
        self.assertEqual([], self.passing(self.hosts, request))
        self.assertIn(
            'request not understood: hvfilter:nestd=', self.log.output
        )

    def test_order_of_hosts_is_kept(self):
        self.report('x', 'kvm')
        self.hosts[1:1] = [host('x'), host('new')]
        request = spec()
        for _ in range(2):
            self.assertEqual(
                ['x', 'new', 'flat', 'full'], self.passing(self.hosts, request)
            )

    def test_request_without_image_flavor_specs_or_hints_is_judged(self):
        from nova import objects

        for request in (
            objects.RequestSpec(),
            objects.RequestSpec(flavor=objects.Flavor(), image=None),
            objects.RequestSpec(
                flavor=objects.Flavor(extra_specs={}),
                image=objects.ImageMeta(),
            ),
        ):
            found = self.filter.filter_all(self.hosts, request)
            self.assertEqual(self.hosts[1:], found)

    def test_a_single_host_can_be_asked_for(self):
        self.assertFalse(self.filter.host_passes(self.hosts[0], spec()))
        self.assertTrue(self.filter.host_passes(self.hosts[1], spec()))

    def test_nobody_is_asked_when_nothing_is_asked_for(self):
        self.flags(required=[])
        self.assertEqual(3, len(self.passing(self.hosts, spec())))
        self.assertEqual([], self.fleet.asked)

    def test_reserved_host_is_kept(self):
        self.flags(reserved=['nested'])
        self.assertEqual(['flat'], self.passing(self.hosts, spec()))
        self.assertEqual(['full'], self.passing(self.hosts, spec(NESTED)))
        request = spec({'hvfilter:nested': 'preferred'})
        self.assertEqual(['flat', 'full'], self.passing(self.hosts, request))

    def test_counters_tell_what_happened(self):
        self.passing(self.hosts, spec(NESTED))
        self.passing(self.hosts, spec())
        counts = self.counts
        self.assertEqual(2, counts['requests'])
        self.assertEqual(3, counts['hosts_passed'])
        self.assertEqual(3, counts['hosts_rejected'])
        self.assertEqual(2, counts['rejected.lacks.nested'])
        self.assertEqual(2, counts['rejected.lacks.kvm'])
        self.assertEqual(1, counts['cache_refreshes'])
        self.assertEqual(1, counts['cache_hits'])


class RebuildTest(base.SchedulerTestCase):
    """The guest stays where it is; only its image changes."""

    def setUp(self):
        super().setUp()
        self.report('flat', 'kvm', 'nested', 'slat')
        self.report('tcg', 'tcg', 'slat')
        self.hosts = [host('flat')]

    def test_flavor_is_not_judged_again(self):
        request = spec({'hvfilter:tdx': 'required'}, {}, rebuild=True)
        self.assertEqual(['flat'], self.passing(self.hosts, request))

    def test_policy_is_judged_as_the_new_image_has_it(self):
        for image, specs, passing in (
            ({}, {}, []),
            ({'img_hv_type': 'kvm'}, {}, []),
            ({'img_hv_type': 'qemu'}, {}, ['tcg']),
            ({'hw_emulation_architecture': 'aarch64'}, {}, ['tcg']),
            ({'img_hv_type': 'vmware'}, {}, ['tcg']),
            # The flavor's word goes instead of the policy's.
            ({}, {'hvfilter:kvm': 'forbidden'}, ['tcg']),
        ):
            request = spec(specs, image, rebuild=True)
            self.assertEqual(
                passing, self.passing([host('tcg')], request), image
            )

    def test_what_is_reserved_does_not_matter(self):
        self.flags(reserved=['nested'])
        request = spec({}, {}, rebuild=True)
        self.assertEqual(['flat'], self.passing(self.hosts, request))

    def test_what_the_image_asks_is_judged(self):
        for image, passing in (
            ({'trait:CUSTOM_HVFILTER_SLAT': 'required'}, ['flat']),
            ({'trait:CUSTOM_HVFILTER_TDX': 'required'}, []),
            ({'img_hv_type': 'kvm'}, ['flat']),
            ({'img_hv_type': 'qemu'}, ['flat']),
        ):
            request = spec({}, image, rebuild=True)
            self.assertEqual(passing, self.passing(self.hosts, request), image)


class UnreportedTest(base.SchedulerTestCase):
    """The first day: no agent has run anywhere."""

    def setUp(self):
        super().setUp()
        self.hosts = [host('a'), host('b')]

    def test_plain_guests_land_on_the_first_day(self):
        for image in (None, {}, {'img_hv_type': 'kvm'}):
            request = spec({}, image)
            self.assertEqual(['a', 'b'], self.passing(self.hosts, request))
        self.assertEqual('', self.log.output)

    def test_plain_guests_land_when_placement_knows_no_trait_of_ours(self):
        self.fleet.traits.clear()
        self.assertEqual(['a', 'b'], self.passing(self.hosts, spec()))

    def test_nested_guest_does_not_land(self):
        self.assertEqual([], self.passing(self.hosts, spec(NESTED)))
        self.assertIn('2 unreported (hosts a, b)', self.log.output)

    def test_plain_guest_does_not_land_where_libvirt_has_no_kvm(self):
        hosts = [host('a'), host('tcg', guests=base.TCG_GUESTS)]
        self.assertEqual(['a'], self.passing(hosts, spec()))
        self.assertIn('1 lacks kvm (host tcg)', self.log.output)

    def test_host_of_another_hypervisor_is_left_alone(self):
        hosts = [
            host('ironic', hypervisor='ironic', guests=[], cpu_info=''),
            host('vc', hypervisor='VMware vCenter Server', cpu_info=None),
            host('lxc', hypervisor='LXC', guests=[['x86_64', 'lxc', 'exe']]),
        ]
        for unreported in ('infer', 'reject', 'accept'):
            self.flags(unreported=unreported)
            self.assertEqual(3, len(self.passing(hosts, spec())))
            self.assertEqual([], self.passing(hosts, spec(NESTED)))

    def test_host_is_judged_when_it_has_no_uuid_or_garbage(self):
        hosts = [
            host('nobody', uuid=None),
            host('blank', uuid=None, hypervisor=None, guests=None),
            host('odd', cpu_info='{', guests='kvm'),
            host('odder', cpu_info=17, guests=[3, None], hypervisor=5),
        ]
        hosts[1].cpu_info = None
        for _ in range(2):
            self.assertEqual(4, len(self.passing(hosts, spec())))
            self.assertEqual([], self.passing(hosts, spec(NESTED)))
        self.assertNotIn('ERROR', self.log.output)
        self.assertNotIn('errors', self.counts)

    def test_all_land_when_accepted(self):
        self.flags(unreported='accept')
        hosts = [*self.hosts, host('tcg', guests=base.TCG_GUESTS)]
        for request in (spec(), spec(NESTED)):
            self.assertEqual(3, len(self.passing(hosts, request)))

    def test_none_lands_when_rejected(self):
        self.flags(unreported='reject')
        self.assertEqual([], self.passing(self.hosts, spec()))
        self.flags(required=[])
        self.assertEqual(['a', 'b'], self.passing(self.hosts, spec()))

    def test_host_counts_once_it_reports(self):
        self.assertEqual([], self.passing(self.hosts, spec(NESTED)))
        self.report('a', 'kvm', 'nested')
        self.clock.pass_s(30)
        self.assertEqual(['a'], self.passing(self.hosts, spec(NESTED)))

    def test_host_counts_no_longer_once_it_lost_it(self):
        self.report('a', 'kvm', 'nested')
        self.assertEqual(['a'], self.passing(self.hosts, spec(NESTED)))
        self.report('a', 'kvm')
        self.assertEqual(['a'], self.passing(self.hosts, spec(NESTED)))
        self.clock.pass_s(30)
        self.assertEqual([], self.passing(self.hosts, spec(NESTED)))


class StaleTest(base.SchedulerTestCase):
    """Whose last report is too old counts as who never reported."""

    def test_host_counts_no_longer_when_its_report_is_stale(self):
        hosts = [host('dead'), host('alive')]
        for name in ('dead', 'alive'):
            self.report(name, 'kvm', 'nested')
        nested = spec(NESTED)
        self.expired = Expired(frozenset({base.uuid_of('dead')}), '2026W40')
        self.assertEqual(['alive'], self.passing(hosts, nested))
        self.assertIn('report is stale (week 2026W40)', self.log.output)
        self.assertEqual(['dead', 'alive'], self.passing(hosts, spec()))
        self.clock.pass_s(30)
        self.expired = Expired()
        self.assertEqual(['dead', 'alive'], self.passing(hosts, nested))


class PermissiveTest(base.SchedulerTestCase):
    def test_all_pass_and_the_line_tells_who_would_not(self):
        self.flags(mode='permissive')
        self.report('a')
        self.report('b', 'kvm')
        hosts = [host('a'), host('b')]
        for _ in range(2):
            self.assertEqual(['a', 'b'], self.passing(hosts, spec()))
        self.assertEqual(2, self.log.output.count('1 lacks kvm (host a)'))
        self.assertIn('permissive', self.log.output)
        self.assertEqual(2, self.counts['hosts_passed_anyway'])
        self.assertEqual(2, self.counts['rejected.lacks.kvm'])
        self.assertEqual(0, self.counts['hosts_rejected'])


class UnreachableTest(base.SchedulerTestCase):
    def setUp(self):
        super().setUp()
        self.report('flat', 'kvm')
        self.report('full', 'kvm', 'nested')
        self.hosts = [host('flat'), host('full'), host('new')]

    def test_last_answers_count_up_to_the_hard_age(self):
        self.passing(self.hosts, spec(NESTED))
        self.fleet.fall()
        self.clock.pass_s(599)
        self.assertEqual(['full'], self.passing(self.hosts, spec(NESTED)))
        self.clock.pass_s(2)
        self.assertEqual([], self.passing(self.hosts, spec(NESTED)))
        self.assertEqual(3, len(self.passing(self.hosts, spec())))
        self.assertIn('Placement unreachable', self.log.output)

    def test_policy_decides_when_nothing_is_known(self):
        self.fleet.fall()
        for policy, plain, nested in (
            ('infer', 3, 0),
            ('accept', 3, 3),
            ('reject', 0, 0),
        ):
            self.flags(placement_unreachable=policy)
            found = self.passing(self.hosts, spec())
            self.assertEqual(plain, len(found), policy)
            found = self.passing(self.hosts, spec(NESTED))
            self.assertEqual(nested, len(found), policy)

    def test_log_tells_why_and_how_to_mend_it(self):
        self.fleet.fall(errors.Forbidden('Placement refuses', 'Give a role.'))
        self.passing(self.hosts, spec())
        self.assertIn('Placement refuses. Give a role.', self.log.output)
        self.assertEqual(1, self.counts['placement_failures'])

    def test_placement_is_used_again_when_it_answers(self):
        self.fleet.fall()
        self.passing(self.hosts, spec(NESTED))
        self.fleet.rise()
        self.clock.pass_s(5)
        self.assertEqual(['full'], self.passing(self.hosts, spec(NESTED)))


class FaultTest(base.SchedulerTestCase):
    """Nothing that breaks on our side breaks the scheduler."""

    def setUp(self):
        super().setUp()
        self.hosts = [host('a')]
        self.fleet.before = self.explode

    def explode(self, trait):
        raise RuntimeError('a fault of ours')

    def test_policy_decides_when_something_is_broken(self):
        self.assertEqual(['a'], self.passing(self.hosts, spec()))
        self.assertEqual([], self.passing(self.hosts, spec(NESTED)))
        self.flags(placement_unreachable='reject')
        self.assertEqual([], self.passing(self.hosts, spec()))
        self.flags(placement_unreachable='accept')
        self.assertEqual(['a'], self.passing(self.hosts, spec(NESTED)))
        self.flags(placement_unreachable='reject', mode='permissive')
        self.assertEqual(['a'], self.passing(self.hosts, spec(NESTED)))
        self.assertEqual(5, self.counts['errors'])
        self.assertIn('a fault of ours', self.log.output)
        self.assertIn('because [hvfilter] mode = permissive', self.log.output)
        self.flags(mode='enforcing')
        for metadata, words in (
            ({'mode': 'permissive'}, 'mode = permissive'),
            (
                {'placement_unreachable': 'accept'},
                'placement_unreachable = accept',
            ),
        ):
            hosts = [host('a', aggregates=[aggregate(**metadata)])]
            self.assertEqual(['a'], self.passing(hosts, spec(NESTED)))
            self.assertIn(
                f'because aggregate metadata hvfilter:{words}', self.log.output
            )

    def test_none_passes_when_not_even_the_request_can_be_read(self):
        self.assertEqual([], self.filter.filter_all(self.hosts, object()))


class AggregateTest(base.SchedulerTestCase):
    def setUp(self):
        super().setUp()
        self.report('tcg')
        self.report('flat', 'kvm')
        self.report('full', 'kvm', 'nested')

    def hosts(self, *aggregates):
        return [
            host(name, aggregates=list(aggregates))
            for name in ('tcg', 'flat', 'full', 'new')
        ]

    def test_aggregate_without_our_metadata_changes_nothing(self):
        plain = aggregate()
        plain.metadata['availability_zone'] = 'nova'
        self.assertEqual(
            ['flat', 'full', 'new'], self.passing(self.hosts(plain), spec())
        )

    def test_aggregate_replaces_what_is_required(self):
        hosts = self.hosts(aggregate(required='kvm, nested'))
        self.assertEqual(['full', 'new'], self.passing(hosts, spec()))
        hosts = self.hosts(aggregate(required=''))
        self.clock.pass_s(30)
        self.assertEqual(4, len(self.passing(hosts, spec())))

    def test_reason_names_the_aggregate_that_decided(self):
        self.flags(reserved=['slat'])
        for metadata, words in (
            (
                {'required': 'kvm, nested'},
                'aggregate metadata hvfilter:required = nested',
            ),
            (
                {'required': '', 'reserved': 'kvm'},
                'aggregate metadata hvfilter:reserved = kvm',
            ),
        ):
            strict = aggregate('strict', **metadata)
            hosts = [host('flat', aggregates=[strict])]
            self.assertEqual([], self.passing(hosts, spec()))
            line = self.log.output.splitlines()[-1]
            self.assertTrue(
                line.endswith(f'; by {words} (aggregate strict)'), line
            )

    def test_reason_names_some_of_many_aggregates(self):
        many = [
            aggregate(name, required='nested') for name in ('d', 'c', 'b', 'a')
        ]
        hosts = [host('flat', aggregates=many)]
        self.assertEqual([], self.passing(hosts, spec()))
        self.assertIn(
            'by aggregate metadata hvfilter:required = nested (aggregates a, '
            'b, c, ...)',
            self.log.output,
        )

    def test_aggregate_is_not_named_when_the_configuration_decided(self):
        self.flags(required=['nested'])
        lax = aggregate('lax', unreported='accept')
        hosts = [host('flat', aggregates=[lax]), host('flat')]
        self.assertEqual([], self.passing(hosts, spec()))
        self.assertNotIn('aggregate', self.log.output)

    def test_aggregate_replaces_the_other_words(self):
        for metadata, passing in (
            ({'reserved': 'nested'}, ['flat', 'new']),
            ({'unreported': 'reject'}, ['flat', 'full']),
            ({'mode': 'permissive'}, ['tcg', 'flat', 'full', 'new']),
        ):
            self.clock.pass_s(30)
            hosts = self.hosts(aggregate(**metadata))
            self.assertEqual(passing, self.passing(hosts, spec()), metadata)

    def test_each_host_has_its_own_aggregates_word(self):
        strict = aggregate('strict', required='nested')
        lax = aggregate('lax', required='', unreported='accept')
        hosts = [
            host('flat', aggregates=[strict]),
            host('full', aggregates=[strict]),
            host('tcg', aggregates=[lax]),
            host('new'),
        ]
        for _ in range(2):
            self.assertEqual(
                ['full', 'tcg', 'new'], self.passing(hosts, spec())
            )

    def test_more_careful_word_holds_when_aggregates_disagree(self):
        hosts = self.hosts(
            aggregate('a', mode='permissive', required='nested'),
            aggregate('b', mode='enforcing', required='kvm'),
        )
        self.assertEqual(['full', 'new'], self.passing(hosts, spec()))

    def test_senseless_metadata_is_ignored_with_one_warning(self):
        hosts = self.hosts(
            aggregate(required='kvm,nestd', mode='lax', colour='red')
        )
        for _ in range(3):
            self.clock.pass_s(30)
            self.assertEqual(3, len(self.passing(hosts, spec())))
        for word in ('nestd', 'lax', 'colour'):
            lines = [
                line
                for line in self.log.output.splitlines()
                if line.startswith('WARNING') and word in line
            ]
            self.assertEqual(1, len(lines), word)

    def test_hard_age_counts_where_only_an_aggregate_asks(self):
        self.flags(required=[])
        hosts = self.hosts(aggregate(required='nested'))
        self.assertEqual(['full', 'new'], self.passing(hosts, spec()))
        self.fleet.fall()
        self.clock.pass_s(590)
        self.assertEqual(['full', 'new'], self.passing(hosts, spec()))
        self.clock.pass_s(11)
        self.assertEqual(4, len(self.passing(hosts, spec())))

    def test_change_of_metadata_counts_after_the_soft_age(self):
        self.assertEqual(3, len(self.passing(self.hosts(), spec())))
        hosts = self.hosts(aggregate(required='nested'))
        self.clock.pass_s(30)
        self.assertEqual(['full', 'new'], self.passing(hosts, spec()))


class ManyThreadsTest(base.SchedulerTestCase):
    def test_verdicts_are_right_when_many_ask_at_once(self):
        names = [f'h{number}' for number in range(200)]
        for number, name in enumerate(names):
            self.report(name, 'kvm', *(['nested'] if number % 3 else []))
        hosts = [host(name) for name in names]
        plain, nested = spec(), spec(NESTED)
        wanted = [name for n, name in enumerate(names) if n % 3]
        wrong = []

        def ask():
            for turn in range(20):
                self.clock.pass_s(turn)
                if [h.host for h in self.filter.filter_all(hosts, nested)] != (
                    wanted
                ):
                    wrong.append('nested')
                if len(self.filter.filter_all(hosts, plain)) != len(hosts):
                    wrong.append('plain')

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([], wrong)
        self.assertNotIn('errors', self.counts)
