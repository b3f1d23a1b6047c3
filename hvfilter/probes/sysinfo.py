# SPDX-License-Identifier: Apache-2.0
"""s390x: what runs the kernel, by /proc/sysinfo.

Kernel arch/s390/kernel/sysinfo.c: the machine has ``Type:``, a partition of
it ``LPAR ...``, and a guest ``VM00 Control Program`` for the innermost
hypervisor: z/VM or KVM.
"""

from __future__ import annotations

import re

from hvfilter.probes.context import ProbeContext

PATH = '/proc/sysinfo'
_CONTROL_PROGRAM = re.compile(r'(?m)^VM00 Control Program:[ \t]*(.*)$')
_PARTITION = re.compile(r'(?m)^(?:LPAR |Type:)')


def control_program(host: ProbeContext) -> str | None:
    """The hypervisor of which the kernel is a guest.

    :returns: '' in a partition of the machine, None where /proc/sysinfo
        names neither; a guest of a hypervisor without a name is '?'
    :raises Denied: when /proc/sysinfo cannot be read
    """
    text = host.text(PATH)
    match = _CONTROL_PROGRAM.search(text)
    if match:
        return match[1].strip() or '?'
    return '' if _PARTITION.search(text) else None
