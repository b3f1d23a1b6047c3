# SPDX-License-Identifier: Apache-2.0
"""Stage kvm on x86: which of the processor's features does KVM use?

Module parameters are effective after load (kernel arch/x86/kvm/vmx/vmx.c
and svm/svm.c clear those that the processor lacks), except ``nested``,
which stays as requested.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from hvfilter.host.base import Denied
from hvfilter.model.catalogue import BY_KEY, CATALOGUE, X86, Capability, Stage
from hvfilter.model.finding import Observation, State, Strength
from hvfilter.probes import x86_remedies
from hvfilter.probes.barred import barred
from hvfilter.probes.base import Probe
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.evidence import Source
from hvfilter.probes.kvm_extension import KvmExtension
from hvfilter.probes.module_parameter import ModuleParameter
from hvfilter.probes.remedies import NONE, Advice
from hvfilter.probes.x86_parameters import PARAMETERS, why_off
from hvfilter.probes.x86_readings import cleared, vendor_module

TSC_CONTROL = KvmExtension('KVM_CAP_TSC_CONTROL', 60)

_NEED_KVM = tuple(
    row.key
    for row in CATALOGUE
    if Stage.KVM in row.stages
    and row.archs >= X86
    and row.key not in ('iommu', 'interrupt_remapping')
)
_SLAT = tuple(BY_KEY[key] for key in BY_KEY['slat'].either)


class X86Kvm(Probe):
    """Effective module parameters and extensions."""

    archs = X86

    def observe(self, host: ProbeContext) -> Iterator[Observation]:
        yield from _kept_from_starting(host)
        for row in PARAMETERS:
            yield from _parameter(host, row)
        yield from _slat(host)
        yield _tsc_scaling(host)


def _parameter(host: ProbeContext, row: Capability) -> Iterator[Observation]:
    """What the parameter of a capability says.

    A module that is built into the kernel shows its parameters on any
    processor; those of another maker's are only what they were set to.
    """
    if vendor_module(host) in ('', row.module):
        yield from ModuleParameter(
            row.module,
            row.parameter,
            on=f'KVM uses {row.name}',
            off=f'KVM does not use {row.name}',
            feature=row.name,
            since=row.since,
        ).observe(host, row.key, lambda: why_off(host, row))


def _slat(host: ProbeContext) -> Iterator[Observation]:
    """KVM uses no SLAT only if no module that runs uses its form of it."""
    observations = [
        observation for row in _SLAT for observation in _parameter(host, row)
    ]
    used = [
        observation
        for observation in observations
        if observation.state is not State.ABSENT
    ]
    for observation in used or observations[:1]:
        yield dataclasses.replace(observation, capability='slat')


def _kept_from_starting(host: ProbeContext) -> Iterator[Observation]:
    """What on the kernel command line keeps the maker's module out."""
    try:
        if host.kvm_registered:
            return
    except Denied:
        # The word that is missing from the flags shows as much.
        pass
    cause = _hidden(host) or _blacklisted(host)
    if cause is None:
        return
    source = Source(
        Stage.KVM,
        Strength.PARAMETER,
        '/proc/cmdline',
        'what keeps KVM from starting',
    )
    for key in _NEED_KVM:
        yield source.absent(key, *cause)


_Cause = tuple[str, str, Advice]


def _hidden(host: ProbeContext) -> _Cause | None:
    """``clearcpuid``: without the word in the flags KVM does not start."""
    words = {'kvm_intel': ('vmx',), 'kvm_amd': ('svm',)}
    hidden, word = cleared(host, *words.get(vendor_module(host), ()))
    try:
        shown = host.cpuinfo.words_anywhere('flags') & {'vmx', 'svm'}
    except Denied:
        # Stage cpu observes that it cannot be read.
        return None
    if not word or shown:
        return None
    reason = f'{word} on the kernel command line keeps KVM from starting'
    return word, reason, x86_remedies.CLEARED(name=hidden, word=word)


def _blacklisted(host: ProbeContext) -> _Cause | None:
    try:
        if host.kvm_registered:
            return None
    except Denied:
        # kvm_device observes that it cannot be read.
        return None
    return barred(host, 'kvm', vendor_module(host))


def _tsc_scaling(host: ProbeContext) -> Observation:
    """Api.rst 4.55: set where KVM scales the TSC."""
    return TSC_CONTROL.observe(
        host,
        'tsc_scaling',
        offered='KVM scales the TSC',
        missing=lambda: ('KVM does not scale the TSC', NONE),
        unknown='KVM could not be asked whether it scales the TSC',
    )
