# SPDX-License-Identifier: Apache-2.0

import os
import struct
from unittest import mock

import testtools

from hvfilter.host import acl

# What "setfacl -m u:64055:rw,g:36:r" leaves on a file of mode 0660.
ENTRIES = (
    (0x01, 6, 0xFFFFFFFF),
    (0x02, 6, 64055),
    (0x04, 6, 0xFFFFFFFF),
    (0x08, 4, 36),
    (0x10, 6, 0xFFFFFFFF),
    (0x20, 0, 0xFFFFFFFF),
)
LIST = struct.pack('<I', 2) + b''.join(
    struct.pack('<HHI', *entry) for entry in ENTRIES
)
NAMED = ('user:u64055:rw-', 'group:g36:r--', 'mask::rw-')


def parsed(data):
    return acl.parse(data, lambda n: f'u{n}', lambda n: f'g{n}')


class TestAcl(testtools.TestCase):
    def test_named_users_groups_and_the_mask(self):
        self.assertEqual(NAMED, parsed(LIST))

    def test_nothing_when_there_is_no_such_list(self):
        for data in (b'', b'\2\0', struct.pack('<I', 3) + LIST[4:]):
            self.assertEqual((), parsed(data))

    def test_entries_that_are_whole_when_the_list_is_cut(self):
        self.assertEqual(NAMED[:1], parsed(LIST[:-20]))

    def test_entries_of_a_file(self):
        def entries():
            return acl.entries('/dev/kvm', 'u{}'.format, 'g{}'.format)

        with mock.patch.object(os, 'getxattr', return_value=LIST) as ask:
            self.assertEqual(NAMED, entries())
        ask.assert_called_once_with('/dev/kvm', acl.ATTRIBUTE)
        with mock.patch.object(os, 'getxattr', side_effect=OSError):
            self.assertEqual((), entries())
