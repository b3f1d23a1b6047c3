# SPDX-License-Identifier: Apache-2.0
"""Model-specific registers, through ``/dev/cpu/N/msr``."""

from __future__ import annotations

import os

from hvfilter.host import base

DEVICES = '/dev/cpu'

_BYTES = 8


def read(cpu: int, index: int, devices: str = DEVICES) -> int:
    """One 64-bit register of one logical processor.

    :param devices: the folder in which each processor has its own
    :raises Denied: ENOENT without the ``msr`` module, EACCES or EPERM
        without CAP_SYS_RAWIO or under kernel lockdown, EIO when the
        processor refuses the register
    """
    path = f'{devices}/{cpu}/msr'
    what = f'read MSR {index:#x} from {path}'
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = os.pread(descriptor, _BYTES, index)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise base.Denied.from_os_error(what, error) from error
    if len(data) != _BYTES:
        raise base.Denied(what, 'EIO', f'{len(data)} bytes came back')
    return int.from_bytes(data, 'little')
