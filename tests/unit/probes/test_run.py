# SPDX-License-Identifier: Apache-2.0

import logging
from unittest import mock

import fixtures
import testtools
from testtools.matchers import Contains

from hvfilter.model.catalogue import Arch, Stage
from hvfilter.model.finding import Strength
from hvfilter.probes import run
from hvfilter.probes.base import Probe
from hvfilter.probes.evidence import Source
from tests.unit.probes.base import look_at

SAID = Source(Stage.KVM, Strength.IOCTL, 'a', 'b').present('kvm', '1', 'c')


class Says(Probe):
    def observe(self, look):
        yield SAID


class Fails(Probe):
    def observe(self, look):
        yield SAID
        raise ZeroDivisionError


class OnArm(Says):
    archs = frozenset({Arch.ARM64})


class TestObserve(testtools.TestCase):
    def test_others_speak_when_one_fails(self):
        log = self.useFixture(fixtures.FakeLogger(level=logging.ERROR))
        self.assertEqual(
            [SAID, SAID], run.observe(look_at(), [Fails(), Says()])
        )
        self.assertThat(log.output, Contains('Probe Fails failed'))
        self.assertThat(log.output, Contains('ZeroDivisionError'))

    def test_probe_is_passed_over_when_of_another_architecture(self):
        self.assertEqual([], run.observe(look_at(), [OnArm()]))
        self.assertEqual([SAID], run.observe(look_at('aarch64'), [OnArm()]))


class TestRegistered(testtools.TestCase):
    def test_every_probe_is_found(self):
        probes = run.registered()
        names = [type(probe).__name__ for probe in probes]
        for name in ('X86Cpu', 'KvmDevice', 'NovaConfig', 'S390x', 'Iommu'):
            self.assertIn(name, names)
        for probe in probes:
            self.assertIsInstance(probe, Probe)
            self.assertTrue(probe.archs)

    def test_order_is_by_name(self):
        names = [type(probe).__name__ for probe in run.registered()]
        self.assertEqual(names, [type(p).__name__ for p in run.registered()])
        self.assertEqual('Arm64', names[0])

    def points(self, *points):
        self.useFixture(
            fixtures.MonkeyPatch(
                'stevedore.ExtensionManager.list_entry_points',
                lambda manager: list(points),
            )
        )

    def test_first_is_used_when_two_have_one_name(self):
        log = self.useFixture(fixtures.FakeLogger(level=logging.ERROR))
        first, second, other = (
            mock.Mock(value=value) for value in ('x:A', 'y:B', 'z:C')
        )
        first.name = second.name = 'b'
        other.name = 'a'
        self.points(first, second, other)
        self.assertEqual((other.load()(), first.load()()), run.registered())
        self.assertThat(log.output, Contains('named b: x:A and y:B'))

    def test_rest_is_used_when_one_cannot_be_loaded(self):
        log = self.useFixture(fixtures.FakeLogger(level=logging.ERROR))
        good, bad, worse = (mock.Mock(value=f'{v}:Y') for v in 'xyz')
        good.name, bad.name, worse.name = 'good', 'bad', 'worse'
        bad.load.side_effect = ImportError('no x')
        worse.load.return_value.side_effect = ValueError('no y')
        self.points(good, bad, worse)
        self.assertEqual((good.load()(),), run.registered())
        for text in ('bad (y:Y)', 'no x', 'worse (z:Y)', 'no y'):
            self.assertThat(log.output, Contains(text))
