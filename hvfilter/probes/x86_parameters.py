# SPDX-License-Identifier: Apache-2.0
"""The parameters of kvm_intel and kvm_amd, and what each depends on."""

from __future__ import annotations

from hvfilter.host.door import Denied
from hvfilter.model.finding import State
from hvfilter.probes import x86_remedies
from hvfilter.probes.context import Look, truth
from hvfilter.probes.parameter_remedy import set_parameter
from hvfilter.probes.remedies import Advice
from hvfilter.probes.x86_features import SVM_FEATURES
from hvfilter.probes.x86_readings import cleared, flags, registers

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

_DEPENDS = {
    'unrestricted_guest': ('ept',),
    'pml': ('ept', 'eptad'),
    'mbec': ('ept',),
    'avic': ('npt',),
    'vls': ('npt',),
    'vnmi': ('vgif',),
}
"""Parameters that KVM clears where another one is off (kernel vmx/vmx.c,
vmx_hardware_setup; svm/svm.c, svm_hardware_setup; svm/avic.c). Of apicv,
vpid, shadow_vmcs, npt, vgif, lbrv and nrips only the processor decides."""


def why_off(
    look: Look, key: str, module: str, name: str
) -> tuple[str, Advice]:
    """Why a parameter is off, and what switches it on.

    :param key: of the capability
    :returns: a clause for a reason, and the remedy
    """
    svm = SVM_FEATURES.get(key)
    hidden, word = cleared(look, svm.word) if svm else ('', '')
    if word:
        cause = f'{word} on the kernel command line hides it'
        return cause, x86_remedies.CLEARED(name=hidden, word=word)
    for other in _DEPENDS.get(name, ()):
        if _is_off(look, module, other):
            cause = f'it needs the parameter {other} of {module}, which is off'
            return cause, set_parameter(look, module, other)
    cause = f'the parameter {name} of {module} is off'
    if not _processor_has(look, key):
        cause += ', or the processor has none'
    return cause, set_parameter(look, module, name)


def _is_off(look: Look, module: str, name: str) -> bool:
    try:
        return truth(look.module_parameter(module, name)) is False
    except Denied:
        # Not known to be the cause; the own parameter is off all the same.
        return False


def _processor_has(look: Look, key: str) -> bool:
    """Whether a register or a word shows the feature."""
    return any(
        key in readings and readings[key].state is State.PRESENT
        for readings in (registers(look), flags(look))
    )
