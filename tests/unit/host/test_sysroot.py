# SPDX-License-Identifier: Apache-2.0

import os
import pathlib
import socket
import struct

import fixtures
import testtools
from hypothesis import given
from hypothesis import strategies as st

from hvfilter.host import base, facts, sysroot
from hvfilter.host.sysroot import SysrootHost

SECRET = b'outside\n'


def descriptors():
    """How many file descriptors this process has open."""
    return len(list(pathlib.Path('/proc/self/fd').iterdir()))


class SysrootTestCase(testtools.TestCase):
    def setUp(self):
        super().setUp()
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.outside = folder / 'outside'
        self.outside.mkdir()
        (self.outside / 'secret').write_bytes(SECRET)
        self.root = folder / 'root'
        self.root.mkdir()
        self.host = SysrootHost(str(self.root))

    def put(self, path, data=b'x\n'):
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return place

    def link(self, path, target):
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)

    def denied(self, path, method='read'):
        ask = getattr(self.host, method)
        return self.assertRaises(base.Denied, ask, path).error


class TestFiles(SysrootTestCase):
    def test_content_when_it_is_a_file(self):
        self.put('proc/cpuinfo', b'flags : vmx\n')
        self.assertEqual(b'flags : vmx\n', self.host.read('/proc/cpuinfo'))

    def test_cut_off_when_it_is_huge(self):
        place = self.put('proc/cpuinfo')
        with place.open('wb') as file:
            file.truncate(10 * 2**30)
        self.assertEqual(base.READ_LIMIT, len(self.host.read('/proc/cpuinfo')))

    def test_denied_when_it_is_larger_than_such_files_are(self):
        self.put('proc/misc', b'x' * (base.SMALL_LIMIT + 1))
        self.assertEqual('EFBIG', self.denied('/proc/misc'))
        self.put('proc/cpuinfo', b'\n' * (base.LINES_LIMIT + 1))
        self.assertEqual('EFBIG', self.denied('/proc/cpuinfo'))

    def test_denied_when_all_files_together_are_too_large(self):
        self.put('proc/misc', b'x' * base.SMALL_LIMIT)
        for _ in range(sysroot.TOTAL_LIMIT // base.SMALL_LIMIT):
            self.host.read('/proc/misc')
        self.assertEqual('EFBIG', self.denied('/proc/misc'))

    def test_names_are_sorted_when_listed(self):
        self.put('sys/module/kvm/x')
        self.put('sys/module/ccp/x')
        self.assertEqual(('ccp', 'kvm'), self.host.listdir('/sys/module'))
        self.assertEqual(('sys',), self.host.listdir('/'))

    def test_kind_and_numbers_when_asked_what_it_is(self):
        self.put('sys/a').chmod(0o640)
        found = self.host.stat('/sys/a')
        self.assertIs(facts.FileKind.FILE, found.kind)
        self.assertEqual(0o640, found.mode)
        self.assertEqual(str(os.getuid()), found.owner)
        self.assertIs(facts.FileKind.DIRECTORY, self.host.stat('/sys').kind)
        self.assertIs(facts.FileKind.DIRECTORY, self.host.stat('/').kind)

    def test_only_wanted_options_when_it_is_an_ini_file(self):
        self.put(
            'etc/nova/nova.conf', b'[libvirt]\nvirt_type=kvm\npassword=x\n'
        )
        self.assertEqual(
            {'libvirt': {'virt_type': ('kvm',)}},
            self.host.options(
                '/etc/nova/nova.conf', {'libvirt': ('virt_type',)}
            ),
        )

    def test_denied_when_it_is_of_another_kind(self):
        self.put('sys/a/b')
        self.assertEqual('EISDIR', self.denied('/sys/a'))
        self.assertEqual('ENOTDIR', self.denied('/sys/a/b', 'listdir'))
        self.assertEqual('ENOTDIR', self.denied('/sys/a/b/c'))
        self.assertEqual('EINVAL', self.denied('/sys/\0'))

    def test_denied_at_once_when_it_is_a_pipe_or_a_socket(self):
        (self.root / 'proc').mkdir()
        os.mkfifo(self.root / 'proc/cpuinfo')
        self.assertEqual('EINVAL', self.denied('/proc/cpuinfo'))
        place = str(self.root / 's')
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(place)
        self.assertEqual('EINVAL', self.denied('/s'))
        self.assertIs(facts.FileKind.OTHER, self.host.stat('/s').kind)

    def test_permission_denied_when_it_may_not_be_read(self):
        if os.getuid() == 0:
            self.skipTest('root may read everything')
        self.put('sys/a').chmod(0)
        self.assertEqual('EACCES', self.denied('/sys/a'))

    def test_missing_when_the_directory_was_copied(self):
        self.put('sys/module/kvm/parameters/x')
        for path in ('/sys/module/kvm_intel', '/sys/module/kvm/y/z'):
            self.assertEqual('ENOENT', self.denied(path))

    def test_not_recorded_when_not_even_the_directory_was_copied(self):
        self.put('proc/cpuinfo')
        self.put('sys/class/dmi/id/sys_vendor')
        for path in (
            '/proc/misc',
            '/dev/kvm',
            '/sys/module/kvm',
            '/sys/class/iommu',
            '/etc/nova/nova.conf',
        ):
            self.assertEqual(base.NOT_RECORDED, self.denied(path), path)

    def test_not_recorded_when_it_takes_more_than_files(self):
        for method, args in (
            ('cpuid', (0, 1)),
            ('msr', (0, 0x3A)),
            ('kvm_api_version', ()),
            ('kvm_extension', (7,)),
            ('kvm_supported_cpuid', ()),
            ('kvm_feature_msrs', ()),
            ('smoke', ()),
        ):
            ask = getattr(self.host, method)
            denied = self.assertRaises(base.Denied, ask, *args)
            self.assertEqual(base.NOT_RECORDED, denied.error)

    def test_os_error_when_there_is_no_such_directory(self):
        for path in ('/nonexistent', str(self.put('file'))):
            self.assertRaises(OSError, SysrootHost, path)


class TestPackagesAndAccounts(SysrootTestCase):
    def test_versions_are_not_recorded_when_the_copy_holds_none(self):
        error = self.denied('nova', 'versions')
        self.assertEqual(base.NOT_RECORDED, error)

    def test_versions_that_the_copy_holds(self):
        place = 'usr/lib/python3/dist-packages'
        self.put(f'{place}/nova-34.0.0.dist-info/METADATA')
        self.assertEqual(('34.0.0',), self.host.versions('nova'))

    def test_groups_its_own_first(self):
        self.put('etc/passwd', b'short:line\nnova:x:64060:64060::/:/bin/sh\n')
        self.put('etc/group', b'kvm:x:36:qemu,nova\nnova:x:64060:\nx:x:9:\n')
        self.assertEqual(('nova', 'kvm'), self.host.groups('nova'))


class TestLinks(SysrootTestCase):
    def test_followed_inside_when_relative_or_absolute(self):
        self.put('sys/devices/a/b/value', b'5\n')
        self.link('sys/class/rel', '../devices/a')
        self.link('sys/class/abs', '/sys/devices/a')
        for name in ('rel', 'abs'):
            path = f'/sys/class/{name}/b/value'
            self.assertEqual(b'5\n', self.host.read(path))
            self.assertEqual(('b',), self.host.listdir(f'/sys/class/{name}'))

    def test_directory_is_shown_when_a_link_ends_with_dots(self):
        self.put('a/b/c')
        self.link('d', 'a/b/..')
        self.assertEqual(('b',), self.host.listdir('/d'))
        self.assertEqual(('a', 'd'), self.host.listdir('/d/..'))

    def test_inside_when_the_path_climbs_out(self):
        self.put('secret', b'inside\n')
        for path in (
            '/../secret',
            '../../../../secret',
            '/a/../../secret',
            '/./secret',
        ):
            self.put('a/x')
            self.assertEqual(b'inside\n', self.host.read(path))

    def test_nothing_outside_is_seen_when_links_lead_there(self):
        self.link('abs', str(self.outside / 'secret'))
        self.link('rel', '../outside/secret')
        self.link('deep/up', '../../../../../outside/secret')
        self.link('dir', str(self.outside))
        self.link('updir', '../outside')
        self.link('proc/self/root', '/')
        for path in (
            '/abs',
            '/rel',
            '/deep/up',
            '/dir/secret',
            '/updir/secret',
            f'/proc/self/root{self.outside}/secret',
        ):
            self.assertIn(
                self.denied(path), ('ENOENT', base.NOT_RECORDED), path
            )
        self.assertEqual(
            ('dir',),
            tuple(name for name in self.host.listdir('/') if name == 'dir'),
        )

    def test_loop_is_told_when_links_go_round(self):
        self.link('sys/a', 'b')
        self.link('sys/b', 'a')
        self.link('sys/self', 'self')
        self.link('sys/here', '.')
        self.assertEqual('ELOOP', self.denied('/sys/a'))
        self.assertEqual('ELOOP', self.denied('/sys/self', 'stat'))
        self.assertEqual('ELOOP', self.denied('/sys/self/x', 'listdir'))
        self.put('sys/c', b'c\n')
        self.assertEqual(b'c\n', self.host.read('/sys/here/here/here/c'))

    def test_ends_when_links_multiply(self):
        self.link('l0', '/' + '/'.join(['l0'] * 200))
        self.link('l1', '/' + '/'.join(['.', '..', 'x'] * 500))
        self.assertIn(self.denied('/l0'), ('ELOOP', 'ENAMETOOLONG'))
        self.assertIn(
            self.denied('/' + '/'.join(['l1'] * 50)),
            ('ELOOP', 'ENAMETOOLONG', 'ENOENT', base.NOT_RECORDED),
        )

    def test_refused_when_the_path_is_endless(self):
        self.assertEqual('ENAMETOOLONG', self.denied('/..' * 5000))
        (self.root / '/'.join(['d'] * 200)).mkdir(parents=True)
        self.assertEqual('ENAMETOOLONG', self.denied('/d' * 199))

    def test_no_descriptor_stays_open_whatever_happens(self):
        self.put('sys/module/kvm/x')
        self.link('sys/loop', 'loop')
        before = descriptors()
        for path in ('/sys/module/kvm/x', '/sys/loop', '/no', '/sys/\0'):
            for method in ('read', 'listdir', 'stat'):
                try:
                    getattr(self.host, method)(path)
                except base.Denied:
                    pass
        self.assertEqual(before, descriptors())

    @given(
        st.lists(
            st.sampled_from(
                ['sys', '..', '.', 'up', 'abs', 'loop', 'root', 'secret', '']
            ),
            max_size=12,
        )
    )
    def test_never_outside_whatever_the_path(self, parts):
        for name, target in (
            ('up', '../../outside'),
            ('abs', str(self.outside)),
            ('loop', 'loop/loop'),
            ('root', '/'),
        ):
            place = self.root / 'sys' / name
            if not place.is_symlink():
                self.link(f'sys/{name}', target)
        try:
            data = self.host.read('/' + '/'.join(parts))
        except base.Denied:
            return
        self.assertNotEqual(SECRET, data)


class TestMachine(SysrootTestCase):
    def test_the_kernels_word_comes_first_when_there(self):
        self.put('proc/sys/kernel/arch', b'riscv64\n')
        self.put('proc/cpuinfo', b'vendor_id : IBM/S390\n')
        self.assertEqual('riscv64', self.host.machine().arch)

    def test_cpuinfo_tells_when_the_kernel_does_not(self):
        for line, arch in (
            ('vendor_id\t: GenuineIntel\nflags\t\t: fpu lm vmx', 'x86_64'),
            ('flags\t\t: fpu vmx', 'i686'),
            ('flags\t\t: fpu lm', 'x86_64'),
            ('fpu_exception\t: yes', 'i686'),
            ('vendor_id       : IBM/S390', 's390x'),
            ('arch       : IA-64', 'ia64'),
            ('isa\t\t: rv64imafdch', 'riscv64'),
            ('isa\t\t: rv32imac', 'riscv32'),
            ('hart\t\t: 0\nmmu\t\t: sv39', 'riscv64'),
            ('hart\t\t: 0\nhart isa\t: rv64imafdch', 'riscv64'),
            ('CPU Family\t\t: Loongson-64bit', 'loongarch64'),
            ('CPU architecture: 8', 'aarch64'),
            ('CPU architecture: AArch64', 'aarch64'),
            ('CPU architecture: 7', 'armv7l'),
            ('Processor\t: ARMv6 rev 7 (v6l)\nCPU architecture: 7', 'armv6l'),
            ('CPU architecture: 5TE', 'armv6l'),
            ('cpu\t\t: POWER9, altivec supported', 'ppc64'),
            ('cpu\t\t: Power11 (raw), altivec supported', 'ppc64'),
            ('cpu\t\t: unknown (00820200)\nplatform\t: pSeries', 'ppc64'),
            ('cpu\t\t: TI UltraSparc IIi', 'unknown'),
            ('', 'unknown'),
        ):
            self.put('proc/cpuinfo', line.encode() + b'\n')
            self.assertEqual(arch, self.host.machine().arch, line)

    def test_sysinfo_tells_when_cpuinfo_is_empty(self):
        self.put('proc/cpuinfo', b'')
        self.put('proc/sysinfo', b'Manufacturer:         IBM\n')
        self.assertEqual('s390x', self.host.machine().arch)

    def test_the_shell_tells_when_nothing_else_does(self):
        for number, order, bits, arch in (
            (62, 1, 2, 'x86_64'),
            (183, 1, 2, 'aarch64'),
            (21, 2, 2, 'ppc64'),
            (21, 1, 2, 'ppc64le'),
            (22, 2, 2, 's390x'),
            (243, 1, 2, 'riscv64'),
            (243, 1, 1, 'riscv32'),
            (999, 1, 2, 'unknown'),
        ):
            end = '<' if order == 1 else '>'
            head = struct.pack(
                f'{end}4sBB10xHH', b'\x7fELF', bits, order, 2, number
            )
            self.put('usr/bin/dash', head)
            if not (self.root / 'bin').is_symlink():
                self.link('bin', 'usr/bin')
                self.link('usr/bin/sh', 'dash')
            self.assertEqual(arch, self.host.machine().arch)

    def test_unknown_when_the_shell_is_no_program(self):
        for data in (b'', b'\x7fELF', b'#!/bin/sh' + b' ' * 30):
            self.put('bin/sh', data)
            self.assertEqual('unknown', self.host.machine().arch)

    def test_kernel_is_told_when_any_file_does(self):
        self.assertEqual('unknown', self.host.machine().kernel)
        self.put('proc/version', b'Linux version 6.1.0-18 (x@y) #1\n')
        self.assertEqual('6.1.0-18', self.host.machine().kernel)
        self.put('proc/sys/kernel/osrelease', b'6.12.1\n')
        self.assertEqual('6.12.1', self.host.machine().kernel)

    def test_origin_names_the_directory(self):
        self.assertEqual(f'sysroot {self.root}', self.host.origin)
