# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.host.door import Denied
from hvfilter.model.catalogue import Stage
from hvfilter.model.finding import Observation, State, Strength
from hvfilter.probes.evidence import SHOWN, Source, access, shortened

SOURCE = Source(Stage.KVM, Strength.IOCTL, 'ioctl', 'bit 1')


class TestQuestion(testtools.TestCase):
    def expected(self, state, value, remedy=''):
        return Observation(
            'kvm',
            Stage.KVM,
            state,
            Strength.IOCTL,
            'ioctl',
            'bit 1',
            value,
            'why',
            remedy,
        )

    def test_observation_for_each_answer(self):
        denied = Denied('open it', 'EIO')
        for said, expected in (
            (
                SOURCE.present('kvm', '1', 'why'),
                self.expected(State.PRESENT, '1'),
            ),
            (
                SOURCE.absent('kvm', '0', 'why', 'do'),
                self.expected(State.ABSENT, '0', 'do'),
            ),
            (
                SOURCE.unknown('kvm', '?', 'why', 'do'),
                self.expected(State.UNKNOWN, '?', 'do'),
            ),
            (
                SOURCE.denied('kvm', denied, 'why', 'do'),
                self.expected(State.UNKNOWN, str(denied), 'do'),
            ),
        ):
            self.assertEqual(expected, said)
        self.assertEqual('', SOURCE.absent('kvm', '0', 'why').remedy)

    def test_value_when_long(self):
        self.assertEqual('a b', shortened('a\n  b '))
        self.assertEqual('x' * SHOWN, shortened('x' * SHOWN))
        self.assertEqual('x' * SHOWN + '...', shortened('x' * (SHOWN + 1)))
        self.assertEqual(
            SHOWN + 3, len(SOURCE.present('k', 'y' * 999, '').value)
        )


class TestAccess(testtools.TestCase):
    def test_remedy_for_each_denial(self):
        for what, error, words in (
            ('read /a', 'NOTRECORDED', 'record the host again'),
            ('open /dev/kvm', 'EACCES', 'member of its group'),
            ('open /dev/kvm', 'EPERM', 'member of its group'),
            ('read MSR 0x3a from /dev/cpu/0/msr', 'ENOENT', 'modprobe msr'),
            ('read MSR 0x3a from /dev/cpu/0/msr', 'EACCES', 'modprobe msr'),
            ('read /proc/cmdline', 'EACCES', 'root, who may read /proc/cm'),
            ('list /sys/module', 'ENOENT', 'not in a container'),
        ):
            self.assertIn(words, access(Denied(what, error)), (what, error))

    def test_no_remedy_when_there_is_none(self):
        for what, error in (
            ('read MSR 0x3a from /dev/cpu/0/msr', 'EIO'),
            ('read /proc/x', 'ENOENT'),
            ('open /dev/kvm', 'ENOENT'),
            ('CPUID', 'ENXIO'),
        ):
            self.assertEqual('', access(Denied(what, error)), (what, error))

    def test_remedy_when_given(self):
        denied = Denied('open /dev/kvm', 'EACCES')
        self.assertEqual('do', SOURCE.denied('k', denied, 'why', 'do').remedy)
        self.assertIn('group', SOURCE.denied('k', denied, 'why').remedy)
