# SPDX-License-Identifier: Apache-2.0
"""Servers that use nested virtualization, when they are moved."""

import fixtures
from nova.scheduler import weights

from hvfilter.model.nested_registers import Registers
from hvfilter.placement import errors
from hvfilter.scheduler.weighers import hardware_virt
from tests.unit.scheduler import base
from tests.unit.scheduler.base import aggregate, host, spec, uuid_of

NPT, GIF = 1, 1 << 16
SOURCE = Registers.svm(NPT | GIF)
MORE = Registers.svm(NPT | GIF | 8)
LESS = Registers.svm(NPT)
ASKS = {'hvfilter:nested': 'required'}
HOSTS = ('more', 'same', 'less', 'mute')


class MoveTestCase(base.SchedulerTestCase):
    def setUp(self):
        super().setUp()
        self.flags(scarce=[])
        self.asked_nova = []
        self.nova_down = None
        self.useFixture(
            fixtures.MonkeyPatch(
                'hvfilter.scheduler.nova_client.node_of', self.node_of
            )
        )
        for name in ('source', *HOSTS):
            self.report(name, 'kvm', 'nested')
        for name, registers in (
            ('source', SOURCE),
            ('same', SOURCE),
            ('more', MORE),
            ('less', LESS),
        ):
            self.offers(name, registers)
        self.weigher = hardware_virt.HardwareVirtWeigher()
        self.hosts = [host(name) for name in HOSTS]

    def node_of(self, name):
        self.asked_nova.append(name)
        if self.nova_down is not None:
            raise self.nova_down
        return uuid_of(name) if name != 'gone' else None

    def offers(self, name, registers):
        trait = registers.trait.removeprefix('CUSTOM_HVFILTER_')
        self.fleet[trait].add(uuid_of(name))

    def move(self, specs=ASKS, ignored=('source',), **more):
        request = spec(specs, **more)
        request.ignore_hosts = list(ignored)
        return request

    def weights(self, request, hosts=None):
        found = weights.HostWeightHandler().get_weighed_objects(
            [self.weigher], hosts or self.hosts, request
        )
        return {each.obj.host: each.weight for each in found}


class WeigherTest(MoveTestCase):
    PREFERRED = {'more': 1.0, 'same': 1.0, 'less': 0.0, 'mute': 0.5}

    def test_hosts_that_hold_the_set_come_first(self):
        self.assertEqual(self.PREFERRED, self.weights(self.move()))

    def test_hosts_tried_already_do_not_count(self):
        request = self.move(ignored=('source', 'less', 'more'))
        self.assertEqual(self.PREFERRED, self.weights(request))

    def test_require_weighs_too(self):
        self.flags(nested_set_on_move='require')
        self.assertEqual(self.PREFERRED, self.weights(self.move()))

    def test_multiplier_is_that_of_what_is_preferred(self):
        self.flags(preferred_weight_multiplier=4.0)
        hosts = [
            *self.hosts,
            host(
                'here',
                aggregates=[aggregate(preferred_weight_multiplier='2')],
            ),
        ]
        self.offers('here', MORE)
        self.assertEqual(
            {'more': 4.0, 'same': 4.0, 'less': 0.0, 'mute': 2.0, 'here': 2.0},
            self.weights(self.move(), hosts),
        )

    def test_set_counts_beside_what_is_preferred(self):
        self.report('less', 'kvm', 'nested', 'slat')
        self.offers('less', LESS)
        specs = {**ASKS, 'hvfilter:slat': 'preferred'}
        self.assertEqual(
            {**self.PREFERRED, 'less': 1.0}, self.weights(self.move(specs))
        )

    def test_all_weigh_the_same_when_there_is_nothing_to_compare(self):
        for request in (
            spec(ASKS),
            self.move({}),
            self.move({'hvfilter:nested': 'forbidden'}),
            self.move({'hvfilter:slat': 'preferred'}),
            self.move(ignored=()),
            self.move(ignored=('mute',)),
            self.move(ignored=('gone',)),
        ):
            self.assertEqual({0.0}, set(self.weights(request).values()))

    def test_ignored_when_configured_so(self):
        self.flags(nested_set_on_move='ignore')
        self.assertEqual({0.0}, set(self.weights(self.move()).values()))
        self.assertEqual([], self.asked_nova)

    def test_nested_paging_is_nested_virtualization(self):
        for specs in (
            {'hvfilter:nested_slat': 'preferred'},
            {'trait:CUSTOM_HVFILTER_NESTED_SLAT': 'required'},
        ):
            found = self.weights(self.move(specs))
            self.assertEqual(self.PREFERRED, found)

    def test_answers_are_remembered(self):
        self.weights(self.move())
        asked = list(self.fleet.asked)
        self.assertEqual(['source'], self.asked_nova)
        self.weights(self.move())
        self.assertEqual(
            (asked, ['source']), (self.fleet.asked, self.asked_nova)
        )

    def test_another_set_is_seen_after_a_while(self):
        self.weights(self.move())
        self.report('less', 'kvm', 'nested')
        self.offers('less', Registers.svm(NPT | GIF | 1 << 25))
        self.clock.pass_s(31)
        self.assertEqual(1.0, self.weights(self.move())['less'])

    def test_host_with_two_sets_is_unknown(self):
        self.offers('less', MORE)
        self.assertEqual(0.5, self.weights(self.move())['less'])

    def test_nothing_is_asked_of_nova_while_no_host_has_a_set(self):
        for name in ('source', *HOSTS):
            self.report(name, 'kvm', 'nested')
        self.assertEqual({0.0}, set(self.weights(self.move()).values()))
        self.assertEqual([], self.asked_nova)

    def test_all_weigh_the_same_while_nova_does_not_answer(self):
        self.nova_down = RuntimeError('no database')
        self.assertEqual({0.0}, set(self.weights(self.move()).values()))
        self.assertIn('no database', self.log.output)
        self.nova_down = None
        self.assertEqual(self.PREFERRED, self.weights(self.move()))

    def test_last_answers_count_while_placement_does_not_answer(self):
        self.weights(self.move())
        self.clock.pass_s(31)
        self.fleet.down = errors.Unreachable('no answer', 'wait')
        self.assertEqual(self.PREFERRED, self.weights(self.move()))
        self.assertEqual(1, self.log.output.count('no answer'))
        self.clock.pass_s(601)
        self.assertEqual({0.0}, set(self.weights(self.move()).values()))


class FilterTest(MoveTestCase):
    def setUp(self):
        super().setUp()
        self.flags(nested_set_on_move='require')

    def test_hosts_that_lack_of_the_set_are_rejected(self):
        found = self.passing(self.hosts, self.move())
        self.assertEqual(['more', 'same', 'mute'], found)
        self.assertIn(
            '1 of 4 hosts rejected: 1 lacks nested features of the source '
            'host: SVM: vGIF (host less)',
            self.log.output,
        )
        self.assertEqual(1, self.counts['rejected.nested_set'])

    def test_verdict_does_not_change_when_asked_again(self):
        for _ in range(3):
            found = self.passing(self.hosts, self.move())
            self.assertEqual(['more', 'same', 'mute'], found)
        self.assertEqual(list(HOSTS), self.passing(self.hosts, spec(ASKS)))

    def test_unknown_is_rejected_when_unreported_hosts_are(self):
        self.flags(unreported='reject')
        found = self.passing(self.hosts, self.move())
        self.assertEqual(['more', 'same'], found)
        self.assertIn(
            '1 has an unknown nested set (host mute)', self.log.output
        )

    def test_only_weighed_by_default(self):
        self.flags(nested_set_on_move='prefer')
        found = self.passing(self.hosts, self.move())
        self.assertEqual(list(HOSTS), found)

    def test_rebuild_is_no_move(self):
        request = self.move(rebuild=True)
        self.assertEqual(list(HOSTS), self.passing(self.hosts, request))

    def test_hosts_pass_when_the_source_is_unknown(self):
        request = self.move(ignored=('mute',))
        self.assertEqual(list(HOSTS), self.passing(self.hosts, request))

    def test_all_pass_when_mode_is_permissive(self):
        self.flags(mode='permissive')
        self.assertEqual(list(HOSTS), self.passing(self.hosts, self.move()))
        self.assertIn('1 of them passed anyway', self.log.output)
        self.assertEqual(1, self.counts['hosts_passed_anyway'])
        self.assertEqual(0, self.counts['hosts_rejected'])

    def test_host_keeps_its_first_reason_when_mode_is_permissive(self):
        self.flags(mode='permissive')
        self.report('less', 'kvm')
        self.offers('less', LESS)
        self.assertEqual(list(HOSTS), self.passing(self.hosts, self.move()))
        self.assertIn('1 lacks nested (host less)', self.log.output)
        self.assertEqual(1, self.counts['hosts_passed_anyway'])

    def test_aggregate_may_be_permissive(self):
        lax = [aggregate(mode='permissive')]
        hosts = [host('less', aggregates=lax), host('same')]
        self.assertEqual(['less', 'same'], self.passing(hosts, self.move()))

    def test_other_reasons_stay(self):
        self.report('more', 'kvm')
        found = self.passing(self.hosts, self.move())
        self.assertEqual(['same', 'mute'], found)
        self.assertIn('1 lacks nested (host more)', self.log.output)
        self.assertIn('SVM: vGIF (host less)', self.log.output)
