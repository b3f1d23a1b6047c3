# SPDX-License-Identifier: Apache-2.0
"""ia64: VT-i by the processor's generation; there is no KVM for it.

VT-i came with Montecito, processor family 32 (Itanium Architecture Software
Developer's Manual vol. 2 sec. 3.4). Linux dropped KVM for ia64 in 3.19, and
ia64 itself in 6.7.
"""

from __future__ import annotations

from collections.abc import Iterator

from hvfilter.host.base import Denied
from hvfilter.model.catalogue import Arch, Stage
from hvfilter.model.finding import Observation, Strength
from hvfilter.probes import single_kvm
from hvfilter.probes.base import Probe
from hvfilter.probes.context import ProbeContext, number
from hvfilter.probes.evidence import Source
from hvfilter.probes.remedies import Remedy

_MONTECITO = 32
_NAMED = {'Itanium': 7, 'Itanium 2': 31, 'McKinley': 31}
"""Families that older kernels name (arch/ia64/kernel/setup.c)."""

_SINCE_MONTECITO = '16-byte atomic ops'
"""A feature that no Madison has. Of an Itanium 2 that has it, the generation
is not known: distributions' kernels called Montecito so, too."""

_KEYS = ('vti', 'hvm')


_OTHER_ARCHITECTURE = Remedy(
    'ia64_without_kvm',
    'place KVM guests on hosts of another architecture',
    'Linux has no KVM for ia64 any more',
    vendor='ia64',
    kernel='3.19 and later',
    source='kernel 3.19, KVM: ia64: remove',
)
_OTHER_HARDWARE = Remedy(
    'ia64_before_montecito',
    'place what needs VT-i on Montecito (Itanium 9000) or later',
    'the processor is older than VT-i',
    vendor='ia64',
    source='Itanium Architecture SDM vol. 2 sec. 3.4',
)


class Ia64(Probe):
    """VT-i, recognised by name."""

    archs = frozenset({Arch.IA64})

    def observe(self, host: ProbeContext) -> Iterator[Observation]:
        yield from _family(host)
        source = Source(Stage.KVM, Strength.IOCTL, 'uname -m', 'KVM for ia64')
        yield Source(
            Stage.FIRMWARE, Strength.REGISTER, 'PAL', 'VT-i services'
        ).unknown('hvm', '', 'hvfilter does not check whether PAL offers VT-i')
        for key in ('kvm', 'slat', 'nested'):
            yield source.absent(
                key,
                'ia64',
                'Linux has no KVM for ia64 any more',
                _OTHER_ARCHITECTURE(),
            )


def _family(host: ProbeContext) -> Iterator[Observation]:
    source = Source(Stage.CPU, Strength.FLAGS, '/proc/cpuinfo', 'family')
    try:
        family = host.cpuinfo.first('family')
        features = host.cpuinfo.first('features')
    except Denied as denied:
        for key in (*_KEYS, *single_kvm.HARDWARE[1:]):
            reason = 'cpuinfo does not name the processor'
            yield source.denied(key, denied, reason)
        return
    generation = number(next(iter(family.split()), ''))
    if _SINCE_MONTECITO not in features:
        generation = _NAMED.get(family, generation)
    for key in _KEYS:
        if generation is None:
            yield source.unknown(
                key,
                family or 'no such line',
                "the processor's family is not known",
            )
        elif generation >= _MONTECITO:
            yield source.present(key, family, 'the processor has VT-i')
        else:
            yield source.absent(
                key,
                family,
                'the processor is older than VT-i',
                _OTHER_HARDWARE(),
            )
