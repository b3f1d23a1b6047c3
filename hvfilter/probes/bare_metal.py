# SPDX-License-Identifier: Apache-2.0
"""Is the host itself a guest?

x86 guests see CPUID.1:ECX[31], reserved for hypervisors to set; where one
hides it, the firmware's tables often still name a virtual machine. Xen
shows itself in /sys/hypervisor, s390x in /proc/sysinfo, arm64, ppc64 and
riscv64 in the device tree.
"""

from __future__ import annotations

from collections.abc import Iterator

from hvfilter.host.door import Denied
from hvfilter.model.catalogue import Arch, Stage
from hvfilter.model.finding import Observation, State, Strength
from hvfilter.probes.base import Probe
from hvfilter.probes.context import Look

_DMI = '/sys/class/dmi/id'
_VIRTUAL = (
    'QEMU',
    'KVM',
    'VMware',
    'VirtualBox',
    'innotek GmbH',
    'Xen',
    'Bochs',
    'Parallels',
    'BHYVE',
    'Google Compute Engine',
    'OpenStack',
    'KubeVirt',
    'Virtual Machine',
    'Apple Virtualization',
)
"""What makers of virtual machines write into DMI tables."""

_REMEDY = 'none on this machine: it is a guest of another'


class BareMetal(Probe):
    """Signs of a hypervisor under this machine."""

    def observe(self, look: Look) -> Iterator[Observation]:
        if look.arch is Arch.X86:
            yield from _hypervisor_bit(look)
            yield from _hypervisor_flag(look)
        yield from _dmi(look)
        yield from _sys_hypervisor(look)


def _said(
    state: State, strength: Strength, source: str, asked: str, value: str
) -> Observation:
    reason = {
        State.PRESENT: 'nothing shows a hypervisor under this machine',
        State.ABSENT: f'this machine is a guest: {source} says {value}',
        State.UNKNOWN: f'{source} does not tell whether this is a guest',
    }[state]
    return Observation(
        'bare_metal',
        Stage.CPU,
        state,
        strength,
        source,
        asked,
        value,
        reason,
        _REMEDY if state is State.ABSENT else '',
    )


def _hypervisor_bit(look: Look) -> Iterator[Observation]:
    asked = 'CPUID.1:ECX[31] hypervisor'
    try:
        guest = bool(look.cpuid(look.cpus[0], 1).ecx >> 31 & 1)
        value = _vendor(look) if guest else '0'
    except Denied as denied:
        yield _said(
            State.UNKNOWN, Strength.REGISTER, 'CPUID', asked, str(denied)
        )
        return
    state = State.ABSENT if guest else State.PRESENT
    yield _said(state, Strength.REGISTER, 'CPUID', asked, value)


def _vendor(look: Look) -> str:
    """The hypervisor's signature, CPUID.40000000."""
    try:
        regs = look.cpuid(look.cpus[0], 0x40000000)
    except Denied:
        return '1'
    raw = b''.join(
        part.to_bytes(4, 'little') for part in (regs.ebx, regs.ecx, regs.edx)
    )
    name = raw.rstrip(b'\0').decode('ascii', 'replace')
    return f'1, {name!r}' if name.isprintable() and name else '1'


def _hypervisor_flag(look: Look) -> Iterator[Observation]:
    try:
        words = look.cpuinfo.words_anywhere('flags')
    except Denied as denied:
        yield _said(
            State.UNKNOWN,
            Strength.FLAGS,
            '/proc/cpuinfo',
            'flags: hypervisor',
            str(denied),
        )
        return
    if not words:
        return
    guest = 'hypervisor' in words
    yield _said(
        State.ABSENT if guest else State.PRESENT,
        Strength.FLAGS,
        '/proc/cpuinfo',
        'flags: hypervisor',
        'hypervisor' if guest else 'not there',
    )


def _dmi(look: Look) -> Iterator[Observation]:
    for name in ('sys_vendor', 'product_name', 'bios_vendor'):
        try:
            value = look.text(f'{_DMI}/{name}')
        except Denied:
            continue
        if any(word in value for word in _VIRTUAL):
            yield _said(
                State.ABSENT,
                Strength.FLAGS,
                f'{_DMI}/{name}',
                name,
                value[:80],
            )


def _sys_hypervisor(look: Look) -> Iterator[Observation]:
    """Xen, its dom0 included: there too a hypervisor owns the processor."""
    path = '/sys/hypervisor/type'
    try:
        value = look.text(path)
    except Denied:
        return
    yield _said(State.ABSENT, Strength.PARAMETER, path, 'type', value[:80])
