# SPDX-License-Identifier: Apache-2.0
"""A guest that enters SVM and runs a guest of its own, with or without NPT.

AMD64 Architecture Programmer's Manual volume 2: chapter 15 (SVM), 15.4
(enabling), 15.5 (VMRUN), 15.25 (nested paging), appendix B (the VMCB's
layout), appendix C (exit codes).
"""

from __future__ import annotations

import struct

from hvfilter.host import nested_guest, smoke_x86
from hvfilter.host.nested_guest import CONTROL_BLOCK, INNER_CODE, PAGED_PML4

_HOST_SAVE_AREA = 0x8000
_INNER_STACK = 0x9800

# Appendix B, table B-1: the control area
_INTERCEPTS_3 = 0x0C
_INTERCEPT_HLT, _INTERCEPT_SHUTDOWN = 1 << 24, 1 << 31
_INTERCEPTS_4 = 0x10
_INTERCEPT_VMRUN, _INTERCEPT_VMMCALL = 1 << 0, 1 << 1
_ASID = 0x58
_EXIT_CODE = 0x70
_NESTED_PAGING = 0x90
_NESTED_CR3 = 0xB0

# Appendix B, table B-2: the state save area
_STATE = CONTROL_BLOCK + 0x400
_DATA_SEGMENTS = (0x00, 0x20, 0x30, 0x40, 0x50)  # ES, SS, DS, FS, GS
_CS, _GDTR, _LDTR, _IDTR, _TR = 0x10, 0x60, 0x70, 0x80, 0x90
_EFER, _CR4, _CR3, _CR0, _DR7, _DR6 = 0xD0, 0x148, 0x150, 0x158, 0x160, 0x168
_RFLAGS, _RIP, _RSP, _PAT = 0x170, 0x178, 0x1D8, 0x268

_EFER_SVME = 1 << 12
_DR6_RESET, _DR7_RESET = 0xFFFF0FF0, 0x400
_PAT_RESET = 0x0007040600070406
_CODE_64, _DATA, _BUSY_TSS = 0xA9B, 0xC93, 0x8B  # attributes, packed

_TABLE = 0b111  # present, writable, user: nested tables are read as a user's
_PAGE = _TABLE | 1 << 7

_VMMCALL = 0x81
"""Exit code."""


def _step(number: int) -> bytes:
    """mov byte [STEP], number"""
    address = struct.pack('<I', nested_guest.STEP)
    return b'\xc6\x04\x25' + address + bytes((number,))


_ENTER = (
    bytes.fromhex('b8')  # again: mov eax, CONTROL_BLOCK
    + struct.pack('<I', CONTROL_BLOCK)
    + bytes.fromhex('0f01d8')  # vmrun
    + bytes((0xB0, nested_guest.DONE))  # mov al, DONE
    + bytes((0xE6, smoke_x86.PORT))  # out PORT, al
)

_OUTER = (
    _step(1)
    + bytes.fromhex('b9800000c0')  # mov ecx, EFER
    + bytes.fromhex('0f32')  # rdmsr
    + bytes.fromhex('0d00100000')  # or eax, SVME
    + bytes.fromhex('0f30')  # wrmsr
    + _step(2)
    + bytes.fromhex('b9170101c0')  # mov ecx, VM_HSAVE_PA
    + bytes.fromhex('b8')  # mov eax, HOST_SAVE_AREA
    + struct.pack('<I', _HOST_SAVE_AREA)
    + bytes.fromhex('31d2')  # xor edx, edx
    + bytes.fromhex('0f30')  # wrmsr
    + _step(3)
    + _ENTER
    + b'\xeb'  # jmp again
    + struct.pack('b', -len(_ENTER) - 2)
)


class SvmGuest(nested_guest.NestedGuest):
    """Its guest's memory is mapped by its own page tables."""

    outer = _OUTER
    leave = bytes.fromhex('0f01d9')  # vmmcall
    marks = {1: 'EFER.SVME', 2: 'VM_HSAVE_PA', 3: 'VMRUN'}

    def prepare(self) -> None:
        """A VMCB with as few intercepts as VMRUN accepts."""
        control = CONTROL_BLOCK
        self.store(
            control + _INTERCEPTS_3, 'I', _INTERCEPT_HLT | _INTERCEPT_SHUTDOWN
        )
        self.store(
            control + _INTERCEPTS_4, 'I', _INTERCEPT_VMRUN | _INTERCEPT_VMMCALL
        )
        self.store(control + _ASID, 'I', 1)
        if self.paging:
            self.store(control + _NESTED_PAGING, 'Q', 1)
            self.store(control + _NESTED_CR3, 'Q', PAGED_PML4)
            self.write_paging(_TABLE, _PAGE)
        for offset in _DATA_SEGMENTS:
            self._segment(offset, smoke_x86.DATA_SEGMENT, _DATA)
        self._segment(_CS, smoke_x86.CODE_SEGMENT, _CODE_64)
        self._segment(_GDTR, 0, 0, smoke_x86.GDT_LIMIT, smoke_x86.GDT)
        self._segment(_LDTR, 0, 0)
        self._segment(_IDTR, 0, 0, 0)
        self._segment(_TR, 0, _BUSY_TSS, 0x67)
        for offset, value in (
            # VMRUN insists on SVME in the guest's EFER, too (15.5.1).
            (_EFER, smoke_x86.EFER | _EFER_SVME),
            (_CR4, smoke_x86.CR4),
            (_CR3, smoke_x86.PML4),
            (_CR0, smoke_x86.CR0),
            (_DR7, _DR7_RESET),
            (_DR6, _DR6_RESET),
            (_RFLAGS, smoke_x86.RFLAGS),
            (_RSP, _INNER_STACK),
            (_PAT, _PAT_RESET),
        ):
            self.store(_STATE + offset, 'Q', value)

    def left_well(self, result: int) -> bool:
        """See the base class."""
        return result == _VMMCALL

    def result(self) -> int:
        """The exit code of the VMCB; -1 to -4 for a VMRUN that failed."""
        return self.load(CONTROL_BLOCK + _EXIT_CODE)

    def _set_iterations(self, iterations: int) -> None:
        super()._set_iterations(iterations)
        # The inner guest starts anew, and an exit code that stays is none.
        self.store(_STATE + _RIP, 'Q', INNER_CODE)
        self.store(CONTROL_BLOCK + _EXIT_CODE, 'Q', 0)

    def _segment(
        self,
        offset: int,
        selector: int,
        attributes: int,
        limit: int = 0xFFFFFFFF,
        base: int = 0,
    ) -> None:
        self.store(_STATE + offset, 'HHIQ', selector, attributes, limit, base)


class NptGuest(SvmGuest):
    """Its guest's memory is mapped by nested paging."""

    paging = True
