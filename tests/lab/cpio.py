# SPDX-License-Identifier: Apache-2.0
"""Initramfs archives: cpio in the ``newc`` form, as the kernel unpacks it.

Archives may simply follow each other in one file (kernel:
``Documentation/driver-api/early-userspace/buffer-format.rst``).
"""

from __future__ import annotations

import os
import pathlib
import stat
from collections.abc import Iterator
from typing import BinaryIO

_MAGIC = b'070701'
_END = 'TRAILER!!!'


class Writer:
    """Writes one archive; each folder is made when it is first needed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._made: set[str] = set()
        self._number = 0

    def file(self, name: str, content: bytes, mode: int = 0o644) -> None:
        """A file under the root; ``name`` without a leading slash."""
        self._folders(name)
        self._entry(name, stat.S_IFREG | mode, content)

    def link(self, name: str, target: str) -> None:
        """A symbolic link."""
        self._folders(name)
        self._entry(name, stat.S_IFLNK | 0o777, os.fsencode(target))

    def folder(self, name: str) -> None:
        """An empty folder."""
        self._folders(f'{name}/.')

    def tree(self, source: pathlib.Path, name: str) -> None:
        """All that is under a folder, links kept as links."""
        for path in walk(source):
            inside = f'{name}/{path.relative_to(source)}'
            if path.is_symlink():
                self.link(inside, os.fspath(path.readlink()))
            elif path.is_file():
                mode = stat.S_IMODE(path.stat().st_mode)
                self.file(inside, path.read_bytes(), mode)

    def close(self) -> None:
        """Write the end mark."""
        self._entry(_END, 0, b'')
        self._file.write(bytes(-self._file.tell() % 512))

    def _folders(self, name: str) -> None:
        parts = name.split('/')[:-1]
        for end in range(1, len(parts) + 1):
            folder = '/'.join(parts[:end])
            if folder not in self._made:
                self._made.add(folder)
                self._entry(folder, stat.S_IFDIR | 0o755, b'')

    def _entry(self, name: str, mode: int, content: bytes) -> None:
        self._number += 1
        encoded = os.fsencode(name) + b'\0'
        fields = (
            self._number,
            mode,
            0,  # owner
            0,  # group
            1,  # links
            0,  # time
            len(content),
            0,  # device, major and minor
            0,
            0,  # of a device node, major and minor
            0,
            len(encoded),
            0,  # checksum, not used
        )
        header = _MAGIC + b''.join(b'%08X' % field for field in fields)
        self._padded(header + encoded)
        self._padded(content)

    def _padded(self, data: bytes) -> None:
        self._file.write(data + bytes(-len(data) % 4))


def walk(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """All files and links under a folder, sorted."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            yield from walk(path)
        else:
            yield path
