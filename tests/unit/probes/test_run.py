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

    def test_first_is_used_when_two_bear_a_name(self):
        log = self.useFixture(fixtures.FakeLogger(level=logging.ERROR))
        first, second, other = mock.Mock(), mock.Mock(), mock.Mock()
        first.name = second.name = 'b'
        other.name = 'a'
        with mock.patch(
            'stevedore.ExtensionManager', return_value=[first, second, other]
        ):
            found = run.registered()
        self.assertEqual((other.obj, first.obj), found)
        self.assertThat(log.output, Contains('registered as b'))

    def test_rest_is_used_when_one_cannot_be_loaded(self):
        log = self.useFixture(fixtures.FakeLogger(level=logging.ERROR))
        with mock.patch(
            'stevedore.ExtensionManager', return_value=[]
        ) as manager:
            run.registered()
        self.assertEqual(('hvfilter.probes',), manager.call_args.args)
        self.assertIs(True, manager.call_args.kwargs['invoke_on_load'])
        report = manager.call_args.kwargs['on_load_failure_callback']
        report(None, 'broken = x:Y', ImportError('no x'))
        self.assertThat(log.output, Contains('Probe broken = x:Y cannot'))
        self.assertThat(log.output, Contains('no x'))
