# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.host import question
from hvfilter.host.base import Denied, Holder
from hvfilter.model.catalogue import Stage
from hvfilter.model.finding import Observation, State, Strength
from hvfilter.probes.evidence import SHOWN, Source, access, shortened
from tests.unit.probes.base import EACCES, look_at

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


def denial(asked, error):
    """As a cached host raises it."""
    denied = Denied(str(asked), error)
    denied.question = asked
    return denied


class TestAccess(testtools.TestCase):
    def test_remedy_for_each_denial(self):
        for asked, error, words in (
            (question.file('/a'), 'NOTRECORDED', 'record the host again'),
            (question.KVM_API_VERSION, 'EACCES', 'to the group of /dev/kvm'),
            (question.KVM_API_VERSION, 'EPERM', 'to the group of /dev/kvm'),
            (question.msr(0, 0x3A), 'ENOENT', 'modprobe msr'),
            (question.msr(0, 0x3A), 'EACCES', 'modprobe msr'),
            (
                question.file('/proc/cmdline'),
                'EACCES',
                'root to read /proc/cm',
            ),
            (question.directory('/sys/module'), 'ENOENT', 'not in a cont'),
        ):
            self.assertIn(words, access(denial(asked, error)), (asked, error))

    def test_remedy_fits_what_does_not_hold_it(self):
        """Nobody can record again what another tool printed."""
        for holder, words in (
            (Holder.RECORDING, 'record the host again'),
            (Holder.COPY, 'copy it too'),
            (Holder.DUMP, 'this dump does not hold it'),
        ):
            denied = Denied.not_held('read /a', holder)
            self.assertEqual('NOTRECORDED', denied.error)
            self.assertIn(f'the {holder.value} does not hold', denied.text)
            self.assertIn(words, access(denied))

    def test_no_remedy_when_there_is_none(self):
        for asked, error in (
            (question.msr(0, 0x3A), 'EIO'),
            (question.file('/proc/x'), 'ENOENT'),
            (question.KVM_API_VERSION, 'ENOENT'),
            (question.cpuid(0, 1, 0), 'ENXIO'),
            (question.groups('nova'), 'ENOENT'),
        ):
            self.assertEqual('', access(denial(asked, error)), (asked, error))
        self.assertEqual('', access(Denied('read /sys/x', 'ENOENT')))

    def test_remedy_when_given(self):
        denied = denial(question.KVM_API_VERSION, 'EACCES')
        self.assertEqual('do', SOURCE.denied('k', denied, 'why', 'do').remedy)
        self.assertIn('group', SOURCE.denied('k', denied, 'why').remedy)

    def test_question_when_a_cached_host_is_denied(self):
        host = look_at(files={'/x': EACCES})
        for _ in range(2):
            denied = self.assertRaises(Denied, host.read, '/x')
            self.assertEqual(question.file('/x'), denied.question)
