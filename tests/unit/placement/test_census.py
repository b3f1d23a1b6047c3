# SPDX-License-Identifier: Apache-2.0

import urllib.parse

import testtools
from hypothesis import given
from hypothesis import strategies as st

from hvfilter.model import catalogue
from hvfilter.model.week import Week
from hvfilter.placement import census, client, errors
from tests.fakes.transport import answer, problem

NAMES = sorted(catalogue.STATE_TRAITS | catalogue.UNKNOWN_TRAITS)
KINDS = st.lists(
    st.frozensets(st.sampled_from(NAMES), max_size=30), max_size=12
)
NOW = Week.parse('2026W48')


class Placement:
    """Answers as Placement of one microversion does.

    :ivar carried: by uuid
    :ivar full: no provider from this one on has free memory
    """

    def __init__(self, kinds, newest=(1, 39), full=None):
        self.full = len(kinds) if full is None else full
        self.carried = {
            f'00000000-0000-4000-8000-{number:012}': names
            for number, names in enumerate(kinds)
        }
        self.newest = newest
        self.sent = []
        self.forgotten = 0

    def request(self, method, path, *, microversion, body=None):
        self.sent.append(path)
        url = urllib.parse.urlsplit(path)
        query = urllib.parse.parse_qs(url.query)
        if tuple(map(int, microversion.split('.'))) > self.newest:
            return problem(406, 'no')
        if url.path == '/traits':
            prefix = query['name'][0].removeprefix('startswith:')
            return answer(
                value={
                    'traits': sorted(
                        name
                        for name in frozenset().union(*self.carried.values())
                        if name.startswith(prefix)
                    )
                }
            )
        if url.path == '/allocation_candidates':
            roomy = list(self.carried)[: self.full]
            return answer(value={'provider_summaries': self._summaries(roomy)})
        if url.path.endswith('/traits'):
            uuid = url.path.split('/')[2]
            return answer(
                value={
                    'resource_provider_generation': 1,
                    'traits': sorted(self.carried[uuid]),
                }
            )
        if self.forgotten:
            self.forgotten -= 1
            return problem(400, f'No such trait(s): {NAMES[0]}')
        return self._providers(query.get('required', []))

    def _summaries(self, uuids):
        return {
            uuid: {
                'resources': {'MEMORY_MB': {'capacity': 8, 'used': 7}},
                'traits': ['COMPUTE_NODE', *self.carried[uuid]],
                'root_provider_uuid': uuid,
            }
            for uuid in uuids
        }

    def _providers(self, required):
        found = self.carried
        for each in required:
            if each.startswith('in:'):
                names = set(each[3:].split(','))
                found = {u: n for u, n in found.items() if n & names}
                continue
            for name in each.split(','):
                bare = name.removeprefix('!')
                found = {
                    uuid: names
                    for uuid, names in found.items()
                    if (bare in names) == (bare == name)
                }
        return answer(
            value={
                'resource_providers': [
                    {'uuid': uuid, 'name': uuid, 'generation': 1}
                    | {'root_provider_uuid': uuid}
                    for uuid in found
                ]
            }
        )

    def read(self, max_age_weeks=2):
        return census.read(client.PlacementClient(self), NOW, max_age_weeks)


class TestCensus(testtools.TestCase):
    @given(
        KINDS,
        st.sampled_from([(1, 39), (1, 22), (1, 18), (1, 16)]),
        st.integers(0, 12),
    )
    def test_every_provider_is_read_as_it_is(self, kinds, newest, full):
        placement = Placement(kinds, newest, full)
        if newest < (1, 18) and any(kinds):
            self.assertRaises(errors.TooOld, placement.read)
            return
        self.assertEqual(placement.carried, dict(placement.read().traits))

    def test_requests_do_not_grow_with_hosts_of_the_same_kinds(self):
        kinds = [frozenset(NAMES[:20]), frozenset(NAMES[5:30]), frozenset()]
        few, many = Placement(kinds), Placement(kinds * 100)
        few.read()
        many.read()
        self.assertEqual(len(few.sent), len(many.sent))
        self.assertLessEqual(len(many.sent), 8)

    def test_requests_are_few_however_many_kinds_there_are(self):
        kinds = [frozenset(NAMES) - {name} for name in NAMES]
        for full, most in (
            (len(kinds), 17),
            (len(kinds) - 5, 17 + len(NAMES)),
        ):
            placement = Placement(kinds, full=full)
            placement.read()
            self.assertLessEqual(len(placement.sent), most)

    def test_stale_reports_are_found_whatever_the_placement(self):
        old = frozenset({'CUSTOM_HVFILTER_REPORTED_2026W40'})
        new = frozenset({'CUSTOM_HVFILTER_REPORTED_2026W48'})
        for newest in ((1, 39), (1, 18)):
            placement = Placement([old, new, old | new], newest)
            found = placement.read()
            stale = [found.stale(uuid) for uuid in placement.carried]
            self.assertEqual(['2026W40', '', ''], stale)
            self.assertEqual('', placement.read(0).stale(min(found.traits)))

    def test_read_again_when_a_name_was_deleted_meanwhile(self):
        placement = Placement([frozenset(NAMES[:3])])
        placement.forgotten = 1
        self.assertEqual(placement.carried, dict(placement.read().traits))


class NestedSetsTest(testtools.TestCase):
    def test_sets_are_among_the_traits_of_hosts(self):
        kind = frozenset(NAMES[:20])
        sets = [f'CUSTOM_HVFILTER_NESTED_SET_SVM_{n}' for n in range(1, 5)]
        placement = Placement([kind | {name} for name in sets])
        found = census.read(client.PlacementClient(placement), NOW, 2)
        self.assertEqual(placement.carried, found.traits)
        self.assertTrue(len(placement.sent) <= 17, placement.sent)
