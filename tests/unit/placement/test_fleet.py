# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.model import catalogue
from hvfilter.model.week import Week
from hvfilter.placement import client, errors, fleet, reconcile

KVM = 'CUSTOM_HVFILTER_KVM'
OLD = 'CUSTOM_HVFILTER_REPORTED_2026W40'
NOW = 'CUSTOM_HVFILTER_REPORTED_2026W48'
FORMER = 'CUSTOM_HVFILTER_NESTED_UNKNOWN_2026W41'
MINE = 'CUSTOM_HVFILTER_REPORTED_2026W40_MINE'
SET = 'CUSTOM_HVFILTER_NESTED_SET_SVM_9'
WEEK = Week.parse('2026W48')


class Client:
    """Placement as the fleet asks it.

    :ivar providers: name to its traits; the uuid is the name
    :ivar names: those that are known, beside those that are carried
    :ivar gone: providers that are deleted before their turn
    :ivar requests: how many
    """

    def __init__(self, providers, names=()):
        self.providers = {name: set(each) for name, each in providers.items()}
        self.names = set(names).union(*providers.values())
        self.gone = set()
        self.requests = 0

    def carried(self):
        return set().union(*self.providers.values())

    def traits_known(self, prefix, *, carried=False):
        self.requests += 1
        names = self.carried() if carried else self.names
        return frozenset(name for name in names if name.startswith(prefix))

    def providers_with(self, *, required):
        (trait,) = required
        return tuple(
            client.Provider(name, name)
            for name, traits in self.providers.items()
            if trait in traits
        )

    def traits_of(self, uuid):
        self.requests += 1
        if uuid in self.gone:
            raise errors.NotFound(f'no {uuid}', 'wait')
        traits = frozenset(self.providers[uuid])
        return client.ProviderTraits(uuid, 1, traits)

    def set_traits(self, uuid, generation, traits):
        self.providers[uuid] = set(traits)
        return client.ProviderTraits(uuid, 2, frozenset(traits))

    def ensure_trait(self, name):
        new = name not in self.names
        self.names.add(name)
        return new

    def delete_trait(self, name):
        if name not in self.names:
            raise errors.NotFound(name, 'x')
        if name in self.carried():
            raise errors.Conflict(name, 'x')
        self.names.discard(name)


class WithdrawTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.slept = []

    def withdraw(self, placement, **more):
        there = fleet.trait_usage(placement)
        reconciler = reconcile.Reconciler(
            placement, clock=lambda: 0.0, sleep=self.slept.append
        )
        done = fleet.withdraw(
            placement, reconciler, there, lambda done: None, **more
        )
        return there, done

    def test_withdraw_when_a_provider_is_gone(self):
        """Clean, at once, and no wrong advice."""
        placement = Client({'a': {KVM, NOW}, 'b': {KVM, 'CUSTOM_GOLD'}})
        there = fleet.trait_usage(placement)
        self.assertEqual({'a': 'a', 'b': 'b'}, there.providers)
        placement.gone = {'a'}
        placement.requests = 0
        done = fleet.withdraw(
            placement,
            reconcile.Reconciler(placement, sleep=self.slept.append),
            there,
            lambda done: placement.providers.pop('a', None),
        )
        self.assertEqual([], self.slept)
        self.assertEqual(2, placement.requests)
        self.assertEqual(2, done.cleaned)
        self.assertEqual((), done.failures)
        self.assertEqual({KVM, NOW}, done.deleted)
        self.assertEqual({'b': {'CUSTOM_GOLD'}}, placement.providers)

    def test_withdraw_when_names_have_weeks(self):
        placement = Client(
            {'a': {KVM, NOW, MINE}, 'b': {OLD, FORMER}, 'c': {'CUSTOM_GOLD'}},
            names={'CUSTOM_HVFILTER_SEV'},
        )
        there, done = self.withdraw(placement)
        self.assertEqual({WEEK: 1, Week.parse('2026W40'): 1}, there.reported)
        self.assertEqual(
            {KVM, NOW, OLD, FORMER, 'CUSTOM_HVFILTER_SEV'}, done.deleted
        )
        self.assertEqual({MINE, 'CUSTOM_GOLD'}, placement.names)

    def test_withdraw_when_there_are_nested_sets(self):
        placement = Client({'a': {KVM, SET, 'CUSTOM_GOLD'}}, names={MINE})
        _, done = self.withdraw(placement)
        self.assertEqual({KVM, SET}, done.deleted)
        self.assertEqual({'a': {'CUSTOM_GOLD'}}, placement.providers)

    def test_withdraw_when_names_are_kept(self):
        placement = Client({'a': {KVM, NOW}})
        _, done = self.withdraw(placement, keep_names=True)
        self.assertEqual(frozenset(), done.deleted)
        self.assertEqual({KVM, NOW}, placement.names)
        self.assertEqual({'a': set()}, placement.providers)

    def test_withdraw_when_a_name_is_carried_again(self):
        placement = Client({'a': {KVM}, 'b': {OLD}})
        there = fleet.trait_usage(placement)
        done = fleet.withdraw(
            placement,
            reconcile.Reconciler(placement),
            there,
            lambda done: placement.providers['a'].add(KVM),
        )
        ((name, error),) = done.failures
        self.assertEqual(KVM, name)
        self.assertIsInstance(error, errors.Conflict)


class NamesTest(testtools.TestCase):
    def test_names_when_weeks_have_gone_by(self):
        placement = Client({'a': {OLD}}, names={FORMER, NOW, MINE, KVM})
        found = fleet.name_changes(placement, WEEK)
        self.assertEqual({FORMER}, found.outdated)
        self.assertEqual(catalogue.STATE_TRAITS - {KVM}, found.missing)
        self.assertEqual(2, placement.requests)
        self.assertEqual(
            {FORMER}, fleet.delete_names(placement, found.outdated)
        )
        self.assertEqual(
            frozenset(), fleet.delete_names(placement, {FORMER, OLD})
        )
        self.assertIn(OLD, placement.names)

    def test_nested_sets_when_no_host_has_them(self):
        mine, gone = 'CUSTOM_HVFILTER_NESTED_SET_SVM_9', SET.replace('9', '8')
        placement = Client({'a': {SET}}, names={gone, f'{gone}_BY_ME'})
        for now in (WEEK, None):
            found = fleet.name_changes(placement, now)
            self.assertEqual({gone}, found.outdated)
        self.assertEqual({gone}, fleet.delete_names(placement, {gone, mine}))

    def test_names_when_there_are_no_other_weeks(self):
        placement = Client({'a': {NOW}}, names=catalogue.STATE_TRAITS)
        self.assertEqual(
            fleet.NameChanges(frozenset(), frozenset()),
            fleet.name_changes(placement, WEEK),
        )
        self.assertEqual(1, placement.requests)

    def test_names_when_clock_was_never_set(self):
        placement = Client({'a': {KVM}}, names={OLD})
        self.assertEqual(
            frozenset(), fleet.name_changes(placement, None).outdated
        )

    def test_prepare_when_nothing_is_known(self):
        placement = Client({'a': {KVM}})
        self.assertEqual(
            catalogue.STATE_TRAITS - {KVM}, fleet.create_names(placement)
        )
        self.assertEqual(frozenset(), fleet.create_names(placement))
