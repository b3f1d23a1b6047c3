# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.host.facts import FileKind, FileStat
from hvfilter.probes import kvm_access
from tests.unit.probes.base import EACCES, ENOENT, look_at

NOBODY = {'libvirt-qemu': ENOENT, 'qemu': ENOENT}
DEBIAN = {'libvirt-qemu': ('libvirt-qemu', 'kvm'), 'qemu': ENOENT}
FEDORA = {'libvirt-qemu': ENOENT, 'qemu': ('qemu', 'kvm')}
WITHOUT_KVM = {'libvirt-qemu': ('libvirt-qemu',), 'qemu': ENOENT}


class ClosedTest(testtools.TestCase):
    def closed(self, mode, owner, group, accounts, acl=()):
        stat = FileStat(FileKind.CHAR, mode, owner, group, acl)
        look = look_at(stats={kvm_access.DEVICE: stat}, groups=dict(accounts))
        found = kvm_access.closed_to_qemu(look)
        if found is not None:
            self.assertIn(f'{mode:04o}, {owner}:{group}', found[0])
            self.assertIn('chgrp kvm', found[1])
        return found is not None

    def test_closed_by_owner_group_and_mode(self):
        for mode, owner, group, accounts, closed in (
            (0o660, 'root', 'kvm', DEBIAN, False),
            (0o660, 'root', 'kvm', FEDORA, False),
            (0o660, 'root', 'kvm', WITHOUT_KVM, True),
            (0o660, 'root', 'root', DEBIAN, True),
            (0o600, 'root', 'root', DEBIAN, True),
            (0o600, 'root', 'kvm', DEBIAN, True),
            (0o640, 'root', 'kvm', DEBIAN, True),
            (0o666, 'root', 'root', DEBIAN, False),
            # The group's word goes for its members, not that for others.
            (0o606, 'root', 'kvm', DEBIAN, True),
            (0o600, 'libvirt-qemu', 'root', DEBIAN, False),
            (0o060, 'libvirt-qemu', 'kvm', DEBIAN, True),
            (0o600, 'qemu', 'root', FEDORA, False),
        ):
            self.assertIs(
                closed,
                self.closed(mode, owner, group, accounts),
                (oct(mode), owner, group, accounts),
            )

    def test_open_by_a_list(self):
        for acl, closed in (
            (('user:libvirt-qemu:rw-', 'mask::rw-'), False),
            (('group:kvm:rw-', 'mask::rw-'), False),
            (('group:kvm:rw-', 'mask::r--'), True),
            (('group:kvm:r--', 'mask::rw-'), True),
            (('user:nova:rw-', 'mask::rw-'), True),
        ):
            found = self.closed(0o660, 'root', 'root', DEBIAN, acl)
            self.assertIs(closed, found, acl)

    def test_usual_groups_count_where_accounts_were_not_asked(self):
        for accounts in ({}, {'libvirt-qemu': EACCES, 'qemu': ENOENT}):
            self.assertFalse(self.closed(0o660, 'root', 'kvm', accounts))
            self.assertFalse(self.closed(0o660, 'root', 'qemu', accounts))
            self.assertTrue(self.closed(0o660, 'root', 'root', accounts))
            self.assertTrue(self.closed(0o600, 'root', 'root', accounts))

    def test_nothing_is_said_where_nothing_is_known(self):
        self.assertFalse(self.closed(0o600, 'root', 'root', NOBODY))
        self.assertIsNone(kvm_access.closed_to_qemu(look_at()))
        for stat in (ENOENT, EACCES):
            look = look_at(stats={kvm_access.DEVICE: stat}, groups=DEBIAN)
            self.assertIsNone(kvm_access.closed_to_qemu(look))
