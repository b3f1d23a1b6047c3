# SPDX-License-Identifier: Apache-2.0

import ctypes
import errno
import mmap
import os
import pathlib
from unittest import mock

import testtools

from hvfilter.host import base, live, machine_code


def executable_pages():
    maps = pathlib.Path('/proc/self/maps').read_text()
    return [
        line for line in maps.splitlines() if ' r-xp 00000000 00:00 ' in line
    ]


class RoutineTest(testtools.TestCase):
    def test_argument_written_to_when_called(self):
        if os.uname().machine != 'x86_64':
            self.skipTest('the instructions are those of x86')
        # mov dword [rdi], 0x12345678; ret
        code = bytes.fromhex('c707785634 12c3'.replace(' ', ''))
        place = ctypes.c_uint32(0)
        with machine_code.Routine(code) as routine:
            routine(ctypes.addressof(place))
        self.assertEqual(0x12345678, place.value)

    def test_page_given_back_when_closed(self):
        before = executable_pages()
        with machine_code.Routine(b'\xc3'):
            self.assertEqual(len(before) + 1, len(executable_pages()))
        self.assertEqual(before, executable_pages())

    def test_loop_ends_when_it_counted_down(self):
        guest = live.SMOKE_GUESTS.get(os.uname().machine)
        if guest is None:
            self.skipTest('there is no loop for this architecture')
        with machine_code.Routine(guest.code) as routine:
            for iterations in (1, 2, 1000):
                self.assertIsNone(routine(iterations))

    def test_denied_when_there_is_no_memory(self):
        error = OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        with mock.patch('mmap.mmap', side_effect=error):
            denial = self.assertRaises(
                base.Denied, machine_code.Routine, b'\xc3'
            )
        self.assertEqual(
            ('make a page executable', 'ENOMEM'), (denial.what, denial.error)
        )

    def test_denied_when_no_page_may_become_executable(self):
        """As SELinux refuses it without ``execmem``."""
        pages = []

        def mprotect(address, size, protection):
            self.assertEqual(mmap.PROT_READ | mmap.PROT_EXEC, protection)
            self.assertEqual(mmap.PAGESIZE, size)
            pages.append(address)
            ctypes.set_errno(errno.EACCES)
            return -1

        library = mock.Mock()
        library.mprotect = mock.Mock(side_effect=mprotect)
        with mock.patch('ctypes.CDLL', return_value=library):
            denial = self.assertRaises(
                base.Denied, machine_code.Routine, b'\xc3'
            )
        self.assertEqual('EACCES', denial.error)
        self.assertTrue(denial.forbidden)
        self.assertEqual([0], [page % mmap.PAGESIZE for page in pages])
