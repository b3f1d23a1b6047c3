# SPDX-License-Identifier: Apache-2.0
"""Processors that know a handful of instructions, and refuse all others.

They execute what :mod:`tests.fakes.kvm` was given, decoded anew from the
manuals, so that a guest that is encoded or set up wrongly does not get to
its exit. Registers have the numbers that the ioctls use.
"""

from __future__ import annotations

import abc
import struct
from collections.abc import Callable

from hvfilter.host import kvm, smoke_arm64, smoke_riscv64, smoke_x86

Load = Callable[[int, int], bytes]
"""Guest-physical address and size to content; None of it is a device."""


class Undefined(Exception):
    """An instruction, or a state to execute it in, that makes no sense."""


def bits(word: int, high: int, low: int) -> int:
    return word >> low & (1 << high - low + 1) - 1


def signed(value: int, width: int) -> int:
    return value - (value >> width - 1 << width)


class Processor(abc.ABC):
    """Something that executes from its pc on.

    :ivar passes: how often the loop was run through
    """

    argument: int
    """Number of the register with a function's first argument."""
    link: int
    """Number of the register with the address to return to."""
    x: list[int]

    def __init__(self) -> None:
        self.pc = 0
        self.passes = 0

    def call(self, code: bytes, argument: int) -> None:
        """Run a function that returns nothing."""
        end = len(code)
        self.x[self.argument], self.x[self.link], self.pc = argument, end, 0
        while self.pc != end:
            if self.step(lambda at, size: code[at : at + size]) is not None:
                raise Undefined('a function that leaves the processor')

    def run(self, load: Load) -> kvm.Run:
        """Execute until something has to be done outside."""
        exit_ = None
        while exit_ is None:
            exit_ = self.step(load)
        return exit_

    @abc.abstractmethod
    def step(self, load: Load) -> kvm.Run | None:
        """Execute one instruction."""


class Arm64(Processor):
    """A64 at EL1 with the MMU off (Arm ARM, C6.2 and C4.1)."""

    CORE = 0x6030000000100000  # KVM_REG_ARM64 | SIZE_U64 | ARM_CORE
    PC = CORE + 0x40
    argument, link = 0, 30

    def __init__(self) -> None:
        super().__init__()
        self.x = [0] * 31
        self.zero = False
        self.ready = False

    def init(self) -> None:
        """KVM_ARM_VCPU_INIT, without which no register can be set."""
        self.ready = True

    def set_register(self, identity: int, value: int) -> None:
        number, odd = divmod(identity - self.CORE, 2)
        if odd or not self.ready:
            raise Undefined(hex(identity))
        if identity == self.PC:
            self.pc = value
        else:
            self.x[number] = value

    def step(self, load: Load) -> kvm.Run | None:
        word = int.from_bytes(load(self.pc, 4), 'little')
        following = self.pc + 4
        exit_ = None
        if bits(word, 31, 22) == 0b1111000100:  # SUBS Xd, Xn, #imm12
            left = self.x[bits(word, 9, 5)] - bits(word, 21, 10)
            self.x[bits(word, 4, 0)] = left & (1 << 64) - 1
            self.zero = left == 0
            self.passes += 1
        elif bits(word, 31, 24) == 0x54 and bits(word, 4, 0) == 1:  # B.NE
            if not self.zero:
                following = self.pc + 4 * signed(bits(word, 23, 5), 19)
        elif bits(word, 31, 22) == 0b1011100100:  # STR Wt, [Xn, #imm12 * 4]
            address = self.x[bits(word, 9, 5)] + 4 * bits(word, 21, 10)
            exit_ = stored(address, self.x[bits(word, 4, 0)] & 0xFFFFFFFF)
        elif bits(word, 31, 26) == 0b000101:  # B
            following = self.pc + 4 * signed(bits(word, 25, 0), 26)
        elif word & ~(31 << 5) == 0xD65F0000:  # RET Xn
            following = self.x[bits(word, 9, 5)]
        else:
            raise Undefined(hex(word))
        self.pc = following
        return exit_


class Riscv64(Processor):
    """RV64I in VS mode without paging (Unprivileged ISA, chapters 2, 4)."""

    CORE = 0x8030000002000000  # KVM_REG_RISCV | SIZE_U64 | RISCV_CORE
    argument, link = 10, 1

    def __init__(self) -> None:
        super().__init__()
        self.x = [0] * 32

    def set_register(self, identity: int, value: int) -> None:
        number = identity - self.CORE  # struct kvm_riscv_core: pc, ra, sp...
        if not 0 <= number < 32:
            raise Undefined(hex(identity))
        if number:
            self.x[number] = value
        else:
            self.pc = value

    def step(self, load: Load) -> kvm.Run | None:
        word = int.from_bytes(load(self.pc, 4), 'little')
        opcode, rd = bits(word, 6, 0), bits(word, 11, 7)
        function = bits(word, 14, 12)
        rs1, rs2 = bits(word, 19, 15), bits(word, 24, 20)
        following = self.pc + 4
        exit_ = None
        if opcode == 0b0010011 and function == 0:  # ADDI
            value = self.x[rs1] + signed(bits(word, 31, 20), 12)
            self.x[rd] = value & (1 << 64) - 1
            self.passes += 1
        elif opcode == 0b1100011 and function == 1:  # BNE
            offset = (
                bits(word, 31, 31) << 12
                | bits(word, 7, 7) << 11
                | bits(word, 30, 25) << 5
                | bits(word, 11, 8) << 1
            )
            if self.x[rs1] != self.x[rs2]:
                following = self.pc + signed(offset, 13)
        elif opcode == 0b0100011 and function == 2:  # SW
            offset = signed(bits(word, 31, 25) << 5 | rd, 12)
            exit_ = stored(self.x[rs1] + offset, self.x[rs2] & 0xFFFFFFFF)
        elif opcode == 0b1101111 and rd == 0:  # J
            offset = (
                bits(word, 31, 31) << 20
                | bits(word, 19, 12) << 12
                | bits(word, 20, 20) << 11
                | bits(word, 30, 21) << 1
            )
            following = self.pc + signed(offset, 21)
        elif opcode == 0b1100111 and function == 0 and rd == 0:  # JR
            following = self.x[rs1] + signed(bits(word, 31, 20), 12)
        else:
            raise Undefined(hex(word))
        self.pc = following
        return exit_


class X86(Processor):
    """Real mode and long mode (SDM volume 2 for the encodings)."""

    def __init__(self) -> None:
        super().__init__()
        self.sregs = kvm.Sregs()
        # At reset: SDM volume 3, "Processor State After Reset".
        self.sregs.cs.base = 0xFFFF0000
        self.sregs.cs.selector = 0xF000
        self.sregs.cr0 = 0x60000010
        self.ecx = 0
        self.edi = 0
        self.al = 0

    def call(self, code: bytes, argument: int) -> None:
        """As the System V ABI has it: the argument in edi."""
        self.edi, self.pc = argument, 0
        while code[self.pc] != 0xC3:  # RET
            if self.step(lambda at, size: code[at : at + size]) is not None:
                raise Undefined('a function that leaves the processor')

    def set_regs(self, regs: kvm.Regs) -> None:
        if regs.rflags != 2:
            raise Undefined(f'RFLAGS {regs.rflags:#x}')
        self.pc = regs.rip

    def run(self, load: Load) -> kvm.Run:
        """In the mode that CR0 tells."""
        protected = self.sregs.cr0 & 1
        return super().run(
            self._paged(load) if protected else self._real(load)
        )

    def _real(self, load: Load) -> Load:
        base = self.sregs.cs.base
        if base != self.sregs.cs.selector << 4:
            raise Undefined('a code segment of no real mode')
        return lambda address, size: load(base + address, size)

    def _paged(self, load: Load) -> Load:
        """Long mode as SDM volume 3, 11.8.5 asks for, or nothing."""
        sregs = self.sregs
        paging, pae, lme_lma = 1 << 31, 1 << 5, 1 << 8 | 1 << 10
        if not (
            sregs.cr0 & paging
            and sregs.cr4 & pae
            and sregs.efer & lme_lma == lme_lma
        ):
            raise Undefined('paging, PAE and EFER make no long mode')
        descriptor = int.from_bytes(
            load(sregs.gdt.base + sregs.cs.selector, 8), 'little'
        )
        told = (sregs.cs.type, sregs.cs.s, sregs.cs.dpl, sregs.cs.present)
        told += (sregs.cs.l, sregs.cs.db, sregs.cs.g)
        fields = ((43, 40), (44, 44), (46, 45), (47, 47))
        fields += ((53, 53), (54, 54), (55, 55))
        if told != tuple(bits(descriptor, *field) for field in fields):
            raise Undefined('the code segment is not the one of the table')
        if not sregs.cs.l or sregs.cs.db:
            raise Undefined('no 64-bit code')

        def translated(address: int, size: int) -> bytes:
            table = sregs.cr3
            for shift in (39, 30, 21):
                at = table + 8 * bits(address, shift + 8, shift)
                entry = int.from_bytes(load(at, 8), 'little')
                if entry & 3 != 3:
                    raise Undefined(f'no page at {address:#x}')
                table = entry & ~0xFFF
            if not entry & 0x80:
                raise Undefined('no large page')
            return load(table + bits(address, 20, 0), size)

        return translated

    def step(self, load: Load) -> kvm.Run | None:
        opcode = load(self.pc, 1)[0]
        size, exit_ = 1, None
        if opcode == 0x90:  # NOP
            pass
        elif opcode == 0xF4:  # HLT
            exit_ = kvm.Run(exit_reason=5)
        elif opcode == 0xFF and load(self.pc + 1, 1) == b'\xc9':  # DEC ECX
            size = 2
            self.ecx = self.ecx - 1 & 0xFFFFFFFF
            self.passes += 1
        elif opcode == 0x75:  # JNZ rel8, after DEC only
            size = 2
            if self.ecx:
                size += signed(load(self.pc + 1, 1)[0], 8)
        elif opcode == 0xEB:  # JMP rel8
            size = 2 + signed(load(self.pc + 1, 1)[0], 8)
        elif opcode == 0x8B and load(self.pc + 1, 2) == b'\x0c\x25':
            size = 7  # MOV ECX, [disp32]
            (at,) = struct.unpack('<I', load(self.pc + 3, 4))
            (self.ecx,) = struct.unpack('<I', load(at, 4))
        elif opcode == 0x89 and load(self.pc + 1, 1) == b'\xf9':
            size = 2  # MOV ECX, EDI
            self.ecx = self.edi
        elif opcode == 0xB0:  # MOV AL, imm8
            size = 2
            self.al = load(self.pc + 1, 1)[0]
        elif opcode == 0xE6:  # OUT imm8, AL
            size = 2
            exit_ = kvm.Run(exit_reason=kvm.EXIT_IO)
            exit_.exits.io = kvm.IoExit(
                direction=kvm.EXIT_IO_OUT,
                size=1,
                port=load(self.pc + 1, 1)[0],
                count=1,
            )
        else:
            raise Undefined(hex(opcode))
        self.pc += size
        return exit_


def stored(address: int, value: int) -> kvm.Run:
    """A store of 32 bits where no memory is."""
    run = kvm.Run(exit_reason=kvm.EXIT_MMIO)
    data = (*struct.pack('<I', value), 0, 0, 0, 0)
    run.exits.mmio = kvm.MmioExit(
        phys_addr=address, data=data, len=4, is_write=1
    )
    return run


class Routine:
    """The loop of the host, on whichever of these it was written for."""

    def __init__(self, code: bytes) -> None:
        self._code = code
        kinds = {
            smoke_arm64.Guest.code: Arm64,
            smoke_riscv64.Guest.code: Riscv64,
            smoke_x86.Guest.code: X86,
        }
        self._kind = kinds[code]

    def __enter__(self) -> Routine:
        return self

    def __exit__(self, *exc: object) -> None:
        """Nothing was opened."""

    def __call__(self, iterations: int) -> None:
        self._kind().call(self._code, iterations)
