# SPDX-License-Identifier: Apache-2.0
"""A KVM that any architecture can be shown, and that refuses when told to.

Devices, virtual machines and processors are real file descriptors, which can
be mapped and must be closed; only their ioctls are answered here, and those
of all other files by the kernel. Guest memory is where the process put it.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from typing import Any

import fixtures

from hvfilter.host import kvm

RUN_SIZE = 8192
DATA_OFFSET = 4096


class FakeKvm(fixtures.Fixture):
    """Answers the ioctls of the device ``path`` while it is in use.

    :param processor: what executes the guest, of tests.fakes.processors
    :ivar devices: a folder like /dev
    :ivar refused: request to the errno with which it is refused
    :ivar cpuid: supported CPUID, as (leaf, subleaf, eax, ebx, ecx, edx)
    :ivar msrs: feature MSRs; None for one that is listed but not readable
    :ivar extensions: capability to what KVM_CHECK_EXTENSION answers
    :ivar asked: all requests, in order
    :ivar ends: exits that KVM_RUN gives instead of executing anything, by
        the number of the call, counted from 0; an errno or an exit reason
    """

    def __init__(self, processor: Any = None) -> None:
        self.processor = processor
        self.refused: dict[int, int] = {}
        self.cpuid: list[tuple[int, ...]] = []
        self.msrs: dict[int, int | None] = {}
        self.extensions: dict[int, int] = {}
        self.asked: list[int] = []
        self.ends: dict[int, OSError | int] = {}
        self.memory: list[kvm.MemoryRegion] = []
        self.given_cpuid: list[tuple[int, ...]] = []
        self.kind = -1
        self.mask: kvm.SignalMask | None = None
        self.target: list[int] = []
        self.tss = 0
        self.runs = 0

    def _setUp(self) -> None:
        folder = self.useFixture(fixtures.TempDir()).path
        self.devices = folder
        self.path = f'{folder}/kvm'
        device = os.open(self.path, os.O_RDWR | os.O_CREAT)
        self._roles = {self._identity(device): 'device'}
        os.close(device)
        self._kernel = fcntl.ioctl
        for name in ('fcntl.ioctl', 'hvfilter.host.kvm.ioctl_once'):
            self.useFixture(fixtures.MonkeyPatch(name, self._ioctl))

    @staticmethod
    def _identity(descriptor: int) -> tuple[int, int]:
        status = os.fstat(descriptor)
        return status.st_dev, status.st_ino

    def _new(self, role: str, size: int) -> int:
        descriptor = os.memfd_create(role)
        os.ftruncate(descriptor, size)
        self._roles[self._identity(descriptor)] = role
        return descriptor

    def _ioctl(
        self,
        descriptor: int,
        request: int,
        argument: Any = 0,
        mutate: bool = True,
    ) -> int:
        role = self._roles.get(self._identity(descriptor))
        if role is None:
            return self._kernel(descriptor, request, argument, mutate)
        self.asked.append(request)
        if request in self.refused:
            raise _error(self.refused[request])
        answer = self._answers(role).get(request)
        if answer is None:
            raise _error(errno.ENOTTY)
        if request == kvm.RUN:
            return self._run(descriptor)
        result = answer(argument)
        return 0 if result is None else result

    def _answers(self, role: str) -> dict[int, Any]:
        if role == 'device':
            return {
                kvm.GET_API_VERSION: lambda _: 12,
                kvm.CHECK_EXTENSION: lambda c: self.extensions.get(c, 0),
                kvm.GET_VCPU_MMAP_SIZE: lambda _: RUN_SIZE,
                kvm.GET_SUPPORTED_CPUID: self._fill_cpuid,
                kvm.GET_MSR_FEATURE_INDEX_LIST: self._fill_indices,
                kvm.GET_MSRS: self._fill_msr,
                kvm.CREATE_VM: self._create_vm,
            }
        if role == 'vm':
            return {
                kvm.SET_USER_MEMORY_REGION: self._add_memory,
                kvm.SET_TSS_ADDR: self._set_tss,
                kvm.CREATE_VCPU: lambda _: self._new('vcpu', RUN_SIZE),
                kvm.ARM_PREFERRED_TARGET: self._prefer,
            }
        return {
            kvm.RUN: self._run,
            kvm.SET_SIGNAL_MASK: self._set_mask,
            kvm.SET_ONE_REG: self._set_register,
            kvm.ARM_VCPU_INIT: self._init,
            kvm.GET_SREGS: lambda sregs: _copy(sregs, self.processor.sregs),
            kvm.SET_SREGS: lambda sregs: _copy(self.processor.sregs, sregs),
            kvm.SET_REGS: lambda regs: self.processor.set_regs(regs),
            kvm.SET_CPUID2: self._take_cpuid,
        }

    def _fill_cpuid(self, table: Any) -> None:
        if table.nent < len(self.cpuid):
            raise _error(errno.E2BIG)
        for entry, (leaf, subleaf, *regs) in zip(
            table.entries, self.cpuid, strict=False
        ):
            entry.function, entry.index = leaf, subleaf
            entry.eax, entry.ebx, entry.ecx, entry.edx = regs
        table.nent = len(self.cpuid)

    def _take_cpuid(self, table: Any) -> None:
        self.given_cpuid = [
            (e.function, e.index, e.eax, e.ebx, e.ecx, e.edx)
            for e in table.entries[: table.nent]
        ]

    def _fill_indices(self, indices: Any) -> None:
        room, indices[0] = indices[0], len(self.msrs)
        if room < len(self.msrs):
            raise _error(errno.E2BIG)
        indices[1 : 1 + len(self.msrs)] = list(self.msrs)

    def _fill_msr(self, entry: kvm.Msrs) -> int:
        """How many of the one that was asked could be read."""
        value = self.msrs[entry.index]
        if value is None:
            return 0
        entry.data = value
        return entry.nmsrs

    def _create_vm(self, kind: int) -> int:
        self.kind = kind
        return self._new('vm', 0)

    def _add_memory(self, region: kvm.MemoryRegion) -> None:
        self.memory.append(_copy(kvm.MemoryRegion(), region))

    def _set_tss(self, address: int) -> None:
        self.tss = address

    def _prefer(self, init: kvm.VcpuInit) -> None:
        init.target = 5

    def _init(self, init: kvm.VcpuInit) -> None:
        self.target.append(init.target)
        self.processor.init()

    def _set_mask(self, mask: kvm.SignalMask) -> None:
        self.mask = _copy(kvm.SignalMask(), mask)

    def _set_register(self, register: kvm.OneReg) -> None:
        value = ctypes.c_uint64.from_address(register.addr).value
        self.processor.set_register(register.id, value)

    def load(self, address: int, size: int) -> bytes:
        for region in self.memory:
            offset = address - region.guest_phys_addr
            if 0 <= offset <= region.memory_size - size:
                return ctypes.string_at(region.userspace_addr + offset, size)
        raise _error(errno.EFAULT)

    def _run(self, descriptor: int) -> int:
        end = self.ends.get(self.runs)
        self.runs += 1
        if isinstance(end, OSError):
            raise end
        if end is not None:
            state = kvm.Run(exit_reason=end)
        else:
            state = self.processor.run(self.load)
        if state.exit_reason == kvm.EXIT_IO:
            state.exits.io.data_offset = DATA_OFFSET
            os.pwrite(descriptor, bytes((self.processor.al,)), DATA_OFFSET)
        os.pwrite(descriptor, bytes(state), 0)
        return 0


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _copy(target: Any, source: Any) -> Any:
    ctypes.memmove(
        ctypes.addressof(target),
        ctypes.addressof(source),
        ctypes.sizeof(source),
    )
    return target
