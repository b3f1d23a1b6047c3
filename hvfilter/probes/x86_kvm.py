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
from hvfilter.model.catalogue import X86, Stage
from hvfilter.model.finding import Observation, State, Strength
from hvfilter.probes.asking import access
from hvfilter.probes.base import Probe
from hvfilter.probes.context import Look, parameter_path, truth
from hvfilter.probes.x86_features import NAMES
from hvfilter.probes.x86_readings import vendor_module

PARAMETERS = (
    ('ept', 'kvm_intel', 'ept'),
    ('vpid', 'kvm_intel', 'vpid'),
    ('unrestricted_guest', 'kvm_intel', 'unrestricted_guest'),
    ('apicv', 'kvm_intel', 'enable_apicv'),
    ('posted_interrupts', 'kvm_intel', 'enable_apicv'),
    ('shadow_vmcs', 'kvm_intel', 'enable_shadow_vmcs'),
    ('pml', 'kvm_intel', 'pml'),
    ('mbec', 'kvm_intel', 'mbec'),
    ('npt', 'kvm_amd', 'npt'),
    ('avic', 'kvm_amd', 'avic'),
    ('x2avic', 'kvm_amd', 'avic'),
    ('vgif', 'kvm_amd', 'vgif'),
    ('vls', 'kvm_amd', 'vls'),
    ('vnmi', 'kvm_amd', 'vnmi'),
    ('lbrv', 'kvm_amd', 'lbrv'),
    ('nrips', 'kvm_amd', 'nrips'),
)
"""Capability, module, parameter. Posted interrupts and x2AVIC have no
parameter of their own: KVM uses them together with APICv and AVIC."""

_SINCE = {
    'pml': (4, 0),
    'mbec': (7, 0),
    'avic': (4, 7),
    'x2avic': (6, 0),
    'vgif': (4, 13),
    'vls': (4, 13),
    'vnmi': (6, 4),
}
"""The first kernel whose KVM can use it; it had the parameter at once."""

KVM_CAP_TSC_CONTROL = 60


class X86Kvm(Probe):
    """Effective module parameters and extensions."""

    archs = X86

    def observe(self, look: Look) -> Iterator[Observation]:
        for key, module, name in PARAMETERS:
            said = _parameter(look, key, module, name)
            if said is None:
                continue
            yield said
            if key in ('ept', 'npt') and said.state is not State.ABSENT:
                yield dataclasses.replace(said, capability='slat')
        yield from _slat_absent(look)
        yield _tsc_scaling(look)


def _parameter(
    look: Look, key: str, module: str, name: str
) -> Observation | None:
    """What a parameter says; None where its module is not there at all.

    A module that is built into the kernel shows its parameters on any
    processor; those of another maker's are only what they were set to.
    """
    if vendor_module(look) not in ('', module):
        return None
    path = parameter_path(module, name)
    try:
        value = look.module_parameter(module, name)
    except Denied as denied:
        if _module_there(look, module) is False:
            return None
        if denied.missing and _too_old(look, key):
            return _old_kernel(look, key, path, name)
        return _said(
            key,
            State.UNKNOWN,
            path,
            name,
            str(denied),
            f'{path} does not tell whether KVM uses {NAMES[key]}',
            access(denied),
        )
    uses = truth(value)
    if uses is None:
        reason = f'{path} says {value[:40]!r}, which is neither yes nor no'
        return _said(key, State.UNKNOWN, path, name, value[:80], reason)
    if uses and _too_old(look, key):
        return _old_kernel(look, key, path, name)
    if uses:
        reason = f'KVM uses {NAMES[key]}'
        return _said(key, State.PRESENT, path, name, value, reason)
    return _said(
        key,
        State.ABSENT,
        path,
        name,
        value,
        f'KVM does not use {NAMES[key]}: the parameter {name} of {module} '
        'is off',
        f'if the processor has it, set "options {module} {name}=1" in '
        f'/etc/modprobe.d/, then reload {module} or reboot',
    )


def _too_old(look: Look, key: str) -> bool:
    return (0, 0) < look.kernel_version < _SINCE.get(key, (0, 0))


def _old_kernel(look: Look, key: str, path: str, name: str) -> Observation:
    major, minor = _SINCE[key]
    return _said(
        key,
        State.ABSENT,
        path,
        name,
        f'kernel {look.kernel}',
        f"this kernel's KVM does not know {NAMES[key]}",
        f'run a kernel from {major}.{minor} on',
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
        observation
        for key, module, name in PARAMETERS
        if key in ('ept', 'npt')
        and (observation := _parameter(look, key, module, name))
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
