# SPDX-License-Identifier: Apache-2.0
"""s390x: SIE in the features of cpuinfo, nesting by ``kvm.nested``.

The kernel prints ``sie`` where the machine or the hypervisor under it lets
it be used (arch/s390/kernel/processor.c); kvm.nested (default 0) gives it to
guests (arch/s390/kvm/kvm-s390.c).
"""

from __future__ import annotations

from collections.abc import Iterator

from hvfilter.host.door import Denied
from hvfilter.model.catalogue import Arch, Stage
from hvfilter.model.finding import Observation, Strength
from hvfilter.probes import natural
from hvfilter.probes.asking import Question
from hvfilter.probes.base import Probe
from hvfilter.probes.context import Look, parameter_path, truth


class S390x(Probe):
    """SIE and vSIE."""

    archs = frozenset({Arch.S390X})

    def observe(self, look: Look) -> Iterator[Observation]:
        yield from natural.from_device(look, 'SIE')
        yield from _features(look)
        yield from nested_parameter(look, 'kvm', 'SIE')


def _features(look: Look) -> Iterator[Observation]:
    try:
        info = look.cpuinfo
    except Denied as denied:
        yield from natural.unreadable('features: sie', denied, 'SIE')
        return
    has = None
    if info.values('features'):
        has = 'sie' in info.words_everywhere('features')
    yield from natural.from_word(
        'features',
        'sie',
        has,
        info.first('features'),
        'SIE',
        'in a guest of z/VM or KVM, let the host under it give SIE (KVM: '
        'kvm.nested=1)',
    )


def nested_parameter(
    look: Look, module: str, extension: str
) -> Iterator[Observation]:
    """Whether a module's parameter ``nested`` gives it to guests."""
    path = parameter_path(module, 'nested')
    question = Question(Stage.KVM, Strength.PARAMETER, path, 'nested')
    try:
        value = look.module_parameter(module, 'nested')
    except Denied as denied:
        if not denied.missing:
            reason = f'{path} does not tell whether guests get {extension}'
            yield question.denied('nested', denied, reason)
        return
    nested = truth(value)
    if nested is None:
        yield question.unknown(
            'nested', value, f'{path} is neither yes nor no'
        )
    elif nested:
        yield question.present(
            'nested', value, f'KVM gives {extension} to guests'
        )
    else:
        yield question.absent(
            'nested',
            value,
            f'KVM does not give {extension} to guests: {module}.nested is off',
            f'set "options {module} nested=1" in /etc/modprobe.d/, then '
            'reload the module or reboot',
        )
