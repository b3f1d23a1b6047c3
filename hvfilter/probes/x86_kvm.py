# SPDX-License-Identifier: Apache-2.0
"""Stage kvm on x86: which of the processor's features does KVM use?

Module parameters are effective after load (kernel arch/x86/kvm/vmx/vmx.c
and svm/svm.c clear those that the processor lacks), except ``nested``,
which stays as requested.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from hvfilter.host.door import Denied
from hvfilter.model.catalogue import BY_KEY, CATALOGUE, X86, Capability, Stage
from hvfilter.model.finding import Observation, State, Strength
from hvfilter.probes import x86_remedies
from hvfilter.probes.asking import access
from hvfilter.probes.barred import barred
from hvfilter.probes.base import Probe
from hvfilter.probes.context import Look, parameter_path, truth
from hvfilter.probes.remedies import Advice
from hvfilter.probes.x86_parameters import PARAMETERS, why_off
from hvfilter.probes.x86_readings import (
    cleared,
    vendor_module,
)

KVM_CAP_TSC_CONTROL = 60

_NEED_KVM = tuple(
    row.key
    for row in CATALOGUE
    if Stage.KVM in row.stages
    and row.archs >= X86
    and row.key not in ('iommu', 'interrupt_remapping')
)


class X86Kvm(Probe):
    """Effective module parameters and extensions."""

    archs = X86

    def observe(self, look: Look) -> Iterator[Observation]:
        yield from _kept_from_starting(look)
        for row in PARAMETERS:
            said = _parameter(look, row)
            if said is None:
                continue
            yield said
            if row in _SLAT and said.state is not State.ABSENT:
                yield dataclasses.replace(said, capability='slat')
        yield from _slat_absent(look)
        yield _tsc_scaling(look)


_SLAT = tuple(BY_KEY[key] for key in BY_KEY['slat'].either)


def _parameter(look: Look, row: Capability) -> Observation | None:
    """What a parameter says; None where its module is not there at all.

    A module that is built into the kernel shows its parameters on any
    processor; those of another maker's are only what they were set to.
    """
    key, module, name = row.key, row.module, row.parameter
    if vendor_module(look) not in ('', module):
        return None
    path = parameter_path(module, name)
    try:
        value = look.module_parameter(module, name)
    except Denied as denied:
        if _module_there(look, module) is False:
            return None
        if denied.missing and _too_old(look, row):
            return _old_kernel(look, row, path)
        return _said(
            key,
            State.UNKNOWN,
            path,
            name,
            str(denied),
            f'{path} does not tell whether KVM uses {row.name}',
            access(denied),
        )
    uses = truth(value)
    if uses is None:
        reason = f'{path} says {value[:40]!r}, which is neither yes nor no'
        return _said(key, State.UNKNOWN, path, name, value[:80], reason)
    if uses and _too_old(look, row):
        return _old_kernel(look, row, path)
    if uses:
        reason = f'KVM uses {row.name}'
        return _said(key, State.PRESENT, path, name, value, reason)
    cause, remedy = why_off(look, row)
    reason = f'KVM does not use {row.name}: {cause}'
    return _said(key, State.ABSENT, path, name, value, reason, remedy)


def _kept_from_starting(look: Look) -> Iterator[Observation]:
    """What on the kernel command line keeps the maker's module out."""
    try:
        if look.kvm_registered:
            return
    except Denied:
        # The word that is missing from the flags shows as much.
        pass
    cause = _hidden(look) or _blacklisted(look)
    if cause is None:
        return
    word, reason, remedy = cause
    for key in _NEED_KVM:
        yield _said(
            key,
            State.ABSENT,
            '/proc/cmdline',
            'what keeps KVM from starting',
            word,
            reason,
            remedy,
        )


_Cause = tuple[str, str, Advice]


def _hidden(look: Look) -> _Cause | None:
    """``clearcpuid``: without the word in the flags KVM does not start."""
    words = {'kvm_intel': ('vmx',), 'kvm_amd': ('svm',)}
    hidden, word = cleared(look, *words.get(vendor_module(look), ()))
    try:
        shown = look.cpuinfo.words_anywhere('flags') & {'vmx', 'svm'}
    except Denied:
        # Stage cpu observes that it cannot be read.
        return None
    if not word or shown:
        return None
    reason = f'{word} on the kernel command line keeps KVM from starting'
    return word, reason, x86_remedies.CLEARED(name=hidden, word=word)


def _blacklisted(look: Look) -> _Cause | None:
    try:
        if look.kvm_registered:
            return None
    except Denied:
        # kvm_device observes that it cannot be read.
        return None
    return barred(look, 'kvm', vendor_module(look))


def _too_old(look: Look, row: Capability) -> bool:
    return (0, 0) < look.kernel_version < row.since


def _old_kernel(look: Look, row: Capability, path: str) -> Observation:
    major, minor = row.since
    return _said(
        row.key,
        State.ABSENT,
        path,
        row.parameter,
        f'kernel {look.kernel}',
        f"this kernel's KVM does not know {row.name}",
        x86_remedies.NEWER_KERNEL(version=f'{major}.{minor}'),
    )


def _module_there(look: Look, module: str) -> bool | None:
    """None when it cannot be told."""
    try:
        return look.module_loaded(module)
    except Denied:
        return None


def _said(
    key: str,
    state: State,
    source: str,
    asked: str,
    value: str,
    reason: str,
    remedy: str = '',
    strength: Strength = Strength.PARAMETER,
) -> Observation:
    return Observation(
        key, Stage.KVM, state, strength, source, asked, value, reason, remedy
    )


def _slat_absent(look: Look) -> Iterator[Observation]:
    """KVM uses no SLAT only if no module that runs uses its form of it."""
    said = [
        observation for row in _SLAT if (observation := _parameter(look, row))
    ]
    if said and all(o.state is State.ABSENT for o in said):
        yield dataclasses.replace(said[0], capability='slat')


def _tsc_scaling(look: Look) -> Observation:
    """KVM_CAP_TSC_CONTROL, api.rst 4.55: set where KVM scales the TSC."""
    asked = f'KVM_CAP_TSC_CONTROL ({KVM_CAP_TSC_CONTROL})'
    source = 'KVM_CHECK_EXTENSION'
    try:
        value = look.kvm_extension(KVM_CAP_TSC_CONTROL)
    except Denied as denied:
        return _said(
            'tsc_scaling',
            State.UNKNOWN,
            source,
            asked,
            str(denied),
            'KVM could not be asked whether it scales the TSC',
            access(denied),
            strength=Strength.IOCTL,
        )
    state = State.PRESENT if value else State.ABSENT
    return _said(
        'tsc_scaling',
        state,
        source,
        asked,
        str(value),
        'KVM scales the TSC' if value else 'KVM does not scale the TSC',
        strength=Strength.IOCTL,
    )
