# SPDX-License-Identifier: Apache-2.0
"""s390x: SIE in the features of cpuinfo, nesting by ``kvm.nested``.

The kernel prints ``sie`` where the machine or the hypervisor under it lets
it be used (arch/s390/kernel/processor.c); kvm.nested (default 0) gives it to
guests. With both ``nested`` and ``hpage`` kvm refuses to load
(arch/s390/kvm/kvm-s390.c kvm_s390_init; a patch to allow it exists).
/proc/sysinfo names what runs the kernel: a partition (LPAR) or, in ``VM00
Control Program``, z/VM or KVM (arch/s390/kernel/sysinfo.c).
"""

from __future__ import annotations

from collections.abc import Iterator

from hvfilter.host.base import unless_denied
from hvfilter.model.catalogue import Arch
from hvfilter.model.finding import Observation, Strength
from hvfilter.probes import single_kvm
from hvfilter.probes.base import Probe
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.module_parameter import ModuleParameter
from hvfilter.probes.parameter_remedy import set_parameter, switched_on
from hvfilter.probes.remedies import Advice, Remedy, first
from hvfilter.probes.sysinfo import control_program

_SOURCE = 'kernel arch/s390/kernel/processor.c, sysinfo.c'
_NO_SIE_LPAR = Remedy(
    's390x_partition_without_sie',
    'let the activation profile of the partition (HMC) give it a mode that '
    'has SIE, or use another machine',
    'a partition (LPAR) has no SIE',
    vendor='s390x',
    machine='bare metal',
    source=_SOURCE,
)
_NO_SIE_KVM = Remedy(
    's390x_kvm_guest_without_sie',
    'load kvm with nested=1 on the KVM host under this guest (kvm.nested=1)',
    'a guest of KVM has no SIE',
    vendor='s390x',
    machine='guest',
    source='kernel arch/s390/kvm/kvm-s390.c nested',
)
_NO_SIE_ZVM = Remedy(
    's390x_zvm_guest_without_sie',
    'run KVM in a partition (LPAR) of its own instead of under z/VM',
    'a guest of z/VM has no SIE',
    vendor='s390x',
    machine='guest',
    source=_SOURCE,
)
_NO_SIE_ANY = Remedy(
    's390x_guest_without_sie',
    'let the hypervisor under this guest give it SIE',
    'a guest of another hypervisor has no SIE',
    vendor='s390x',
    machine='guest',
    source=_SOURCE,
)
_HPAGE = Remedy(
    's390x_nested_excludes_hpage',
    'choose one of the two, for kvm refuses to load with both nested=1 and '
    'hpage=1 and then no guest runs: only where guests can do without huge '
    'pages, first remove {hpage}',
    'nested is off and guests have huge pages (hpage=1)',
    vendor='s390x',
    source='kernel arch/s390/kvm/kvm-s390.c kvm_s390_init',
)


_REPLACE = Remedy(
    's390x_nested_off_on_command_line',
    'replace {word} by kvm.nested=1 on the kernel command line, which wins '
    'over /etc/modprobe.d/, and reboot',
    'nested is off on the kernel command line; without the word it is off '
    'as well',
    vendor='s390x',
    source='kernel arch/s390/kvm/kvm-s390.c nested; kmod libkmod-config.c',
)


_LOAD = Remedy(
    's390x_kvm_not_loaded',
    'load kvm (modprobe kvm)',
    'the module kvm is not loaded',
    vendor='s390x',
    source='kernel arch/s390/kvm/Makefile',
)
_BOTH = Remedy(
    's390x_nested_and_hpage',
    'remove {nested} or {hpage} from the kernel command line and reboot: '
    'with both kvm refuses to load',
    'nested and hpage are both on',
    vendor='s390x',
    source='kernel arch/s390/kvm/kvm-s390.c kvm_s390_init',
)


_NESTED = single_kvm.nested_parameter('kvm', 'SIE')


class S390x(Probe):
    """SIE and vSIE."""

    archs = frozenset({Arch.S390X})

    def observe(self, host: ProbeContext) -> Iterator[Observation]:
        yield from single_kvm.from_device(host, 'SIE', Strength.REGISTER)
        yield from single_kvm.from_flag(
            host, 'features', 'sie', 'SIE', _no_sie(host)
        )
        yield from _NESTED.observe(
            host, 'nested', lambda: ('kvm.nested is off', _switch_on(host))
        )


def start(host: ProbeContext) -> Advice:
    """How to make the kernel offer KVM."""
    nested, hpage = map(host.boot_word, ('kvm.nested', 'kvm.hpage'))
    if nested is None or hpage is None:
        return _LOAD()
    if not switched_on(nested) or not switched_on(hpage):
        return _LOAD()
    return _BOTH(nested=nested.text, hpage=hpage.text)


def _no_sie(host: ProbeContext) -> Advice:
    """Who could give SIE to this kernel."""
    # bare_metal reports it; the remedy then names all that could be.
    program = unless_denied(lambda: control_program(host), None)
    if program is None:
        return first(_NO_SIE_LPAR(), _NO_SIE_KVM(), _NO_SIE_ZVM())
    if 'KVM' in program:
        return _NO_SIE_KVM()
    if 'z/VM' in program:
        return _NO_SIE_ZVM()
    return _NO_SIE_ANY() if program else _NO_SIE_LPAR()


def _switch_on(host: ProbeContext) -> Advice:
    """How to load kvm with ``nested=1``, given what is set already."""
    advice = set_parameter(host, 'kvm', 'nested')
    word = host.boot_word('kvm.nested')
    if word is not None and not switched_on(word):
        advice = _REPLACE(word=word.text)
    # kvm refuses nested=1 beside hpage=1.
    if not ModuleParameter('kvm', 'hpage').is_set(host, True):
        return advice
    hpage = host.boot_word('kvm.hpage')
    where = 'hpage=1 from the options of kvm in /etc/modprobe.d/'
    if hpage is not None and switched_on(hpage):
        where = f'{hpage.text} from the kernel command line'
    keys = (_HPAGE.key, *advice.keys)
    return Advice(f'{_HPAGE(hpage=where)}, and then {advice}', keys)
