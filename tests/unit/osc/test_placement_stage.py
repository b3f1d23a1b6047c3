# SPDX-License-Identifier: Apache-2.0
"""What the functional tests do not reach: shared and nested providers."""

import json
import urllib.parse

import testtools

from hvfilter.osc.placement_stage import PlacementStage
from hvfilter.placement import client, errors
from hvfilter.rules.guest import Need

ROOT, CHILD, POOL, OTHER = (
    f'{number}0000000-0000-0000-0000-000000000000' for number in range(1, 5)
)
DISK = Need('DISK_GB:10', resource='DISK_GB', amount=10)
VGPU = Need('VGPU:1', resource='VGPU', amount=1)
GOLD = Need('trait:GOLD=required', trait='GOLD')
NO_GOLD = Need('trait:GOLD=forbidden', trait='GOLD', forbidden=True)
TYPO = Need('trait:TYPO=forbidden', trait='TYPO', forbidden=True)


class Placement:
    """Answers by the query, and counts."""

    answers = {
        'resources=DISK_GB:10': [(POOL, POOL), (OTHER, OTHER)],
        'resources=VGPU:1': [(CHILD, ROOT)],
        'required=GOLD': [(ROOT, ROOT)],
        'required=MISC_SHARES_VIA_AGGREGATE': [(POOL, POOL)],
    }

    def __init__(self):
        self.asked = []

    def request(self, method, path, *, microversion, body=None):
        query = urllib.parse.unquote(urllib.parse.urlsplit(path).query)
        self.asked.append(query)
        if query not in self.answers:
            detail = f'No such trait(s): {query.partition("=")[2]}.'
            text = json.dumps({'errors': [{'detail': detail}]})
            return client.Response(400, {}, text.encode())
        listed = [
            {'uuid': uuid, 'name': 'x', 'root_provider_uuid': root}
            for uuid, root in self.answers[query]
        ]
        text = json.dumps({'resource_providers': listed})
        return client.Response(200, {}, text.encode())


class PlacementStageTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.placement = Placement()
        self.stage = PlacementStage(self.placement)
        self.stage.read([DISK, VGPU, GOLD, NO_GOLD, TYPO])

    def test_a_nested_provider_counts_for_its_root(self):
        self.assertFalse(self.stage.fails(VGPU, ROOT))
        self.assertTrue(self.stage.fails(VGPU, OTHER))

    def test_nobody_is_blamed_for_what_a_shared_provider_has(self):
        self.assertFalse(self.stage.fails(DISK, ROOT))

    def test_traits_required_and_forbidden(self):
        self.assertFalse(self.stage.fails(GOLD, ROOT))
        self.assertTrue(self.stage.fails(GOLD, OTHER))
        self.assertTrue(self.stage.fails(NO_GOLD, ROOT))
        self.assertFalse(self.stage.fails(NO_GOLD, OTHER))

    def test_a_trait_that_placement_does_not_know_fails_everywhere(self):
        self.assertEqual({'TYPO'}, self.stage.unknown)
        self.assertTrue(self.stage.fails(TYPO, ROOT))
        self.assertEqual(frozenset(), self.stage.candidates([DISK, TYPO]))

    def test_each_is_asked_once(self):
        before = len(self.placement.asked)
        self.stage.read([DISK, VGPU, GOLD, TYPO])
        self.assertEqual(before, len(self.placement.asked))

    def test_an_answer_that_is_not_one_of_placement(self):
        self.placement.answers = {'required=OTHER': []}
        stage = PlacementStage(_Odd())
        need = Need('trait:OTHER=required', trait='OTHER')
        self.assertRaises(errors.BadAnswer, stage.read, [need])


class _Odd:
    def request(self, method, path, *, microversion, body=None):
        return client.Response(200, {}, b'{"resource_providers": [1]}')
