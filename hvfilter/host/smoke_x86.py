# SPDX-License-Identifier: Apache-2.0
"""The x86-64 guest: real mode to an exit, then long mode with a loop.

Real mode alone shows nothing: without unrestricted guest even VT-x emulates
it. Long mode with paging is what every 64-bit kernel lives in.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from hvfilter.host import kvm, smoke

_SIZE = 0x10000
_REAL_CODE = 0x1000
LONG_CODE = 0x2000
COUNT = 0x3000
GDT = 0x4000
PML4 = 0x5000
_PDPT = 0x6000
_PAGE_DIRECTORY = 0x7000
STACK = 0x9000

# Three pages that VT-x without unrestricted guest or EPT needs for itself
# (KVM_SET_TSS_ADDR): outside our memory, and below 2 GiB because Python
# passes a signed 32-bit number.
TSS_PAGES = 0x10000000

PORT = 0x10
MARK = 42

LOOP = bytes.fromhex(
    'ffc9'  # L: dec ecx
    '75fc'  # jnz L
)
LOOP_OFFSET = 16  # the same alignment in the guest and on the host

# mov ecx, edi; the loop; ret
_HOST = b'\x89\xf9'.ljust(LOOP_OFFSET, b'\x90') + LOOP + b'\xc3'

_OUT = bytes((0xB0, MARK, 0xE6, PORT))  # mov al, MARK; out PORT, al

_REAL = _OUT + b'\xf4'  # hlt

LOAD = b'\x8b\x0c\x25' + struct.pack('<I', COUNT)  # mov ecx, [COUNT]
_ENTRY = LOOP_OFFSET - len(LOAD)
_LONG = b'\x90' * _ENTRY + LOAD + LOOP + _OUT
_LONG += b'\xeb' + struct.pack('b', _ENTRY - len(_LONG) - 2)  # jmp ENTRY

_PRESENT_WRITABLE = 3
_LARGE = 0x80

_DESCRIPTORS = (0, 0x00AF9B000000FFFF, 0x00CF93000000FFFF)
CODE_SEGMENT, DATA_SEGMENT = 8, 16
GDT_LIMIT = 8 * len(_DESCRIPTORS) - 1

_CR0_PE, _CR0_ET, _CR0_NE, _CR0_PG = 1 << 0, 1 << 4, 1 << 5, 1 << 31
_CR4_PAE = 1 << 5
_EFER_LME, _EFER_LMA = 1 << 8, 1 << 10
CR0 = _CR0_PE | _CR0_ET | _CR0_NE | _CR0_PG
CR4 = _CR4_PAE
EFER = _EFER_LME | _EFER_LMA
RFLAGS = 2
"""Bit 1 is always set."""


class Guest(smoke.Guest):
    """The count lies in guest memory, so one guest serves all lengths."""

    code = _HOST

    def steps(self) -> Sequence[tuple[str, Callable[[], smoke.Countdown]]]:
        """Real mode first, since failing there says more."""
        self.vm.ioctl(kvm.SET_TSS_ADDR, 'KVM_SET_TSS_ADDR', TSS_PAGES)
        self._memory = self.vm.add_memory(0, _SIZE)
        return (('real_mode', self._real), ('long_mode', self._long))

    def ended_well(self, vcpu: kvm.Vcpu) -> bool:
        """It wrote its mark to its port."""
        return self._wrote(vcpu, MARK)

    def _wrote(self, vcpu: kvm.Vcpu, mark: int) -> bool:
        exit_ = vcpu.state.exits.io
        return (
            vcpu.state.exit_reason == kvm.EXIT_IO
            and exit_.direction == kvm.EXIT_IO_OUT
            and exit_.port == PORT
            and vcpu.data() == bytes((mark,))
        )

    def _real(self) -> smoke.Countdown:
        self._write(_REAL_CODE, _REAL)
        vcpu = self.vm.add_vcpu()
        self.device.give_cpuid(vcpu)
        sregs = _sregs(vcpu)
        sregs.cs.base = 0
        sregs.cs.selector = 0
        vcpu.ioctl(kvm.SET_SREGS, 'KVM_SET_SREGS', sregs)
        _start(vcpu, _REAL_CODE)
        return smoke.Countdown(vcpu, _no_count)

    def _long(self) -> smoke.Countdown:
        self._write(LONG_CODE, _LONG)
        return smoke.Countdown(
            self._long_mode(LONG_CODE + _ENTRY), self._set_iterations
        )

    def _long_mode(self, address: int) -> kvm.Vcpu:
        """A virtual CPU in long mode that starts at an address."""
        self._write(GDT, struct.pack(f'<{len(_DESCRIPTORS)}Q', *_DESCRIPTORS))
        for table, entry in (
            (PML4, _PDPT | _PRESENT_WRITABLE),
            (_PDPT, _PAGE_DIRECTORY | _PRESENT_WRITABLE),
            (_PAGE_DIRECTORY, _LARGE | _PRESENT_WRITABLE),
        ):
            self._write(table, struct.pack('<Q', entry))
        vcpu = self.vm.add_vcpu()
        self.device.give_cpuid(vcpu)
        sregs = _sregs(vcpu)
        sregs.cs = _segment(selector=CODE_SEGMENT, type=11, l=1)
        data = _segment(selector=DATA_SEGMENT, type=3, db=1)
        for name in ('ds', 'es', 'fs', 'gs', 'ss'):
            setattr(sregs, name, data)
        sregs.tr = kvm.Segment(limit=0xFFFF, type=11, present=1)
        sregs.gdt = kvm.Dtable(base=GDT, limit=GDT_LIMIT)
        sregs.cr0 = CR0
        sregs.cr3 = PML4
        sregs.cr4 = CR4
        sregs.efer = EFER
        vcpu.ioctl(kvm.SET_SREGS, 'KVM_SET_SREGS', sregs)
        _start(vcpu, address)
        return vcpu

    def _set_iterations(self, iterations: int) -> None:
        self._write(COUNT, struct.pack('<I', iterations))

    def _write(self, address: int, content: bytes) -> None:
        self._memory[address : address + len(content)] = content


def _sregs(vcpu: kvm.Vcpu) -> kvm.Sregs:
    sregs = kvm.Sregs()
    vcpu.ioctl(kvm.GET_SREGS, 'KVM_GET_SREGS', sregs)
    return sregs


def _segment(**fields: int) -> kvm.Segment:
    """A flat segment of 4 GiB."""
    return kvm.Segment(limit=0xFFFFFFFF, present=1, s=1, g=1, **fields)


def _start(vcpu: kvm.Vcpu, address: int) -> None:
    regs = kvm.Regs(rip=address, rsp=STACK, rflags=RFLAGS)
    vcpu.ioctl(kvm.SET_REGS, 'KVM_SET_REGS', regs)


def _no_count(iterations: int) -> None:
    """Real mode has no loop."""
