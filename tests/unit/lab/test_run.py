# SPDX-License-Identifier: Apache-2.0

import base64
import hashlib
import json
import zlib

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
