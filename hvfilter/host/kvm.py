# SPDX-License-Identifier: Apache-2.0
"""The KVM device: its ioctls, typed, and a virtual machine as small as can be.

Numbers and layouts are those of ``include/uapi/linux/kvm.h`` and
``arch/*/include/uapi/asm/kvm.h``. Every object closes what it opened.
"""

from __future__ import annotations

import abc
import ctypes
import fcntl
import functools
import mmap
import os
from types import TracebackType

from hvfilter.host import base, facts, machine_code

DEVICE = '/dev/kvm'

_KVMIO = 0xAE
_MAX_ENTRIES = 4096


class _Encoding:
    """How an ioctl number is put together (``asm/ioctl.h``)."""

    def __init__(self, machine: str) -> None:
        odd = machine.startswith(('ppc', 'powerpc', 'mips', 'sparc', 'alpha'))
        self._shift = 29 if odd else 30
        self._none, self._read, self._write = (1, 2, 4) if odd else (0, 2, 1)

    def _number(self, direction: int, number: int, size: int) -> int:
        return direction << self._shift | size << 16 | _KVMIO << 8 | number

    def io(self, number: int) -> int:
        """Takes no structure."""
        return self._number(self._none, number, 0)

    def ior(self, number: int, size: int) -> int:
        """Fills in a structure."""
        return self._number(self._read, number, size)

    def iow(self, number: int, size: int) -> int:
        """Takes a structure."""
        return self._number(self._write, number, size)

    def iowr(self, number: int, size: int) -> int:
        """Takes a structure and changes it."""
        return self._number(self._read | self._write, number, size)


class CpuidEntry2(ctypes.Structure):
    """``struct kvm_cpuid_entry2``."""

    _fields_ = [
        ('function', ctypes.c_uint32),
        ('index', ctypes.c_uint32),
        ('flags', ctypes.c_uint32),
        ('eax', ctypes.c_uint32),
        ('ebx', ctypes.c_uint32),
        ('ecx', ctypes.c_uint32),
        ('edx', ctypes.c_uint32),
        ('padding', ctypes.c_uint32 * 3),
    ]


class _Cpuid2Header(ctypes.Structure):
    _fields_ = [('nent', ctypes.c_uint32), ('padding', ctypes.c_uint32)]


def cpuid2(entries: int) -> type[ctypes.Structure]:
    """``struct kvm_cpuid2`` with room for so many entries."""

    class Cpuid2(ctypes.Structure):
        _fields_ = [
            ('nent', ctypes.c_uint32),
            ('padding', ctypes.c_uint32),
            ('entries', CpuidEntry2 * entries),
        ]

    return Cpuid2


class Msrs(ctypes.Structure):
    """``struct kvm_msrs`` with one ``struct kvm_msr_entry``."""

    _fields_ = [
        ('nmsrs', ctypes.c_uint32),
        ('padding', ctypes.c_uint32),
        ('index', ctypes.c_uint32),
        ('reserved', ctypes.c_uint32),
        ('data', ctypes.c_uint64),
    ]


class MemoryRegion(ctypes.Structure):
    """``struct kvm_userspace_memory_region``."""

    _fields_ = [
        ('slot', ctypes.c_uint32),
        ('flags', ctypes.c_uint32),
        ('guest_phys_addr', ctypes.c_uint64),
        ('memory_size', ctypes.c_uint64),
        ('userspace_addr', ctypes.c_uint64),
    ]


class SignalMask(ctypes.Structure):
    """``struct kvm_signal_mask`` with the kernel's 64-bit signal set."""

    _pack_ = 1
    _fields_ = [('len', ctypes.c_uint32), ('sigset', ctypes.c_uint64)]


class OneReg(ctypes.Structure):
    """``struct kvm_one_reg``."""

    _fields_ = [('id', ctypes.c_uint64), ('addr', ctypes.c_uint64)]


class Regs(ctypes.Structure):
    """``struct kvm_regs`` of x86."""

    _fields_ = [
        ('rax', ctypes.c_uint64),
        ('rbx', ctypes.c_uint64),
        ('rcx', ctypes.c_uint64),
        ('rdx', ctypes.c_uint64),
        ('rsi', ctypes.c_uint64),
        ('rdi', ctypes.c_uint64),
        ('rsp', ctypes.c_uint64),
        ('rbp', ctypes.c_uint64),
        ('r8_to_r15', ctypes.c_uint64 * 8),
        ('rip', ctypes.c_uint64),
        ('rflags', ctypes.c_uint64),
    ]


class Segment(ctypes.Structure):
    """``struct kvm_segment`` of x86."""

    _fields_ = [
        ('base', ctypes.c_uint64),
        ('limit', ctypes.c_uint32),
        ('selector', ctypes.c_uint16),
        ('type', ctypes.c_uint8),
        ('present', ctypes.c_uint8),
        ('dpl', ctypes.c_uint8),
        ('db', ctypes.c_uint8),
        ('s', ctypes.c_uint8),
        ('l', ctypes.c_uint8),
        ('g', ctypes.c_uint8),
        ('avl', ctypes.c_uint8),
        ('unusable', ctypes.c_uint8),
        ('padding', ctypes.c_uint8),
    ]


class Dtable(ctypes.Structure):
    """``struct kvm_dtable`` of x86."""

    _fields_ = [
        ('base', ctypes.c_uint64),
        ('limit', ctypes.c_uint16),
        ('padding', ctypes.c_uint16 * 3),
    ]


class Sregs(ctypes.Structure):
    """``struct kvm_sregs`` of x86."""

    _fields_ = [
        ('cs', Segment),
        ('ds', Segment),
        ('es', Segment),
        ('fs', Segment),
        ('gs', Segment),
        ('ss', Segment),
        ('tr', Segment),
        ('ldt', Segment),
        ('gdt', Dtable),
        ('idt', Dtable),
        ('cr0', ctypes.c_uint64),
        ('cr2', ctypes.c_uint64),
        ('cr3', ctypes.c_uint64),
        ('cr4', ctypes.c_uint64),
        ('cr8', ctypes.c_uint64),
        ('efer', ctypes.c_uint64),
        ('apic_base', ctypes.c_uint64),
        ('interrupt_bitmap', ctypes.c_uint64 * 4),
    ]


class VcpuInit(ctypes.Structure):
    """``struct kvm_vcpu_init`` of arm64."""

    _fields_ = [
        ('target', ctypes.c_uint32),
        ('features', ctypes.c_uint32 * 7),
    ]


class IoExit(ctypes.Structure):
    """``kvm_run.io``."""

    _fields_ = [
        ('direction', ctypes.c_uint8),
        ('size', ctypes.c_uint8),
        ('port', ctypes.c_uint16),
        ('count', ctypes.c_uint32),
        ('data_offset', ctypes.c_uint64),
    ]


class MmioExit(ctypes.Structure):
    """``kvm_run.mmio``."""

    _fields_ = [
        ('phys_addr', ctypes.c_uint64),
        ('data', ctypes.c_uint8 * 8),
        ('len', ctypes.c_uint32),
        ('is_write', ctypes.c_uint8),
    ]


class _Exits(ctypes.Union):
    _fields_ = [('io', IoExit), ('mmio', MmioExit)]


class Run(ctypes.Structure):
    """The beginning of ``struct kvm_run``."""

    _fields_ = [
        ('request_interrupt_window', ctypes.c_uint8),
        ('immediate_exit', ctypes.c_uint8),
        ('padding1', ctypes.c_uint8 * 6),
        ('exit_reason', ctypes.c_uint32),
        ('ready_for_interrupt_injection', ctypes.c_uint8),
        ('if_flag', ctypes.c_uint8),
        ('flags', ctypes.c_uint16),
        ('cr8', ctypes.c_uint64),
        ('apic_base', ctypes.c_uint64),
        ('exits', _Exits),
    ]


_encoding = _Encoding(os.uname().machine)

GET_API_VERSION = _encoding.io(0x00)
CREATE_VM = _encoding.io(0x01)
CHECK_EXTENSION = _encoding.io(0x03)
GET_VCPU_MMAP_SIZE = _encoding.io(0x04)
GET_SUPPORTED_CPUID = _encoding.iowr(0x05, ctypes.sizeof(_Cpuid2Header))
GET_MSR_FEATURE_INDEX_LIST = _encoding.iowr(0x0A, 4)
CREATE_VCPU = _encoding.io(0x41)
SET_USER_MEMORY_REGION = _encoding.iow(0x46, ctypes.sizeof(MemoryRegion))
SET_TSS_ADDR = _encoding.io(0x47)
RUN = _encoding.io(0x80)
SET_REGS = _encoding.iow(0x82, ctypes.sizeof(Regs))
GET_SREGS = _encoding.ior(0x83, ctypes.sizeof(Sregs))
SET_SREGS = _encoding.iow(0x84, ctypes.sizeof(Sregs))
GET_MSRS = _encoding.iowr(0x88, 8)
SET_SIGNAL_MASK = _encoding.iow(0x8B, 4)
SET_CPUID2 = _encoding.iow(0x90, ctypes.sizeof(_Cpuid2Header))
SET_ONE_REG = _encoding.iow(0xAC, ctypes.sizeof(OneReg))
ARM_VCPU_INIT = _encoding.iow(0xAE, ctypes.sizeof(VcpuInit))
ARM_PREFERRED_TARGET = _encoding.ior(0xAF, ctypes.sizeof(VcpuInit))

CAP_ARM_VM_IPA_SIZE = 165

EXIT_IO = 2
EXIT_MMIO = 6
EXIT_IO_OUT = 1

EXIT_NAMES = {
    0: 'UNKNOWN',
    1: 'EXCEPTION',
    2: 'IO',
    3: 'HYPERCALL',
    4: 'DEBUG',
    5: 'HLT',
    6: 'MMIO',
    7: 'IRQ_WINDOW_OPEN',
    8: 'SHUTDOWN',
    9: 'FAIL_ENTRY',
    10: 'INTR',
    16: 'NMI',
    17: 'INTERNAL_ERROR',
    24: 'SYSTEM_EVENT',
    28: 'ARM_NISV',
    35: 'RISCV_SBI',
    36: 'RISCV_CSR',
    37: 'NOTIFY',
    39: 'MEMORY_FAULT',
}


class _Closing(abc.ABC):
    """Something to be closed, usable in a ``with`` statement."""

    @abc.abstractmethod
    def close(self) -> None:
        """Give back what was opened; a second time does nothing."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Device(_Closing):
    """An open /dev/kvm."""

    def __init__(self, path: str = DEVICE) -> None:
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise base.Denied.from_os_error(f'open {path}', error) from error

    def __enter__(self) -> Device:
        return self

    def close(self) -> None:
        """Close the device; virtual machines live on until closed."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def api_version(self) -> int:
        """12 since 2007."""
        return _ioctl(self._fd, GET_API_VERSION, 'KVM_GET_API_VERSION')

    def extension(self, capability: int) -> int:
        """0 when KVM does not have it."""
        what = f'KVM_CHECK_EXTENSION {capability}'
        return _ioctl(self._fd, CHECK_EXTENSION, what, capability)

    def supported_cpuid(self) -> tuple[facts.CpuidEntry, ...]:
        """What KVM can give to guests; x86 only."""
        table = self._supported_cpuid()
        return tuple(
            facts.CpuidEntry(
                entry.function,
                entry.index,
                facts.CpuidRegs(entry.eax, entry.ebx, entry.ecx, entry.edx),
            )
            for entry in table.entries[: table.nent]
        )

    def _supported_cpuid(self) -> ctypes.Structure:
        what = 'KVM_GET_SUPPORTED_CPUID'
        room = 256
        while True:
            table = cpuid2(room)(nent=room)
            try:
                _ioctl(self._fd, GET_SUPPORTED_CPUID, what, table)
            except base.Denied as denial:
                if denial.error != 'E2BIG' or room >= _MAX_ENTRIES:
                    raise
                room *= 2
            else:
                return table

    def feature_msrs(self) -> dict[int, int]:
        """The MSRs that show what guests can be given; x86 only."""
        values = {}
        for index in self._feature_msr_indices():
            entry = Msrs(nmsrs=1, index=index)
            what = f'KVM_GET_MSRS {index:#x}'
            try:
                count = _ioctl(self._fd, GET_MSRS, what, entry)
            except base.Denied:
                continue
            if count == 1:
                values[index] = int(entry.data)
        return values

    def _feature_msr_indices(self) -> tuple[int, ...]:
        what = 'KVM_GET_MSR_FEATURE_INDEX_LIST'
        room = 64
        while True:
            # struct kvm_msr_list: how many, then the indices
            indices = (ctypes.c_uint32 * (1 + room))(room)
            try:
                _ioctl(self._fd, GET_MSR_FEATURE_INDEX_LIST, what, indices)
            except base.Denied as denial:
                if denial.error != 'E2BIG' or room >= _MAX_ENTRIES:
                    raise
                room *= 2
            else:
                return tuple(indices[1 : 1 + indices[0]])

    def create_vm(self) -> Vm:
        """A virtual machine without memory and processors."""
        kind = 0
        if os.uname().machine == 'aarch64':
            # 0 asks for 40 bits of guest address, more than some have.
            limit = self.extension(CAP_ARM_VM_IPA_SIZE)
            kind = limit if 0 < limit < 40 else 0
        size = _ioctl(self._fd, GET_VCPU_MMAP_SIZE, 'KVM_GET_VCPU_MMAP_SIZE')
        return Vm(_ioctl(self._fd, CREATE_VM, 'KVM_CREATE_VM', kind), size)

    def give_cpuid(self, vcpu: Vcpu) -> None:
        """Give a virtual CPU all that KVM can give; x86 only."""
        vcpu.ioctl(SET_CPUID2, 'KVM_SET_CPUID2', self._supported_cpuid())


class Vm(_Closing):
    """A virtual machine; closing it closes its processors and memory."""

    def __init__(self, fd: int, run_size: int) -> None:
        self._fd = fd
        self._run_size = run_size
        self._vcpus: list[Vcpu] = []
        self._memories: list[mmap.mmap] = []

    def __enter__(self) -> Vm:
        return self

    def close(self) -> None:
        """Processors first, memory last, as it is in use until then."""
        for vcpu in self._vcpus:
            vcpu.close()
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1
        for memory in self._memories:
            memory.close()

    def ioctl(
        self,
        request: int,
        what: str,
        argument: int | ctypes.Structure = 0,
    ) -> int:
        """An ioctl on the virtual machine."""
        return _ioctl(self._fd, request, what, argument)

    def add_memory(self, address: int, size: int) -> mmap.mmap:
        """Fresh zeroed memory at a guest-physical address."""
        memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._memories.append(memory)
        region = MemoryRegion(
            slot=len(self._memories) - 1,
            guest_phys_addr=address,
            memory_size=size,
            userspace_addr=machine_code.address_of(memory),
        )
        what = 'KVM_SET_USER_MEMORY_REGION'
        self.ioctl(SET_USER_MEMORY_REGION, what, region)
        return memory

    def add_vcpu(self) -> Vcpu:
        """One more virtual CPU."""
        number = len(self._vcpus)
        fd = self.ioctl(CREATE_VCPU, f'KVM_CREATE_VCPU {number}', number)
        vcpu = Vcpu(fd, self._run_size)
        self._vcpus.append(vcpu)
        return vcpu


class Vcpu(_Closing):
    """A virtual CPU and the page it shares with KVM."""

    def __init__(self, fd: int, run_size: int) -> None:
        self._fd = fd
        try:
            self._memory = mmap.mmap(fd, run_size)
        except OSError as error:
            os.close(fd)
            what = 'map the virtual CPU'
            raise base.Denied.from_os_error(what, error) from error
        self.state = Run.from_buffer(self._memory)

    def close(self) -> None:
        """Unmap and close."""
        if self._fd < 0:
            return
        del self.state
        self._memory.close()
        os.close(self._fd)
        self._fd = -1

    def ioctl(
        self,
        request: int,
        what: str,
        argument: int | ctypes.Structure = 0,
    ) -> int:
        """An ioctl on the virtual CPU."""
        return _ioctl(self._fd, request, what, argument)

    def set_register(self, identity: int, value: int) -> None:
        """KVM_SET_ONE_REG of a 64-bit register; not on x86."""
        content = ctypes.c_uint64(value)
        register = OneReg(id=identity, addr=ctypes.addressof(content))
        self.ioctl(SET_ONE_REG, f'KVM_SET_ONE_REG {identity:#x}', register)

    def let_through(self, number: int) -> None:
        """Let one signal end KVM_RUN, and keep all others out."""
        # Signals count from 1; 8 is the kernel's sizeof(sigset_t), not the
        # C library's.
        mask = SignalMask(len=8, sigset=~(1 << number - 1) & (1 << 64) - 1)
        self.ioctl(SET_SIGNAL_MASK, 'KVM_SET_SIGNAL_MASK', mask)

    def run(self) -> None:
        """KVM_RUN: until the guest exits; the reason is in ``state``.

        :raises hvfilter.host.base.Denied: EINTR if a signal ended it
        """
        try:
            ioctl_once(self._fd, RUN)
        except OSError as error:
            raise base.Denied.from_os_error('ioctl KVM_RUN', error) from error

    def data(self) -> bytes:
        """What the guest wrote to the port it exited on."""
        exit_ = self.state.exits.io
        start = exit_.data_offset
        return self._memory[start : start + exit_.size * exit_.count]


def _ioctl(
    fd: int,
    request: int,
    what: str,
    argument: int | ctypes.Structure | ctypes.Array[ctypes.c_uint32] = 0,
) -> int:
    try:
        if isinstance(argument, int):
            return fcntl.ioctl(fd, request, argument)
        # Changed in place, where the request changes it.
        result: int = fcntl.ioctl(fd, request, argument, True)
        return result
    except OSError as error:
        raise base.Denied.from_os_error(f'ioctl {what}', error) from error


def ioctl_once(fd: int, request: int) -> None:
    """An ioctl without argument that a signal may end.

    From Python 3.14 on ``fcntl.ioctl`` repeats the call after EINTR: a guest
    whose time is over would be started again for ever.

    :raises OSError: EINTR among others
    """
    if _libc().ioctl(fd, request, 0) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@functools.cache
def _libc() -> ctypes.CDLL:
    library = ctypes.CDLL(None, use_errno=True)
    library.ioctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong)
    return library
