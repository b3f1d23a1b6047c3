# SPDX-License-Identifier: Apache-2.0
"""A directory laid out like a host's root file system.

Such directories come from bug reports and from mounted images, so nothing in
them is trusted: no link leads out of them, only regular files are read, and
no more of one than of a live file.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import stat as modes
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, cast

from hvfilter.host import accounts, ini, installed
from hvfilter.host import question as questions
from hvfilter.host.base import (
    LINES_LIMIT,
    LIST_LIMIT,
    READ_LIMIT,
    SMALL_LIMIT,
    UNKNOWN,
    Denied,
    Holder,
    Host,
    unless_denied,
)
from hvfilter.host.facts import FileKind, FileStat, Machine
from hvfilter.host.question import Kind, Options, Question, Wanted

FactT = TypeVar('FactT')

TOTAL_LIMIT = 8 * 1024 * 1024
"""Bytes that all files but the cpuinfo may hold together."""

_LINKS_LIMIT = 40
"""Symbolic links in one path, as in the kernel (MAXSYMLINKS)."""

_PARTS_LIMIT = 4096
"""Components of one path, links resolved; a file descriptor is held for
each directory on the way, so depth is bounded by DEPTH_LIMIT."""

_DEPTH_LIMIT = 128

_ARCH_LIMIT = 1 << 20
"""Bytes of cpuinfo in which the architecture is looked for: the first
processor's lines show it."""

_COMMON = frozenset(
    {
        '',
        'dev',
        'etc',
        'proc',
        'sys',
        'sys/bus',
        'sys/class',
        'sys/devices',
        'sys/devices/system',
        'sys/devices/virtual',
        'sys/firmware',
        'sys/kernel',
    }
)
"""Directories that hold many unlike things: a copy that has one has not
necessarily all of it. Elsewhere what the copy lacks, the host lacked."""

_WALK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK

_SYSINFO = '/proc/sysinfo'
"""Which only s390x has. In containers its cpuinfo has been seen empty (lxcfs
issue 105)."""

_SHELLS = ('/bin/sh', '/usr/bin/sh', '/bin/busybox', '/sbin/init')

_ELF_MACHINES = {
    (3, 1): 'i686',
    (20, 2): 'ppc',
    (21, 1): 'ppc64le',
    (21, 2): 'ppc64',
    (22, 2): 's390x',
    (40, 1): 'armv7l',
    (43, 2): 'sparc64',
    (50, 1): 'ia64',
    (62, 1): 'x86_64',
    (183, 1): 'aarch64',
    (243, 1): 'riscv64',
    (258, 1): 'loongarch64',
}
"""ELF e_machine and byte order (1 little, 2 big) to ``uname -m``. The class
shows 32 or 64 bits where the machine does not."""

_CPUINFO_MACHINES: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb'(?m)^vendor_id[ \t]*: IBM/S390'), 's390x'),
    (re.compile(rb'(?m)^arch[ \t]*: IA-64'), 'ia64'),
    (re.compile(rb'(?m)^(?:hart )?isa[ \t]*: rv64'), 'riscv64'),
    (re.compile(rb'(?m)^(?:hart )?isa[ \t]*: rv32'), 'riscv32'),
    (re.compile(rb'(?m)^mmu[ \t]*: sv(?:39|48|57)$'), 'riscv64'),
    (re.compile(rb'(?m)^CPU Family[ \t]*: Loongson-64'), 'loongarch64'),
    (re.compile(rb'(?m)^CPU architecture[ \t]*: (?:8|AArch64)'), 'aarch64'),
    (re.compile(rb'(?m)^(?:model name|Processor)[ \t]*: ARMv6'), 'armv6l'),
    (re.compile(rb'(?m)^CPU architecture[ \t]*: 7'), 'armv7l'),
    (re.compile(rb'(?m)^CPU architecture[ \t]*: [56]'), 'armv6l'),
    (
        re.compile(rb'(?m)^cpu[ \t]*: (?:POWER|Power|PPC970|Cell|e[56]500)'),
        'ppc64',
    ),
    # Of a processor that the kernel does not know by name.
    (re.compile(rb'(?m)^platform[ \t]*: (?:PowerNV|pSeries)'), 'ppc64'),
    (re.compile(rb'(?m)^flags[ \t]*:(?=.* lm(?: |$))'), 'x86_64'),
    (re.compile(rb'(?m)^(?:flags|fpu_exception)[ \t]*:'), 'i686'),
)
"""Lines that show the architecture, in the order in which to try them
(each architecture's ``show_cpuinfo`` in the kernel)."""


class SysrootHost(Host):
    """Answers from the files in a directory, and from nothing else.

    What such a copy lacks was not necessarily lacking on the host: where
    not even the directory around it was copied, it counts as not recorded.

    :param root: the directory
    :raises OSError: when it cannot be opened, or is no directory
    """

    def __init__(self, root: str) -> None:
        self.origin = f'sysroot {root}'
        self._root = root
        self._left = TOTAL_LIMIT
        self._how: Mapping[Kind, Callable[..., Any]] = {
            Kind.FILE: self._content,
            Kind.DIRECTORY: self._list,
            Kind.STAT: self._stat,
            Kind.OPTIONS: self._options,
            Kind.VERSIONS: self._versions,
            Kind.GROUPS: self._groups,
        }
        os.close(self._open_root())

    def _open_root(self) -> int:
        flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
        return os.open(self._root, flags)

    def machine(self) -> Machine:
        """From files that show it; 'unknown' where none does.

        The kernel's own word (``/proc/sys/kernel/arch``, since 6.1) comes
        first, then cpuinfo and sysinfo, then the byte code of the shell.
        """
        return Machine(self._arch(), self._kernel())

    def _arch(self) -> str:
        stated = self._text('/proc/sys/kernel/arch')
        if stated:
            return stated
        with contextlib.suppress(Denied):
            cpuinfo = self._read('/proc/cpuinfo', _ARCH_LIMIT)
            for pattern, arch in _CPUINFO_MACHINES:
                if pattern.search(cpuinfo):
                    return arch
        if self._text(_SYSINFO):
            return 's390x'
        for path in _SHELLS:
            with contextlib.suppress(Denied):
                arch = _elf_machine(self._read(path, 64))
                if arch:
                    return arch
        return UNKNOWN

    def _kernel(self) -> str:
        release = self._text('/proc/sys/kernel/osrelease')
        if release:
            return release
        match = re.match(r'Linux version (\S+)', self._text('/proc/version'))
        return match[1] if match else UNKNOWN

    def _text(self, path: str) -> str:
        data = unless_denied(lambda: self._read(path, 4096), b'')
        return data.decode('utf-8', 'replace').strip()

    def ask(self, question: Question[FactT]) -> FactT:
        """Registers, /dev/kvm and a smoke run are not in a directory."""
        how = self._how.get(question.kind)
        if how is None:
            raise Denied.not_held(str(question), Holder.COPY)
        return cast(FactT, how(*question.key))

    def _content(self, path: str) -> bytes:
        """Only a cpuinfo may be large.

        :raises Denied: EFBIG for one with more than LINES_LIMIT lines, for
            another file that is larger than SMALL_LIMIT, and when all others
            together are larger than TOTAL_LIMIT
        """
        what = str(questions.file(path))
        if path == '/proc/cpuinfo':
            cpuinfo = self._read(path, READ_LIMIT)
            if cpuinfo.count(b'\n') > LINES_LIMIT:
                raise Denied(what, 'EFBIG')
            return cpuinfo
        data = self._read(path, SMALL_LIMIT + 1)
        self._left -= len(data)
        if len(data) > SMALL_LIMIT or self._left < 0:
            raise Denied(what, 'EFBIG')
        return data

    def _read(self, path: str, limit: int) -> bytes:
        with self._found(questions.file(path)) as (parent, name):
            kind = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
            # Opening a device could do something.
            if modes.S_ISDIR(kind):
                raise _error(errno.EISDIR)
            if not modes.S_ISREG(kind):
                raise OSError(errno.EINVAL, 'not a regular file')
            descriptor = os.open(name, _READ, dir_fd=parent)
            with open(descriptor, 'rb') as file:
                return file.read(limit)

    def _list(self, path: str) -> tuple[str, ...]:
        with self._found(questions.directory(path)) as (parent, name):
            flags = _READ | os.O_DIRECTORY
            descriptor = os.open(name, flags, dir_fd=parent)
            try:
                with os.scandir(descriptor) as entries:
                    some = itertools.islice(entries, LIST_LIMIT)
                    return tuple(sorted(entry.name for entry in some))
            finally:
                os.close(descriptor)

    def _stat(self, path: str) -> FileStat:
        """Owners are numbers: who copied the files has other names."""
        with self._found(questions.stat(path)) as (parent, name):
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        kinds = {
            modes.S_IFREG: FileKind.FILE,
            modes.S_IFDIR: FileKind.DIRECTORY,
            modes.S_IFCHR: FileKind.CHAR,
        }
        return FileStat(
            kinds.get(modes.S_IFMT(status.st_mode), FileKind.OTHER),
            modes.S_IMODE(status.st_mode),
            str(status.st_uid),
            str(status.st_gid),
        )

    def _options(self, path: str, wanted: Wanted) -> Options:
        return ini.options(path, self.read(path), dict(wanted))

    def _versions(self, package: str) -> tuple[str, ...]:
        try:
            return installed.versions(package, self.listdir, self.read)
        except Denied as denied:
            if denied.not_found:
                # A copy seldom holds the packages.
                raise Denied.not_held(denied.what, Holder.COPY) from denied
            raise

    def _groups(self, user: str) -> tuple[str, ...]:
        return accounts.groups(user, self.read)

    @contextlib.contextmanager
    def _found(self, question: Question[Any]) -> Iterator[tuple[int, str]]:
        """A question's path as a directory's descriptor and a name in it."""
        walk = _Walk(self._open_root())
        what = str(question)
        try:
            yield walk.to(question.key[0])
        except OSError as error:
            if error.errno == errno.ENOENT and walk.where in _COMMON:
                raise Denied.not_held(what, Holder.COPY) from error
            raise Denied.from_os_error(what, error) from error
        except ValueError as error:  # a NUL in a path
            raise Denied(what, 'EINVAL', str(error)) from error
        finally:
            walk.close()


class _Walk:
    """Goes down a path from the root, one component at a time.

    Each directory is entered by its descriptor and never through a link, so
    that nobody can lead the walk out, not even by moving things about.
    """

    def __init__(self, root: int) -> None:
        self._descriptors = [root]
        self._names: list[str] = []

    @property
    def where(self) -> str:
        """The directory to which the walk has come, links resolved."""
        return '/'.join(self._names)

    def close(self) -> None:
        while self._descriptors:
            os.close(self._descriptors.pop())

    def to(self, path: str) -> tuple[int, str]:
        """The directory and the name in it that a path leads to."""
        left = _parts(path)[::-1]
        links = seen = 0
        while left:
            name = left.pop()
            seen += 1
            if seen > _PARTS_LIMIT or len(left) > _PARTS_LIMIT:
                raise _error(errno.ENAMETOOLONG)
            if name == '..':
                self._up()
                continue
            target = self._target(name)
            if target is not None:
                links += 1
                if links > _LINKS_LIMIT:
                    raise _error(errno.ELOOP)
                if target.startswith('/'):
                    self._to_root()
                left.extend(_parts(target)[::-1])
            elif left:
                self._down(name)
            else:
                return self._descriptors[-1], name
        return self._descriptors[-1], '.'

    def _target(self, name: str) -> str | None:
        """Where a name links to; None when it is no link."""
        here = self._descriptors[-1]
        kind = os.stat(name, dir_fd=here, follow_symlinks=False).st_mode
        return os.readlink(name, dir_fd=here) if modes.S_ISLNK(kind) else None

    def _down(self, name: str) -> None:
        if len(self._descriptors) > _DEPTH_LIMIT:
            raise _error(errno.ENAMETOOLONG)
        flags = _WALK | os.O_DIRECTORY
        self._descriptors.append(
            os.open(name, flags, dir_fd=self._descriptors[-1])
        )
        self._names.append(name)

    def _up(self) -> None:
        """The root is its own parent."""
        if self._names:
            self._names.pop()
            os.close(self._descriptors.pop())

    def _to_root(self) -> None:
        while self._names:
            self._up()


def _parts(path: str) -> list[str]:
    return [part for part in path.split('/') if part not in ('', '.')]


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _elf_machine(head: bytes) -> str:
    """``uname -m`` of the machine that a program is for; '' for none.

    System V gABI, "ELF Header": class at 4, byte order at 5, machine at 18.
    """
    if len(head) < 20 or not head.startswith(b'\x7fELF'):
        return ''
    order = head[5]
    number = int.from_bytes(head[18:20], 'little' if order == 1 else 'big')
    arch = _ELF_MACHINES.get((number, order), '')
    if arch == 'riscv64' and head[4] == 1:
        return 'riscv32'
    return arch
