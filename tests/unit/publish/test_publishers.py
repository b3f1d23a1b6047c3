# SPDX-License-Identifier: Apache-2.0

from unittest import mock

import fixtures
import testtools
from oslo_config import cfg

from hvfilter.conf import agent
from hvfilter.model.problem import Problem
from hvfilter.publish import base, publishers
from hvfilter.publish.textfile import TextfilePublisher


def publisher(name, error=None):
    """A publisher that works, or raises."""
    made = mock.Mock(spec=base.Publisher)
    made.name = name
    for act in (made.publish, made.withdraw):
        act.side_effect = error
        act.return_value = base.Outcome(name, 'there')
    return made


class EachTest(testtools.TestCase):
    """One that fails, in whatever way, stops no other."""

    ERRORS = (
        Problem('It broke', 'Repair it.', transient=True),
        Problem('Cannot read x.conf', 'Look.'),
        cfg.NoSuchOptError('x'),
        ValueError('month must be in 1..12'),
        MemoryError(),
        ImportError('no module'),
    )

    def test_publish_when_one_fails(self):
        for error in self.ERRORS:
            for dry_run in (False, True):
                first, last = publisher('a', error), publisher('b')
                context = base.PublishContext(
                    mock.Mock(), mock.Mock(), base.Identity(), 0.0, 0.0
                )
                result = publishers.publish(
                    [first, last], context, dry_run=dry_run
                )
                self.check(result)
                ((known,), options) = last.publish.call_args
                self.assertEqual(result[:1], known.previous)
                self.assertEqual({'dry_run': dry_run}, options)

    def test_withdraw_when_one_fails(self):
        for error in self.ERRORS:
            both = [publisher('a', error), publisher('b')]
            self.check(publishers.withdraw(both, base.Identity()))

    def check(self, result):
        self.assertEqual('a', result[0].publisher)
        self.assertTrue(result[0].problem)
        self.assertEqual(base.Outcome('b', 'there'), result[1])

    def test_text_when_the_error_is_not_foreseen(self):
        result = publishers.withdraw(
            [publisher('a', ValueError('password = X'))], base.Identity()
        )
        self.assertNotIn('X', str(result[0].problem))
        self.assertIn('ValueError', str(result[0].problem))
        self.assertFalse(result[0].problem.transient)


class LoadTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.conf = agent.load([])

    def failure(self, loaded):
        for act in (loaded.publish, loaded.withdraw):
            self.assertRaises(Problem, act, None)
        return str(loaded.problem)

    def test_the_others_when_one_is_misspelt(self):
        first, last = publishers.load(['textfiel', 'textfile'], self.conf)
        self.assertIn("'textfiel'", self.failure(first))
        self.assertIn('placement, provider-config', self.failure(first))
        self.assertIsInstance(last, TextfilePublisher)

    def test_the_others_when_one_lacks_its_library(self):
        self.useFixture(
            fixtures.MonkeyPatch(
                'importlib.metadata.EntryPoint.load',
                mock.Mock(side_effect=ImportError('prometheus_client')),
            )
        )
        (only,) = publishers.load(['textfile'], self.conf)
        self.assertIn('prometheus_client', self.failure(only))
        self.assertIn('uninstall its package', self.failure(only))

    def test_the_others_when_one_cannot_be_made(self):
        self.useFixture(
            fixtures.MonkeyPatch(
                'hvfilter.publish.textfile.TextfilePublisher.__init__',
                mock.Mock(side_effect=KeyError('x')),
            )
        )
        (only,) = publishers.load(['textfile'], self.conf)
        self.assertIn('KeyError', self.failure(only))

    def test_once_each_when_one_is_named_twice(self):
        self.assertEqual(1, len(publishers.load(['textfile'] * 2, self.conf)))

    def test_neither_when_two_have_one_name(self):
        points = [mock.Mock(value='x:A'), mock.Mock(value='y:B')]
        for point in points:
            point.name = 'twin'
        self.useFixture(
            fixtures.MonkeyPatch(
                'stevedore.ExtensionManager.list_entry_points',
                lambda manager: points,
            )
        )
        (only,) = publishers.load(['twin'], self.conf)
        self.assertIn('named twin: x:A and y:B', self.failure(only))
        self.assertEqual('not_installed', only.problem.code)
