# SPDX-License-Identifier: Apache-2.0

import sys

import fixtures
import testtools
from hypothesis import given
from hypothesis import strategies as st
from nova import objects
from nova.scheduler import request_filter

from hvfilter.model import catalogue
from hvfilter.model.policy import Mode, Policy, WhenUnknown
from hvfilter.placement import errors, time_limit
from hvfilter.placement.expired import Expired
from hvfilter.rules import infer, requests
from hvfilter.rules import placement_query as rules
from hvfilter.rules.judge import judge
from hvfilter.scheduler import nova_client, policies, prefilter, worker_state
from hvfilter.scheduler.filters import hardware_virt
from tests.unit.scheduler import base
from tests.unit.scheduler.base import aggregate, spec

KVM, NESTED, TDX, SLAT = (
    catalogue.BY_KEY[key].trait for key in ('kvm', 'nested', 'tdx', 'slat')
)
ASKS = {'hvfilter:nested': 'required', 'hvfilter:tdx': 'forbidden'}


class PrefilterTestCase(base.SchedulerTestCase):
    def setUp(self):
        super().setUp()
        self.flags(prefilter=True)
        self.listed = [*request_filter.ALL_REQUEST_FILTERS]
        self.patch(
            'nova.scheduler.request_filter.ALL_REQUEST_FILTERS', self.listed
        )
        self.known = {KVM, NESTED, TDX, nova_client.REPORTED}
        self.surveys = 0
        self.patch('hvfilter.scheduler.nova_client.known_traits', self.names)
        self.patch(
            'hvfilter.scheduler.nova_client.carried_traits',
            lambda: frozenset(self.carried),
        )
        self.unreported = True
        self.patch(
            'hvfilter.scheduler.prefilter._any_unreported',
            lambda: self.unreported,
        )
        self.aggregates = []
        self.patch(
            'nova.objects.AggregateList.get_all',
            lambda cls, context: self.aggregates,
        )

    def patch(self, name, value):
        self.useFixture(fixtures.MonkeyPatch(name, value))

    def names(self):
        self.surveys += 1
        if self.fleet.down:
            raise self.fleet.down
        return frozenset(self.known)

    def apply(self, request):
        prefilter.hvfilter_traits(None, request)
        return request.root_required, request.root_forbidden


class ApplyTest(PrefilterTestCase):
    def setUp(self):
        super().setUp()
        prefilter.install()

    def test_forced_host_is_not_looked_for(self):
        for name in ('force_hosts', 'force_nodes'):
            request = spec(ASKS)
            setattr(request, name, ['flat'])
            self.assertEqual((set(), set()), self.apply(request))
            # Here Nova asks its filters all the same.
            request.scheduler_hints = {'_nova_check_type': ['rebuild']}
            self.assertEqual(({NESTED}, {TDX}), self.apply(request))

    def test_requested_host_is_judged(self):
        request = spec(ASKS)
        request.force_hosts = []
        request.requested_destination = objects.Destination(host='flat')
        self.assertEqual(({NESTED}, {TDX}), self.apply(request))

    def test_words_become_traits(self):
        self.assertEqual(({NESTED}, {TDX}), self.apply(spec(ASKS)))

    def test_traits_of_others_stay(self):
        request = spec(ASKS)
        request.root_required.add('COMPUTE_NODE')
        self.assertEqual({NESTED, 'COMPUTE_NODE'}, self.apply(request)[0])

    def test_unknown_trait_is_not_named(self):
        self.known.discard(NESTED)
        self.known.discard(TDX)
        self.assertEqual((set(), set()), self.apply(spec(ASKS)))

    def test_policy_counts_once_all_nodes_reported(self):
        self.assertEqual((set(), set()), self.apply(spec()))
        self.unreported = False
        self.clock.pass_s(30)
        self.assertEqual(({KVM}, set()), self.apply(spec()))

    def test_policy_does_not_count_while_a_report_is_stale(self):
        """The filter would accept that host for a plain guest."""
        self.unreported = False
        self.expired = Expired(frozenset({base.uuid_of('dead')}), '2026W40')
        self.assertEqual((set(), set()), self.apply(spec()))
        # What it has is not believed, so it is not left out for it either.
        self.assertEqual(({NESTED}, set()), self.apply(spec(ASKS)))
        self.flags(unreported='accept')
        self.assertEqual((set(), set()), self.apply(spec(ASKS)))
        self.flags(unreported='reject')
        self.assertEqual(({NESTED}, {TDX}), self.apply(spec(ASKS)))

    def test_any_report_may_be_stale_while_that_is_not_known(self):
        def no_answer(max_age_weeks):
            raise errors.Unreachable('no answer', 'wait')

        self.unreported = False
        self.patch('hvfilter.scheduler.nova_client.expired_reports', no_answer)
        self.assertEqual(({NESTED}, set()), self.apply(spec(ASKS)))
        self.assertIsNone(
            worker_state.current().trait_cache.peek().uuids_by_trait
        )

    def test_permissive_mode_asks_for_nothing(self):
        self.flags(mode='permissive')
        self.assertEqual((set(), set()), self.apply(spec(ASKS)))

    def test_lenient_aggregate_is_heeded(self):
        self.unreported = False
        for metadata, required in (
            ({'required': ''}, {NESTED}),
            ({'mode': 'permissive'}, set()),
            ({'reserved': 'slat'}, {NESTED, KVM}),
        ):
            self.clock.pass_s(30)
            self.aggregates = [aggregate(**metadata)]
            self.assertEqual(required, self.apply(spec(ASKS))[0], metadata)

    def test_reserved_by_one_aggregate_is_not_forbidden_to_all(self):
        self.known.add(SLAT)
        self.aggregates = [aggregate(reserved='slat')]
        self.assertEqual((set(), set()), self.apply(spec()))
        self.flags(reserved=['slat'])
        self.assertEqual((set(), {SLAT}), self.apply(spec()))

    def test_what_a_host_reported_as_unknown_is_heeded(self):
        self.unreported = False
        self.known.add(catalogue.BY_KEY['kvm'].unknown_trait)
        self.carried = set()
        self.assertEqual(({KVM}, set()), self.apply(spec()))
        self.carried = {catalogue.BY_KEY['kvm'].unknown_trait, KVM}
        self.clock.pass_s(30)
        self.assertEqual((set(), set()), self.apply(spec()))

    def test_reserved_is_forbidden(self):
        self.flags(reserved=['nested'])
        self.assertEqual((set(), {NESTED}), self.apply(spec()))

    def test_it_looks_around_once_in_a_while(self):
        for _ in range(5):
            self.apply(spec(ASKS))
        self.assertEqual(1, self.surveys)
        self.clock.pass_s(30)
        self.apply(spec(ASKS))
        self.assertEqual(2, self.surveys)

    def test_nothing_is_added_when_placement_does_not_answer(self):
        self.fleet.fall()
        for _ in range(3):
            self.assertEqual((set(), set()), self.apply(spec(ASKS)))
        self.assertEqual(1, self.surveys)
        self.assertIn(
            'WARNING Prefilter skipped, no traits were added', self.log.output
        )
        self.fleet.rise()
        self.clock.pass_s(5)
        self.assertEqual(({NESTED}, {TDX}), self.apply(spec(ASKS)))

    def test_last_answers_are_used_while_placement_does_not_answer(self):
        self.apply(spec(ASKS))
        self.fleet.fall()
        self.clock.pass_s(30)
        for _ in range(3):
            self.assertEqual(({NESTED}, {TDX}), self.apply(spec(ASKS)))
        self.assertEqual(2, self.surveys)
        # Each rest is longer than the one before.
        for pause_s, surveys in ((5, 3), (5, 3), (5, 4)):
            self.clock.pass_s(pause_s)
            self.apply(spec(ASKS))
            self.assertEqual(surveys, self.surveys)
        self.clock.pass_s(600)
        self.assertEqual((set(), set()), self.apply(spec(ASKS)))

    def test_filter_does_not_wait_for_a_placement_that_failed_here(self):
        self.fleet.fall()
        self.apply(spec(ASKS))
        self.passing([base.host('flat')], spec(ASKS))
        self.assertEqual([], self.fleet.asked)

    def test_placement_is_left_in_peace_when_it_failed_the_filter(self):
        self.fleet.fall()
        self.passing([base.host('flat')], spec(ASKS))
        self.assertEqual((set(), set()), self.apply(spec(ASKS)))
        self.assertEqual(0, self.surveys)

    def test_wait_is_bounded_in_all_that_it_asks(self):
        left_s = []

        def names():
            left_s.append(time_limit.left_s())
            self.clock.pass_s(15)
            return frozenset(self.known)

        self.patch('hvfilter.scheduler.nova_client.known_traits', names)
        self.patch(
            'hvfilter.scheduler.prefilter._any_unreported',
            lambda: left_s.append(time_limit.left_s()),
        )
        self.apply(spec(ASKS))
        self.assertEqual([20.0, 5.0], left_s)

    def test_failure_is_not_being_handled_when_told(self):
        # oslo.log would append it to the warning that tells it already.
        handled = []
        self.patch(
            'hvfilter.scheduler.prefilter.LOG.warning',
            lambda *_: handled.append(sys.exc_info()[0]),
        )
        self.fleet.fall()
        self.apply(spec(ASKS))
        self.assertEqual([None], handled)

    def test_nothing_is_raised_when_something_is_broken(self):
        self.patch(
            'nova.objects.AggregateList.get_all', lambda cls, context: 1 / 0
        )
        self.assertEqual((set(), set()), self.apply(spec(ASKS)))
        self.assertIn('This is a bug in hvfilter', self.log.output)


class SoundTest(testtools.TestCase):
    """Whatever the aggregates say, and whichever of them a host is in."""

    KEYS = ('kvm', 'nested', 'tdx', 'tcg', 'nested_slat')
    NAMES = st.sampled_from([f'hvfilter:{key}' for key in KEYS])
    DEMANDS = st.sampled_from(['required', 'forbidden', 'preferred', 'odd'])
    LISTS = st.sampled_from(['', 'kvm', 'nested', 'kvm,nested', 'tdx,nested'])
    WHAT = st.sampled_from(['infer', 'accept', 'reject'])
    METADATA = st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                'required': LISTS,
                'reserved': LISTS,
                'unreported': WHAT,
                'mode': st.sampled_from(['enforcing', 'permissive']),
            },
        ),
        max_size=4,
    )
    POLICIES = st.builds(
        Policy,
        required=st.sampled_from([(), ('kvm',), ('kvm', 'nested')]),
        unreported=st.sampled_from(WhenUnknown),
        reserved=st.frozensets(st.sampled_from(KEYS)),
    )
    ASKED = st.builds(
        requests.GuestRequest.of,
        st.dictionaries(NAMES, DEMANDS, max_size=2),
        encrypted=st.booleans(),
        encryption_model=st.sampled_from([None, 'intel-tdx']),
        img_hv_type=st.sampled_from([None, 'kvm', 'qemu']),
        emulation_architecture=st.sampled_from([None, 'x86_64', 'aarch64']),
    )
    SOME = st.frozensets(st.sampled_from(KEYS))
    HOSTS = st.tuples(
        # What it has, what it reported as unknown, when it reported.
        SOME,
        SOME,
        st.sampled_from(['now', 'long ago', 'never']),
        st.builds(
            infer.HostFacts,
            kvm_host=st.booleans(),
            machine=st.sampled_from(['', 'x86_64']),
        ),
    )

    @given(ASKED, POLICIES, METADATA, st.data())
    def test_no_host_is_hidden_that_the_judge_accepts(
        self, guest_request, base_policy, metadata, data
    ):
        aggregates = [
            aggregate(f'number {number}', **each)
            for number, each in enumerate(metadata)
        ]
        hosts = data.draw(st.lists(self.HOSTS, min_size=1, max_size=4))
        # Documented: hosts without KVM never report where this is used.
        hosts = [
            each for each in hosts if each[3].kvm_host or each[2] == 'never'
        ]
        cloud = prefilter.CloudState(
            catalogue.OWN_TRAITS,
            rules.Reports(
                all(when == 'now' for _, _, when, _ in hosts),
                frozenset[str]().union(
                    *(unknown for _, unknown, _, _ in hosts)
                ),
                any(when == 'long ago' for _, _, when, _ in hosts),
            ),
            tuple(
                policies.for_host(each, base_policy, self.fail)
                for each in ([], *([one] for one in aggregates))
            ),
        )
        query = prefilter.combined(guest_request, cloud)
        for has, unknown, when, facts in hosts:
            if guest_request.img_hv_type == 'kvm' and not facts.kvm_host:
                # Nova's ImagePropertiesFilter leaves no such host.
                continue
            mine = (
                data.draw(st.lists(st.sampled_from(aggregates), unique=True))
                if aggregates
                else []
            )
            policy = policies.for_host(mine, base_policy, self.fail)
            stale = when == 'long ago'
            known = infer.advertised(
                frozenset() if stale else has,
                when == 'now',
                facts,
                policy,
                unknown=frozenset() if stale else unknown,
                expired='2026W40' if stale else '',
            )
            verdict = judge(
                requests.requirements(guest_request, policy), known, policy
            )
            traits = {catalogue.BY_KEY[key].trait for key in has}
            hidden = query.required - traits or query.forbidden & traits
            if policy.mode is Mode.PERMISSIVE or verdict.accepted:
                self.assertFalse(hidden, (query, policy, known))


class InstallTest(PrefilterTestCase):
    def test_it_joins_the_list_once(self):
        for _ in range(3):
            hardware_virt.HardwareVirtFilter()
        self.assertEqual(1, self.listed.count(prefilter.hvfilter_traits))

    def test_nova_runs_it(self):
        self.listed[:] = []
        self.listed.append(request_filter.compute_status_filter)
        prefilter.install()
        request = spec(ASKS)
        request_filter.process_reqspec(None, request)
        self.assertIn(NESTED, request.root_required)

    def test_it_leaves_the_list_when_not_wanted(self):
        hardware_virt.HardwareVirtFilter()
        self.flags(prefilter=False)
        hardware_virt.HardwareVirtFilter()
        self.assertNotIn(prefilter.hvfilter_traits, self.listed)

    def test_it_steps_aside_with_one_warning_when_list_is_strange(self):
        for strange in (None, (), [], [1, 2], {'a': print}, [len, print]):
            self.patch(
                'nova.scheduler.request_filter.ALL_REQUEST_FILTERS', strange
            )
            before = self.log.output.count('WARNING The prefilter is off')
            hardware_virt.HardwareVirtFilter()
            after = self.log.output.count('WARNING The prefilter is off')
            self.assertEqual(1, after - before, strange)

    def test_nothing_is_said_of_a_strange_list_when_not_wanted(self):
        self.flags(prefilter=False)
        self.patch('nova.scheduler.request_filter.ALL_REQUEST_FILTERS', None)
        hardware_virt.HardwareVirtFilter()
        self.assertEqual('', self.log.output)


class UnreportedTest(base.SchedulerTestCase):
    def test_compute_nodes_without_the_marker_are_looked_for(self):
        guest_request = {}

        def providers(client, **traits):
            guest_request.update(traits)
            return ()

        self.useFixture(
            fixtures.MonkeyPatch(
                'hvfilter.placement.client.PlacementClient.providers_with',
                providers,
            )
        )
        self.assertFalse(prefilter._any_unreported())
        self.assertEqual(['COMPUTE_NODE'], guest_request['required'])
        self.assertEqual([nova_client.REPORTED], guest_request['forbidden'])

    def test_some_are_taken_to_be_there_when_trait_is_unknown(self):
        def providers(client, **traits):
            raise errors.UnknownTrait('w', 'r', traits=frozenset())

        self.useFixture(
            fixtures.MonkeyPatch(
                'hvfilter.placement.client.PlacementClient.providers_with',
                providers,
            )
        )
        self.assertTrue(prefilter._any_unreported())
