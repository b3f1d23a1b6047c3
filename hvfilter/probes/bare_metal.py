# SPDX-License-Identifier: Apache-2.0
"""Is the host itself a guest?

x86 guests see CPUID.1:ECX[31], reserved for hypervisors to set; where one
hides it, the firmware's tables often still name a virtual machine. Xen
shows itself in /sys/hypervisor, s390x in /proc/sysinfo (a partition of
PR/SM alone counts as bare metal), ppc64 in cpuinfo's platform, arm64 and
riscv64 in the device tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hvfilter.host.door import Denied
from hvfilter.model.catalogue import Arch, Stage
from hvfilter.model.finding import Observation, State, Strength
from hvfilter.probes.asking import Question, access
from hvfilter.probes.base import Probe
from hvfilter.probes.context import Look

_DMI = '/sys/class/dmi/id'
_TREE = '/proc/device-tree'

_VIRTUAL = re.compile(
    r'\b(?:QEMU|KVM|VMware|VirtualBox|innotek GmbH|Xen|Bochs|Parallels|BHYVE|'
    r'Google Compute Engine|OpenStack|KubeVirt|Virtual Machine|Firecracker|'
    r'Cloud Hypervisor|Alibaba Cloud ECS|Apple Virtualization)\b',
    re.IGNORECASE,
)
"""What makers of virtual machines write into DMI tables."""

_EC2_METAL = '.metal'
_VIRTUAL_TREES = ('linux,dummy-virt', 'riscv-virtio', 'qemu')
"""Words in the device trees that QEMU makes."""

_REMEDY = 'none on this machine: it is a guest of another'


class BareMetal(Probe):
    """Signs of a hypervisor under this machine."""

    def observe(self, look: Look) -> Iterator[Observation]:
        if look.arch is Arch.X86:
            yield from _hypervisor_bit(look)
            yield from _hypervisor_flag(look)
        elif look.arch is Arch.S390X:
            yield from _sysinfo(look)
        elif look.arch is Arch.PPC64:
            yield from _platform(look)
        else:
            yield from _device_tree(look)
        yield from _dmi(look)
        yield from _sys_hypervisor(look)


def _said(
    state: State,
    strength: Strength,
    source: str,
    asked: str,
    value: str,
    remedy: str = '',
) -> Observation:
    reason = {
        State.PRESENT: 'nothing shows a hypervisor under this machine',
        State.ABSENT: f'this machine is a guest: {source} says {value}',
        State.UNKNOWN: f'{source} does not tell whether this is a guest',
    }[state]
    return Question(Stage.CPU, strength, source, asked).said(
        'bare_metal',
        state,
        value,
        reason,
        _REMEDY if state is State.ABSENT else remedy,
    )


def _denied(
    strength: Strength, source: str, asked: str, denied: Denied
) -> Observation:
    return _said(
        State.UNKNOWN, strength, source, asked, str(denied), access(denied)
    )


def _hypervisor_bit(look: Look) -> Iterator[Observation]:
    asked = '1:ECX[31] hypervisor'
    try:
        guest = bool(look.cpuid(look.cpus[0], 1).ecx >> 31 & 1)
        value = _vendor(look) if guest else '0'
    except Denied as denied:
        yield _denied(Strength.REGISTER, 'CPUID', asked, denied)
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
    asked = 'flags: hypervisor'
    try:
        words = look.cpuinfo.words_anywhere('flags')
    except Denied as denied:
        yield _denied(Strength.FLAGS, '/proc/cpuinfo', asked, denied)
        return
    if not words:
        return
    guest = 'hypervisor' in words
    yield _said(
        State.ABSENT if guest else State.PRESENT,
        Strength.FLAGS,
        '/proc/cpuinfo',
        asked,
        'hypervisor' if guest else 'not there',
    )


def _sysinfo(look: Look) -> Iterator[Observation]:
    """Kernel arch/s390/kernel/sysinfo.c: VM00 is the innermost guest."""
    path = '/proc/sysinfo'
    asked = 'VM00 Control Program'
    try:
        text = look.text(path)
    except Denied as denied:
        yield _denied(Strength.FLAGS, path, asked, denied)
        return
    found = re.search(r'(?m)^VM00 Control Program:[ \t]*(.*)$', text)
    if found:
        value = found[1].strip() or 'a hypervisor'
        yield _said(State.ABSENT, Strength.FLAGS, path, asked, value)
    elif text:
        value = 'not there: a partition of the machine'
        yield _said(State.PRESENT, Strength.FLAGS, path, asked, value)


def _platform(look: Look) -> Iterator[Observation]:
    try:
        platform = look.cpuinfo.first('platform')
    except Denied as denied:
        yield _denied(Strength.FLAGS, '/proc/cpuinfo', 'platform', denied)
        return
    states = {'PowerNV': State.PRESENT, 'pSeries': State.ABSENT}
    yield _said(
        states.get(platform, State.UNKNOWN),
        Strength.FLAGS,
        '/proc/cpuinfo',
        'platform',
        platform or 'no such line',
    )


def _device_tree(look: Look) -> Iterator[Observation]:
    """A hypervisor names itself, or QEMU its machine."""
    path = f'{_TREE}/compatible'
    hypervisor = f'{_TREE}/hypervisor/compatible'
    try:
        value = _strings(look, hypervisor)
        yield _said(
            State.ABSENT, Strength.FLAGS, hypervisor, 'compatible', value
        )
        return
    except Denied:
        pass
    try:
        value = _strings(look, path)
    except Denied:
        return
    guest = any(word in value for word in _VIRTUAL_TREES) or (
        look.arch is Arch.ARM64 and _under_hypervisor(look)
    )
    yield _said(
        State.ABSENT if guest else State.PRESENT,
        Strength.FLAGS,
        path,
        'compatible',
        value,
    )


def _under_hypervisor(look: Look) -> bool:
    """PSCI by HVC: what answers sits at EL2, above this kernel."""
    try:
        return _strings(look, f'{_TREE}/psci/method') == 'hvc'
    except Denied:
        return False


def _strings(look: Look, path: str) -> str:
    """A property of the device tree: strings, each ended by a NUL."""
    return ', '.join(part for part in look.text(path).split('\0') if part)


def _dmi(look: Look) -> Iterator[Observation]:
    """DMI names a virtual machine; or, on arm64 and loongarch64, a real
    one, where nothing else tells."""
    seen = ''
    product = ''
    for name in ('sys_vendor', 'product_name', 'bios_vendor'):
        try:
            value = look.text(f'{_DMI}/{name}')
        except Denied:
            continue
        seen = seen or value
        product = value if name == 'product_name' else product
        guest = _VIRTUAL.search(value) or (
            seen == 'Amazon EC2'
            and product
            and not product.endswith(_EC2_METAL)
        )
        if guest:
            yield _said(
                State.ABSENT, Strength.FLAGS, f'{_DMI}/{name}', name, value
            )
    if seen and look.arch in (Arch.ARM64, Arch.LOONGARCH64):
        yield _said(
            State.PRESENT,
            Strength.REGISTER,
            f'{_DMI}/sys_vendor',
            'sys_vendor',
            seen,
        )


def _sys_hypervisor(look: Look) -> Iterator[Observation]:
    """Xen, its dom0 included: there too a hypervisor owns the processor."""
    path = '/sys/hypervisor/type'
    try:
        value = look.text(path)
    except Denied:
        return
    if value:
        yield _said(State.ABSENT, Strength.PARAMETER, path, 'type', value)
