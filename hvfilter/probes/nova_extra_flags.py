# SPDX-License-Identifier: Apache-2.0
"""Features that every guest of Nova requires and only another maker has.

Nova hands each flag of cpu_model_extra_flags to libvirt as a feature that is
required, whatever the processor (nova/virt/libvirt/driver.py,
_prepare_cpu_flag). What libvirt then does depends on the CPU mode (libvirt
src/qemu/qemu_domain.c, qemuDomainDefCPUPostParse): with host-model and custom
it starts no guest with a feature that the host lacks, and with custom Nova
itself compares first and does not start (_check_cpu_compatibility, unless
skip_cpu_compare_at_startup). With host-passthrough it compares nothing, and
QEMU leaves the feature out; with none Nova hands on no flags.
"""

from __future__ import annotations

from hvfilter.model.finding import State
from hvfilter.probes.nova_confidential import Answer
from hvfilter.probes.nova_options import NovaOptions
from hvfilter.probes.remedies import Advice, Remedy
from hvfilter.probes.x86_readings import AMD_VENDORS

INTEL_VENDOR = 'GenuineIntel'

_COMPARED = frozenset({'host-model', 'custom'})

REMOVE_FOREIGN = Remedy(
    'nova_extra_flags_of_another_maker',
    'remove {feature} from [libvirt] cpu_model_extra_flags in nova.conf on '
    'hosts whose processor is not of {maker}, and restart nova-compute there',
    'cpu_model_extra_flags requires a feature of another maker',
    vendor='Intel, AMD',
    source='nova/virt/libvirt/driver.py _prepare_cpu_flag; libvirt '
    'src/qemu/qemu_domain.c qemuDomainDefCPUPostParse',
)


def unmet(options: NovaOptions, maker: str) -> Answer | None:
    """Why no KVM guest starts on an x86 host; None where flags forbid none.

    :param maker: of the processor, in its own words; '' when not known
    """
    mode = options.cpu_mode or 'host-model'
    required = [flag for flag in options.required_flags if _is_either(flag)]
    if mode not in _COMPARED or not required:
        return None
    if not maker:
        return _of_unknown_maker(required)
    foreign = [flag for flag in required if _is_foreign(flag, maker)]
    if not foreign:
        return None
    return (
        State.ABSENT,
        _asked(),
        f'no KVM guest starts: cpu_model_extra_flags requires {foreign[0]}, '
        f'which no processor of {maker} has (cpu_mode = {mode})',
        _remedy(foreign[0]),
    )


def _of_unknown_maker(required: list[str]) -> Answer:
    return (
        State.UNKNOWN,
        _asked(),
        f'whether KVM guests start depends on who made the processor, which '
        f'is not known: cpu_model_extra_flags requires {required[0]}',
        _remedy(required[0]),
    )


def _remedy(feature: str) -> Advice:
    maker = 'Intel' if _is_intels(feature) else 'AMD'
    return REMOVE_FOREIGN(feature=feature, maker=maker)


def _asked() -> str:
    return 'cpu_mode, cpu_model_extra_flags'


def _is_either(flag: str) -> bool:
    return _is_intels(flag) or _is_amds(flag)


def _is_foreign(flag: str, maker: str) -> bool:
    """Other makers than these two may have either."""
    if maker in AMD_VENDORS:
        return _is_intels(flag)
    return maker == INTEL_VENDOR and _is_amds(flag)


def _is_intels(flag: str) -> bool:
    return flag == 'vmx' or flag.startswith('vmx-')


def _is_amds(flag: str) -> bool:
    return flag in ('svm', 'npt')
