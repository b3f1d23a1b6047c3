# SPDX-License-Identifier: Apache-2.0
"""A limit on the time that KVM_RUN may take, without signal handlers.

KVM_RUN returns when a signal is pending for its thread that the virtual CPU
may see (KVM_SET_SIGNAL_MASK). So the signal is blocked in this thread, only
KVM_RUN lets it through, and a POSIX timer sends it to this very thread and
no other (SIGEV_THREAD_ID). No handler is ever called, none is replaced, no
thread or process is started, and it works outside the main thread, so a
host program does not notice. SIGURG is ignored by default: should one ever
escape, nothing happens.

A child process that is killed would also bound it, but ``fork`` of a program
with threads is unsafe, and a fresh interpreter costs several times what the
whole run does.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from types import TracebackType

from hvfilter.host import base

SIGNAL = signal.SIGURG

_CLOCK_MONOTONIC = 1
_SIGEV_THREAD_ID = 4


class Timespec(ctypes.Structure):
    """``struct timespec``."""

    _fields_ = [
        ('seconds', ctypes.c_long),
        ('nanoseconds', ctypes.c_long),
    ]


class Itimerspec(ctypes.Structure):
    """``struct itimerspec``."""

    _fields_ = [('interval', Timespec), ('value', Timespec)]


class Sigevent(ctypes.Structure):
    """``struct sigevent``, 64 bytes on every 64-bit Linux."""

    _fields_ = [
        ('value', ctypes.c_void_p),
        ('signal', ctypes.c_int),
        ('notify', ctypes.c_int),
        ('thread', ctypes.c_int),
        ('padding', ctypes.c_byte * 44),
    ]


class Deadline:
    """While it is entered, a timer of so many nanoseconds runs.

    It holds for the thread that entered it.

    :raises Denied: no timer could be had; then nothing unbounded may run
    """

    def __init__(self, limit_ns: int) -> None:
        self._limit_ns = limit_ns
        self._libc = _library_with_timers()
        self._timer = ctypes.c_void_p()
        self._mask: set[signal.Signals | int] = set()

    def __enter__(self) -> Deadline:
        event = Sigevent(
            signal=SIGNAL,
            notify=_SIGEV_THREAD_ID,
            thread=threading.get_native_id(),
        )
        self._mask = set(signal.pthread_sigmask(signal.SIG_BLOCK, [SIGNAL]))
        try:
            self._check(
                self._libc.timer_create(
                    _CLOCK_MONOTONIC,
                    ctypes.byref(event),
                    ctypes.byref(self._timer),
                )
            )
        except base.Denied:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
            raise
        whole, rest = divmod(self._limit_ns, 1_000_000_000)
        # A value of zero would disarm it.
        limit = Itimerspec(value=Timespec(whole, max(rest, 1)))
        self._libc.timer_settime(self._timer, 0, ctypes.byref(limit), None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._libc.timer_delete(self._timer)
        # What the timer already sent must not outlive it.
        signal.sigtimedwait([SIGNAL], 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def _check(self, result: int) -> None:
        if result:
            number = ctypes.get_errno()
            raise base.Denied.from_os_error(
                'start a timer', OSError(number, os.strerror(number))
            )


def _library_with_timers() -> ctypes.CDLL:
    """The C library; before glibc 2.34 the timers were in librt."""
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, 'timer_create'):
        library = ctypes.CDLL('librt.so.1', use_errno=True)
    library.timer_create.argtypes = (
        ctypes.c_int,
        ctypes.c_void_p,
        ctypes.c_void_p,
    )
    library.timer_settime.argtypes = (
        ctypes.c_void_p,
        ctypes.c_int,
        ctypes.c_void_p,
        ctypes.c_void_p,
    )
    library.timer_delete.argtypes = (ctypes.c_void_p,)
    return library
