# SPDX-License-Identifier: Apache-2.0
"""A kernel module of which one function always returns the same.

So KVM offers to guests what it offered before, and fails them: no processor
that is emulated here does that by itself. Names and layouts are those of the
System V ABI, "Object Files".
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterator

from tests.lab import debian

_SYMTAB, _RELA = 2, 4
_FUNCTION = 2
_ENDBR64 = bytes.fromhex('f30f1efa')
_CALL = b'\xe8'
_CALL_SIZE = 5


@dataclasses.dataclass(frozen=True)
class _Section:
    kind: int
    offset: int
    size: int
    link: int
    info: int


def _sections(module: bytes) -> list[_Section]:
    (start,) = struct.unpack_from('<Q', module, 0x28)
    size, number = struct.unpack_from('<HH', module, 0x3A)
    found = []
    for at in range(start, start + size * number, size):
        _, kind, _, _, offset, length, link, info = struct.unpack_from(
            '<IIQQQQII', module, at
        )
        found.append(_Section(kind, offset, length, link, info))
    return found


def _function(
    module: bytes, sections: list[_Section], name: str
) -> tuple[int, int]:
    """Number of the section, and the offset in it.

    :raises Missing: no such function
    """
    for table in sections:
        if table.kind != _SYMTAB:
            continue
        names = sections[table.link].offset
        for at in range(table.offset, table.offset + table.size, 24):
            start, info, _, section, value = struct.unpack_from(
                '<IBBHQ', module, at
            )
            end = module.index(b'\0', names + start)
            own = module[names + start : end].decode()
            if own == name and info & 0xF == _FUNCTION:
                return section, value
    raise debian.Missing(f'the module has no function {name}')


def _relocated(
    module: bytes, sections: list[_Section], number: int
) -> Iterator[int]:
    """Offsets in a section that are written when the module is loaded."""
    for table in sections:
        if table.kind == _RELA and table.info == number:
            for at in range(table.offset, table.offset + table.size, 24):
                yield struct.unpack_from('<Q', module, at)[0]


def always(module: bytes, name: str, value: int) -> bytes:
    """The module (x86-64), with a function that returns this value.

    The call of ``__fentry__`` stays, as the kernel looks for it.

    :raises Missing: it has no such function, or one that begins otherwise
    """
    sections = _sections(module)
    number, offset = _function(module, sections, name)
    start = sections[number].offset + offset
    skipped = len(_ENDBR64) if module[start:].startswith(_ENDBR64) else 0
    if module[start + skipped : start + skipped + 1] != _CALL:
        raise debian.Missing(f'{name} does not begin as the lab expects')
    skipped += _CALL_SIZE
    # mov eax, value; ret
    code = b'\xb8' + struct.pack('<I', value) + b'\xc3'
    places = range(offset + skipped - 3, offset + skipped + len(code))
    if any(at in places for at in _relocated(module, sections, number)):
        raise debian.Missing(f'{name} cannot be changed: it is relocated')
    at = start + skipped
    return module[:at] + code + module[at + len(code) :]
