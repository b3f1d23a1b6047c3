# SPDX-License-Identifier: Apache-2.0

import errno
import os
import pathlib
from unittest import mock

import fixtures
import testtools

from hvfilter.host import base, live

FEATURE_CONTROL = 0x3A
PINBASED_CTLS = 0x481


class MsrTest(testtools.TestCase):
    """A file with the registers where the ``msr`` module has them."""

    def setUp(self):
        super().setUp()
        self.devices = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.host = live.LiveHost(devices=str(self.devices))

    def _put(self, cpu, registers):
        place = self.devices / 'cpu' / str(cpu) / 'msr'
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open('wb') as file:
            for index, value in registers.items():
                file.seek(index)
                file.write(value)
        return place

    def _denied(self, cpu, index):
        return self.assertRaises(base.Denied, self.host.msr, cpu, index)

    def test_64_bits_when_it_is_read(self):
        value = 0x0123456789ABCDEF.to_bytes(8, 'little')
        self._put(0, {FEATURE_CONTROL: b'\x05' + bytes(7), 0x481: value})
        self._put(1, {FEATURE_CONTROL: b'\xff' * 8})
        self.assertEqual(5, self.host.msr(0, FEATURE_CONTROL))
        self.assertEqual(0x0123456789ABCDEF, self.host.msr(0, PINBASED_CTLS))
        self.assertEqual(2**64 - 1, self.host.msr(1, FEATURE_CONTROL))

    def test_register_told_when_the_module_is_not_there(self):
        denial = self._denied(3, FEATURE_CONTROL)
        self.assertTrue(denial.not_found)
        self.assertEqual(
            f'read MSR 0x3a from {self.devices}/cpu/3/msr', denial.what
        )

    def test_denied_when_less_than_a_register_comes_back(self):
        self._put(0, {FEATURE_CONTROL: b'\x05\x00\x00'})
        denial = self._denied(0, FEATURE_CONTROL)
        self.assertEqual(
            ('EIO', '3 bytes came back'), (denial.error, denial.text)
        )
        self.assertFalse(denial.not_found)

    def test_nothing_left_open_when_the_processor_refuses(self):
        self._put(0, {})
        before = len(list(pathlib.Path('/proc/self/fd').iterdir()))
        refusal = OSError(errno.EIO, os.strerror(errno.EIO))
        with mock.patch('os.pread', side_effect=refusal):
            self.assertEqual('EIO', self._denied(0, PINBASED_CTLS).error)
        after = len(list(pathlib.Path('/proc/self/fd').iterdir()))
        self.assertEqual(before, after)

    def test_answer_or_denial_when_it_is_this_machine(self):
        """Whatever this machine allows, nothing else comes out."""
        try:
            value = live.LiveHost().msr(0, FEATURE_CONTROL)
        except base.Denied as denial:
            self.assertIn('/dev/cpu/0/msr', denial.what)
        else:
            self.assertEqual(value, value & 2**64 - 1)
