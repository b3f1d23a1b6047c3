# SPDX-License-Identifier: Apache-2.0

import dataclasses
import datetime
import uuid as uuidlib
from unittest import mock

from hvfilter.placement.expired import Expired
from hvfilter.placement.trait_cache import CachedTraits
from hvfilter.scheduler import host_classes
from tests.unit.scheduler import base
from tests.unit.scheduler.base import host, spec, uuid_of

CHANGED = datetime.datetime(2026, 1, 1)


class UuidTest(base.SchedulerTestCase):
    def test_uuids_are_compared_as_uuids(self):
        uuid = uuid_of('a')
        self.report('a', 'kvm', 'nested')
        request = spec({'hvfilter:nested': 'required'})
        for form in (
            uuid,
            uuid.upper(),
            uuid.replace('-', ''),
            f'{{{uuid}}}',
            f'urn:uuid:{uuid}',
            uuidlib.UUID(uuid).hex.upper(),
        ):
            state = host('a', uuid=form)
            for _ in range(2):
                self.assertEqual(['a'], self.passing([state], request), form)

    def test_digits_only_is_a_uuid_too(self):
        uuid = '11111111-2222-3333-4444-555555555555'
        self.assertEqual(uuid, host_classes.uuid_of(host('a', uuid=uuid)))

    def test_what_is_no_uuid_is_a_host_that_did_not_report(self):
        for odd in (None, 5, b'x', 'x' * 36, uuid_of('a')[:-1]):
            self.assertEqual(
                ['a'], self.passing([host('a', uuid=odd)], spec())
            )


class HostReaderTest(base.SchedulerTestCase):
    def setUp(self):
        super().setUp()
        self.reader = host_classes.HostReader()

    def test_equal_facts_have_one_number(self):
        a, b = host('a'), host('b', guests=[*map(list, base.KVM_GUESTS)])
        self.assertEqual(self.reader.facts(a), self.reader.facts(b))
        other = self.reader.facts(host('c', guests=base.TCG_GUESTS))
        self.assertNotEqual(self.reader.facts(a)[0], other[0])
        self.assertEqual(frozenset(), other[1].native)

    def test_guests_that_change_in_place_are_read_again(self):
        guests = [['x86_64', 'qemu', 'hvm']]
        state = host('a', guests=guests)
        self.reader.facts(state)
        guests.append(['x86_64', 'kvm', 'hvm'])
        self.assertEqual({'x86_64'}, self.reader.facts(state)[1].native)

    def test_facts_are_not_kept_without_end(self):
        numbers = set()
        with mock.patch.object(host_classes, '_MAX_FACTS', 10):
            for number in range(100):
                state = host('a', cpu_info=f'{{"arch": "{number}"}}')
                numbers.add(self.reader.facts(state)[0])
        self.assertLessEqual(len(self.reader._numbers), 10)
        self.assertEqual(100, len(numbers))


class HostClassesTest(base.SchedulerTestCase):
    def setUp(self):
        super().setUp()
        self.classes = self.new(
            reported='ab', kvm='ab', of_a_later_release='a'
        )

    def snapshot(self, **holders):
        found = {
            f'CUSTOM_HVFILTER_{key.upper()}': frozenset(map(uuid_of, names))
            for key, names in holders.items()
        }
        return CachedTraits(1, found, False, 0.0)

    def new(self, **holders):
        return host_classes.HostClasses(
            self.snapshot(**holders), host_classes.HostReader()
        )

    def state(self, name='a', **more):
        state = host(name, **more)
        state.updated = CHANGED
        return state

    def test_alike_hosts_are_of_one_kind(self):
        a, b, c = (self.classes.host_class(self.state(name)) for name in 'abc')
        self.assertIs(a, b)
        self.assertEqual({'kvm'}, a.has)
        self.assertIsNot(a, c)
        self.assertFalse(c.reported)
        self.assertEqual(3, len(self.classes.known))

    def test_host_is_read_again_only_when_its_record_changed(self):
        state = self.state()
        first = self.classes.host_class(state)
        state.supported_instances = base.TCG_GUESTS
        self.assertIs(first, self.classes.host_class(state))
        state.updated += datetime.timedelta(seconds=1)
        self.assertEqual(
            frozenset(), self.classes.host_class(state).facts.native
        )

    def test_host_is_read_each_time_when_nova_gives_no_time(self):
        state = host('a')
        self.classes.host_class(state)
        state.supported_instances = base.TCG_GUESTS
        self.assertEqual(
            frozenset(), self.classes.host_class(state).facts.native
        )
        self.assertEqual(0, len(self.classes.known))

    def test_later_table_takes_over_what_is_the_same(self):
        for name in 'abc':
            self.classes.host_class(self.state(name))
        later = self.classes.after(
            self.snapshot(reported='abc', kvm='b', of_a_later_release='a')
        )
        self.assertEqual({uuid_of('b')}, set(later.known))
        self.assertEqual(3, len(self.classes.known))
        self.assertEqual(set(), later.host_class(self.state('a')).has)
        self.assertEqual({'kvm'}, later.host_class(self.state('b')).has)
        self.assertTrue(later.host_class(self.state('c')).reported)

    def test_later_table_sees_whose_report_became_stale(self):
        """Nothing else about these hosts is another thing than before."""
        self.classes.host_class(self.state('c'))
        before = self.classes.cached
        for weeks, who in (('2026W40', 'c'), ('2026W41', 'c'), ('', '')):
            stale = Expired(frozenset(map(uuid_of, who)), weeks)
            later = dataclasses.replace(before, expired=stale)
            classes = self.classes.after(later)
            self.assertEqual(
                weeks, classes.host_class(self.state('c')).expired
            )
            self.classes = classes

    def test_later_table_begins_anew_when_other_traits_are_known(self):
        self.classes.host_class(self.state())
        for snapshot in (
            self.snapshot(reported='ab', kvm='ab', nested='a'),
            CachedTraits(2, None, True, 0.0),
        ):
            self.assertEqual({}, self.classes.after(snapshot).known)

    def test_hosts_are_not_kept_without_end(self):
        with mock.patch.object(host_classes, '_MAX_HOSTS', 10):
            for number in range(100):
                self.classes.host_class(self.state(f'h{number}'))
        self.assertLessEqual(len(self.classes.known), 10)

    def test_kinds_are_not_kept_without_end(self):
        with mock.patch.object(host_classes, '_MAX_CLASSES', 10):
            classes = self.classes
            for number in range(100):
                odd = self.state(cpu_info=f'{{"arch": "{number}"}}')
                odd.updated += datetime.timedelta(seconds=number)
                classes.host_class(odd)
                classes = classes.after(self.classes.cached)
                self.assertLessEqual(len(classes._classes_by_facts), 10)


class StaleReportTest(base.SchedulerTestCase):
    """What Nova's own host state rules out, whatever was reported."""

    def test_libvirt_offers_no_kvm_any_more(self):
        self.report('a', 'kvm', 'nested', 'slat')
        state = host('a', guests=base.TCG_GUESTS)
        for request in (spec(), spec({'hvfilter:nested': 'required'})):
            self.assertEqual([], self.passing([state], request))
        self.assertIn('lacks kvm', self.log.output)

    def test_processor_was_exchanged(self):
        self.report('a', 'kvm', 'vtx', 'slat')
        state = host('a', cpu_info='{"arch": "x86_64", "vendor": "AMD"}')
        request = spec({'hvfilter:vtx': 'required'})
        self.assertEqual([], self.passing([state], request))
        self.assertEqual(['a'], self.passing([state], spec()))

    def test_host_became_a_guest(self):
        self.report('a', 'kvm', 'bare_metal')
        virtual = '{"arch": "x86_64", "features": ["hypervisor"]}'
        request = spec({'hvfilter:bare_metal': 'required'})
        self.assertEqual(
            [], self.passing([host('a', cpu_info=virtual)], request)
        )

    def test_who_avoids_what_was_reported_still_does(self):
        # As the prefilter has it, which sees nothing but traits.
        self.report('a', 'kvm', 'vtx')
        state = host('a', cpu_info='{"arch": "x86_64", "vendor": "AMD"}')
        request = spec({'hvfilter:vtx': 'forbidden'})
        self.assertEqual([], self.passing([state], request))
        self.flags(reserved=['vtx'])
        self.assertEqual([], self.passing([state], spec()))

    def test_it_counts_within_the_soft_age(self):
        self.report('a', 'kvm')
        self.assertEqual(['a'], self.passing([host('a')], spec()))
        self.clock.pass_s(30)
        state = host('a', guests=base.TCG_GUESTS)
        self.assertEqual([], self.passing([state], spec()))
