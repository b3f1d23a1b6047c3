# SPDX-License-Identifier: Apache-2.0
"""A guest that enters VMX and runs a guest of its own, with or without EPT.

Intel SDM volume 3C: chapters "Introduction to Virtual Machine Extensions"
(VMXON), "Virtual Machine Control Structures" and "VM Entries"; volume 3D:
appendix A (capability MSRs), appendix B (field encodings), appendix C (exit
reasons); volume 3C, "VMX Instruction Reference" (error numbers).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from hvfilter.host import base, nested_guest, smoke_x86
from hvfilter.host.nested_guest import CONTROL_BLOCK, INNER_CODE, PAGED_PML4

_VMXON_REGION = CONTROL_BLOCK
_VMCS = 0xB000
_TABLE = 0xC000
"""Pairs of field and value, ended by a field of all ones."""
_POINTERS = 0x3020
"""The addresses of the two regions: operands of VMXON and VMPTRLD."""
_INNER_STACK = 0x9800

_VMCALL = 18
"""Exit reason."""

# Capability MSRs (appendix A), and those with the true defaults (A.2)
_BASIC = 0x480
_PIN, _PRIMARY, _EXIT, _ENTRY, _SECONDARY = 0x481, 0x482, 0x483, 0x484, 0x48B
_TRUE = {_PIN: 0x48D, _PRIMARY: 0x48E, _EXIT: 0x48F, _ENTRY: 0x490}
_HAS_TRUE = 1 << 55

_HLT_EXITING, _USE_SECONDARY = 1 << 7, 1 << 31
_USE_EPT = 1 << 1
_HOST_IS_64_BIT = _GUEST_IS_64_BIT = 1 << 9

_EPT_TABLE = 0b111  # read, write, execute
_EPT_PAGE = _EPT_TABLE | 6 << 3 | 1 << 7  # write-back, 2 MiB
_EPT_POINTER = PAGED_PML4 | 3 << 3 | 6  # four levels, write-back

_CR4_VMXE = 1 << 13
_CODE_64, _DATA, _BUSY_TSS, _UNUSABLE = 0xA09B, 0xC093, 0x8B, 1 << 16
_TR_SELECTOR = 0x18  # anything but 0: VM entry checks the host's


def _step(number: int) -> bytes:
    """mov byte [STEP], number"""
    address = struct.pack('<I', nested_guest.STEP)
    return b'\xc6\x04\x25' + address + bytes((number,))


_CALL_HOST = bytes((0xE6, smoke_x86.PORT))  # out PORT, al

_FAIL = (
    bytes.fromhex('b800440000')  # mov eax, VM-instruction error
    + bytes.fromhex('31db')  # xor ebx, ebx: none where no VMCS is current
    + bytes.fromhex('0f78c3')  # vmread rbx, rax
    + bytes.fromhex('48891c2508300000')  # mov [RESULT], rbx
    + bytes((0xB0, nested_guest.FAILED))  # mov al, FAILED
    + _CALL_HOST
    + b'\xf4'  # hlt
)

_OUTER_PARTS = (
    _step(1),
    bytes.fromhex('b93a000000'),  # mov ecx, IA32_FEATURE_CONTROL
    bytes.fromhex('b805000000'),  # mov eax, locked | VMX outside SMX
    bytes.fromhex('31d2'),  # xor edx, edx
    bytes.fromhex('0f30'),  # wrmsr
    _step(2),
    bytes.fromhex('0f20e0'),  # mov rax, cr4
    bytes.fromhex('0d00200000'),  # or eax, VMXE
    bytes.fromhex('0f22e0'),  # mov cr4, rax
    _step(3),
    bytes.fromhex('f30fc7342520300000'),  # vmxon [POINTERS]
    bytes.fromhex('7655'),  # jbe FAIL
    _step(4),
    bytes.fromhex('660fc7342528300000'),  # vmclear [POINTERS + 8]
    bytes.fromhex('7642'),  # jbe FAIL
    _step(5),
    bytes.fromhex('0fc7342528300000'),  # vmptrld [POINTERS + 8]
    bytes.fromhex('7630'),  # jbe FAIL
    _step(6),
    bytes.fromhex('be00c00000'),  # mov esi, TABLE
    bytes.fromhex('488b06'),  # N: mov rax, [rsi]
    bytes.fromhex('4883f8ff'),  # cmp rax, -1
    bytes.fromhex('740f'),  # je LAUNCH
    bytes.fromhex('488b5e08'),  # mov rbx, [rsi + 8]
    bytes.fromhex('0f79c3'),  # vmwrite rax, rbx
    bytes.fromhex('7611'),  # jbe FAIL
    bytes.fromhex('4883c610'),  # add rsi, 16
    bytes.fromhex('ebe8'),  # jmp N
    _step(7),  # LAUNCH:
    bytes.fromhex('0f01c2'),  # vmlaunch
    _FAIL,
)

_EXIT_AT = 0x100
_FAIL_AT = sum(map(len, _OUTER_PARTS)) - len(_FAIL)

_AFTER_EXIT = (
    bytes.fromhex('b802440000')  # mov eax, exit reason
    + bytes.fromhex('0f78c3')  # vmread rbx, rax
    + bytes.fromhex('48891c2508300000')  # mov [RESULT], rbx
    + bytes((0xB0, nested_guest.DONE))  # mov al, DONE
    + _CALL_HOST
    + bytes.fromhex('b81e680000')  # mov eax, guest RIP
    + b'\xbb'  # mov ebx, INNER_CODE
    + struct.pack('<I', INNER_CODE)
    + bytes.fromhex('0f79c3')  # vmwrite rax, rbx
    + _step(8)
    + bytes.fromhex('0f01c3')  # vmresume
)

_OUTER = (
    b''.join(_OUTER_PARTS).ljust(_EXIT_AT, b'\xf4')
    + _AFTER_EXIT
    + b'\xe9'  # jmp FAIL
    + struct.pack('<i', _FAIL_AT - _EXIT_AT - len(_AFTER_EXIT) - 5)
)


class VmxGuest(nested_guest.NestedGuest):
    """Its guest's memory is mapped by its own page tables."""

    outer = _OUTER
    leave = bytes.fromhex('0f01c1')  # vmcall
    marks = {
        1: 'IA32_FEATURE_CONTROL',
        2: 'CR4.VMXE',
        3: 'VMXON',
        4: 'VMCLEAR',
        5: 'VMPTRLD',
        6: 'VMWRITE',
        7: 'VMLAUNCH',
        8: 'VMRESUME',
    }

    def prepare(self) -> None:
        """Regions, and the fields that the outer guest writes to its VMCS.

        :raises Denied: ENODATA when KVM does not list a capability MSR,
            EOPNOTSUPP when one forbids what is needed
        """
        msrs = self.device.feature_msrs()
        try:
            fields = dict(_fields(msrs, self.paging))
        except KeyError as missing:
            what = f'read feature MSR {missing.args[0]:#x}'
            raise base.Denied(what, 'ENODATA') from missing
        self.store(_POINTERS, 'QQ', _VMXON_REGION, _VMCS)
        revision = msrs[_BASIC] & 0x7FFFFFFF
        self.store(_VMXON_REGION, 'I', revision)
        self.store(_VMCS, 'I', revision)
        if self.paging:
            self.write_paging(_EPT_TABLE, _EPT_PAGE)
        at = _TABLE
        for field, value in fields.items():
            self.store(at, 'QQ', field, value)
            at += 16
        self.store(at, 'q', -1)

    def left_well(self, result: int) -> bool:
        """See the base class."""
        return result == _VMCALL


class EptGuest(VmxGuest):
    """Its guest's memory is mapped by nested paging."""

    paging = True


def _control(msrs: Mapping[int, int], index: int, wanted: int) -> int:
    """Wanted bits, what must be 1, and nothing that must be 0 (A.3 to A.5).

    :raises Denied: EOPNOTSUPP when a wanted bit must be 0: without it, the
        guest would prove something else than what it is run for
    """
    if msrs[_BASIC] & _HAS_TRUE and _TRUE.get(index) in msrs:
        index = _TRUE[index]
    must, may = msrs[index] & 0xFFFFFFFF, msrs[index] >> 32
    if wanted & ~may:
        what = f'set VMX controls {wanted & ~may:#x}'
        raise base.Denied(what, 'EOPNOTSUPP', f'MSR {index:#x} forbids them')
    return (wanted | must) & may


def _fields(
    msrs: Mapping[int, int], paging: bool
) -> Iterator[tuple[int, int]]:
    """Encodings (appendix B) and values."""
    yield from _controls(msrs, paging)
    yield from _segments()
    yield from _both_states()


def _controls(
    msrs: Mapping[int, int], paging: bool
) -> Iterator[tuple[int, int]]:
    primary = _HLT_EXITING | (_USE_SECONDARY if paging else 0)
    yield 0x4000, _control(msrs, _PIN, 0)
    yield 0x4002, _control(msrs, _PRIMARY, primary)
    yield 0x400C, _control(msrs, _EXIT, _HOST_IS_64_BIT)
    yield 0x4012, _control(msrs, _ENTRY, _GUEST_IS_64_BIT)
    if paging:
        yield 0x401E, _control(msrs, _SECONDARY, _USE_EPT)
        yield 0x201A, _EPT_POINTER
    # Exception bitmap, page-fault masks, counts of CR3 targets and of MSRs
    # to store and load, event to inject, task priority threshold
    for field in (0x4004, 0x4006, 0x4008, 0x400A, 0x400E, 0x4010, 0x4014):
        yield field, 0
    yield 0x4016, 0
    yield 0x2800, 2**64 - 1  # VMCS link pointer: none
    # Masks and shadows of CR0 and CR4
    for field in (0x6000, 0x6002, 0x6004, 0x6006):
        yield field, 0


def _segments() -> Iterator[tuple[int, int]]:
    """ES, CS, SS, DS, FS, GS, LDTR, TR, each 2 after the one before."""
    data, code = smoke_x86.DATA_SEGMENT, smoke_x86.CODE_SEGMENT
    for at, selector in enumerate((data, code, data, data, data, data)):
        rights = _CODE_64 if selector == code else _DATA
        yield 0x0800 + 2 * at, selector
        yield 0x0C00 + 2 * at, selector  # the host's
        yield 0x4800 + 2 * at, 0xFFFFFFFF
        yield 0x4814 + 2 * at, rights
        yield 0x6806 + 2 * at, 0
    # LDTR
    yield 0x080C, 0
    yield 0x480C, 0
    yield 0x4820, _UNUSABLE
    yield 0x6812, 0
    # TR
    yield 0x080E, _TR_SELECTOR
    yield 0x0C0C, _TR_SELECTOR
    yield 0x480E, 0x67
    yield 0x4822, _BUSY_TSS
    yield 0x6814, 0
    # GDTR and IDTR: limits, bases
    yield 0x4810, smoke_x86.GDT_LIMIT
    yield 0x4812, 0
    yield 0x6816, smoke_x86.GDT
    yield 0x6818, 0


def _both_states() -> Iterator[tuple[int, int]]:
    # Interruptibility, activity, SYSENTER_CS of guest and host
    for field in (0x4824, 0x4826, 0x482A, 0x4C00):
        yield field, 0
    cr4 = smoke_x86.CR4 | _CR4_VMXE
    for first in (0x6800, 0x6C00):  # the guest's, the host's
        yield first, smoke_x86.CR0
        yield first + 2, smoke_x86.PML4
        yield first + 4, cr4
    yield 0x681A, 0x400  # DR7
    yield 0x681C, _INNER_STACK
    yield 0x681E, INNER_CODE
    yield 0x6820, smoke_x86.RFLAGS
    # Pending debug exceptions, SYSENTER_ESP and EIP
    for field in (0x6822, 0x6824, 0x6826):
        yield field, 0
    # The host's bases of FS, GS, TR; GDTR, IDTR, SYSENTER_ESP and EIP
    for field in (0x6C06, 0x6C08, 0x6C0A, 0x6C0E, 0x6C10, 0x6C12):
        yield field, 0
    yield 0x6C0C, smoke_x86.GDT
    yield 0x6C14, smoke_x86.STACK
    yield 0x6C16, smoke_x86.LONG_CODE + _EXIT_AT
