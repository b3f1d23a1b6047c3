# SPDX-License-Identifier: Apache-2.0
"""The CPUID instruction on a processor of choice.

SDM volume 2A, CPUID: a leaf above the highest one is answered with the data
of the highest *basic* leaf. So the highest leaf of its range is asked first,
and a leaf above it is denied with ENXIO.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import sys
from collections.abc import Callable, Iterator

from hvfilter.host import base, facts, machine_code

DEVICES = '/dev/cpu'

Execute = Callable[[int, int], facts.CpuidRegs]
"""Leaf and subleaf to registers, unchecked."""

_HYPERVISOR = 0x40000000
_EXTENDED = 0x80000000
_CENTAUR = 0xC0000000
_CENTAUR_VENDORS = (b'CentaurHauls', b'  Shanghai  ')

# System V ABI: rdi points to eax, ebx, ecx, edx; rbx is ours to preserve.
_CODE = bytes.fromhex(
    '53'  # push rbx
    '8b07'  # mov eax, [rdi]
    '8b4f08'  # mov ecx, [rdi+8]
    '0fa2'  # cpuid
    '8907'  # mov [rdi], eax
    '895f04'  # mov [rdi+4], ebx
    '894f08'  # mov [rdi+8], ecx
    '89570c'  # mov [rdi+12], edx
    '5b'  # pop rbx
    'c3'  # ret
)


def read(
    cpu: int, leaf: int, subleaf: int = 0, devices: str = DEVICES
) -> facts.CpuidRegs:
    """One leaf of one logical processor.

    Executed in this process, pinned to the processor for that moment; by
    ``/dev/cpu/N/cpuid`` where that cannot be done.

    :param devices: the folder in which each processor has its own
    :raises Denied: ENXIO for a leaf that the processor does not have; else
        what the fallback met, ENOENT without the ``cpuid`` module
    """
    what = f'execute CPUID leaf {leaf:#x} subleaf {subleaf} on CPU {cpu}'
    try:
        with _pinned(cpu, what), _in_process(what) as execute:
            return checked(execute, leaf, subleaf, what)
    except base.Denied as denial:
        if denial.error == 'ENXIO':
            raise
    with _device(f'{devices}/{cpu}/cpuid', what) as execute:
        return checked(execute, leaf, subleaf, what)


def checked(
    execute: Execute, leaf: int, subleaf: int, what: str
) -> facts.CpuidRegs:
    """The leaf, if it is no higher than the highest of its range."""
    highest = highest_leaf(execute, leaf)
    if highest is None:
        raise base.Denied(what, 'ENXIO', 'no leaves in this range')
    if leaf > highest:
        raise base.Denied(
            what, 'ENXIO', f'the highest leaf of the range is {highest:#x}'
        )
    return execute(leaf, subleaf)


def highest_leaf(execute: Execute, leaf: int) -> int | None:
    """The highest leaf in the range of this one; None without the range."""
    if leaf < _HYPERVISOR:
        return execute(0, 0).eax
    if leaf < _EXTENDED:
        if not execute(1, 0).ecx >> 31 & 1:
            return None
        # Hypervisors stack their leaves in blocks of 0x100.
        block = leaf & ~0xFF
        highest = execute(block, 0).eax
        if block == _HYPERVISOR and highest == 0:
            return _HYPERVISOR + 1  # KVM before 3.10
        return highest if block <= highest < block + 0x100 else None
    if leaf < _CENTAUR:
        highest = execute(_EXTENDED, 0).eax
        return highest if _EXTENDED <= highest < _CENTAUR else None
    regs = execute(0, 0)
    vendor = struct.pack('<3I', regs.ebx, regs.edx, regs.ecx)
    if vendor not in _CENTAUR_VENDORS:
        return None
    highest = execute(_CENTAUR, 0).eax
    return highest if _CENTAUR <= highest < _CENTAUR + 0x100 else None


@contextlib.contextmanager
def _pinned(cpu: int, what: str) -> Iterator[None]:
    """This thread on that processor, and then where it was before."""
    try:
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {cpu})
    except (OSError, ValueError, OverflowError) as error:
        text = f'cannot run on it: {error}'
        raise base.Denied(what, 'EINVAL', text) from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # processors taken away meanwhile
            os.sched_setaffinity(0, before)


@contextlib.contextmanager
def _in_process(what: str) -> Iterator[Execute]:
    if os.uname().machine not in ('x86_64', 'amd64') or sys.maxsize < 2**32:
        raise base.Denied(what, 'ENOSYS', 'not a 64-bit x86 process')
    with machine_code.Routine(_CODE) as routine:

        def execute(leaf: int, subleaf: int) -> facts.CpuidRegs:
            regs = (ctypes.c_uint32 * 4)(leaf, 0, subleaf, 0)
            routine(ctypes.addressof(regs))
            return facts.CpuidRegs(*regs)

        yield execute


@contextlib.contextmanager
def _device(path: str, what: str) -> Iterator[Execute]:
    """By the ``cpuid`` module; the file offset is subleaf and leaf."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise base.Denied.from_os_error(what, error) from error

    def execute(leaf: int, subleaf: int) -> facts.CpuidRegs:
        try:
            data = os.pread(descriptor, 16, leaf | subleaf << 32)
        except OSError as error:
            raise base.Denied.from_os_error(what, error) from error
        if len(data) != 16:
            raise base.Denied(what, 'EIO', f'{len(data)} bytes came back')
        return facts.CpuidRegs(*struct.unpack('<4I', data))

    try:
        yield execute
    finally:
        os.close(descriptor)
