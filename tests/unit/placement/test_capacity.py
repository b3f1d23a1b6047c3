# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.placement import capacity, errors
from tests.fakes.transport import answer, problem


class Placement:
    """Gives one answer after the other."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.sent = []

    def request(self, method, path, *, microversion, body=None):
        self.sent.append((path, microversion))
        return self.answers.pop(0)


def summary(root=None, traits=(), **resources):
    found = {
        'resources': {
            name: {'capacity': capacity, 'used': used}
            for name, (capacity, used) in resources.items()
        },
        'traits': list(traits),
    }
    return found if root is None else {**found, 'root_provider_uuid': root}


def summaries(**listed):
    return answer(value={'provider_summaries': listed})


class TestCapacity(testtools.TestCase):
    def test_one_request_shows_what_is_left_of_each_tree(self):
        placement = Placement(
            summaries(
                a=summary('a', ['CUSTOM_A'], VCPU=(8, 3), MEMORY_MB=(100, 0)),
                b=summary('a', ['CUSTOM_B'], CUSTOM_GPU=(2, 1)),
                c=summary('c', VCPU=(4, 9)),
            )
        )
        found = capacity.read(
            placement, {'VCPU': 1, 'MEMORY_MB': 2}, ['CUSTOM_A']
        )
        self.assertEqual(
            [
                (
                    '/allocation_candidates?resources=MEMORY_MB:2,VCPU:1'
                    '&required=CUSTOM_A',
                    '1.29',
                )
            ],
            placement.sent,
        )
        self.assertEqual({'a', 'c'}, set(found))
        self.assertEqual({'CUSTOM_A', 'CUSTOM_B'}, found['a'].traits)
        self.assertEqual(5, found['a'].total('VCPU'))
        self.assertEqual(0, found['c'].total('VCPU'))
        self.assertEqual(0, found['c'].total('PCPU'))

    def test_fits_as_often_as_the_scarcest_class(self):
        free = capacity.Free(
            {'VCPU': (3, 5), 'MEMORY_MB': (100,)}, frozenset()
        )
        self.assertEqual(3, free.fits({'VCPU': 2, 'MEMORY_MB': 10}))
        self.assertEqual(1, free.fits({'VCPU': 2, 'MEMORY_MB': 60}))
        self.assertEqual(0, free.fits({'PCPU': 1}))

    def test_older_placement_is_asked_without_trees(self):
        placement = Placement(
            problem(406, 'no'), summaries(a=summary(VCPU=(8, 3)))
        )
        self.assertEqual({'a'}, set(capacity.read(placement, {'VCPU': 1})))
        self.assertEqual(
            ['1.29', '1.17'], [each[1] for each in placement.sent]
        )

    def test_error_when_the_answer_is_of_another_shape(self):
        for value in ({}, {'provider_summaries': {'a': {}}}):
            self.assertRaises(
                errors.BadAnswer,
                capacity.read,
                Placement(answer(value=value)),
                {'VCPU': 1},
            )
