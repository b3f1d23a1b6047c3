# SPDX-License-Identifier: Apache-2.0
"""ppc64: hypervisor state on PowerNV, nested KVM on a PAPR machine.

cpuinfo names the platform (kernel arch/powerpc/platforms/*/setup.c): PowerNV
runs in hypervisor state; pSeries is a guest of PowerVM or of KVM, and kvm_hv
starts there only on POWER9 or later (kvmppc_book3s_init_hv: the hypervisor
offers the nested API). kvm_hv uses the hardware, kvm_pr does without it and
emulates privileged instructions.

Up to POWER8 a core has one MMU context: kvm_hv runs a guest only on a core's
first thread while the others are offline, else KVM_RUN ends with EBUSY
(arch/powerpc/kvm/book3s_hv.c on_primary_thread, kvmppc_run_core).

A kvm_hv that is built in is in /sys/module whether it started or not;
KVM_CAP_PPC_ALLOC_HTAB (80) is 1 where it runs (arch/powerpc/kvm/powerpc.c,
hv_enabled). KVM_CAP_PPC_NESTED_HV (160) shows whether guests can run kvm_hv
themselves: kvm_hv.nested, POWER9 or later, and a host in radix mode
(kvmhv_enable_nested).
"""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Iterator, Sequence

from hvfilter.host import cpulist
from hvfilter.host.base import NOT_RECORDED, Denied, unless_denied
from hvfilter.model.catalogue import Arch, Stage
from hvfilter.model.finding import Observation, Strength
from hvfilter.probes import single_kvm
from hvfilter.probes.base import Probe
from hvfilter.probes.context import ProbeContext, number, truth
from hvfilter.probes.evidence import Source
from hvfilter.probes.kvm_extension import KvmExtension
from hvfilter.probes.parameter_remedy import set_parameter, switched_on
from hvfilter.probes.remedies import NONE, Advice, Remedy, first

KVM_CAP_PPC_ALLOC_HTAB = 80
_NESTED_HV = KvmExtension('KVM_CAP_PPC_NESTED_HV', 160)
_EXTENSION = 'hypervisor state'
_POWER8 = 8
_POWER9 = 9
_THREADS = {7: 4, _POWER8: 8}
"""Threads of a core, for processors whose threads share one MMU context."""

_POWER9_THREADS = 4
_MOST_SUBCORES = 4

_GENERATION = re.compile(r'POWER(\d{1,2})', re.IGNORECASE)
_MODULES = ('kvm_hv', 'kvm_pr')
_SUBCORES = '/sys/devices/system/cpu/subcores_per_core'


_OLD_PARTITION = Remedy(
    'ppc64_partition_before_power9',
    'place KVM guests on a PowerNV machine, or in a partition on POWER10 or '
    'later whose PowerVM offers KVM',
    'a partition on a processor before POWER9 has no hypervisor state',
    vendor='ppc64 before POWER9',
    machine='guest',
    source='kernel arch/powerpc/kvm/book3s_hv.c kvmppc_book3s_init_hv',
)
_LOAD_HV = Remedy(
    'ppc64_kvm_hv_not_loaded',
    'load kvm_hv (modprobe kvm_hv); it starts only where the platform allows '
    'it, and dmesg then says why not',
    'kvm_hv is not loaded',
    vendor='ppc64',
    source='kernel arch/powerpc/kvm/book3s_hv.c',
)
_HV_FAILED = Remedy(
    'ppc64_kvm_hv_did_not_start',
    'read in dmesg why kvm_hv, which is built into the kernel, did not start: '
    'it takes hypervisor state, or a hypervisor that offers nested KVM',
    'kvm_hv is built in and did not start',
    vendor='ppc64',
    source='kernel arch/powerpc/kvm/book3s_hv.c kvmppc_book3s_init_hv',
)
_KVM_CAPABLE = Remedy(
    'ppc64_partition_not_kvm_capable',
    'let the HMC make this partition KVM capable, which takes PowerVM '
    'FW1060.10 or later, and activate it again',
    'the PowerVM under a partition offers no KVM',
    vendor='ppc64 from POWER10 on',
    machine='guest',
    source='IBM, KVM in a PowerVM LPAR; kernel '
    'Documentation/arch/powerpc/kvm-nested.rst',
)
_NESTED_BELOW = Remedy(
    'ppc64_guest_without_nested_kvm',
    'let the KVM host under this guest offer nested KVM (cap-nested-hv=on of '
    "QEMU's machine pseries)",
    'the KVM host under a guest offers no nested KVM',
    vendor='ppc64 from POWER9 on',
    machine='guest',
    source='QEMU hw/ppc/spapr_caps.c',
)
_SMT_OFF = Remedy(
    'ppc64_threads_online',
    'switch the threads off, now and at each boot, before any guest starts: '
    'ppc64_cpu --smt=off',
    'kvm_hv runs guests on a core only while its other threads are offline',
    vendor='ppc64 before POWER9',
    machine='bare metal',
    source='kernel arch/powerpc/kvm/book3s_hv.c on_primary_thread',
)
_NEST_ON_POWER9 = Remedy(
    'ppc64_nested_before_power9',
    'place guests that nest on POWER9 or later, in radix mode',
    'the processor is older than nested KVM',
    vendor='ppc64 before POWER9',
    source='kernel arch/powerpc/kvm/book3s_hv.c kvmhv_enable_nested',
)
_DISABLE_RADIX = Remedy(
    'ppc64_radix_switched_off',
    'remove {word} from the kernel command line and reboot',
    'the host is in hash mode, by the kernel command line',
    vendor='ppc64 from POWER9 on',
    source='kernel arch/powerpc/mm/init_64.c disable_radix',
)
_RADIX = Remedy(
    'ppc64_hash_mode',
    'boot the host in radix mode; a partition gets it from its hypervisor',
    'the host is in hash mode',
    vendor='ppc64 from POWER9 on',
    source='kernel arch/powerpc/kvm/book3s_hv.c kvmhv_enable_nested',
)
_NEST_ON_POWERNV = Remedy(
    'ppc64_partition_does_not_nest',
    'place guests that nest on a PowerNV machine in radix mode',
    'the guests of a partition get no nested KVM',
    vendor='ppc64',
    machine='guest',
    source='kernel Documentation/arch/powerpc/kvm-nested.rst',
)
_NEST_DMESG = Remedy(
    'ppc64_nested_refused',
    'read what the kernel says of kvm in dmesg: nested KVM takes kvm_hv, '
    'POWER9 or later and radix mode',
    'KVM does not let guests run kvm_hv, though all seems to be there',
    vendor='ppc64 from POWER9 on',
    machine='bare metal',
    source='kernel arch/powerpc/kvm/book3s_hv.c kvmhv_enable_nested',
)


_NESTED = single_kvm.nested_parameter('kvm_hv', _EXTENSION, proves=False)


def _switch_on(host: ProbeContext) -> Advice:
    return set_parameter(host, _NESTED.module, _NESTED.name)


class Ppc64(Probe):
    """Hypervisor state, and kvm_hv beside kvm_pr."""

    archs = frozenset({Arch.PPC64})

    def observe(self, host: ProbeContext) -> Iterator[Observation]:
        yield from _platform(host)
        yield from _modules(host)
        yield from _threads(host)
        # Its default is on, also where it can have no effect.
        yield from _NESTED.observe(
            host,
            'nested',
            lambda: ('kvm_hv.nested is off', _switch_on(host)),
        )
        yield from _cannot_nest(host)
        yield from _nested(host)


@dataclasses.dataclass(frozen=True)
class _Machine:
    """What cpuinfo says; '' and None where it does not.

    :ivar platform: PowerNV or pSeries
    :ivar generation: 8 of POWER8
    :ivar mmu: Hash or Radix
    :ivar model: 'IBM,9080-HEX' of a partition of PowerVM
    """

    platform: str = ''
    generation: int | None = None
    mmu: str = ''
    model: str = ''


def _machine(host: ProbeContext) -> _Machine:
    """Raises Denied."""
    info = host.cpuinfo
    match = _GENERATION.match(info.first('cpu'))
    return _Machine(
        info.first('platform'),
        int(match[1]) if match else None,
        info.first('MMU'),
        info.first('model'),
    )


def _machine_if_known(host: ProbeContext) -> _Machine:
    # _platform reports it.
    return unless_denied(lambda: _machine(host), _Machine())


def _platform(host: ProbeContext) -> Iterator[Observation]:
    try:
        machine = _machine(host)
    except Denied as denied:
        yield from single_kvm.unreadable('platform', denied, _EXTENSION)
        return
    for stage in single_kvm.STAGES:
        source = Source(stage, Strength.FLAGS, '/proc/cpuinfo', 'platform')
        for key in single_kvm.HARDWARE:
            yield _of_platform(host, machine, source, key)


def _of_platform(
    host: ProbeContext, machine: _Machine, source: Source, key: str
) -> Observation:
    platform = machine.platform
    if platform == 'PowerNV':
        return source.present(
            key, platform, 'the kernel runs in hypervisor state'
        )
    generation = machine.generation
    old = generation is not None and generation < _POWER9
    firmware = source.stage is Stage.FIRMWARE
    # kvm_pr does without hypervisor state, so KVM may run all the same.
    if platform == 'pSeries' and old and firmware and key != 'kvm':
        return source.absent(
            key,
            f'{platform}, POWER{generation}',
            'the hypervisor under this machine keeps hypervisor state: '
            'kvm_hv runs in a partition on POWER9 or later only',
            _OLD_PARTITION(),
        )
    if platform != 'pSeries':
        reason = 'whether this platform has hypervisor state is not known'
        return source.unknown(key, platform or 'no such line', reason)
    return source.unknown(
        key,
        platform,
        'whether the hypervisor under this machine offers nested KVM shows '
        'only when kvm_hv runs',
        NONE if host.module_seen('kvm_hv') else _let_hv_run(machine),
    )


def _modules(host: ProbeContext) -> Iterator[Observation]:
    """kvm_hv starts only where it may; kvm_pr proves nothing."""
    source = Source(
        Stage.KVM, Strength.PARAMETER, '/sys/module', ', '.join(_MODULES)
    )
    try:
        loaded = [m for m in _MODULES if host.module_loaded(m)]
    except Denied as denied:
        for key in ('slat', 'nested'):
            reason = 'whether KVM uses the hardware (kvm_hv) cannot be seen'
            yield source.denied(key, denied, reason)
        return
    runs = _hv_runs(host) if 'kvm_hv' in loaded else False
    if runs is None:
        for key in ('slat', 'nested'):
            reason = 'whether KVM uses the hardware could not be asked'
            yield source.unknown(key, 'kvm_hv', reason)
        return
    if runs:
        unmet = unmet_need(host)
        for observation in single_kvm.from_device(
            host, _EXTENSION, Strength.PARAMETER
        ):
            if not unmet or observation.stage is not Stage.KVM:
                yield observation
        return
    try:
        version = host.kvm_api_version()
    except Denied:
        # Why not, and what follows for stage kvm, kvm_device reports.
        return
    names = 'kvm_pr only' if loaded == ['kvm_pr'] else ', '.join(loaded)
    value = f'{names or "neither"}, API version {version}'
    for key in ('slat', 'nested'):
        yield source.absent(
            key,
            value,
            'KVM runs without the hardware: kvm_hv did not start'
            if 'kvm_hv' in loaded
            else 'KVM runs without the hardware: kvm_hv is not loaded',
            _HV_FAILED() if 'kvm_hv' in loaded else start(host),
        )


def _hv_runs(host: ProbeContext) -> bool | None:
    """Whether the kvm_hv that is there started; None where not known."""
    try:
        return bool(host.kvm_extension(KVM_CAP_PPC_ALLOC_HTAB))
    except Denied as denied:
        if (
            denied.error == NOT_RECORDED
            # Nothing can be asked of a /dev/kvm that may not be opened.
            or unless_denied(host.kvm_api_version, None) is None
        ):
            # Most kernels have it as a module, which goes when it fails.
            return True
        return None


def start(host: ProbeContext) -> Advice:
    """How to make the kernel offer KVM."""
    return _let_hv_run(_machine_if_known(host))


def _let_hv_run(machine: _Machine) -> Advice:
    """Load kvm_hv; where that is refused, what is under a guest may be why."""
    generation = machine.generation or 0
    if machine.platform != 'pSeries' or generation < _POWER9:
        return _LOAD_HV()
    if 'qemu' in machine.model:
        return first(_LOAD_HV(), _NESTED_BELOW())
    return first(
        _LOAD_HV(), *([_KVM_CAPABLE()] if generation > _POWER9 else [])
    )


@dataclasses.dataclass(frozen=True)
class _Cores:
    """How many cores there are, and how many have more threads online than
    the one that runs guests."""

    generation: int
    all: int
    busy: int
    online: tuple[int, ...]


def _cores(host: ProbeContext) -> _Cores | None:
    """None where the threads that are online do not matter; raises Denied."""
    machine = _machine(host)
    generation = machine.generation or 0
    threads = _THREADS.get(generation)
    if generation == _POWER9 and _threads_together(host):
        threads = _POWER9_THREADS
    if threads is None or machine.platform != 'PowerNV':
        return None
    online = _online(host)
    try:
        parts = _subcores(host) if generation == _POWER8 else 1
        busy = _busy(online, threads, parts)
    except Denied:
        # Split as far as it goes, fewer threads would have to be offline.
        busy = _busy(online, threads, 1)
        if busy != _busy(online, threads, _MOST_SUBCORES):
            raise
    cores = {cpu // threads for cpu in online}
    return _Cores(generation, len(cores), busy, online)


def _busy(online: Sequence[int], threads: int, parts: int) -> int:
    """How many cores have more than one thread of a part online.

    Threads of a core, and of a part of a split core, have consecutive
    numbers (kernel arch/powerpc/include/asm/cputhreads.h).
    """
    together = collections.Counter(cpu // (threads // parts) for cpu in online)
    return len({part // parts for part, n in together.items() if n > 1})


def _threads_together(host: ProbeContext) -> bool:
    """Older kernels can make POWER9 run guests as POWER8 does.

    kvm_hv.indep_threads_mode=N; raises Denied where that is not known.
    """
    try:
        value = host.module_parameter('kvm_hv', 'indep_threads_mode')
    except Denied as denied:
        if denied.not_found or denied.error == NOT_RECORDED:
            # Later kernels do not have it, and by default it is on.
            return False
        raise
    return truth(value) is False


def unmet_need(host: ProbeContext) -> str:
    """What guests need beyond a processor that runs them, and may lack."""
    if host.module_seen('kvm_hv') and not _hv_runs(host):
        return 'kvm_hv is in the kernel, and is not seen to run'
    try:
        cores = _cores(host)
    except Denied:
        return (
            'whether other threads of the cores are offline, as KVM needs it '
            'before POWER9, cannot be seen'
        )
    if cores is None or not cores.busy:
        return ''
    return 'other threads of the cores are online'


def _threads(host: ProbeContext) -> Iterator[Observation]:
    """Up to POWER8, threads that are online keep guests from running."""
    source = Source(
        Stage.KVM, Strength.PARAMETER, '/proc/cpuinfo', 'processor'
    )
    keys = ('kvm', 'slat')
    try:
        cores = _cores(host)
    except Denied as denied:
        for key in keys:
            yield source.denied(key, denied, unmet_need(host))
        return
    if cores is None or not cores.busy:
        return
    for key in keys:
        yield source.absent(
            key,
            cpulist.render(cores.online),
            f'POWER{cores.generation} runs guests only on cores whose other '
            f'threads are offline; {cores.busy} of {cores.all} cores have '
            'more than one online, and KVM gives EBUSY there',
            _SMT_OFF(),
        )


def _online(host: ProbeContext) -> tuple[int, ...]:
    """The threads that are online; raises Denied.

    cpuinfo lists them and no others (kernel arch/powerpc/kernel/
    setup-common.c show_cpuinfo).
    """
    numbers = map(number, host.cpuinfo.values('processor'))
    online = tuple(cpu for cpu in numbers if cpu is not None)
    if online:
        return online
    try:
        return cpulist.parse(host.text('/sys/devices/system/cpu/online'))
    except ValueError:
        return ()


def _subcores(host: ProbeContext) -> int:
    """How many parts the cores are split into (1, 2 or 4); raises Denied.

    POWER8 only (kernel arch/powerpc/platforms/powernv/subcore.c); where the
    file is missing, cores are not split.
    """
    try:
        parts = number(host.text(_SUBCORES))
    except Denied as denied:
        if denied.not_found:
            return 1
        raise
    return parts if parts in (2, _MOST_SUBCORES) else 1


def _cannot_nest(host: ProbeContext) -> Iterator[Observation]:
    """A processor before POWER9, or a host in hash mode."""
    machine = _machine_if_known(host)
    old = machine.generation is not None and machine.generation < _POWER9
    if not old and machine.mmu != 'Hash':
        return
    reason, remedy = _why_not_nested(host, machine)
    yield Source(
        Stage.KVM, Strength.FLAGS, '/proc/cpuinfo', 'cpu, MMU'
    ).absent(
        'nested',
        f'POWER{machine.generation}' if old else f'MMU: {machine.mmu}',
        f'KVM does not let guests run kvm_hv{reason}',
        remedy,
    )


def _nested(host: ProbeContext) -> Iterator[Observation]:
    def missing() -> tuple[str, Advice]:
        reason, remedy = _why_not_nested(host, _machine_if_known(host))
        return f'KVM does not let guests run kvm_hv{reason}', remedy

    yield _NESTED_HV.observe(
        host,
        'nested',
        offered='guests can run kvm_hv themselves',
        missing=missing,
        unknown='KVM could not be asked whether guests can run kvm_hv',
    )


def _why_not_nested(
    host: ProbeContext, machine: _Machine
) -> tuple[str, Advice]:
    """What is missing, and what to do about it."""
    generation = machine.generation
    if generation is not None and generation < _POWER9:
        return (
            f': POWER{generation} cannot, it takes POWER9 or later and '
            'radix mode',
            _NEST_ON_POWER9(),
        )
    if machine.mmu == 'Hash':
        word = host.boot_word('disable_radix')
        return (
            ': the host runs in hash mode, it takes radix mode',
            _DISABLE_RADIX(word=word.text)
            if word and switched_on(word)
            else _RADIX(),
        )
    if _NESTED.is_set(host, False):
        return ': kvm_hv.nested is off', _switch_on(host)
    if machine.platform == 'pSeries':
        return (
            ': the hypervisor under this partition offers it to the '
            'partition only, not to its guests',
            _NEST_ON_POWERNV(),
        )
    return '', _NEST_DMESG()
