# SPDX-License-Identifier: Apache-2.0

import fixtures
from nova import objects
from nova.scheduler import request_filter

from hvfilter.scheduler import isolation
from hvfilter.scheduler.filters import hardware_virt
from tests.unit.scheduler import base
from tests.unit.scheduler.base import spec

NESTED = 'trait:CUSTOM_HVFILTER_NESTED'
KVM = 'trait:CUSTOM_HVFILTER_KVM'


class IsolationTest(base.SchedulerTestCase):
    def setUp(self):
        super().setUp()
        self.listed = [*request_filter.ALL_REQUEST_FILTERS]
        self.patch(
            'nova.scheduler.request_filter.ALL_REQUEST_FILTERS', self.listed
        )
        self.shown = []
        self.novas = request_filter.isolate_aggregates
        self.conf.set_override(
            'enable_isolated_aggregate_filtering', True, 'scheduler'
        )
        self.patch(
            'nova.scheduler.request_filter.isolate_aggregates', self.nova
        )

    def patch(self, name, value):
        self.useFixture(fixtures.MonkeyPatch(name, value))

    def nova(self, context, shown):
        self.shown.append(dict(shown.flavor.extra_specs))
        shown.requested_destination = objects.Destination()
        shown.requested_destination.append_forbidden_aggregates(
            [base.uuid_of('lab')]
        )
        return True

    def see(self, request):
        """The extra specs that Nova's request filter sees."""
        before = dict(request.flavor.extra_specs)
        request.obj_reset_changes(recursive=True)
        self.assertTrue(isolation.isolate_aggregates(None, request))
        self.assertEqual(before, request.flavor.extra_specs)
        self.assertEqual(set(), request.flavor.obj_what_changed())
        self.assertEqual({'requested_destination'}, request.obj_what_changed())
        self.assertEqual(
            {base.uuid_of('lab')},
            request.requested_destination.forbidden_aggregates,
        )
        return self.shown.pop()

    def test_what_flavor_image_and_policy_require_is_seen(self):
        asked = {'hvfilter:nested': 'required', 'hvfilter:tdx': 'forbidden'}
        self.assertEqual(
            {**asked, NESTED: 'required', KVM: 'required'},
            self.see(spec(asked)),
        )
        self.flags(required=[])
        self.assertEqual({}, self.see(spec()))
        self.assertEqual(
            {KVM: 'required'}, self.see(spec({}, {'img_hv_type': 'kvm'}))
        )

    def test_what_is_preferred_opens_nothing(self):
        asked = {'hvfilter:nested': 'preferred'}
        self.assertEqual({**asked, KVM: 'required'}, self.see(spec(asked)))

    def test_policy_opens_nothing_to_a_guest_that_may_be_emulated(self):
        image = {'img_hv_type': 'qemu'}
        self.assertEqual({}, self.see(spec({}, image)))
        asked = {'hvfilter:nested': 'required'}
        self.assertEqual(
            {**asked, NESTED: 'required'}, self.see(spec(asked, image))
        )

    def test_what_the_flavor_says_itself_stays(self):
        asked = {NESTED: 'required', KVM: 'required'}
        self.assertEqual(asked, self.see(spec(asked)))

    def test_nova_is_asked_all_the_same_when_something_is_broken(self):
        self.patch(
            'hvfilter.scheduler.request.from_spec', lambda request: 1 / 0
        )
        self.assertEqual({}, self.see(spec()))
        self.assertIn('a bug in hvfilter', self.log.output)

    def test_nova_s_words_are_seen(self):
        asked = {'hw:mem_encryption': 'true'}
        self.flags(required=[])
        self.assertEqual(
            {**asked, 'trait:CUSTOM_HVFILTER_SEV': 'required'},
            self.see(spec(asked)),
        )

    def test_nothing_is_added_while_nova_does_not_isolate(self):
        self.conf.clear_override(
            'enable_isolated_aggregate_filtering', 'scheduler'
        )
        self.assertEqual({}, self.see(spec()))

    def test_request_without_a_flavor_is_left_to_nova(self):
        request = objects.RequestSpec()
        self.assertIs(request, isolation._with_traits(request))

    def test_it_takes_the_place_of_nova_s_once(self):
        self.patch(
            'nova.scheduler.request_filter.isolate_aggregates', self.novas
        )
        before = [each.__name__ for each in self.listed]
        for _ in range(2):
            hardware_virt.HardwareVirtFilter()
        self.assertEqual(before, [each.__name__ for each in self.listed])
        self.assertEqual(1, self.listed.count(isolation.isolate_aggregates))
        self.assertNotIn(self.novas, self.listed)
