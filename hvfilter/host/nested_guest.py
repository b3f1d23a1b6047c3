# SPDX-License-Identifier: Apache-2.0
"""What guests that start a guest of their own have in common (x86).

Only KVM's offer says that a guest may use VMX or SVM; the only proof is a
guest that does. It is the small guest in long mode; its own guest shares its
memory and counts down. Each pass of the outer guest is one KVM_RUN: it
enters its guest, and writes a mark to its port when that guest has left it.

The outer guest notes in memory how far it came, so that whatever stops it is
known by the instruction that was to be executed.
"""

from __future__ import annotations

import abc
import struct
from collections.abc import Callable, Mapping, Sequence

from hvfilter.host import kvm, smoke, smoke_x86

MEMORY = 0x10000
INNER_CODE = 0x2800
RESULT = 0x3008
"""Where the outer guest stores why its guest left, or did not start."""
STEP = 0x3010
"""Where it stores the number of the step that comes next."""
CONTROL_BLOCK = 0xA000
"""The VMCB or VMCS: one page."""
PAGED_PML4, _PAGED_PDPT, _PAGED_DIRECTORY = 0xD000, 0xE000, 0xF000
"""Nested paging of one page of 2 MiB."""

WHOLE_NS = 5_000_000_000
"""Wall time of all attempts together: one that hangs, and most of another. In
a virtual machine on an emulated processor with 20 other programs, a run that
settles takes 3 seconds."""

DONE, FAILED = smoke_x86.MARK, smoke_x86.MARK + 1

SEPARATOR = '/'
"""Between the step and what happened at it, in an outcome."""


class NestedGuest(smoke_x86.Guest):
    """A guest that starts a guest of its own.

    :cvar paging: whether nested paging (NPT, EPT) is used
    """

    paging = False
    outer: bytes
    """The outer guest's code."""
    leave: bytes
    """The instruction with which the inner guest leaves."""
    marks: Mapping[int, str]
    """Number of a step to its name."""

    def steps(self) -> Sequence[tuple[str, Callable[[], smoke.Countdown]]]:
        """One step: plain long mode was shown by the plain guest."""
        self.vm.ioctl(
            kvm.SET_TSS_ADDR, 'KVM_SET_TSS_ADDR', smoke_x86.TSS_PAGES
        )
        self._memory = self.vm.add_memory(0, MEMORY)
        return (('nested', self._nested),)

    def ended_well(self, vcpu: kvm.Vcpu) -> bool:
        """The inner guest left by the very instruction that ends its loop."""
        return self._wrote(vcpu, DONE) and self.left_well(self.result())

    def refined(self, vcpu: kvm.Vcpu, outcome: str) -> str:
        """Name the step, and what the processor said of it, as
        ``VMRUN/EXIT_0xffffffff``, ``VMLAUNCH/ERROR_7``, ``VMXON/SHUTDOWN``."""
        if outcome in smoke.REACHED | smoke.TRANSIENT:
            return outcome
        number = self._memory[STEP]
        step = self.marks.get(number, f'STEP_{number}')
        if self._wrote(vcpu, DONE):
            outcome = f'EXIT_{self.result():#x}'
        elif self._wrote(vcpu, FAILED):
            outcome = f'ERROR_{self.result()}'
        return f'{step}{SEPARATOR}{outcome}'

    @abc.abstractmethod
    def prepare(self) -> None:
        """Write everything that the outer guest's code finds in memory."""

    @abc.abstractmethod
    def left_well(self, result: int) -> bool:
        """Whether the exit is that of the instruction ``leave``."""

    def result(self) -> int:
        """The low half of the exit, or the number of the error."""
        return self.load(RESULT)

    def load(self, address: int) -> int:
        """32 bits of the guest's memory."""
        (value,) = struct.unpack_from('<I', self._memory, address)
        return int(value)

    def store(self, address: int, form: str, *values: int) -> None:
        """Little-endian values, to the guest's memory."""
        self._write(address, struct.pack(f'<{form}', *values))

    def write_paging(self, tables: int, page: int) -> None:
        """Identity-mapped nested paging of the first 2 MiB.

        :param tables: bits of the entries that refer to a table
        :param page: bits of the entry of the page
        """
        self.store(PAGED_PML4, 'Q', _PAGED_PDPT | tables)
        self.store(_PAGED_PDPT, 'Q', _PAGED_DIRECTORY | tables)
        self.store(_PAGED_DIRECTORY, 'Q', page)

    def _nested(self) -> smoke.Countdown:
        self._write(smoke_x86.LONG_CODE, self.outer)
        inner = smoke_x86.LOAD.ljust(smoke_x86.LOOP_OFFSET, b'\x90')
        self._write(INNER_CODE, inner + smoke_x86.LOOP + self.leave)
        self.prepare()
        vcpu = self._long_mode(smoke_x86.LONG_CODE)
        return smoke.Countdown(vcpu, self._set_iterations)
