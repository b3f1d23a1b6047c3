# SPDX-License-Identifier: Apache-2.0
"""One line for each request that was narrowed, wherever that happened."""

from unittest import mock

import oslo_messaging as messaging
from nova import exception
from nova.scheduler import manager

from hvfilter.scheduler import request_tracking
from tests.unit.scheduler import base
from tests.unit.scheduler.base import host, spec, uuid_of

NESTED = 'CUSTOM_HVFILTER_NESTED'
SERVERS = [f'server-{number}' for number in range(10)]


class FollowedTestCase(base.SchedulerTestCase):
    def setUp(self):
        super().setUp()
        self.report('tcg')
        self.report('flat', 'kvm')
        self.report('full', 'kvm', 'nested')
        self.report('off', 'kvm', 'nested')

    def select(self, request, hosts=None, servers=SERVERS[:1], found=None):
        """As Nova's method goes about it; hosts: None, no candidates."""

        def inner(self_, context, spec_obj=None, instance_uuids=None):
            passed = self.passing(hosts, request) if hosts else []
            if not passed or found:
                raise found or exception.NoValidHost(reason='')
            return passed

        method = request_tracking.tracking(inner)
        return method(
            None, None, spec_obj=request, instance_uuids=list(servers)
        )

    def refused(self, *args, **kwargs):
        """The lines at INFO."""
        before = len(self.log.output)
        self.assertRaises(exception.NoValidHost, self.select, *args, **kwargs)
        return self.log.output[before:].splitlines()


class NoCandidatesTest(FollowedTestCase):
    def test_trait_of_a_flavor_is_explained(self):
        request = spec({f'trait:{NESTED}': 'required'})
        self.assertEqual(
            [
                f'INFO Server {uuid_of("server")}: no valid host. The '
                f'Placement query was limited to hosts with {NESTED}; '
                f'requested: trait:{NESTED}=required (flavor), [hvfilter] '
                'required = kvm (policy); hosts reported nested: 2, kvm: 3, '
                'all of this: 2; 2 of 2 not among the candidates (no room, '
                'disabled, rejected by an earlier filter, or cut off by '
                '[scheduler] max_placement_results)'
            ],
            self.refused(request),
        )
        self.assertEqual(1, self.counts['requests_without_hosts'])

    def test_trait_of_an_image_is_explained(self):
        (line,) = self.refused(spec({}, {f'trait:{NESTED}': 'required'}))
        self.assertIn(f'trait:{NESTED}=required (image)', line)

    def test_traits_of_the_prefilter_are_explained(self):
        request = spec({'hvfilter:nested': 'required'})
        request.root_required.update({NESTED, 'HW_CPU_X86_VMX'})
        request.root_forbidden.add('CUSTOM_HVFILTER_TDX')
        (line,) = self.refused(request)
        self.assertIn(
            f'with {NESTED} and without CUSTOM_HVFILTER_TDX; requested: '
            'hvfilter:nested=required (flavor)',
            line,
        )

    def test_other_requests_are_none_of_our_business(self):
        for request in (
            spec(),
            spec({'hvfilter:nested': 'required'}),
            spec({'trait:HW_CPU_X86_VMX': 'required'}),
            spec({f'trait:{NESTED}': 'required'}, rebuild=True),
        ):
            self.assertEqual([], self.refused(request))

    def test_placement_is_unreachable(self):
        self.fleet.fall()
        lines = self.refused(spec({f'trait:{NESTED}': 'required'}))
        self.assertIn('how many hosts have it is not known', lines[-1])

    def test_exception_of_rpc_is_seen_and_stays(self):
        def inner(*args, **kwargs):
            try:
                raise exception.NoValidHost(reason='')
            except exception.NoValidHost:
                raise messaging.ExpectedException() from None

        request = spec({f'trait:{NESTED}': 'required'})
        self.assertRaises(
            messaging.ExpectedException,
            request_tracking.tracking(inner),
            request,
        )
        self.assertIn('no valid host', self.log.output)

    def test_other_exceptions_are_not_explained(self):
        request = spec({f'trait:{NESTED}': 'required'})
        self.assertRaises(
            ZeroDivisionError,
            self.select,
            request,
            found=ZeroDivisionError(),
        )
        self.assertEqual('', self.log.output)

    def test_nothing_is_explained_without_a_request_spec(self):
        self.assertEqual([], self.refused(None))

    def test_fault_of_ours_changes_nothing(self):
        with mock.patch.object(
            request_tracking.supply, 'supply', side_effect=ZeroDivisionError
        ):
            self.refused(spec({f'trait:{NESTED}': 'required'}))
            self.assertIn('This is a bug in hvfilter', self.log.output)
            hosts = [host('flat'), host('full')]
            request = spec({'hvfilter:nested': 'required'})
            self.assertEqual(['full'], self.passing(hosts, request))


class CandidatesTest(FollowedTestCase):
    def test_line_of_the_filter_is_the_only_one(self):
        request = spec({f'trait:{NESTED}': 'required'})
        (line,) = self.refused(request, [host('flat')])
        self.assertIn('1 of 1 host rejected: 1 lacks nested', line)
        self.assertIn('all of this: 2; 2 of 2 not among', line)

    def test_other_filters_rejected_who_passed_here(self):
        request = spec({f'trait:{NESTED}': 'required'})
        (line,) = self.refused(
            request, [host('full')], found=exception.NoValidHost(reason='')
        )
        self.assertIn('no valid host', line)
        self.assertIn('1 of 2 not among the candidates', line)

    def test_limits_are_logged_when_a_host_is_found(self):
        request = spec({f'trait:{NESTED}': 'required'})
        self.assertEqual(['full'], self.select(request, [host('full')]))
        self.assertEqual(
            [
                f'INFO Server {uuid_of("server")}: the Placement query was '
                f'limited to hosts with {NESTED}; requested: '
                f'trait:{NESTED}=required (flavor), [hvfilter] required = '
                'kvm (policy); hosts reported nested: 2, kvm: 3, all of '
                'this: 2; 1 of 2 not among the candidates (no room, '
                'disabled, rejected by an earlier filter, or cut off by '
                '[scheduler] max_placement_results)'
            ],
            self.log.output.splitlines(),
        )
        self.assertIsNone(request_tracking.current())
        self.assertNotIn('requests_without_hosts', self.counts)

    def test_one_line_when_both_placement_and_the_filter_narrowed(self):
        request = spec({f'trait:{NESTED}': 'required'})
        hosts = [host('full'), host('flat')]
        self.assertEqual(['full'], self.select(request, hosts))
        (line,) = self.log.output.splitlines()
        self.assertIn('1 of 2 hosts rejected: 1 lacks nested', line)

    def test_nothing_is_logged_when_nothing_was_narrowed(self):
        for request in (
            spec(),
            spec({'trait:HW_CPU_X86_VMX': 'required'}),
            spec({f'trait:{NESTED}': 'required'}, rebuild=True),
        ):
            self.assertEqual(['full'], self.select(request, [host('full')]))
        self.assertEqual('', self.log.output)

    def test_placement_is_not_asked_for_a_line_of_the_log(self):
        request = spec({f'trait:{NESTED}': 'required'})
        self.assertEqual(['full'], self.select(request, [host('full')]))
        self.fleet.fall()
        self.clock.pass_s(10_000)
        asked = len(self.fleet.asked)
        method = request_tracking.tracking(lambda *args, **kwargs: ['full'])
        self.assertEqual(['full'], method(None, None, spec_obj=request))
        self.assertEqual(asked, len(self.fleet.asked))

    def test_fault_of_ours_changes_nothing_when_a_host_is_found(self):
        request = spec({f'trait:{NESTED}': 'required'})
        with mock.patch.object(
            request_tracking.supply, 'supply', side_effect=ZeroDivisionError
        ):
            self.assertEqual(['full'], self.select(request, [host('full')]))
        self.assertIn('This is a bug in hvfilter', self.log.output)

    def test_servers_of_one_request_are_named_or_numbered(self):
        request = spec({'hvfilter:nested': 'required'})
        for number, words in (
            (1, f'Server {uuid_of("server")}: '),
            (2, '2 servers (server-0, server-1): '),
            (10, '10 servers (server-0, server-1, server-2, ...): '),
        ):
            (line,) = self.refused(
                request, [host('flat')], servers=SERVERS[:number]
            )
            self.assertTrue(line.startswith(f'INFO {words}'), line)

    def test_rebuild_names_what_the_image_wants(self):
        request = spec(
            {'hvfilter:tdx': 'required'},
            {f'trait:{NESTED}': 'required'},
            rebuild=True,
        )
        (line,) = self.refused(request, [host('flat')])
        # And what the policy wants of a guest with this image.
        self.assertIn(
            f'requested: trait:{NESTED}=required (image), '
            '[hvfilter] required = kvm (policy); ',
            line,
        )


class InstallTest(base.SchedulerTestCase):
    def test_method_of_nova_is_followed_once(self):
        method = manager.SchedulerManager.select_destinations
        self.assertTrue(getattr(method, request_tracking._MARK))
        request_tracking.install()
        self.assertIs(method, manager.SchedulerManager.select_destinations)

    def test_another_nova_is_left_alone(self):
        with mock.patch.object(manager, 'SchedulerManager', object()):
            request_tracking.install()
        self.assertIn('will not be explained', self.log.output)
