# SPDX-License-Identifier: Apache-2.0

from nova.scheduler import weights

from hvfilter import scheduler
from hvfilter.scheduler.weighers import hardware_virt
from tests.unit.scheduler import base
from tests.unit.scheduler.base import aggregate, host, spec

PREFERS = {'hvfilter:nested': 'preferred', 'hvfilter:slat': 'preferred'}


class WeigherTest(base.SchedulerTestCase):
    def setUp(self):
        super().setUp()
        self.report('flat', 'kvm')
        self.report('half', 'kvm', 'slat')
        self.report('full', 'kvm', 'slat', 'nested')
        self.weigher = hardware_virt.HardwareVirtWeigher()
        self.hosts = [host('flat'), host('half'), host('full')]

    def weights(self, request, hosts=None):
        """By host, through Nova's own handler."""
        found = weights.HostWeightHandler().get_weighed_objects(
            [self.weigher], hosts or self.hosts, request
        )
        return {
            weighed.obj.host: round(weighed.weight, 3) for weighed in found
        }

    def test_weigher_is_found_when_installed(self):
        handler = weights.HostWeightHandler()
        classes = handler.get_matching_classes(
            ['hvfilter.scheduler.all_weighers']
        )
        self.assertEqual([hardware_virt.HardwareVirtWeigher], classes)
        self.assertEqual(classes, scheduler.all_weighers())

    def test_hosts_with_what_is_preferred_come_first(self):
        found = self.weights(spec(PREFERS))
        self.assertEqual({'full': 1, 'half': 0.5, 'flat': 0}, found)
        self.assertEqual(['full', 'half', 'flat'], list(found))

    def test_hosts_with_what_is_scarce_come_last(self):
        found = self.weights(spec())
        self.assertEqual({'flat': 0, 'half': 0, 'full': -0.667}, found)

    def test_reserved_counts_as_scarce(self):
        self.flags(scarce=[], reserved=['slat'])
        found = self.weights(spec())
        self.assertEqual({'flat': 0, 'half': -0.333, 'full': -0.333}, found)

    def test_aggregate_replaces_what_is_reserved(self):
        self.flags(scarce=[])
        reserves = aggregate(reserved='slat')
        hosts = [
            host('flat', aggregates=[reserves]),
            host('half'),
            host('full', aggregates=[reserves]),
        ]
        found = self.weights(spec(), hosts)
        self.assertEqual({'flat': 0, 'half': 0, 'full': -0.333}, found)
        found = self.weights(spec({'hvfilter:slat': 'required'}), hosts)
        self.assertEqual({0}, set(found.values()))

    def test_what_an_aggregate_requires_is_not_wasted(self):
        self.flags(scarce=['nested'])
        requires = aggregate(required='kvm,nested')
        hosts = [host('flat'), host('full', aggregates=[requires])]
        self.assertEqual({0}, set(self.weights(spec(), hosts).values()))

    def test_multipliers_weigh_the_two_against_each_other(self):
        self.flags(
            preferred_weight_multiplier=10.0,
            scarce_weight_multiplier=3.0,
        )
        found = self.weights(spec({'hvfilter:slat': 'preferred'}))
        self.assertEqual({'half': 10, 'full': 8, 'flat': 0}, found)

    def test_aggregate_replaces_the_multipliers(self):
        prefers = aggregate(preferred_weight_multiplier='5')
        hosts = [
            host('flat'),
            host('half', aggregates=[prefers]),
            host('full'),
        ]
        found = self.weights(spec(PREFERS), hosts)
        self.assertEqual({'half': 2.5, 'full': 1, 'flat': 0}, found)
        self.clock.pass_s(60)
        self.filter.filter_all(hosts, spec())
        self.assertNotIn('WARNING', self.log.output)

    def test_all_weigh_the_same_when_nothing_is_wished(self):
        self.flags(scarce=[])
        self.assertEqual({0}, set(self.weights(spec()).values()))
        self.assertEqual([], self.fleet.asked)

    def test_all_weigh_the_same_when_placement_does_not_answer(self):
        self.fleet.fall()
        self.assertEqual({0}, set(self.weights(spec(PREFERS)).values()))

    def test_all_weigh_the_same_when_something_is_broken(self):
        def explode(trait):
            raise RuntimeError('a fault of ours')

        self.fleet.before = explode
        self.assertEqual({0}, set(self.weights(spec(PREFERS)).values()))
        self.assertIn('a fault of ours', self.log.output)

    def test_answers_are_shared_with_the_filter(self):
        self.filter.filter_all(
            self.hosts, spec({'hvfilter:nested': 'required'})
        )
        self.fleet.asked.clear()
        self.flags(scarce=['nested'])
        self.weights(spec())
        self.assertEqual([], self.fleet.asked)

    def test_a_single_host_can_be_asked_for(self):
        weight = self.weigher._weigh_object(self.hosts[2], spec(PREFERS))
        self.assertEqual(1.0, weight)
