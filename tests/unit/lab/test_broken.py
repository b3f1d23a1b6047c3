# SPDX-License-Identifier: Apache-2.0

import struct

import testtools

from tests.lab import broken, debian, table

CALL = bytes.fromhex('e800000000')
ENDBR64 = bytes.fromhex('f30f1efa')
BODY = bytes(range(0x50, 0x60))
ALWAYS_7 = bytes.fromhex('b807000000c3')
AT = 0x10
"""Where the function lies in its section."""


def module(code=CALL + BODY, relocated=AT + 1, kind=2):
    """A module with a section of code, one function and one relocation."""
    text = b'\x90' * AT + code
    names = b'\0checked\0'
    symbols = bytes(24) + struct.pack('<IBBHQQ', 1, kind, 0, 1, AT, len(code))
    places = struct.pack('<QQq', relocated, 2, -4)
    content = b''
    headers = bytes(64)
    for number, link, info, part in (
        (1, 0, 0, text),
        (3, 0, 0, names),
        (2, 2, 0, symbols),
        (4, 3, 1, places),
    ):
        at = 64 + len(content)
        headers += struct.pack(
            *('<IIQQQQIIQQ', 0, number, 0, 0, at, len(part)),
            *(link, info, 0, 0),
        )
        content += part
    start = bytearray(64)
    struct.pack_into('<Q', start, 0x28, 64 + len(content))
    struct.pack_into('<HH', start, 0x3A, 64, 5)
    return bytes(start) + content + headers


class AlwaysTest(testtools.TestCase):
    def changed(self, code, **other):
        before = module(code, **other)
        after = broken.always(before, 'checked', 7)
        self.assertEqual(len(before), len(after))
        start = 64 + AT
        self.assertEqual(before[:start], after[:start])
        end = start + len(code)
        self.assertEqual(before[end:], after[end:])
        return after[start:end]

    def test_value_returned_after_the_call_of_fentry(self):
        self.assertEqual(CALL + ALWAYS_7 + BODY[6:], self.changed(CALL + BODY))

    def test_value_returned_where_indirect_branches_are_tracked(self):
        self.assertEqual(
            ENDBR64 + CALL + ALWAYS_7 + BODY[6:],
            self.changed(ENDBR64 + CALL + BODY, relocated=AT + 5),
        )

    def test_missing_when_it_could_not_work(self):
        for other in (
            module(BODY),
            module(relocated=AT + 2),
            module(relocated=AT + 10),
            module(kind=1),
        ):
            self.assertRaises(
                debian.Missing, broken.always, other, 'checked', 7
            )
        self.assertRaises(debian.Missing, broken.always, module(), 'check', 7)

    def test_nothing_in_the_way_beside_it(self):
        self.changed(CALL + BODY, relocated=AT + 11)


class LyingHostsTest(testtools.TestCase):
    def test_offered_by_the_host_that_they_are_like(self):
        lying = [host for host in table.HOSTS if host.broken]
        vendors = {host.module for host in lying}
        self.assertEqual({'kvm-amd', 'kvm-intel'}, vendors)
        for host in lying:
            self.assertEqual(table.P, host.expected['kvm'], host.name)
            for key in host.disproved:
                self.assertEqual(table.A, host.expected[key], host.name)
            self.assertIn('nested_slat', host.disproved)
