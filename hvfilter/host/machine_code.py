# SPDX-License-Identifier: Apache-2.0
"""A few machine instructions of our own, run by this very process."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Callable
from types import TracebackType

from hvfilter.host import base

_READ = mmap.PROT_READ
_EXECUTE = mmap.PROT_EXEC


class Routine:
    """A machine-code function ``void f(unsigned long)``, until closed.

    The page is never writable and executable at once: hardened kernels
    refuse that. Making it executable only after it was written also has the
    kernel bring the instruction cache up to date, where that is needed
    (``__sync_icache_dcache`` on arm64, ``flush_icache_pte`` on riscv64).

    :raises Denied: memory may not be made executable, as under SELinux
        without ``execmem``
    """

    def __init__(self, code: bytes) -> None:
        what = 'make a page executable'
        try:
            self._page = mmap.mmap(
                -1, mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
            )
        except OSError as error:
            raise base.Denied.from_os_error(what, error) from error
        self._page[: len(code)] = code
        address = address_of(self._page)
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mprotect.argtypes = (
            ctypes.c_void_p,
            ctypes.c_size_t,
            ctypes.c_int,
        )
        if libc.mprotect(address, mmap.PAGESIZE, _READ | _EXECUTE):
            self._page.close()
            number = ctypes.get_errno()
            raise base.Denied.from_os_error(what, _os_error(number))
        prototype = ctypes.CFUNCTYPE(None, ctypes.c_ulong)
        self._function: Callable[[int], None] = prototype(address)

    def __call__(self, argument: int) -> None:
        self._function(argument)

    def __enter__(self) -> Routine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the page back; the routine cannot be called any more."""
        del self._function
        self._page.close()


def address_of(memory: mmap.mmap) -> int:
    """Where a writable mapping lies in this process."""
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def _os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
