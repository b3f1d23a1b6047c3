# SPDX-License-Identifier: Apache-2.0

import base64
import hashlib
import json
import zlib
from unittest import mock

import testtools

from tests.lab import debian, emulators, run, table

HOST = table.BY_NAME['amd-nested-off']
TRUE = {
    'messages': ['[ 2.3] SVM: kvm: Nested Paging enabled'],
    'parameters': {'kvm_amd/nested': '0'},
    'ran': 'ran',
}


def told(results):
    data = zlib.compress(json.dumps(results).encode())
    text = base64.b64encode(data).decode()
    return f'LAB-BEGIN {hashlib.sha256(data).hexdigest()}\r\n{text}\r\nLAB-END'


class DecodedTest(testtools.TestCase):
    def test_results_when_other_lines_are_around(self):
        line = f'booting\r\n\r\n{told(TRUE)}\r\nPower down\r\n'
        self.assertEqual(TRUE, run.decoded(line))

    def test_nothing_when_a_message_landed_in_the_middle(self):
        text = told(TRUE)
        at = text.index('\r\n') + 20
        damaged = text[:at] + 'oops' + text[at:]
        self.assertEqual({}, run.decoded(damaged))

    def test_nothing_when_it_did_not_get_that_far(self):
        self.assertEqual({}, run.decoded('Kernel panic'))


class UntrueTest(testtools.TestCase):
    def _untrue(self, **changed):
        return list(run.untrue(HOST, {**TRUE, **changed}))

    def test_nothing_when_the_kernel_says_what_the_table_says(self):
        self.assertEqual([], self._untrue())

    def test_told_when_the_kernel_does_not_say_it(self):
        self.assertIn('does not say', self._untrue(messages=[])[0])

    def test_told_when_the_kernel_says_what_it_must_not(self):
        messages = [*TRUE['messages'], 'Nested Virtualization enabled']
        self.assertEqual(1, len(self._untrue(messages=messages)))

    def test_told_when_a_parameter_differs(self):
        found = self._untrue(parameters={'kvm_amd/nested': '1'})
        self.assertEqual(['the parameter kvm_amd/nested is 1, not 0'], found)

    def test_told_when_no_guest_ran(self):
        self.assertEqual(
            ['a guest: failed: EIO'], self._untrue(ran='failed: EIO')
        )


def probed(**states):
    """A report with these states, and a guest's own state beside."""
    capabilities = {
        key: {
            'state': state,
            'reason': '',
            'evidence': [
                {
                    'strength': 'smoke',
                    'source': 'nested smoke run',
                    'state': smoke,
                    'reason': '',
                }
            ],
        }
        for key, (state, smoke) in states.items()
    }
    text = json.dumps({'capabilities': capabilities})
    return {'probe': {'status': 0, 'out': text}}


class UnsettledTest(testtools.TestCase):
    HOST = table.BY_NAME['amd-nested-on']

    def test_capabilities_of_which_a_guest_settled_nothing(self):
        results = probed(
            kvm=('present', 'present'),
            nested=('unknown', 'unknown'),
            nested_slat=('absent', 'unknown'),
            slat=('unknown', 'present'),
        )
        self.assertEqual(('nested',), run.unsettled(self.HOST, results))

    def test_nothing_when_there_is_no_report(self):
        results = {'probe': {'status': 1, 'out': ''}}
        self.assertEqual((), run.unsettled(self.HOST, results))

    def test_no_doubt_where_the_state_must_be_unknown(self):
        host = table.BY_NAME['arm64-told-not-to']
        results = probed(hvm=('unknown', 'unknown'))
        self.assertEqual((), run.unsettled(host, results))

    def _wrong(self, **states):
        failed = {'status': 1, 'out': '', 'err': 'not so'}
        results = {
            **probed(**states),
            'check': failed,
            'record': {'status': 0, 'out': ''},
        }
        report = {key: state for key, (state, _) in states.items()}
        with (
            mock.patch.object(run.document, 'loads'),
            mock.patch.object(run.snapshot, 'loads'),
            mock.patch.object(run, 'report_on'),
            mock.patch.object(run, 'RecordedHost'),
            mock.patch.object(run.make, 'brief', return_value=report),
        ):
            return '\n'.join(run.wrong(self.HOST, results))

    def test_unknown_is_not_wrong_on_a_busy_machine_but_absent_is(self):
        busy = dict.fromkeys(self.HOST.expected, ('unknown', 'unknown'))
        self.assertEqual('', self._wrong(**busy))
        found = self._wrong(**{**busy, 'nested': ('absent', 'absent')})
        self.assertIn('nested is present, but hvfilter says absent', found)

    def test_unknown_is_wrong_where_no_guest_was_in_doubt(self):
        states = {
            key: (state, 'present')
            for key, state in self.HOST.expected.items()
        }
        found = self._wrong(**{**states, 'slat': ('unknown', 'present')})
        self.assertIn('slat is present, but hvfilter says unknown', found)
        self.assertIn('hvfilter check exited with 1', found)

    def _examined(self, *outcomes):
        outcomes = [
            run.Outcome(self.HOST, 0, {}, problems, unsettled)
            for problems, unsettled in outcomes
        ]
        with mock.patch.object(run, '_examine', side_effect=outcomes):
            found = run.examine(None, self.HOST, None)
        return found.word, found.boots

    def test_booted_again_until_it_is_settled(self):
        good, busy, bad = ((), ()), ((), ('nested',)), (('x',), ('nested',))
        for outcomes, expected in (
            ((good,), ('ok', 1)),
            ((busy, good), ('ok', 2)),
            ((busy, bad), ('WRONG', 2)),
            ((busy, busy, busy), ('BUSY', 3)),
        ):
            self.assertEqual(expected, self._examined(*outcomes))


class LockedBiosTest(testtools.TestCase):
    BIOS = (
        b'start'
        + bytes.fromhex('b93a0000000f3283c8050f30')
        + b'middle'
        + bytes.fromhex('66b93a0000000f326683c8050f30')
        + b'end\x80'
    )

    def test_locked_without_vmx_when_changed(self):
        locked = emulators.locked_bios(self.BIOS)
        self.assertEqual(sum(self.BIOS) % 256, sum(locked) % 256)
        differing = [
            (old, new)
            for old, new in zip(self.BIOS, locked, strict=True)
            if old != new
        ]
        self.assertEqual([(5, 1), (5, 1), (0x80, 0x88)], differing)

    def test_missing_when_it_is_another_bios(self):
        for bios in (b'', self.BIOS[:20], self.BIOS * 2):
            self.assertRaises(debian.Missing, emulators.locked_bios, bios)
